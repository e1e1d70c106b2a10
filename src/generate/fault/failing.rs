//! Sessions that fail or cannot be started, and callbacks that are wrong themselves (failure patterns P40 to P50).

use serde_json::json;

use crate::generate::Plot;
use crate::generate::api_calls::{self, Answer, Start};
use crate::generate::session::{Files, accepted, duration, unusual};
use crate::generate::story::{Channel, MINUTE, SECOND, Story, millis};
use crate::generate::truth::Planted;
use crate::generate::twist::{Deliveries, Stop};
use crate::generate::webhooks::{self, Lifecycle};
use crate::generate::world::{Mode, Storage};

pub(super) const PLOTS: [Plot; 22] = [
    ("nothing_to_record", nothing_to_record),
    ("nobody_came", nobody_came),
    ("uid_taken", uid_taken),
    ("uid_taken_unseen", uid_taken_unseen),
    ("token_refused", token_refused),
    ("token_expired", token_expired),
    ("never_joined", never_joined),
    ("ticket_expired", ticket_expired),
    ("ticket_of_another", ticket_of_another),
    ("app_not_enabled", app_not_enabled),
    ("over_load", over_load),
    ("no_worker", no_worker),
    ("moved_to_another_server", moved_to_another_server),
    ("flapping", flapping),
    ("looked_ended", looked_ended),
    ("looked_ended_until_it_left", looked_ended_until_it_left),
    ("page_failed", page_failed),
    ("page_reloaded", page_reloaded),
    ("notices_lost", notices_lost),
    ("notices_doubled", notices_doubled),
    ("notices_reversed", notices_reversed),
    ("notices_forged", notices_forged),
];

/// What a recording leaves that had something to record.
const RECORDED: &[i32] = &[4, 31, 33, 42, 43, 44];

const NO_WORKER: (u16, i32, &str) = (404, 404, "failed to find worker");

/// Plants a failure of one session.
fn plant(
    story: &mut Story,
    case: &'static str,
    channel: &Channel,
    sids: &[&str],
    (variant, root_cause): (&'static str, &'static str),
) {
    let storage = channel.app.home;
    let planted = Planted::new(case, channel, sids, storage, storage, root_cause);
    planted.expect(story, "session_failures", Some(variant));
}

/// Nobody published: a stop is told so (P40).
fn nothing_to_record(story: &mut Story) {
    let channel = story.channel_in_turn();
    let times = (story.starts_at, duration(story));
    let told = unusual(story, &channel, times, Files::Never, |twist, _, _| {
        twist.untold = RECORDED;
        twist.stop = Stop::Refused(206, 435, "no recorded data");
    });
    let failure = ("nothing_recorded", "unknown");
    plant(story, "nothing_to_record", &channel, &[&told.sid], failure);
}

/// Nobody was there at all: the recorder leaves by itself (P40).
fn nobody_came(story: &mut Story) {
    let channel = story.rtc_channel_in_turn();
    let times = (story.starts_at, 3 * MINUTE);
    let told = unusual(story, &channel, times, Files::Never, |twist, _, _| {
        twist.untold = RECORDED;
        twist.leave_code = 4;
        twist.stop = Stop::Omitted;
    });
    let failure = ("nothing_recorded", "unknown");
    plant(story, "nobody_came", &channel, &[&told.sid], failure);
}

/// A participant comes with the recorder's uid and pushes it out (P41).
fn uid_taken(story: &mut Story) {
    let channel = story.rtc_channel_in_turn();
    let seen_at = story.starts_at + 7 * SECOND;
    let details = json!({"msgName": "recorder_audio_stream_state_changed",
        "streamUid": channel.uid.to_string(), "state": 0, "utcMs": millis(seen_at)});
    story.twist.more(43, seen_at, details);
    let sid = pushed_out(story, &channel);
    let failure = ("uid_collision", "unknown");
    plant(story, "uid_taken", &channel, &[&sid], failure);
}

/// The same, and no callback names the participant: the recorder is gone at once and a stop does not find it.
fn uid_taken_unseen(story: &mut Story) {
    let channel = story.rtc_channel_in_turn();
    let sid = pushed_out(story, &channel);
    let failure = ("uid_collision", "unknown");
    plant(story, "uid_taken_unseen", &channel, &[&sid], failure);
}

