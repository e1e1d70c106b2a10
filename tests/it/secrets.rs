//! No secret on disk: marked secrets at every path of the list (domain, section 3 of the API facts) and in
//! unknown places, through valid, odd and broken messages, keys and headers, into a real lake; then every byte
//! that was written is searched, Parquet cell by cell, logs and stderr included.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tapetrail::config::{Config, Durability};
use tapetrail::event::{Stream, TimestampType};
use tapetrail::intake::{HeaderList, Intake, Message};
use tapetrail::lake::commit::{AppId, Batch, Ledger, Range};
use tapetrail::lake::encode::encode;
use tapetrail::lake::store::Location;
use tapetrail::lake::table::Lake;
use tapetrail::table::rows::{Origin, Rows};

use crate::cli::tapetrail;
use crate::lake::{BEGIN, lines_of};

/// What every secret holds. Letters only, so that no escaping hides it.
const SECRET: &str = "QzSecretMarkQz";
/// The same form in harmless places that are kept: the search must find it.
const KEPT: &str = "QzHarmlessMarkQz";

/// Request bodies and others with `@` where a secret is and `~` where the harmless mark is.
const OBJECTS: [&str; 20] = [
    r#"{"cname":"room-~","uid":"1","clientRequest":{"token":"@","storageConfig":{"vendor":2,"region":1,"bucket":"b-~","accessKey":"@","secretKey":"@","stsToken":"@","fileNamePrefix":["~"]},"recordingConfig":{"secret":"@","salt":"@"}}}"#,
    r#"{"cname":"~","clientRequest":{"startParameter":{"token":"@","storageConfig":{"vendor":1,"accessKey":"@","secretKey":"@","stsToken":"@"},"recordingConfig":{"secret":"@","salt":"@"}}}}"#,
    r#"{"cname":"~","clientRequest":{"extensionServiceConfig":{"extensionServices":[{"serviceName":"web_recorder_service","serviceParam":{"url":"https://user:@@h.example/page?auth=@#@","outputs":[{"rtmpUrl":"rtmp://a.example/live/@"}]}}]}}}"#,
    r#"{"cname":"~","clientRequest":{"extensionServiceConfig":{"extensionServices":[{"serviceParam":{"apiData":{"accessKey":"@","videoData":{"title":"@","x":["@",{"y":"@"}]}}}}]}}}"#,
    r#"{"cname":"~","clientRequest":{"startParameter":{"extensionServiceConfig":{"extensionServices":[{"serviceParam":{"url":"https://u:@@h.example/?t=@","apiData":{"z":"@"}}}]}}}}"#,
    r#"{"cname":"~","clientRequest":{"transcodingConfig":{"backgroundImage":"https://h.example/a.png?X-Amz-Signature=@","defaultUserBackgroundImage":"http://h.example/b?k=@","backgroundConfig":[{"uid":"1","image_url":"https://h.example/c?s=@"}]}}}"#,
    r#"{"cname":"~","clientRequest":{"rtmpPublishConfig":{"outputs":[{"rtmpUrl":"rtmps://h.example/app/@?x=@"}]},"storageConfig":{"accessKey":"@","secretKey":"@","stsToken":"@"}}}"#,
    r#"{"serverResponse":{"extensionServiceState":[{"payload":{"outputs":[{"rtmpUrl":"rtmp://x/y/@","status":"~"}]}}]}}"#,
    r#"{"msgName":"rtmp_publish_status","rtmpUrl":"rtmp://x/y/@","status":"~"}"#,
    r#"{"event":{"requestParameters":{"requestHeaders":{"Authorization":"@","Host":"~"}}}}"#,
    r#"{"access_key":"@","bucket":"~"}"#,
    r#"{"mySecretThing":"@","db_password":"@","passwd":{"a":"@"},"Some-Credential":["@"],"x-api-key":"@","apikey":"@","SIGNATURE":"@","authorization":"Basic @","kept":"~"}"#,
    r#"{"acc\u0065ssKey":"@","s\u0065cret":"@","kept":"~"}"#,
    r#"{"token":"@","token":"@","token":["@"],"kept":"~"}"#,
    r#"{"headers":[{"name":"Authorization","value":"@"},{"value":"@","name":"X-Token"}],"pairs":[["Authorization","@"]],"kept":"~"}"#,
    r#"{"params":[{"key":"secretKey","value":"@"},{"k":"token","v":["@"]}],"kept":"~"}"#,
    r#"{"form":"a=1&secretKey=@&b=~&access_key=@"}"#,
    r#"{"text":"POST https://u:@@h.example/x?token=@ failed ~: secretKey=@, stsToken: '@' (accessKey => \"@\")"}"#,
    r#"{"text":"Authorization: AWS4-HMAC-SHA256 Credential=@, Signature=@\nhost: ~"}"#,
    r#"{"xml":"<Error><AWSAccessKeyId>@</AWSAccessKeyId><SignatureProvided>@</SignatureProvided><Code>~</Code></Error>"}"#,
];

