//! Bodies of API requests and responses (API facts, sections 2 to 5).

use serde_json::{Value, json};

use super::api_calls::{Answer, Ticket};
use super::story::{Channel, Story, day, millis};
use super::world::{Mode, Storage};

/// Status and body of the answer to a start; none when there is no answer.
pub(super) fn start_response(
    channel: &Channel,
    ticket: &Ticket,
    answer: Answer<'_>,
) -> Option<(u16, Value)> {
    let answer = match answer {
        Answer::Started(sid) => (
            200,
            json!({"resourceId": ticket.resource_id, "sid": sid, "cname": channel.cname,
                "uid": channel.uid.to_string()}),
        ),
        Answer::AlreadyStarted => (
            201,
            json!({"code": 7, "reason": "The recording is already started"}),
        ),
        Answer::Conflict => (
            400,
            json!({"code": 53, "reason": "Recording task conflict"}),
        ),
        Answer::InvalidParameter => (400, json!({"code": 2, "reason": "invalid parameter"})),
        Answer::NoWorker => (
            500,
            json!({"code": 502, "reason": "Failed to allocate worker", "sid": ""}),
        ),
        Answer::TimedOut => (500, json!({"code": 62, "reason": "request timeout"})),
        Answer::Unknown => (206, json!({"code": 65, "reason": "Request not completed"})),
        Answer::Refused(status, code, reason) => (status, json!({"code": code, "reason": reason})),
        Answer::Silence => return None,
    };
    Some(answer)
}

/// The story's `fileNamePrefix`: the same for all its starts, even around midnight.
pub(super) fn prefix(story: &Story, channel: &Channel) -> Vec<String> {
    if let Some(path) = story.twist.path {
        return path.split('/').map(str::to_string).collect();
    }
    let first = channel.app.prefix.map(str::to_string);
    first
        .into_iter()
        .flat_map(|first| [first, day(story.starts_at)])
        .collect()
}

/// A storage with credentials, each time others.
pub(super) fn storage_config(story: &mut Story, channel: &Channel, storage: &Storage) -> Value {
    let mut config = json!({
        "vendor": storage.vendor,
        "region": storage.region,
        "bucket": storage.bucket,
        "accessKey": story.secret("AK"),
        "secretKey": story.secret("SK"),
    });
    let prefix = prefix(story, channel);
    if !prefix.is_empty() {
        config["fileNamePrefix"] = json!(prefix);
    }
    if let Some(end) = story.twist.credentials_end {
        config["stsToken"] = json!(story.secret("STS"));
        config["stsExpiration"] = json!(millis(end) / 1_000);
    }
    if let Some(endpoint) = storage.endpoint {
        config["extensionParams"] = json!({"endpoint": endpoint});
    }
    config
}

/// `clientRequest` of a start.
pub(super) fn client_request(story: &mut Story, channel: &Channel, storage_config: Value) -> Value {
    let mut request = json!({
        "token": story.secret("TOKEN"),
        "recordingFileConfig": {"avFileType": story.twist.file_types},
        "storageConfig": storage_config,
    });
    if channel.app.mode == Mode::Web {
        request["extensionServiceConfig"] = json!({"errorHandlePolicy": "error_abort", "extensionServices": [{
            "serviceName": "web_recorder_service", "errorHandlePolicy": "error_abort",
            "serviceParam": {
                "url": format!("https://stage.example/watch/{}?access={}", channel.cname, story.secret("URL")),
                "audioProfile": 0, "videoWidth": 1280, "videoHeight": 720, "maxRecordingHour": 3}}]});
        return request;
    }
    request["recordingConfig"] = json!({
        "channelType": 1, "streamTypes": 2, "maxIdleTime": 30, "subscribeUidGroup": 0,
        "decryptionMode": 7, "secret": story.secret("MEDIA"), "salt": story.secret("SALT"),
    });
    if channel.app.mode == Mode::Mix {
        request["recordingConfig"]["transcodingConfig"] = json!({
            "width": 1280, "height": 720, "fps": 15, "bitrate": 1130, "mixedVideoLayout": 1,
            "backgroundImage": format!("https://cdn.example/bg.png?sig={}", story.secret("IMAGE")),
        });
    }
    request
}

/// The body of every POST.
pub(super) fn request_body(channel: &Channel, client_request: Value) -> Value {
    let uid = match channel.app.uid_as_number {
        true => json!(channel.uid),
        false => json!(channel.uid.to_string()),
    };
    json!({"cname": channel.cname, "uid": uid, "clientRequest": client_request})
}