/// A recorder that leaves ten seconds after it came.
fn pushed_out(story: &mut Story, channel: &Channel) -> String {
    let sid = story.sid();
    let (ticket, from) = accepted(story, channel, channel.app.home, story.starts_at, &sid);
    story.twist.untold = RECORDED;
    story.twist.leave_code = 8;
    tell(story, channel, &sid, from, from + 12 * SECOND);
    let at = from + 5 * MINUTE;
    let answer = (400, 49, "request ignored, exiting");
    api_calls::refused(story, channel, &ticket, &sid, "stop", at, answer);
    sid
}

fn tell(story: &mut Story, channel: &Channel, sid: &str, started_at: i64, stopped_at: i64) {
    let lifecycle = Lifecycle {
        channel,
        sid,
        index: "",
        started_at,
        stopped_at,
        uploaded_at: stopped_at + 5 * SECOND,
    };
    webhooks::tell(story, &lifecycle);
}

/// A start whose token is wrong (P42).
fn token_refused(story: &mut Story) {
    let channel = story.channel_in_turn();
    refused_start(story, &channel, Answer::Refused(400, 110, "invalid token"));
    plant(
        story,
        "token_refused",
        &channel,
        &[],
        ("token", "credentials"),
    );
}

fn refused_start(story: &mut Story, channel: &Channel, answer: Answer<'_>) {
    let storage = channel.app.home;
    let ticket = api_calls::acquire(story, channel, story.starts_at, &[]);
    let start = Start::new(story, storage, ticket.at + 300_000, answer);
    api_calls::start(story, channel, &ticket, &start);
}

/// The token ends while the recording goes on (P42).
fn token_expired(story: &mut Story) {
    let channel = story.channel_in_turn();
    let times = (story.starts_at, duration(story));
    let module = match channel.app.mode {
        Mode::Web => 6,
        _ => 0,
    };
    let told = unusual(story, &channel, times, Files::Arrive, |twist, _, until| {
        let details = json!({"msgName": "cloud_recording_error", "module": module, "errorLevel": 4,
            "errorCode": 109, "stat": 0, "errorMsg": "token expired"});
        twist.more(1, until - 2 * SECOND, details);
    });
    let failure = ("token", "credentials");
    plant(story, "token_expired", &channel, &[&told.sid], failure);
}

/// Accepted, gone within the minute, and no recorder ever came (P42).
fn never_joined(story: &mut Story) {
    let channel = story.rtc_channel_in_turn();
    let sid = story.sid();
    let (ticket, from) = accepted(story, &channel, channel.app.home, story.starts_at, &sid);
    for after in [20 * SECOND, 45 * SECOND] {
        let at = from + after;
        api_calls::refused(story, &channel, &ticket, &sid, "query", at, NO_WORKER);
    }
    story.twist.untold = &[4, 30, 31, 33, 40, 41, 42, 43, 44];
    story.twist.exit_status = 1;
    tell(story, &channel, &sid, from, from + 15 * SECOND);
    let failure = ("token", "credentials");
    plant(story, "never_joined", &channel, &[&sid], failure);
}

/// A start minutes after its ticket has expired, and the same again (P43).
fn ticket_expired(story: &mut Story) {
    let channel = story.channel_in_turn();
    let storage = channel.app.home;
    let ticket = api_calls::acquire(story, &channel, story.starts_at, &[]);
    for after in [6 * MINUTE, 6 * MINUTE + 4 * SECOND] {
        let answer = Answer::Refused(400, 433, "resource expired");
        let start = Start::new(story, storage, ticket.at + after, answer);
        api_calls::start(story, &channel, &ticket, &start);
    }
    let failure = ("expired_ticket", "unknown");
    plant(story, "ticket_expired", &channel, &[], failure);
}

