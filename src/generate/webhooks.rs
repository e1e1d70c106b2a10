//! Callbacks of a session, in the order they happen and as receivers hand them on (webhook facts).

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::story::{Channel, MILLI, MINUTE, SECOND, Story, millis, rfc3339};
use super::twist::Deliveries;
use super::world::{CallbackForm, Mode};
use crate::event::{Micros, Stream};

/// Signs the callbacks that come with their raw bytes.
pub const SIGNING_SECRET: &str = "FAKE-SECRET-WEBHOOK-0f3c9d1e7b5a";
pub const SIGNING_KEY_ID: &str = "fleet";

/// More callbacks of one session are not sent twice by chance alone.
const RESENT_MAX: u32 = 2;

/// A session as its callbacks see it.
pub(super) struct Lifecycle<'a> {
    pub(super) channel: &'a Channel,
    pub(super) sid: &'a str,
    /// Index file's name as callbacks give it: with the prefix outside of web mode.
    pub(super) index: &'a str,
    pub(super) started_at: Micros,
    pub(super) stopped_at: Micros,
    /// When the last file is in its place.
    pub(super) uploaded_at: Micros,
}

/// One event before it is wrapped for delivery.
struct Event {
    event_type: i32,
    service_type: i32,
    at: Micros,
    details: Value,
}

/// Tells all callbacks of a session.
pub(super) fn tell(story: &mut Story, session: &Lifecycle<'_>) {
    let events = match session.channel.app.mode {
        Mode::Web => web_events(session),
        _ => rtc_events(story, session),
    };
    let events = twisted(story, events);
    let last = events.len().saturating_sub(1);
    let ends_at = events.last().map_or(0, |event| event.at);
    let lost = match story.twist.loses_one && last > 0 {
        true => Some(story.between(0, last as i64 - 1) as usize),
        false => None,
    };
    let mut held_back: Option<Value> = None;
    let mut resent = 0;
    for (sequence, event) in events.into_iter().enumerate() {
        let soon = event.at + story.span(80 * MILLI, 600 * MILLI);
        let notified_at = match story.twist.deliveries {
            Deliveries::Reversed => ends_at + MINUTE * (last - sequence) as Micros,
            _ => soon,
        };
        let notification = notification(story, session, &event, sequence, notified_at);
        if story.twist.lost.contains(&event.event_type) || lost == Some(sequence) {
            continue;
        }
        let (held_up, late) = story.twist.held_up;
        if held_up.contains(&event.event_type) {
            deliver(story, session, notification, notified_at + late);
            continue;
        }
        if story.twist.deliveries == Deliveries::Doubled {
            deliver(story, session, notification.clone(), notified_at);
            let mut again = notification;
            again["notifyMs"] = json!(millis(notified_at + 12 * SECOND));
            deliver(story, session, again, notified_at + 12 * SECOND);
            continue;
        }
        if story.twist.deliveries == Deliveries::Clumsy {
            let retries: &[Micros] = match sequence {
                1 => &[0, 15 * SECOND, 60 * SECOND, 3 * MINUTE],
                // Overtaken by the next.
                3 => &[40 * SECOND],
                _ => &[0],
            };
            for later in retries {
                let mut again = notification.clone();
                again["notifyMs"] = json!(millis(notified_at + later));
                deliver(story, session, again, notified_at + later);
            }
            continue;
        }
        // Some receivers batch what comes at the end into one message.
        if sequence + 1 == last && story.chance(3) {
            held_back = Some(notification);
            continue;
        }
        if resent < RESENT_MAX && story.chance(3) {
            resent += 1;
            let mut again = notification.clone();
            let resent_at = notified_at + story.span(11 * SECOND, 40 * SECOND);
            again["notifyMs"] = json!(millis(resent_at));
            deliver(story, session, again, resent_at);
        }
        match held_back.take() {
            Some(earlier) => deliver(story, session, json!([earlier, notification]), notified_at),
            None => deliver(story, session, notification, notified_at),
        }
    }
}

