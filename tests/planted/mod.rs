//! Marked secrets at every path of the list (domain, section 3 of the API facts) and in unknown places, through valid,
//! odd and broken messages of all streams; and the search for them in everything that a process left behind.

use std::fs;
use std::path::{Path, PathBuf};

use arrow::util::pretty::pretty_format_batches;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tapetrail::event::Stream;

/// What every secret holds. Letters only, so that no escaping hides it.
pub const SECRET: &str = "QzSecretMarkQz";
/// The same form in harmless places that are kept: the search must find it.
pub const KEPT: &str = "QzHarmlessMarkQz";

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
        Stream::UploadStatus => vec![
            format!(r#"{{"sid":"s","file":"f.m3u8","vendor":1,"bucket":"b","status":"uploaded","at":{at},"more":{object}}}"#),
        ],
        // Nobody sends them.
        Stream::Audits => Vec::new(),
    }
}

/// Returns a message, and as queues and Pub/Sub carry it: in base64, with nothing around it, in broken lines.
fn in_base64(stream: Stream, message: String) -> Vec<String> {
    if stream != Stream::StorageEvents {
        return vec![message];
    }
    let inner = STANDARD.encode(&message);
    let lines: Vec<_> = inner
        .as_bytes()
        .chunks(76)
        .map(String::from_utf8_lossy)
        .collect();
    let attributes = r#"{"bucketId":"b","objectId":"k","eventType":"OBJECT_FINALIZE"}"#;
    vec![
        format!(r#"{{"MessageBody":"{inner}"}}"#),
        format!(r#"{{"message":{{"attributes":{attributes},"data":"{inner}","messageId":"1"}}}}"#),
        format!(r#"{{"MessageBody":"{}"}}"#, lines.join("\\r\\n")),
        lines.join("\n"),
        inner,
        message,
    ]
}

/// Returns how base64 writes a text, wherever it begins in it: as far as the text alone decides.
fn spelled_in_base64(text: &str) -> [String; 3] {
    [0, 1, 2].map(|before| {
        let padded = [&vec![b' '; before][..], text.as_bytes()].concat();
        let spelled = STANDARD_NO_PAD.encode(&padded);
        spelled[(before * 8).div_ceil(6)..padded.len() * 8 / 6].to_string()
    })
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

/// Returns all messages for one stream.
pub fn messages(stream: Stream) -> Vec<Vec<u8>> {
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
        .flat_map(|message| in_base64(stream, message))
        .flat_map(|message| whole_and_broken(&message))
        .collect()
}

const SECRET_PLACE: &str = "\u{1}";

/// Headers that come with each message.
pub const HEADERS: [(&str, &str); 3] = [
    ("Authorization", SECRET),
    (
        "trace",
        "https://u:QzSecretMarkQz@h.example/?token=QzSecretMarkQz",
    ),
    ("kept", KEPT),
];

/// Returns the key of message number `number`.
pub fn key(number: usize) -> String {
    match number % 3 {
        0 => format!(r#"{{"token":"{SECRET}","id":"{KEPT}"}}"#),
        1 => format!("secretKey={SECRET}&id={KEPT}"),
        _ => format!("{{\"token\":\"{SECRET}"),
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
pub fn everything(directory: &Path) -> Vec<(PathBuf, String)> {
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
                let cells = pretty_format_batches(&[rows.expect("is whole")]);
                all.push((path.clone(), cells.expect("is text").to_string()));
            }
        }
    }
    all
}

#[track_caller]
pub fn assert_no_secret(what: &str, text: &str) {
    // Half of it is as bad: a message may be cut there.
    let mut marks = spelled_in_base64(SECRET).to_vec();
    marks.extend([SECRET, &SECRET[..SECRET.len() - 1]].map(str::to_string));
    for mark in marks {
        if let Some(at) = text.find(&mark) {
            let from = text.floor_char_boundary(at.saturating_sub(300));
            let to = text.floor_char_boundary((at + 60).min(text.len()));
            panic!("{what}: a secret was written: ...{}", &text[from..to]);
        }
    }
}