/// A start with the ticket that another channel acquired (P43).
fn ticket_of_another(story: &mut Story) {
    let channel = story.channel_in_turn();
    let another = Channel {
        cname: format!("{}b", channel.cname),
        ..channel.clone()
    };
    let ticket = api_calls::acquire(story, &another, story.starts_at, &[]);
    let answer = Answer::Refused(400, 432, "invalid parameter");
    let start = Start::new(story, channel.app.home, ticket.at + 300_000, answer);
    api_calls::start(story, &channel, &ticket, &start);
    let failure = ("expired_ticket", "unknown");
    plant(story, "ticket_of_another", &channel, &[], failure);
}

/// The app may not record, or no longer (P44).
fn app_not_enabled(story: &mut Story) {
    let channel = story.channel_in_turn();
    let answer = match story.between(0, 2) {
        0 => (400, 62, "cloud recording not enabled"),
        1 => (400, 400, "invalid_appid"),
        _ => (400, 405, "no_active_status"),
    };
    api_calls::refused_acquire(story, &channel, story.starts_at, answer);
    nothing_asked_for(
        story,
        "app_not_enabled",
        &channel,
        ("not_enabled", "unknown"),
    );
}

/// An acquire names no storage, so no vendor is expected.
fn nothing_asked_for(
    story: &mut Story,
    case: &'static str,
    channel: &Channel,
    (variant, root_cause): (&'static str, &'static str),
) {
    let none: Option<&'static Storage> = None;
    let planted = Planted::new(case, channel, &[], none, none, root_cause);
    planted.expect(story, "session_failures", Some(variant));
}

/// Too many recordings at once, however often it is tried (P45).
fn over_load(story: &mut Story) {
    let channel = story.channel_in_turn();
    let answer = match story.chance(70) {
        true => (400, 406, "vendor_over_load"),
        false => (429, 0, "API rate limit exceeded"),
    };
    for attempt in 0..3 {
        let at = story.starts_at + attempt * 70 * SECOND;
        api_calls::refused_acquire(story, &channel, at, answer);
    }
    nothing_asked_for(story, "over_load", &channel, ("capacity", "service"));
}

/// No worker for the recording, and nobody tries again (P45).
fn no_worker(story: &mut Story) {
    let channel = story.channel_in_turn();
    refused_start(story, &channel, Answer::NoWorker);
    plant(story, "no_worker", &channel, &[], ("capacity", "service"));
}

/// The recording goes on elsewhere, its files under another name (P46).
fn moved_to_another_server(story: &mut Story) {
    let channel = story.channel_in_turn();
    let new_uid = story.recorder_uid();
    let times = (story.starts_at, 10 * MINUTE);
    let told = unusual(story, &channel, times, Files::Arrive, |twist, from, _| {
        let at = from + 4 * MINUTE;
        let details = json!({"msgName": "session_failover", "newUid": new_uid});
        twist.more(12, at, details);
        twist.fails_over_at = Some(at);
    });
    let failure = ("fail_over", "service");
    let case = "moved_to_another_server";
    plant(story, case, &channel, &[&told.sid], failure);
}

/// Each time the recorder leaves because nobody is there, somebody starts it again (P47).
fn flapping(story: &mut Story) {
    let channel = story.rtc_channel_in_turn();
    let mut sids = Vec::new();
    let mut at = story.starts_at;
    for _ in 0..3 {
        let times = (at, 3 * MINUTE);
        let told = unusual(story, &channel, times, Files::Arrive, |twist, _, _| {
            twist.leave_code = 4;
            twist.stop = Stop::Omitted;
        });
        at = told.until + 4 * MINUTE;
        sids.push(told.sid);
    }
    let sids: Vec<&str> = sids.iter().map(String::as_str).collect();
    let failure = ("idle_flapping", "unknown");
    plant(story, "flapping", &channel, &sids, failure);
}

