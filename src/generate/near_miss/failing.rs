//! Sessions and callbacks that look as if they had failed (failure patterns P40 to P50).

use serde_json::json;

use crate::generate::Plot;
use crate::generate::api_calls::{self, Answer, Start};
use crate::generate::session::{Files, duration, unusual};
use crate::generate::story::{HOUR, MINUTE, SECOND, Story, millis};
use crate::generate::twist::{Deliveries, Stop};

pub(super) const PLOTS: [Plot; 9] = [
    ("left_idle_at_last", left_idle_at_last),
    ("restarted_after_idling", restarted_after_idling),
    ("stopped_twice", stopped_twice),
    ("asked_after_the_end", asked_after_the_end),
    ("participants_of_other_uids", participants_of_other_uids),
    ("ticket_used_late", ticket_used_late),
    ("worker_found_on_retry", worker_found_on_retry),
    ("page_reloaded_once", page_reloaded_once),
    ("notices_retried", notices_retried),
];

/// The recorder leaves because everybody else has left: there was something to record.
fn left_idle_at_last(story: &mut Story) {
    let channel = story.rtc_channel_in_turn();
    let times = (story.starts_at, duration(story));
    let told = unusual(story, &channel, times, Files::Arrive, |twist, _, _| {
        twist.leave_code = 4;
        twist.stop = Stop::Omitted;
    });
    story.looks_like_a_fault("left_idle_at_last", &channel, &[&told.sid]);
}

/// The same twice on one channel, hours apart: two lessons, no flapping.
fn restarted_after_idling(story: &mut Story) {
    let channel = story.rtc_channel_in_turn();
    let mut sids = Vec::new();
    for after in [0, 3 * HOUR] {
        let times = (story.starts_at + after, duration(story));
        let told = unusual(story, &channel, times, Files::Arrive, |twist, _, _| {
            twist.leave_code = 4;
            twist.stop = Stop::Omitted;
        });
        sids.push(told.sid);
    }
    story.looks_like_a_fault("restarted_after_idling", &channel, &[&sids[0], &sids[1]]);
}

/// A second stop finds the session exiting.
fn stopped_twice(story: &mut Story) {
    let channel = story.channel_in_turn();
    let times = (story.starts_at, duration(story));
    let told = unusual(story, &channel, times, Files::Arrive, |_, _, _| {});
    let (ticket, sid, at) = (&told.ticket, &told.sid, told.until + SECOND);
    let answer = (400, 49, "request ignored, exiting");
    api_calls::refused(story, &channel, ticket, sid, "stop", at, answer);
    story.looks_like_a_fault("stopped_twice", &channel, &[sid]);
}

/// A query after the end does not find the session, while the upload still goes on.
fn asked_after_the_end(story: &mut Story) {
    let channel = story.channel_in_turn();
    let times = (story.starts_at, duration(story));
    let told = unusual(story, &channel, times, Files::Arrive, |_, _, _| {});
    let (ticket, sid, at) = (&told.ticket, &told.sid, told.until + 6 * SECOND);
    let answer = (404, 404, "failed to find worker");
    api_calls::refused(story, &channel, ticket, sid, "query", at, answer);
    story.looks_like_a_fault("asked_after_the_end", &channel, &[sid]);
}

/// A participant whose uid is next to the recorder's.
fn participants_of_other_uids(story: &mut Story) {
    let channel = story.rtc_channel_in_turn();
    let uid = channel.uid + 1;
    let times = (story.starts_at, duration(story));
    let told = unusual(story, &channel, times, Files::Arrive, |twist, from, _| {
        let at = from + 20 * SECOND;
        let details = json!({"msgName": "recorder_audio_stream_state_changed", "streamUid": uid.to_string(),
            "state": 0, "utcMs": millis(at)});
        twist.more(43, at, details);
    });
    story.looks_like_a_fault("participants_of_other_uids", &channel, &[&told.sid]);
}

/// A start four minutes after its acquire: late, and in time.
fn ticket_used_late(story: &mut Story) {
    let channel = story.channel_in_turn();
    story.twist.ticket_kept = 4 * MINUTE;
    let times = (story.starts_at, duration(story));
    let told = unusual(story, &channel, times, Files::Arrive, |_, _, _| {});
    story.looks_like_a_fault("ticket_used_late", &channel, &[&told.sid]);
}

/// No worker at first, one on the second attempt, to the same place.
fn worker_found_on_retry(story: &mut Story) {
    let channel = story.channel_in_turn();
    let ticket = api_calls::acquire(story, &channel, story.starts_at, &[]);
    let at = ticket.at + SECOND;
    let start = Start::new(story, channel.app.home, at, Answer::NoWorker);
    api_calls::start(story, &channel, &ticket, &start);
    let times = (start.answered_at() + 3 * SECOND, duration(story));
    let told = unusual(story, &channel, times, Files::Arrive, |_, _, _| {});
    story.looks_like_a_fault("worker_found_on_retry", &channel, &[&told.sid]);
}

/// A page that was loaded anew once.
fn page_reloaded_once(story: &mut Story) {
    let channel = story.web_page_channel();
    let times = (story.starts_at, duration(story));
    let told = unusual(story, &channel, times, Files::Arrive, |twist, from, _| {
        let details = json!({"msgName": "web_recorder_reload", "reason": "audio_silence"});
        twist.more(73, from + 2 * MINUTE, details);
    });
    story.looks_like_a_fault("page_reloaded_once", &channel, &[&told.sid]);
}

/// A callback that was acknowledged at the last retry, and two that overtook each other: the service promises no more.
fn notices_retried(story: &mut Story) {
    let channel = story.channel_in_turn();
    let times = (story.starts_at, duration(story));
    let told = unusual(story, &channel, times, Files::Arrive, |twist, _, _| {
        twist.deliveries = Deliveries::Clumsy;
    });
    story.looks_like_a_fault("notices_retried", &channel, &[&told.sid]);
}