/// Ways in which an object comes in a stream's messages.
fn shapes(stream: Stream, object: &str) -> Vec<String> {
    let text = serde_json::Value::from(object).to_string();
    let twice = serde_json::Value::from(format!("{{\"body\":{text}}}")).to_string();
    let at = 1_790_000_000_000_i64;
    match stream {
        Stream::ApiCalls => [object, &text, &twice]
            .iter()
            .flat_map(|body| {
                let call = |request: &str, response: &str, error: &str| format!(
                    r#"{{"requested_at":{at},"request":{{"method":"POST","url":"https://u:@@api.example/v1/apps/app1/cloud_recording/resourceid/r1/mode/mix/start?token=@","headers":{{"Authorization":"Basic @"}},"body":{request}}},"response":{{"status":200,"headers":{{"Set-Cookie":"@"}},"body":{response}}},"error":{error}}}"#
                );
                [call(body, "{}", "null"), call("{}", body, "null"), call("{}", "{}", body)]
            })
            .collect(),
        Stream::Webhooks => {
            let hook = |details: &str| format!(
                r#"{{"noticeId":"n","productId":3,"eventType":100,"notifyMs":{at},"payload":{{"cname":"c","uid":"1","sid":"s","sequence":1,"sendts":{at},"serviceType":2,"details":{details}}}}}"#
            );
            let raw = serde_json::Value::from(hook(object)).to_string();
            vec![
                hook(object),
                hook(&text),
                format!("[{},{}]", hook(object), hook(&twice)),
                format!(r#"{{"received_at":{at},"headers":{{"agora-signature-v2":"@","Authorization":"@"}},"raw_body":{raw}}}"#),
                format!(r#"{{"received_at":{at},"headers":[["X-Token","@"]],"body":{}}}"#, hook(object)),
            ]
        }
        Stream::StorageEvents => vec![
            format!(r#"{{"kind":"created","vendor":1,"bucket":"b","key":"k","occurred_at":{at},"more":{object}}}"#),
            format!(r#"{{"Type":"Notification","Message":{text},"Signature":"@","SigningCertURL":"https://h.example/?x=@"}}"#),
            format!(r#"{{"Records":[{{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put","eventTime":"2026-09-21T14:13:20Z","s3":{{"bucket":{{"name":"b"}},"object":{{"key":"k","size":1}}}},"more":{object}}}]}}"#),
        ],
        Stream::SessionRecords => vec![
            format!(r#"{{"cname":"c","sid":"s","vendor":2,"more":{object}}}"#),
            format!(r#"{{"cname":"c","sid":"s","url":"https://u:@@b.example/k?X-Amz-Signature=@","config":{text}}}"#),
            format!(r#"{{"op":"u","before":{object},"after":{{"cname":"c","storage_token":"@","config":{text}}},"source":{{"db":"d","table":"t"}},"ts_ms":{at}}}"#),
        ],
    }
}

/// Returns a message whole, and broken in the ways that messages break.
fn whole_and_broken(message: &str) -> Vec<Vec<u8>> {
    let bytes = message.as_bytes();
    let mut all = vec![bytes.to_vec()];
    // Cut in the middle of the first secret, of the last one, and shortly before the end.
    let within = |at: usize| bytes[..at + SECRET.len() - 1].to_vec();
    all.extend(message.find(SECRET).map(within));
    all.extend(message.rfind(SECRET).map(within));
    all.push(bytes[..bytes.len() - 2].to_vec());
    for broken in [&b"\xff\xfe"[..], b"\0", b"\xc3("] {
        let middle = message.find(KEPT).unwrap_or(1);
        all.push([&bytes[..middle], broken, &bytes[middle..]].concat());
        all.push([bytes, broken].concat());
    }
    all
}

fn messages(stream: Stream) -> Vec<Vec<u8>> {
    OBJECTS
        .iter()
        .flat_map(|object| shapes(stream, object))
        .map(|message| message.replace('@', SECRET_PLACE).replace('~', KEPT))
        // A secret after user info's colon stands before a real `@`.
        .map(|message| {
            message.replace(
                &format!("{SECRET_PLACE}{SECRET_PLACE}"),
                &format!("{SECRET}@"),
            )
        })
        .map(|message| message.replace(SECRET_PLACE, SECRET))
        .flat_map(|message| whole_and_broken(&message))
        .collect()
}

const SECRET_PLACE: &str = "\u{1}";

struct Headers;

impl HeaderList for Headers {
    fn headers(&self) -> Vec<(&str, &[u8])> {
        vec![
            ("Authorization", SECRET.as_bytes()),
            (
                "trace",
                b"https://u:QzSecretMarkQz@h.example/?token=QzSecretMarkQz",
            ),
            ("kept", KEPT.as_bytes()),
        ]
    }
}

/// Returns all files under `directory`.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("is there") {
        let path = entry.expect("is readable").path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

/// Returns everything that the lake holds, as text: names, raw bytes, and the cells of Parquet.
fn everything(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut all = Vec::new();
    for path in files(directory) {
        let bytes = fs::read(&path).expect("is readable");
        let raw = String::from_utf8_lossy(&bytes).into_owned();
        all.push((path.clone(), format!("{}\n{raw}", path.display())));
        if path
            .extension()
            .is_some_and(|extension| extension == "parquet")
        {
            let rows = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes))
                .and_then(|builder| builder.build())
                .expect("is Parquet");
            for rows in rows {
                let cells = lines_of(&rows.expect("is whole")).join("\n");
                all.push((path.clone(), cells));
            }
        }
    }
    all
}

fn assert_no_secret(what: &str, text: &str) {
    // Half of it is as bad: a message may be cut there.
    for mark in [SECRET, &SECRET[..SECRET.len() - 1]] {
        if let Some(at) = text.find(mark) {
            let from = text.floor_char_boundary(at.saturating_sub(300));
            let to = text.floor_char_boundary((at + 60).min(text.len()));
            panic!("{what}: a secret was written: ...{}", &text[from..to]);
        }
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
    for stream in Stream::ALL {
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
            let key = [
                format!(r#"{{"token":"{SECRET}","id":"{KEPT}"}}"#),
                format!("secretKey={SECRET}&id={KEPT}"),
                format!("{{\"token\":\"{SECRET}"),
            ];
            let message = Message {
                value: Some(value),
                key: Some(key[offset as usize % key.len()].as_bytes()),
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
    for stream in Stream::ALL {
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
    for stream in Stream::ALL {
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
    for stream in Stream::ALL {
        let sql = format!("SELECT * FROM log_{}", stream.stem());
        let rows = say(&["sql", "--format", "ndjson", "-c", &sql]);
        assert!(rows.contains(KEPT), "rows of {stream} are printed");
    }
    say(&["sql", "--format", "csv", "-c", "SELECT * FROM dead_letters"]);
    say(&["detect", "--format", "ndjson"]);
    for channel in ["c", KEPT] {
        say(&["investigate", "--cname", channel]);
    }
    say(&["verify", "--full"]);
    say(&["replay"]);
    for stream in Stream::ALL {
        say(&["replay", "--stream", stream.stem(), "--topic", "import"]);
    }
    let mut kept = 0;
    for (path, text) in everything(&root) {
        assert_no_secret(&path.display().to_string(), &text);
        kept += usize::from(text.contains(KEPT));
    }
    assert!(kept >= Stream::ALL.len(), "the search finds nothing");
}
