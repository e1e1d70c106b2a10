//! Near-misses of starts that are doubled, lost, repeated or contradicted, of sessions that nobody stops, and of rows
//! that are written too early or lead elsewhere.

use serde_json::{Value, json};

use crate::generate::Plot;
use crate::generate::api_calls::{self, Answer, Start};
use crate::generate::bodies::prefix;
use crate::generate::session::{
    self, Files, Session, accepted, complete, duration, finish, run, single, unusual,
};
use crate::generate::session_records::{self, Change, Row};
use crate::generate::story::{HOUR, MILLI, MINUTE, SECOND, Story};
use crate::generate::twist::Stop;

pub(super) const PLOTS: [Plot; 9] = [
    ("retried_on_its_ticket", retried_on_its_ticket),
    ("ghost_found_again", ghost_found_again),
    ("announced_as_started", announced_as_started),
    ("left_by_itself", left_by_itself),
    ("stopped_without_answer", stopped_without_answer),
    ("migrated", migrated),
    ("intent_confirmed", intent_confirmed),
    ("path_is_shorter", path_is_shorter),
    ("error_logged", error_logged),
];

/// Three attempts on one ticket in over a minute, the last one accepted: the retry that the service asks for, and no
/// storm.
fn retried_on_its_ticket(story: &mut Story) {
    let channel = story.channel_in_turn();
    let home = channel.app.home;
    let sid = story.sid();
    let ticket = api_calls::acquire(story, &channel, story.starts_at, &[]);
    let first_at = ticket.at + 200 * MILLI;
    for (later, answer) in [(0, Answer::Unknown), (30 * SECOND, Answer::Silence)] {
        let failed = Start::new(story, home, first_at + later, answer);
        api_calls::start(story, &channel, &ticket, &failed);
    }
    let start = Start::new(story, home, first_at + 61 * SECOND, Answer::Started(&sid));
    api_calls::start(story, &channel, &ticket, &start);
    let from = start.answered_at();
    let session = Session::ordinary(story, &channel, &ticket, &sid, home, from);
    let ended = run(story, &session);
    session::believe(story, &session, home, &ended);
    story.looks_like_a_fault("retried_on_its_ticket", &channel, &[&sid]);
}

/// A start without an answer, whose session its callbacks tell of: it is asked for and stopped.
fn ghost_found_again(story: &mut Story) {
    let channel = story.channel_in_turn();
    let home = channel.app.home;
    let sid = story.sid();
    let ticket = api_calls::acquire(story, &channel, story.starts_at, &[]);
    let start = Start::new(story, home, ticket.at + 200 * MILLI, Answer::TimedOut);
    api_calls::start(story, &channel, &ticket, &start);
    let from = start.at + 2 * SECOND;
    let session = Session::ordinary(story, &channel, &ticket, &sid, home, from);
    let ended = run(story, &session);
    session::believe(story, &session, home, &ended);
    story.looks_like_a_fault("ghost_found_again", &channel, &[&sid]);
}

/// The acquire announces what the start asks for, with other keys.
fn announced_as_started(story: &mut Story) {
    let channel = story.channel_in_turn();
    let home = channel.app.home;
    story.twist.announced = Some(home);
    let sid = single(story, &channel, home, home, Files::Arrive);
    story.looks_like_a_fault("announced_as_started", &channel, &[&sid]);
}

/// Nobody stops it: it ends when everybody has left.
fn left_by_itself(story: &mut Story) {
    let channel = story.channel_in_turn();
    story.twist.ticket_hours = 1;
    let times = (story.starts_at, 20 * MINUTE);
    let told = unusual(story, &channel, times, Files::Arrive, |twist, _, _| {
        twist.leave_code = 4;
        twist.stop = Stop::Omitted;
    });
    story.looks_like_a_fault("left_by_itself", &channel, &[&told.sid]);
}

