//! Bad input: each message leaves a dead letter with a reason a person understands, or a skipped row, and its
//! neighbors are events all the same. The sentences are in `expected`, to be read.

use tapetrail::config::Config;
use tapetrail::event::{Stream, TimestampType};
use tapetrail::intake::{Intake, Message};
use tapetrail::lake::encode::encode;
use tapetrail::table::rows::{Origin, Rows};

use crate::lake::{BEGIN, lines_of};

const AT: i64 = 1_790_000_000_000;

/// Returns a message of the stream that is right.
fn good(stream: Stream) -> String {
    match stream {
        Stream::ApiCalls => format!(
            r#"{{"requested_at":{AT},"request":{{"method":"POST","url":"/v1/apps/app1/cloud_recording/acquire","body":{{"cname":"c","uid":"1","clientRequest":{{}}}}}},"response":{{"status":200,"body":{{"resourceId":"r"}}}}}}"#
        ),
        Stream::Webhooks => format!(
            r#"{{"noticeId":"n","productId":3,"eventType":40,"notifyMs":{AT},"payload":{{"cname":"c","uid":"1","sid":"s","sequence":1,"sendts":{AT},"serviceType":0,"details":{{}}}}}}"#
        ),
        Stream::StorageEvents => r#"{"occurred_at":"2026-09-21T14:13:20Z","kind":"created","vendor":1,"bucket":"b","key":"k","size":1}"#.to_string(),
        Stream::SessionRecords => r#"{"cname":"c","sid":"s","app_id":"a","vendor":2,"bucket":"b","recorded_at":"2026-09-21T14:13:20Z"}"#.to_string(),
        Stream::Audits => r#"{"audited_at":"2026-09-21T14:13:20Z","bucket":"b","result":"found","key":"k"}"#.to_string(),
        Stream::UploadStatus => r#"{"sid":"s","file":"f","vendor":1,"bucket":"b","status":"uploaded","at":"2026-09-21T14:13:20Z"}"#.to_string(),
    }
}

