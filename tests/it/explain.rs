//! `check --explain`: what a mapping finds, as whoever writes it sees it.

use std::fs;

use crate::cli::tapetrail;

const CONFIG: &str = r#"
[[session_records.mappings]]
table = "public.recordings"
fields = { cname = "channel", sid = "recording_sid", vendor = "store", url = "link", recorded_at = "updated_at" }
vendors = { primary = 2 }
"#;

const ROWS: &str = concat!(
    r#"{"op":"c","after":{"id":7,"channel":"room_42","recording_sid":"5B1DE9C07A2F4E6C8D90B1A2C3D4E5F6","store":"primary","link":"https://u:QzSecretMarkQz@h.example/a.mp4?sig=QzSecretMarkQz"},"source":{"db":"app","schema":"public","table":"recordings","ts_ms":1795342206050}}"#,
    "\n",
    r#"{"database":"app","table":"users","type":"update","ts":1795342206,"data":{"id":1,"name":"Ada"}}"#,
    "\nnull\n",
);

#[test]
fn a_sample_is_explained_field_by_field_and_without_its_secrets() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::write(directory.path().join("c.toml"), CONFIG).expect("is written");
    fs::write(directory.path().join("rows.ndjson"), ROWS).expect("is written");
    let explain = |more: &[&str]| {
        let check = ["--config", "c.toml", "check", "--explain", "rows.ndjson"];
        let output = tapetrail(directory.path(), &[&check[..], more].concat());
        // The second row is one that no mapping takes.
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!said.contains("QzSecret"), "{said}");
        said
    };
    insta::assert_snapshot!("explained", explain(&[]));
    let lines = explain(&["--format", "ndjson"]);
    let first = lines.lines().next().expect("a row");
    assert_eq!(
        first,
        r#"{"file":"rows.ndjson","line":1,"field":"form","value":"Debezium","why":"`op`, and `source`, `before` or `after`"}"#
    );
    let refused = tapetrail(
        directory.path(),
        &["check", "--explain", "--stream", "webhooks", "rows.ndjson"],
    );
    assert_eq!(refused.status.code(), Some(2));
}
