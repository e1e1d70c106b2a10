//! Sessions that no stop reaches (failure pattern P12).

use crate::generate::Plot;
use crate::generate::api_calls;
use crate::generate::session::{Files, duration, unusual};
use crate::generate::story::{Channel, HOUR, MINUTE, Story};
use crate::generate::truth::Planted;
use crate::generate::twist::Stop;

pub(super) const PLOTS: [Plot; 3] = [
    ("never_stopped", never_stopped),
    ("stop_refused", stop_refused),
    ("wrong_session_stopped", wrong_session_stopped),
];

/// What a session tells of its end and its files.
const ENDING: &[i32] = &[4, 11, 31, 33, 41, 71];

/// Nobody stops it, and nothing tells that it ended before its ticket expires (P12).
fn never_stopped(story: &mut Story) {
    let channel = story.channel_in_turn();
    let home = channel.app.home;
    let sid = outlives_its_ticket(story, &channel, Stop::Omitted);
    let planted = Planted::new("never_stopped", &channel, &[&sid], home, home, "unknown");
    planted.expect(story, "unstopped_session", Some("never_stopped"));
}

/// The same, and a stop was sent whose parameters the service refused.
fn stop_refused(story: &mut Story) {
    let channel = story.channel_in_turn();
    let home = channel.app.home;
    let refused = Stop::Refused(400, 2, "invalid parameter");
    let sid = outlives_its_ticket(story, &channel, refused);
    let planted = Planted::new("stop_refused", &channel, &[&sid], home, home, "unknown");
    planted.expect(story, "unstopped_session", Some("stop_refused"));
}

/// A session that nothing tells the end of within the hour that its ticket lives; returns its id.
fn outlives_its_ticket(story: &mut Story, channel: &Channel, stop: Stop) -> String {
    story.twist.ticket_hours = 1;
    let lasts = match stop {
        Stop::Omitted => 2 * HOUR,
        _ => 50 * MINUTE,
    };
    let times = (story.starts_at, lasts);
    let told = unusual(story, channel, times, Files::Never, |twist, _, _| {
        twist.untold = ENDING;
        twist.stop = stop;
    });
    told.sid
}

/// The stop names a session that is not there (P12).
fn wrong_session_stopped(story: &mut Story) {
    let channel = story.channel_in_turn();
    let home = channel.app.home;
    let stale = story.sid();
    let times = (story.starts_at, duration(story));
    let told = unusual(story, &channel, times, Files::Arrive, |twist, _, _| {
        twist.leave_code = 4;
        twist.stop = Stop::Omitted;
    });
    let stopped_at = told.until - MINUTE;
    let answer = (404, 404, "failed to find worker");
    api_calls::refused(
        story,
        &channel,
        &told.ticket,
        &stale,
        "stop",
        stopped_at,
        answer,
    );
    let case = "wrong_session_stopped";
    let planted = Planted::new(case, &channel, &[&told.sid], home, home, "state_mismatch");
    planted.expect(story, "unstopped_session", Some("stop_named_another"));
}