/// Messages that are wrong in ways of their own, or only look so.
fn odd(stream: Stream) -> Vec<(&'static str, Vec<u8>)> {
    let good = good(stream);
    let replaced = |from: &str, to: &str| {
        assert!(good.contains(from), "{stream}: no {from}");
        good.replacen(from, to, 1).into_bytes()
    };
    let time = |text: &str| match stream {
        Stream::ApiCalls => replaced(
            &format!("\"requested_at\":{AT}"),
            &format!("\"requested_at\":\"{text}\""),
        ),
        Stream::Webhooks => {
            let ms = if text.starts_with("1970") {
                "1"
            } else {
                "253402300799000"
            };
            replaced(&format!("\"sendts\":{AT}"), &format!("\"sendts\":{ms}"))
        }
        _ => replaced("2026-09-21T14:13:20Z", text),
    };
    let secret = format!("{},\"token\":\"QzSecretMark", &good[..good.len() - 1]);
    let field = [
        "\"request\":",
        "\"eventType\":40",
        "\"key\":\"k\"",
        "\"cname\":\"c\"",
    ][stream as usize];
    let name = if stream == Stream::StorageEvents {
        "\"k\""
    } else {
        "\"c\""
    };
    let key = field.split(':').next().expect("a key");
    let mut messages = vec![
        ("tombstone", Vec::new()),
        ("white space", b" \n".to_vec()),
        ("truncated", good.as_bytes()[..good.len() / 2].to_vec()),
        ("truncated in a secret", secret.into_bytes()),
        ("more after the end", format!("{good} {good}").into_bytes()),
        ("not JSON", b"GET / HTTP/1.1".to_vec()),
        ("a number", b"7".to_vec()),
        ("a text", b"\"text\"".to_vec()),
        ("null", b"null".to_vec()),
        ("empty object", b"{}".to_vec()),
        ("empty array", b"[]".to_vec()),
        ("array of numbers", b"[1,2]".to_vec()),
        (
            "another shape",
            br#"{"level":"info","msg":"hello"}"#.to_vec(),
        ),
        (
            "invalid UTF-8",
            [&good.as_bytes()[..10], b"\xff\xfe", &good.as_bytes()[10..]].concat(),
        ),
        (
            "NUL bytes",
            [&good.as_bytes()[..1], b"\0\0", &good.as_bytes()[1..]].concat(),
        ),
        (
            "escaped NUL",
            replaced(name, &format!("{}\\u0000\"", &name[..name.len() - 1])),
        ),
        (
            "nested 10,000 deep",
            format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000)).into_bytes(),
        ),
        ("nested 500 deep in a field", {
            let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
            format!("{},\"x\":{deep}}}", &good[..good.len() - 1]).into_bytes()
        }),
        (
            "10 MB",
            format!(
                "{},\"x\":\"{}\"}}",
                &good[..good.len() - 1],
                "x".repeat(10_000_000)
            )
            .into_bytes(),
        ),
        (
            "duplicate key that matters",
            replaced(
                field,
                &format!(
                    "{field}{},{field}",
                    if field.ends_with(':') { "{}" } else { "" }
                ),
            ),
        ),
        (
            "duplicate key that does not",
            format!("{},\"x\":1,\"x\":2}}", &good[..good.len() - 1]).into_bytes(),
        ),
        (
            "wrong type",
            replaced(key, &format!("{key}:[[true]],\"was\"")),
        ),
        ("year 1970", time("1970-01-01T00:00:00Z")),
        ("year 9999", time("9999-12-31T23:59:59Z")),
    ];
    match stream {
        Stream::ApiCalls => messages.extend([
            ("no request", format!(r#"{{"requested_at":{AT}}}"#).into_bytes()),
            ("no time", replaced(&format!("\"requested_at\":{AT},"), "")),
            ("no time that is one", replaced(&format!("{AT}"), "\"yesterday\"")),
            ("no app", replaced("/v1/apps/app1/cloud_recording/acquire", "/health")),
        ]),
        Stream::Webhooks => messages.extend([
            ("array with one bad", format!("[{good},7,{good}]").into_bytes()),
            ("raw body cut", br#"{"received_at":1790000000000,"raw_body":"{\"noticeId\":\"n\",\"eve"}"#.to_vec()),
            ("no payload", br#"{"noticeId":"n","productId":3,"eventType":40,"notifyMs":1}"#.to_vec()),
        ]),
        Stream::StorageEvents => messages.extend([
            ("no records", br#"{"Records":[]}"#.to_vec()),
            ("one bad record", br#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put","eventTime":"2026-09-21T14:13:20Z","s3":{"bucket":{"name":"b"},"object":{"key":"k","size":1}}},{"eventSource":"aws:s3","s3":7}]}"#.to_vec()),
            ("test message", br#"{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-09-21T14:13:20Z","Bucket":"b"}"#.to_vec()),
            ("unknown kind", replaced("created", "moved")),
        ]),
        Stream::SessionRecords => messages.extend([
            ("unknown vendor", replaced("\"vendor\":2", "\"vendor\":\"floppy\"")),
            ("Debezium without a row", br#"{"op":"u","before":null,"after":null,"source":{"db":"d","table":"t"},"ts_ms":1}"#.to_vec()),
            ("Debezium transaction", br#"{"status":"BEGIN","id":"1","event_count":null,"data_collections":null}"#.to_vec()),
        ]),
        Stream::Audits | Stream::UploadStatus => {}
    }
    messages
}

#[test]
fn bad_input_leaves_a_reason_and_does_not_touch_its_neighbors() {
    let mut said = String::new();
    for stream in Stream::ALL {
        said += &format!("# {stream}\n");
        let mut intake = Intake::new(&Config::default());
        for (what, value) in odd(stream) {
            let mut rows = Rows::new(stream);
            let mut taken = Vec::new();
            let good = good(stream).into_bytes();
            for (offset, value) in (0..).zip([&good, &value, &good]) {
                let origin = Origin {
                    topic: stream.default_topic().into(),
                    partition: Some(0),
                    offset,
                    received_at: Some(BEGIN),
                    timestamp_type: Some(TimestampType::Broker),
                    ..Origin::default()
                };
                let value = (!value.is_empty()).then_some(value.as_slice());
                taken.push(intake.take(
                    &mut rows,
                    &origin,
                    &Message {
                        value,
                        ..Message::default()
                    },
                ));
            }
            assert_eq!(
                (taken[0].events, taken[2].events),
                (1, 1),
                "{stream}, {what}: neighbors"
            );
            let left = taken[1];
            assert!(
                left.events + left.dead + left.skipped > 0,
                "{stream}, {what}: nothing is left"
            );
            let rows = rows.finish();
            encode(stream, &rows, 0).expect("whatever came can be written");
            for line in &lines_of(&rows)[1..rows.num_rows() - 1] {
                said += &format!("{what}: {}\n", summary(line));
            }
        }
        said += "\n";
    }
    assert!(!said.contains("QzSecret"), "{said}");
    insta::assert_snapshot!("reasons", said);
}

/// Returns the disposition of a row and, where it is no event, why; of an event, what became of its time.
fn summary(row: &str) -> String {
    let cell = |name: &str| {
        let (_, rest) = row.split_once(&format!("{name}="))?;
        let end = [
            " payload=",
            " raw=",
            " key=",
            " headers=",
            " detail=",
            " event_id=",
            " occurred_at=",
            " time_trusted=",
            " received_at=",
            " replay_of=",
            " reason=",
        ]
        .iter()
        .filter_map(|next| rest.find(next))
        .min();
        Some(rest[..end.unwrap_or(rest.len())].to_string())
    };
    let disposition = row.split([' ', '=']).nth(1).expect("the first column");
    match disposition {
        "event" => format!(
            "event, time trusted: {}",
            cell("time_trusted").unwrap_or_else(|| "no time".into())
        ),
        _ => format!(
            "{disposition}, {}: {}",
            cell(" reason").unwrap_or_default(),
            cell(" detail").unwrap_or_default()
        ),
    }
}
