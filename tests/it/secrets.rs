//! No secret on disk: the secrets of [`planted`], into a real lake; then every byte that was written is searched, Parquet
//! cell by cell, logs, stderr and what commands print included.

use std::collections::BTreeMap;
use std::fs;

use tapetrail::config::{Config, Durability};
use tapetrail::event::{Stream, TimestampType};
use tapetrail::intake::{HeaderList, Intake, Message};
use tapetrail::lake::commit::{Batch, Ledger, Range};
use tapetrail::lake::encode::encode;
use tapetrail::lake::log::AppId;
use tapetrail::lake::store::Location;
use tapetrail::lake::table::Lake;
use tapetrail::table::rows::{Origin, Rows};

use crate::cli::tapetrail;
use crate::lake::BEGIN;
use crate::planted::{HEADERS, KEPT, SECRET, assert_no_secret, everything, key, messages};

struct Headers;

impl HeaderList for Headers {
    fn headers(&self) -> Vec<(&str, &[u8])> {
        HEADERS
            .map(|(name, value)| (name, value.as_bytes()))
            .to_vec()
    }
}

#[tokio::test]
async fn no_secret_of_a_topic_reaches_the_disk() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let root = directory.path().join("lake");
    let location = Location::open(root.to_str().expect("is text"), Durability::Os).expect("opens");
    let lake = Lake::new(location);
    let mut config = Config::default();
    config.secrets.fingerprint_key = Some(SECRET.to_string());
    config.secrets.webhook_secrets = vec![("k".to_string(), SECRET.to_string())];
    let mut intake = Intake::new(&config);
    for stream in Stream::INPUTS {
        let mut rows = Rows::new(stream);
        let messages = messages(stream);
        for (offset, value) in (0..).zip(&messages) {
            let origin = Origin {
                topic: stream.default_topic().into(),
                partition: Some(0),
                offset,
                source_id: Some("c1@0".into()),
                received_at: Some(BEGIN),
                timestamp_type: Some(TimestampType::Producer),
                ..Origin::default()
            };
            let key = key(offset as usize);
            let message = Message {
                value: Some(value),
                key: Some(key.as_bytes()),
                headers: Some(&Headers),
            };
            intake.take(&mut rows, &origin, &message);
        }
        let rows = rows.finish();
        let table = lake.open_or_create(stream).await.expect("makes the table");
        let mut ledger = Ledger::new(stream, table);
        let count = messages.len() as i64;
        let range = Range {
            from: 0,
            to: count,
            is_first: true,
            rows: rows.num_rows() as i64,
        };
        let app_id = AppId::partition("c1", stream.default_topic(), 0, 0);
        let mut batch = Batch {
            adds: Vec::new(),
            ranges: BTreeMap::from([(app_id, range)]),
        };
        for file in encode(stream, &rows, BEGIN / 1000).expect("encodes") {
            batch.adds.push(ledger.put(&file).await.expect("is put"));
        }
        ledger.commit(&batch).await.expect("is committed");
    }
    let all = everything(&root);
    for (path, text) in &all {
        assert_no_secret(&path.display().to_string(), text);
    }
    // The search can fail: what is planted in harmless places is found, in every table.
    for stream in Stream::INPUTS {
        let directory = root.join(stream.stem());
        let kept = all
            .iter()
            .filter(|(path, text)| path.starts_with(&directory) && text.contains(KEPT));
        assert!(kept.count() > 0, "the search finds nothing in {stream}");
    }
}

#[test]
fn no_secret_of_a_file_reaches_the_disk_the_log_or_the_screen() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let root = directory.path().join("lake");
    for stream in Stream::INPUTS {
        let file = directory.path().join(format!("{stream}.ndjson"));
        fs::write(&file, messages(stream).join(&b'\n')).expect("is written");
        let file = file.to_str().expect("is text");
        let lake = root.to_str().expect("is text");
        let import = [
            "-vv",
            "--lake",
            lake,
            "import",
            "--stream",
            stream.stem(),
            file,
        ];
        let imported = tapetrail(directory.path(), &import);
        let said = String::from_utf8_lossy(&imported.stderr).into_owned();
        assert_eq!(imported.status.code(), Some(0), "{said}");
        assert!(
            said.contains("DEBUG") || said.contains("TRACE"),
            "-vv logs: {said}"
        );
        assert_no_secret("stderr of import", &said);
        let check = tapetrail(
            directory.path(),
            &["check", "--stream", stream.stem(), file],
        );
        assert_no_secret("stdout of check", &String::from_utf8_lossy(&check.stdout));
        assert_no_secret("stderr of check", &String::from_utf8_lossy(&check.stderr));
    }
    let lake = root.to_str().expect("is text");
    let say = |arguments: &[&str]| {
        let output = tapetrail(
            directory.path(),
            &[&["-vv", "--lake", lake], arguments].concat(),
        );
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let what = arguments[0];
        assert!(
            matches!(output.status.code(), Some(0 | 1)),
            "{what}: {stderr}"
        );
        assert_no_secret(&format!("stdout of {what}"), &stdout);
        assert_no_secret(&format!("stderr of {what}"), &stderr);
        stdout
    };
    let logs = Stream::INPUTS.map(|stream| format!("SELECT * FROM log_{stream};"));
    let rows = say(&["sql", "--format", "ndjson", "-c", &logs.concat()]);
    assert!(rows.contains(KEPT), "rows are printed");
    say(&["sql", "--format", "csv", "-c", "SELECT * FROM dead_letters"]);
    // One that reads every stream; the others print the same columns.
    say(&["detect", "--format", "ndjson", "--only", "vendor_mismatch"]);
    say(&["investigate", "--cname", "c"]);
    say(&["verify", "--full"]);
    say(&["replay"]);
    for stream in Stream::INPUTS {
        let range = ["--topic", "import", "--from", "0", "--to", "100"];
        say(&[&["replay", "--stream", stream.stem()], &range[..]].concat());
    }
    let replayed = Stream::INPUTS
        .map(|stream| format!("SELECT * FROM log_{stream} WHERE replay_of LIKE 'import/%';"));
    let rows = say(&["sql", "--format", "ndjson", "-c", &replayed.concat()]);
    assert!(rows.contains(KEPT), "a stored range is replayed");
    let mut kept = 0;
    for (path, text) in everything(&root) {
        assert_no_secret(&path.display().to_string(), &text);
        kept += usize::from(text.contains(KEPT));
    }
    assert!(kept >= Stream::INPUTS.len(), "the search finds nothing");
}