/// The events as the story's twist has them, in order of time.
fn twisted(story: &Story, events: Vec<Event>) -> Vec<Event> {
    let twist = &story.twist;
    let usual = events.into_iter().map(|mut event| {
        match event.event_type {
            31 if twist.verdict == 32 => {
                event.event_type = 32;
                event.details["msgName"] = json!("backuped");
            }
            41 => event.details["leaveCode"] = json!(twist.leave_code),
            71 => event.details["code"] = json!(twist.page_code),
            11 => event.details["exitStatus"] = json!(twist.exit_status),
            _ => {}
        }
        event
    });
    let more = twist.more.iter().map(|happening| Event {
        event_type: happening.event_type,
        service_type: service_type(happening.event_type),
        at: happening.at,
        details: happening.details.clone(),
    });
    let mut events: Vec<Event> = usual
        .filter(|event| !twist.untold.contains(&event.event_type))
        .chain(more)
        .collect();
    events.sort_by_key(|event| event.at);
    events
}

/// Who sends an event (webhook facts, section 4).
fn service_type(event_type: i32) -> i32 {
    match event_type {
        30..=34 => 2,
        40..=47 => 1,
        70..=73 => 6,
        _ => 0,
    }
}

/// Mix, individual and raw: 40, 30, (43/44)*, 42, 4, 33*, 41, 31, 11 (webhook facts, section 6).
fn rtc_events(story: &mut Story, session: &Lifecycle<'_>) -> Vec<Event> {
    let from = session.started_at;
    let mut events = vec![
        event(
            40,
            1,
            from + 2 * SECOND,
            json!({"msgName": "recorder_started", "status": 0}),
        ),
        event(
            30,
            2,
            from + 2_500 * MILLI,
            json!({"msgName": "uploader_started", "status": 0}),
        ),
        event(
            43,
            1,
            from + 3 * SECOND,
            json!({"msgName": "recorder_audio_stream_state_changed",
            "streamUid": "1000", "state": 0, "utcMs": millis(from + 3 * SECOND)}),
        ),
    ];
    if story.chance(50) {
        events.push(event(
            44,
            1,
            from + 3_200 * MILLI,
            json!({"msgName": "recorder_video_stream_state_changed",
            "streamUid": "1000", "state": 0, "utcMs": millis(from + 3_200 * MILLI)}),
        ));
    }
    events.push(event(
        42,
        1,
        from + 5 * SECOND,
        json!({"msgName": "recorder_slice_start",
        "startUtcMs": millis(from + 5 * SECOND), "discontinueUtcMs": millis(from + 5 * SECOND),
        "mixedAllUser": true, "streamUid": "0", "trackType": "audio_and_video"}),
    ));
    events.push(event(
        4,
        0,
        from + 22 * SECOND,
        json!({"msgName": "cloud_recording_file_infos",
        "fileList": session.index}),
    ));
    if session.uploaded_at - session.stopped_at > MINUTE {
        events.push(event(
            33,
            2,
            session.stopped_at + 45 * SECOND,
            json!({"msgName": "uploading_progress", "progress": 9_400}),
        ));
    }
    events.push(event(
        41,
        1,
        session.stopped_at,
        json!({"msgName": "recorder_leave", "leaveCode": 24}),
    ));
    let mixed = session.channel.app.mode == Mode::Mix;
    let recorded_uid = if mixed { "0" } else { "1000" };
    events.push(event(31, 2, session.uploaded_at + SECOND, json!({"msgName": "uploaded", "status": 0, "fileList": [
        {"fileName": session.index, "trackType": "audio_and_video", "uid": recorded_uid, "mixedAllUser": mixed,
         "isPlayable": true, "sliceStartTime": millis(from + 5 * SECOND)}]})));
    events.push(event(
        11,
        0,
        session.uploaded_at + 2 * SECOND,
        json!({"msgName": "session_exit", "exitStatus": 0}),
    ));
    events.sort_by_key(|event| event.at);
    events
}

