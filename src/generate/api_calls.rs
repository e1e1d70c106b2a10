//! API calls as the caller's log has them: request and response with full bodies (API facts, sections 1 to 5).

use serde_json::{Value, json};

use super::bodies::{client_request, request_body, start_response, storage_config};
use super::story::{Channel, MILLI, MINUTE, SECOND, Story, millis, rfc3339};
use super::twist::{Clocks, Stop};
use super::world::{Mode, Storage};
use crate::event::{Micros, Stream};

/// What an acquire gave.
#[derive(Debug, Clone)]
pub(super) struct Ticket {
    pub(super) resource_id: String,
    /// When the response came.
    pub(super) at: Micros,
}

/// What a start is answered (API facts, section 5).
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer<'a> {
    /// 200 with this sid.
    Started(&'a str),
    /// 201, code 7: the ticket is in use, no new session.
    AlreadyStarted,
    /// 400, code 53: a task with this cname and uid exists.
    Conflict,
    /// 400, code 2: invalid parameter.
    InvalidParameter,
    /// 500, code 502: no worker.
    NoWorker,
    /// 500, code 62: the request timed out inside the service.
    TimedOut,
    /// 206, code 65: the backend's response did not come in time.
    Unknown,
    /// This status, code and reason.
    Refused(u16, i32, &'static str),
    /// The client gave up waiting.
    Silence,
}

/// One start call beyond its channel and ticket.
pub(super) struct Start<'a> {
    pub(super) storage: &'a Storage,
    pub(super) at: Micros,
    /// How long until the answer.
    pub(super) takes: Micros,
    pub(super) answer: Answer<'a>,
    pub(super) host: &'static str,
    pub(super) attempt: u32,
    pub(super) trace_id: String,
}

impl<'a> Start<'a> {
    /// A start as it mostly goes: the first attempt, answered within a second or two.
    pub(super) fn new(
        story: &mut Story,
        storage: &'a Storage,
        at: Micros,
        answer: Answer<'a>,
    ) -> Self {
        let takes = match answer {
            Answer::Started(_) => story.span(400 * MILLI, 1_800 * MILLI),
            Answer::Silence => 10 * SECOND,
            Answer::TimedOut | Answer::Unknown => story.span(4 * SECOND, 8 * SECOND),
            _ => story.span(80 * MILLI, 400 * MILLI),
        };
        Start {
            storage,
            at,
            takes,
            answer,
            host: HOSTS[0],
            attempt: 1,
            trace_id: story.hex(32),
        }
    }

    pub(super) fn answered_at(&self) -> Micros {
        self.at + self.takes
    }

    /// Says whether it is accepted only after a client would have lost patience.
    fn is_slow(&self) -> bool {
        self.takes >= 1_200 * MILLI && matches!(self.answer, Answer::Started(_))
    }
}

/// Two hosts of the same service; a client that fails over sends the same call to both.
pub(super) const HOSTS: [&str; 2] = ["api.agora.io", "api.sd-rtn.com"];

/// A call as it is logged.
struct Call<'a> {
    method: &'static str,
    host: &'static str,
    path: String,
    body: Value,
    at: Micros,
    takes: Micros,
    /// Status and body; none when the client gave up.
    response: Option<(u16, Value)>,
    trace_id: &'a str,
    attempt: u32,
}

/// Acquires a ticket; `apart_from` names sessions' tickets that this one is a deliberate twin of.
pub(super) fn acquire(
    story: &mut Story,
    channel: &Channel,
    at: Micros,
    apart_from: &[&str],
) -> Ticket {
    let resource_id = story.resource_id();
    let takes = story.span(60 * MILLI, 250 * MILLI);
    let scene = match channel.app.mode {
        Mode::Web => 1,
        _ => 0,
    };
    let mut request = json!({
        "scene": scene, "resourceExpiredHour": story.twist.ticket_hours, "region": channel.app.geography,
    });
    if let Some(storage) = story.twist.announced {
        let storage_config = storage_config(story, channel, storage);
        request["startParameter"] = client_request(story, channel, storage_config);
    }
    if !apart_from.is_empty() {
        request["excludeResourceIds"] = json!(apart_from);
    }
    let trace_id = story.hex(32);
    let call = Call {
        method: "POST",
        host: HOSTS[0],
        path: "/acquire".to_string(),
        body: request_body(channel, request),
        at,
        takes,
        response: Some((200, json!({"resourceId": resource_id}))),
        trace_id: &trace_id,
        attempt: 1,
    };
    log(story, channel, call);
    Ticket {
        resource_id,
        at: at + takes,
    }
}