/// Its stop is not answered in time, but its end is told.
fn stopped_without_answer(story: &mut Story) {
    let channel = story.channel_in_turn();
    story.twist.ticket_hours = 1;
    let times = (story.starts_at, duration(story));
    let told = unusual(story, &channel, times, Files::Arrive, |twist, _, _| {
        twist.stop = Stop::Refused(206, 65, "Request not completed");
    });
    story.looks_like_a_fault("stopped_without_answer", &channel, &[&told.sid]);
}

/// A new environment takes a channel over to another vendor, and keeps it there.
fn migrated(story: &mut Story) {
    let (app, home, other) = story.app_in_turn();
    let channel = story.channel(app);
    let mut sids = Vec::new();
    let mut at = story.starts_at;
    let (old, new) = (("production", home), ("production-2", other));
    for (environment, storage) in [old, old, new, new] {
        let sid = story.sid();
        story.twist.environment = environment;
        let (_, over_at) = complete(story, &channel, storage, at, &sid);
        at = over_at + HOUR;
        sids.push(sid);
    }
    let sids: Vec<&str> = sids.iter().map(String::as_str).collect();
    story.looks_like_a_fault("migrated", &channel, &sids);
}

/// The row says before the start that it is about to be sent, and after the answer that it records.
fn intent_confirmed(story: &mut Story) {
    let channel = story.channel_in_turn();
    let home = channel.app.home;
    let sid = story.sid();
    let ticket = api_calls::acquire(story, &channel, story.starts_at, &[]);
    let mut start = Start::new(story, home, ticket.at + SECOND, Answer::Started(&sid));
    start.takes = 4 * SECOND;
    api_calls::start(story, &channel, &ticket, &start);
    let path = prefix(story, &channel).join("/");
    let mut row = Row::new(story, &ticket.resource_id, home, &path);
    session_records::write(
        story,
        &channel,
        &row,
        Change::Insert,
        ticket.at + 100 * MILLI,
    );
    let from = start.answered_at();
    row.recording(&sid);
    session_records::write(story, &channel, &row, Change::Update, from + 60 * MILLI);
    let session = Session::ordinary(story, &channel, &ticket, &sid, home, from);
    let ended = run(story, &session);
    finish(story, &session, &mut row, &ended);
    story.looks_like_a_fault("intent_confirmed", &channel, &[&sid]);
}

/// The row has the first step of the path only.
fn path_is_shorter(story: &mut Story) {
    let channel = story.channel_in_turn();
    let home = channel.app.home;
    let sid = story.sid();
    let (ticket, from) = accepted(story, &channel, home, story.starts_at, &sid);
    let session = Session::ordinary(story, &channel, &ticket, &sid, home, from);
    let ended = run(story, &session);
    let first = channel.app.prefix.unwrap_or_default();
    let mut row = Row::new(story, &ticket.resource_id, home, first);
    row.recording(&sid);
    session_records::write(story, &channel, &row, Change::Insert, from + 60 * MILLI);
    finish(story, &session, &mut row, &ended);
    story.looks_like_a_fault("path_is_shorter", &channel, &[&sid]);
}

/// A query without a response, whose transport error is logged.
fn error_logged(story: &mut Story) {
    let channel = story.channel_in_turn();
    let home = channel.app.home;
    let sid = story.sid();
    let (ticket, from) = accepted(story, &channel, home, story.starts_at, &sid);
    api_calls::query(story, &channel, &ticket, &sid, "", from + 30 * SECOND);
    api_calls::edit_last(story, |logged| {
        logged["response"] = Value::Null;
        logged["responded_at"] = Value::Null;
        logged["error"] = json!("read tcp 198.51.100.7:443: connection reset by peer");
    });
    let session = Session::ordinary(story, &channel, &ticket, &sid, home, from);
    let ended = run(story, &session);
    session::believe(story, &session, home, &ended);
    story.looks_like_a_fault("error_logged", &channel, &[&sid]);
}