/// Web page recording has callbacks of its own, and no file list in 31.
fn web_events(session: &Lifecycle<'_>) -> Vec<Event> {
    let from = session.started_at;
    vec![
        event(
            70,
            6,
            from + 3 * SECOND,
            json!({"msgName": "web_recorder_started",
            "recorderStartTime": millis(from + 3 * SECOND)}),
        ),
        event(
            30,
            2,
            from + 3_400 * MILLI,
            json!({"msgName": "uploader_started", "status": 0}),
        ),
        event(
            4,
            0,
            from + 22 * SECOND,
            json!({"msgName": "cloud_recording_file_infos", "fileList": session.index}),
        ),
        event(
            71,
            6,
            session.stopped_at,
            json!({"msgName": "web_recorder_stopped", "code": 0, "message": "ok",
            "details": "", "fileList": [{"filename": session.index, "sliceStartTime": millis(from + 5 * SECOND)}]}),
        ),
        event(
            31,
            2,
            session.uploaded_at + SECOND,
            json!({"msgName": "uploaded", "status": 0}),
        ),
        event(
            11,
            0,
            session.uploaded_at + 2 * SECOND,
            json!({"msgName": "session_exit", "exitStatus": 0}),
        ),
    ]
}

fn event(event_type: i32, service_type: i32, at: Micros, details: Value) -> Event {
    Event {
        event_type,
        service_type,
        at,
        details,
    }
}

fn notification(
    story: &mut Story,
    session: &Lifecycle<'_>,
    event: &Event,
    sequence: usize,
    notified_at: Micros,
) -> Value {
    let scene = match session.channel.app.mode {
        Mode::Web => "web_record",
        Mode::Raw => "rtsc/raw-recording",
        Mode::Mix | Mode::Individual => "rtc_record",
    };
    json!({
        "noticeId": story.hex(32),
        "productId": 3,
        "eventType": event.event_type,
        "notifyMs": millis(notified_at),
        "sid": session.sid,
        "payload": {
            "cname": session.channel.cname,
            "uid": session.channel.uid.to_string(),
            "sid": session.sid,
            "sequence": sequence,
            "sendts": millis(event.at),
            "serviceType": event.service_type,
            "serviceScene": scene,
            "details": event.details,
        },
    })
}

/// Hands a notification, or a list of them, on to Kafka in the form of the app's receiver.
fn deliver(story: &mut Story, session: &Lifecycle<'_>, body: Value, notified_at: Micros) {
    let received_at = notified_at + story.span(40 * MILLI, 250 * MILLI);
    let form = match story.twist.deliveries {
        Deliveries::Forged => CallbackForm::WrappedRaw,
        _ => session.channel.app.callbacks,
    };
    let value = match form {
        CallbackForm::Bare => body,
        CallbackForm::Wrapped => json!({
            "received_at": rfc3339(received_at),
            "headers": {"Content-Type": "application/json"},
            "body": body,
            "response_status": 200,
        }),
        CallbackForm::WrappedRaw => {
            let raw = body.to_string();
            let secret = match story.twist.deliveries {
                Deliveries::Forged => "somebody else's",
                _ => SIGNING_SECRET,
            };
            json!({
                "received_at": rfc3339(received_at),
                "headers": {"Content-Type": "application/json", "Agora-Signature-V2": sign(secret, &raw)},
                "raw_body": raw,
                "response_status": 200,
            })
        }
    };
    let arrives = received_at + story.transit();
    story.emit(
        Stream::Webhooks,
        Some(session.sid.to_string()),
        &value,
        arrives,
    );
}

/// Lower-case hex HMAC-SHA256 of the raw body (webhook facts, section 2).
fn sign(secret: &str, raw: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes a key of any length");
    mac.update(raw.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

/// The console's "Check" button: synthetic events in an array (webhook facts, section 1).
pub(super) fn console_check(story: &mut Story, at: Micros) {
    let tests: Vec<Value> = [40, 31]
        .into_iter()
        .map(|event_type| {
            json!({
                "noticeId": story.hex(32), "productId": 3, "eventType": event_type, "notifyMs": millis(at),
                "payload": {"cname": "test_webhook", "uid": "12121212", "sid": "test", "sequence": 0,
                    "sendts": millis(at), "serviceType": 0, "details": {"msgName": "test"}},
            })
        })
        .collect();
    story.emit(Stream::Webhooks, None, &json!(tests), at + 100 * MILLI);
}