/// Sends one start.
pub(super) fn start(story: &mut Story, channel: &Channel, ticket: &Ticket, start: &Start<'_>) {
    let storage_config = storage_config(story, channel, start.storage);
    let request = client_request(story, channel, storage_config);
    let call = Call {
        method: "POST",
        host: start.host,
        path: format!(
            "/resourceid/{}/mode/{}/start",
            ticket.resource_id,
            channel.app.mode.as_str()
        ),
        body: request_body(channel, request),
        at: start.at,
        takes: start.takes,
        response: start_response(channel, ticket, start.answer),
        trace_id: &start.trace_id,
        attempt: start.attempt,
    };
    log(story, channel, call);
    // A client that waits too long asks another host as well.
    if start.is_slow() && story.noise_falls(60) {
        let after = start.at + start.takes - 150 * MILLI;
        mirror_last(story, channel, ticket, after);
    }
}

/// Sends the same call once more to the other host, as a client does that fails over: only the host differs.
pub(super) fn mirror_last(story: &mut Story, channel: &Channel, ticket: &Ticket, after: Micros) {
    let last = story
        .messages
        .last()
        .expect("a start was sent")
        .value
        .clone();
    let text = last.expect("a call has a value");
    let mut logged: Value = serde_json::from_slice(&text).expect("what was emitted is JSON");
    let url = logged["request"]["url"]
        .as_str()
        .expect("a call has a URL")
        .to_string();
    let path = url
        .split_once("/v1/")
        .expect("the path begins with its version")
        .1;
    logged["request"]["url"] = json!(format!("https://{}/v1/{path}", HOSTS[1]));
    // Not drawn: noise, which mirrors too, must not change what is planted after it.
    let id = logged["event_id"].as_str().unwrap_or_default();
    logged["event_id"] = json!(id.chars().rev().collect::<String>());
    let (_, already) = start_response(channel, ticket, Answer::AlreadyStarted).expect("an answer");
    logged["response"]["status"] = json!(201);
    logged["response"]["body"] = already;
    let takes = 150 * MILLI;
    let skew = clock_of(
        story,
        channel,
        logged["caller"]["host"].as_str().unwrap_or_default(),
    );
    logged["requested_at"] = json!(rfc3339(after + skew));
    logged["responded_at"] = json!(rfc3339(after + takes + skew));
    let arrives = after + takes + story.noise_span(40 * MILLI, 400 * MILLI);
    story.emit(
        Stream::ApiCalls,
        Some(channel.cname.clone()),
        &logged,
        arrives,
    );
}

/// Changes what the log has of the last call, its mirror included, as a logger does that loses something.
pub(super) fn edit_last(story: &mut Story, edit: impl Fn(&mut Value)) {
    let mut trace_id = None;
    for message in story.messages.iter_mut().rev() {
        let text = message.value.as_deref().expect("a call has a value");
        let mut logged: Value = serde_json::from_slice(text).expect("what was emitted is JSON");
        let of = logged["caller"]["trace_id"].clone();
        if *trace_id.get_or_insert_with(|| of.clone()) != of {
            break;
        }
        edit(&mut logged);
        message.value = Some(logged.to_string().into_bytes());
    }
}

/// Updates a running session with this storage: same place and other keys, if that is where it records.
pub(super) fn update_storage(
    story: &mut Story,
    channel: &Channel,
    ticket: &Ticket,
    sid: &str,
    storage: &Storage,
    at: Micros,
) {
    let mut storage_config = storage_config(story, channel, storage);
    storage_config["stsToken"] = json!(story.secret("STS"));
    storage_config["stsExpiration"] = json!(millis(at + 240 * MINUTE) / 1_000);
    let request = json!({"storageConfig": storage_config});
    let answer = json!({"resourceId": ticket.resource_id, "sid": sid});
    session_call(
        story,
        channel,
        ticket,
        sid,
        "POST",
        "update",
        request,
        at,
        (200, answer),
    );
}