/// A query does not find the session, which then goes on (P48).
fn looked_ended(story: &mut Story) {
    let channel = story.channel_in_turn();
    let web = channel.app.mode == Mode::Web;
    let times = (story.starts_at, 12 * MINUTE);
    let told = unusual(story, &channel, times, Files::Arrive, |twist, from, _| {
        let at = from + 6 * MINUTE;
        let (event_type, details) = match web {
            true => (
                73,
                json!({"msgName": "web_recorder_reload", "reason": "page_load_timeout"}),
            ),
            false => (
                42,
                json!({"msgName": "recorder_slice_start", "startUtcMs": millis(at),
                "discontinueUtcMs": millis(at - 30 * SECOND), "mixedAllUser": true, "streamUid": "0",
                "trackType": "audio_and_video"}),
            ),
        };
        twist.more(event_type, at, details);
    });
    let at = told.from + 5 * MINUTE + 40 * SECOND;
    let (ticket, sid) = (&told.ticket, &told.sid);
    api_calls::refused(story, &channel, ticket, sid, "query", at, NO_WORKER);
    let failure = ("false_end", "service");
    plant(story, "looked_ended", &channel, &[sid], failure);
}

/// The same, and nothing but its leaving tells later that it had been there.
fn looked_ended_until_it_left(story: &mut Story) {
    let channel = story.channel_in_turn();
    let times = (story.starts_at, 12 * MINUTE);
    let told = unusual(story, &channel, times, Files::Arrive, |_, _, _| ());
    let at = told.from + 6 * MINUTE;
    let (ticket, sid) = (&told.ticket, &told.sid);
    api_calls::refused(story, &channel, ticket, sid, "query", at, NO_WORKER);
    let failure = ("false_end", "service");
    plant(
        story,
        "looked_ended_until_it_left",
        &channel,
        &[sid],
        failure,
    );
}

/// The page does not load (P49).
fn page_failed(story: &mut Story) {
    let channel = story.web_page_channel();
    let code = story.between(2, 6) as i32;
    let times = (story.starts_at, 3 * MINUTE);
    let told = unusual(story, &channel, times, Files::Never, |twist, _, _| {
        twist.page_code = code;
        twist.untold = &[4, 31];
        twist.stop = Stop::Omitted;
    });
    let failure = ("web_page", "unknown");
    plant(story, "page_failed", &channel, &[&told.sid], failure);
}

/// The page falls silent and is loaded again, over and over (P49).
fn page_reloaded(story: &mut Story) {
    let channel = story.web_page_channel();
    let times = (story.starts_at, 20 * MINUTE);
    let told = unusual(story, &channel, times, Files::Arrive, |twist, from, _| {
        for minute in [2, 5, 8, 11] {
            let details = json!({"msgName": "web_recorder_reload", "reason": "audio_silence"});
            twist.more(73, from + minute * MINUTE, details);
        }
    });
    let failure = ("web_page", "unknown");
    plant(story, "page_reloaded", &channel, &[&told.sid], failure);
}

fn wrong_notices(
    story: &mut Story,
    channel: &Channel,
    (case, variant, root_cause): (&'static str, &'static str, &'static str),
    deliveries: Deliveries,
    lost: &'static [i32],
) {
    let times = (story.starts_at, duration(story));
    let told = unusual(story, channel, times, Files::Arrive, |twist, _, _| {
        twist.deliveries = deliveries;
        twist.lost = lost;
    });
    let storage = channel.app.home;
    let planted = Planted::new(case, channel, &[&told.sid], storage, storage, root_cause);
    planted.expect(story, "webhook_hygiene", Some(variant));
}

/// Some callbacks in the middle never come (P50).
fn notices_lost(story: &mut Story) {
    let channel = story.channel_in_turn();
    let fault = ("notices_lost", "gap", "unknown");
    wrong_notices(story, &channel, fault, Deliveries::Usual, &[43, 4]);
}

/// All of them come twice (P50).
fn notices_doubled(story: &mut Story) {
    let channel = story.channel_in_turn();
    let fault = ("notices_doubled", "repeated", "service");
    wrong_notices(story, &channel, fault, Deliveries::Doubled, &[]);
}

/// They come the last first (P50).
fn notices_reversed(story: &mut Story) {
    let channel = story.channel_in_turn();
    let fault = ("notices_reversed", "disordered", "service");
    wrong_notices(story, &channel, fault, Deliveries::Reversed, &[]);
}

/// Somebody else signs them (P50).
fn notices_forged(story: &mut Story) {
    let channel = story.channel_in_turn();
    let fault = ("notices_forged", "bad_signature", "unknown");
    wrong_notices(story, &channel, fault, Deliveries::Forged, &[]);
}