/// Asks how a running session does.
pub(super) fn query(
    story: &mut Story,
    channel: &Channel,
    ticket: &Ticket,
    sid: &str,
    index: &str,
    at: Micros,
) {
    let state = match channel.app.mode {
        Mode::Web => json!({"status": 5, "extensionServiceState": [{
            "serviceName": "web_recorder_service",
            "payload": {"state": "inProgress", "onhold": false,
                "fileList": [{"filename": index, "sliceStartTime": millis(ticket.at + 5 * SECOND)}]}}]}),
        Mode::Mix => json!({"status": 5, "fileListMode": "string", "fileList": index,
            "sliceStartTime": millis(ticket.at + 5 * SECOND)}),
        Mode::Individual | Mode::Raw => json!({"status": 5, "fileListMode": "json", "fileList": [
            {"fileName": index, "trackType": "audio_and_video", "uid": "1000", "mixedAllUser": false,
             "isPlayable": true, "sliceStartTime": millis(ticket.at + 5 * SECOND)}]}),
    };
    let answer = json!({"resourceId": ticket.resource_id, "sid": sid, "serverResponse": state});
    session_call(
        story,
        channel,
        ticket,
        sid,
        "GET",
        "query",
        Value::Null,
        at,
        (200, answer),
    );
}

/// Ends a session.
pub(super) fn stop(
    story: &mut Story,
    channel: &Channel,
    ticket: &Ticket,
    sid: &str,
    index: &str,
    at: Micros,
) {
    let status = match story.twist.stop {
        Stop::Answered(status) => status,
        _ => "unknown",
    };
    let state = match channel.app.mode {
        Mode::Web => json!({"extensionServiceState": [
            {"serviceName": "web_recorder_service",
             "payload": {"state": "exit", "fileList": [{"filename": index, "sliceStartTime": millis(ticket.at)}]}},
            {"serviceName": "upload_service", "payload": {"uploadingStatus": status}}]}),
        Mode::Mix => {
            json!({"fileListMode": "string", "fileList": index, "uploadingStatus": status})
        }
        Mode::Individual | Mode::Raw => {
            json!({"fileListMode": "json", "uploadingStatus": status, "fileList": [
            {"fileName": index, "trackType": "audio_and_video", "uid": "1000", "mixedAllUser": false,
             "isPlayable": true, "sliceStartTime": millis(ticket.at)}]})
        }
    };
    let answer = match story.twist.stop {
        Stop::Answered(_) => {
            let body = json!({"resourceId": ticket.resource_id, "sid": sid, "cname": channel.cname,
                "uid": channel.uid.to_string(), "serverResponse": state});
            (200, body)
        }
        Stop::Refused(status, code, reason) => (status, json!({"code": code, "reason": reason})),
        Stop::Omitted => return,
    };
    let request = json!({"async_stop": false});
    session_call(
        story, channel, ticket, sid, "POST", "stop", request, at, answer,
    );
}

/// Asks for a session, or stops it, and is answered with this status, code and reason.
pub(super) fn refused(
    story: &mut Story,
    channel: &Channel,
    ticket: &Ticket,
    sid: &str,
    operation: &'static str,
    at: Micros,
    (status, code, reason): (u16, i32, &str),
) {
    let (method, request) = match operation {
        "query" => ("GET", Value::Null),
        _ => ("POST", json!({"async_stop": false})),
    };
    let answer = (status, json!({"code": code, "reason": reason}));
    session_call(
        story, channel, ticket, sid, method, operation, request, at, answer,
    );
}

/// Asks for a ticket and is answered with this status, code and reason.
pub(super) fn refused_acquire(
    story: &mut Story,
    channel: &Channel,
    at: Micros,
    (status, code, reason): (u16, i32, &str),
) {
    let trace_id = story.hex(32);
    let takes = story.span(60 * MILLI, 250 * MILLI);
    let request = json!({"scene": 0, "resourceExpiredHour": 72, "region": channel.app.geography});
    let call = Call {
        method: "POST",
        host: HOSTS[0],
        path: "/acquire".to_string(),
        body: request_body(channel, request),
        at,
        takes,
        response: Some((status, json!({"code": code, "reason": reason}))),
        trace_id: &trace_id,
        attempt: 1,
    };
    log(story, channel, call);
}

/// Sends a call whose path names a session.
#[allow(clippy::too_many_arguments)]
fn session_call(
    story: &mut Story,
    channel: &Channel,
    ticket: &Ticket,
    sid: &str,
    method: &'static str,
    operation: &str,
    request: Value,
    at: Micros,
    response: (u16, Value),
) {
    let takes = story.span(60 * MILLI, 600 * MILLI);
    let trace_id = story.hex(32);
    let body = match method {
        "GET" => Value::Null,
        _ => request_body(channel, request),
    };
    let call = Call {
        method,
        host: HOSTS[0],
        path: format!(
            "/resourceid/{}/sid/{sid}/mode/{}/{operation}",
            ticket.resource_id,
            channel.app.mode.as_str()
        ),
        body,
        at,
        takes,
        response: Some(response),
        trace_id: &trace_id,
        attempt: 1,
    };
    log(story, channel, call);
}

/// How far the clock of a caller's host is from the right time. Where calls race, the hosts of a story share most of
/// it, so that their log has the order in which they were sent.
fn clock_of(story: &Story, channel: &Channel, host: &str) -> Micros {
    match story.twist.clocks {
        Clocks::Apart => story.skew(host, 950 * MILLI),
        Clocks::Close => {
            let shared = format!("{} {}", channel.app.service, story.index);
            story.skew(&shared, 900 * MILLI) + story.skew(host, 40 * MILLI)
        }
    }
}

/// Writes the call as its caller's log has it.
fn log(story: &mut Story, channel: &Channel, call: Call<'_>) {
    let app = channel.app;
    let host = format!("{}-{}", app.service, story.between(1, 4));
    let skew = clock_of(story, channel, &host);
    let path = format!("/v1/apps/{}/cloud_recording{}", app.id, call.path);
    // One log in the fleet keeps the path alone, and then says the app beside it.
    let url = match app.uid_as_number {
        true => path,
        false => format!("https://{}{path}", call.host),
    };
    let as_logged = |body: Value| match body {
        Value::Null => Value::Null,
        body if app.bodies_as_text => Value::String(body.to_string()),
        body => body,
    };
    let error = match call.response {
        Some(_) => Value::Null,
        None => json!(format!(
            "Post \"https://{}/...\": context deadline exceeded",
            call.host
        )),
    };
    let responded_at = match call.response {
        Some(_) => json!(rfc3339(call.at + call.takes + skew)),
        None => Value::Null,
    };
    let response = call.response.map_or(Value::Null, |(status, body)| {
        json!({"status": status, "headers": {"content-type": "application/json"}, "body": as_logged(body)})
    });
    let requested_at = match app.bodies_as_text {
        true => json!(millis(call.at + skew)),
        false => json!(rfc3339(call.at + skew)),
    };
    let mut logged = json!({
        "event_id": story.hex(32),
        "requested_at": requested_at,
        "responded_at": responded_at,
        "request": {
            "method": call.method,
            "url": url,
            "headers": {"Content-Type": "application/json", "Authorization": format!("Basic {}", story.secret("BASIC"))},
            "body": as_logged(call.body),
        },
        "response": response,
        "error": error,
        "caller": {
            "service": app.service, "host": host,
            "ip": format!("198.51.100.{}", story.between(1, 254)), "region": app.caller_region,
            "environment": story.twist.environment, "version": "4.12.0", "trace_id": call.trace_id, "attempt": call.attempt,
        },
        "context": {"user_region": app.geography, "user_ip": format!("203.0.113.{}", story.between(1, 254))},
    });
    if app.uid_as_number {
        logged["app_id"] = json!(app.id);
    }
    let arrives = call.at + call.takes + story.transit();
    story.emit(
        Stream::ApiCalls,
        Some(channel.cname.clone()),
        &logged,
        arrives,
    );
}
