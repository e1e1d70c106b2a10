//! Files that are elsewhere than believed: starts that compete for the storage, fallbacks, stale rows, files
//! that never come (failure patterns P01 to P04, P06, P20, P22).

use super::two_sessions;
use crate::generate::Plot;
use crate::generate::api_calls::{self, Answer, Start};
use crate::generate::bodies::prefix;
use crate::generate::session::{self, Files, Session, accepted, duration, run, single};
use crate::generate::session_records::{self, Change, Row};
use crate::generate::story::{Channel, MILLI, SECOND, Story};
use crate::generate::truth::Planted;
use crate::generate::world::{APPS, App, Storage};

pub(super) const PLOTS: [Plot; 13] = [
    ("seed_race", seed_race),
    ("seed_fallback", seed_fallback),
    ("same_ticket", same_ticket),
    ("same_ticket_believed", same_ticket_believed),
    ("same_identity_rejected", same_identity_rejected),
    ("same_identity_accepted", same_identity_accepted),
    ("other_uid", other_uid),
    ("other_uid_row_overwritten", other_uid_row_overwritten),
    ("fallback_after_timeout", fallback_after_timeout),
    ("fallback_noticed", fallback_noticed),
    ("stale_default", stale_default),
    ("stale_host", stale_host),
    ("missing_upload", missing_upload),
];

/// Not over when the fleet ends.
pub(super) const TAIL_PLOTS: [Plot; 1] = [("upload_due", upload_due)];

/// The seed case as a race: two workers start the same channel within a moment, one to OSS, one to S3. The one
/// to S3 comes first to the service; the other is refused, and its storage stays in the customer's row.
fn seed_race(story: &mut Story) {
    let (app, oss, s3) = story.oss_and_s3_app();
    let channel = story.channel(app);
    let sid = story.sid();
    let loser = api_calls::acquire(story, &channel, story.starts_at, &[]);
    let winner = api_calls::acquire(story, &channel, story.starts_at + 40 * MILLI, &[]);
    let sent_at = winner.at.max(loser.at) + 100 * MILLI;
    let mut lost = Start::new(story, oss, sent_at, Answer::Conflict);
    // It left first and arrived second: it is answered after the winner is in.
    lost.takes = 900 * MILLI;
    let won_at = sent_at + story.span(120 * MILLI, 400 * MILLI);
    let won = Start::new(story, s3, won_at, Answer::Started(&sid));
    api_calls::start(story, &channel, &loser, &lost);
    api_calls::start(story, &channel, &winner, &won);

    let session = Session {
        channel: &channel,
        ticket: &winner,
        sid: &sid,
        storage: s3,
        from: won.answered_at(),
        until: won.answered_at() + duration(story),
        files: Files::Arrive,
    };
    let ended = run(story, &session);
    session::believe(story, &session, oss, &ended);
    let planted = Planted::new("seed_race", &channel, &[&sid], oss, s3, "race");
    planted.expect(story, "conflicting_starts", Some("same_identity_rejected"));
    planted.expect(story, "vendor_mismatch", Some("record_wrong"));
    planted.expect(story, "record_before_response", Some("failed_storage"));
}

/// The seed case as a fallback: the start to OSS fails, the retry goes to S3 and is accepted, and nobody tells
/// the customer's row.
fn seed_fallback(story: &mut Story) {
    let (app, oss, s3) = story.oss_and_s3_app();
    let answer = if story.chance(50) {
        Answer::InvalidParameter
    } else {
        Answer::NoWorker
    };
    let (channel, sid) = fallback(story, app, [oss, s3], answer, oss);
    let planted = Planted::new("seed_fallback", &channel, &[&sid], oss, s3, "fallback");
    let variant = match answer {
        Answer::InvalidParameter => "rejected",
        _ => "indeterminate",
    };
    planted.expect(story, "failed_then_switched", Some(variant));
    planted.expect(story, "vendor_mismatch", Some("record_wrong"));
    planted.expect(story, "record_before_response", Some("failed_storage"));
}

/// The same with a first start that the client gave up waiting for.
fn fallback_after_timeout(story: &mut Story) {
    let (app, [first, second]) = story.app_with_two_storages();
    let (channel, sid) = fallback(story, app, [first, second], Answer::Silence, first);
    let planted = Planted::new(
        "fallback_after_timeout",
        &channel,
        &[&sid],
        first,
        second,
        "fallback",
    );
    planted.expect(story, "failed_then_switched", Some("indeterminate"));
    planted.expect(story, "vendor_mismatch", Some("record_wrong"));
    planted.expect(story, "record_before_response", Some("failed_storage"));
}

/// A fallback whose row was written from the call that succeeded: the switch is all there is.
fn fallback_noticed(story: &mut Story) {
    let (app, [first, second]) = story.app_with_two_storages();
    let answer = Answer::InvalidParameter;
    let (channel, sid) = fallback(story, app, [first, second], answer, second);
    let case = "fallback_noticed";
    let planted = Planted::new(case, &channel, &[&sid], second, second, "fallback");
    planted.expect(story, "failed_then_switched", Some("rejected"));
}

/// A start to the first storage fails as said, one to the second is accepted.
fn fallback(
    story: &mut Story,
    app: &'static App,
    [first, second]: [&'static Storage; 2],
    answer: Answer<'_>,
    believed: &'static Storage,
) -> (Channel, String) {
    let channel = story.channel(app);
    let sid = story.sid();
    let ticket = api_calls::acquire(story, &channel, story.starts_at, &[]);
    let failed = Start::new(story, first, ticket.at + 200 * MILLI, answer);
    api_calls::start(story, &channel, &ticket, &failed);
    // The row is written when recording is asked for, with the storage of that moment.
    let prefix = prefix(story, &channel).join("/");
    let mut row = Row::new(story, &ticket.resource_id, first, &prefix);
    row.failed();
    session_records::write(
        story,
        &channel,
        &row,
        Change::Insert,
        failed.answered_at() + 50 * MILLI,
    );

    let again_at = failed.answered_at() + story.span(SECOND, 6 * SECOND);
    let ticket = api_calls::acquire(story, &channel, again_at, &[]);
    let mut accepted = Start::new(
        story,
        second,
        ticket.at + 200 * MILLI,
        Answer::Started(&sid),
    );
    accepted.attempt = 2;
    api_calls::start(story, &channel, &ticket, &accepted);
    let from = accepted.answered_at();
    row.recording(&sid);
    row.moved(believed);
    session_records::write(story, &channel, &row, Change::Update, from + 60 * MILLI);
    let session = Session::ordinary(story, &channel, &ticket, &sid, second, from);
    let ended = run(story, &session);
    session::finish(story, &session, &mut row, &ended);
    (channel, sid)
}

/// A second start on a ticket in use asks for another vendor and is told "already started"; the row keeps to
/// the first.
fn same_ticket(story: &mut Story) {
    let (channel, sid, [first, _]) = twice_on_one_ticket(story, 0);
    let planted = Planted::new("same_ticket", &channel, &[&sid], first, first, "race");
    planted.expect(story, "conflicting_starts", Some("same_ticket"));
}

/// The same, and the customer believes in the storage that was never applied.
fn same_ticket_believed(story: &mut Story) {
    let (channel, sid, [first, second]) = twice_on_one_ticket(story, 1);
    let planted = Planted::new(
        "same_ticket_believed",
        &channel,
        &[&sid],
        second,
        first,
        "race",
    );
    planted.expect(story, "conflicting_starts", Some("same_ticket"));
    planted.expect(story, "vendor_mismatch", Some("record_wrong"));
    planted.expect(story, "record_before_response", Some("failed_storage"));
}

fn twice_on_one_ticket(
    story: &mut Story,
    believed: usize,
) -> (Channel, String, [&'static Storage; 2]) {
    let (app, storages) = story.app_with_two_storages();
    let channel = story.channel(app);
    let sid = story.sid();
    let (ticket, from) = accepted(story, &channel, storages[0], story.starts_at, &sid);
    let again_at = from + story.span(300 * MILLI, 4 * SECOND);
    let again = Start::new(story, storages[1], again_at, Answer::AlreadyStarted);
    api_calls::start(story, &channel, &ticket, &again);
    let session = Session::ordinary(story, &channel, &ticket, &sid, storages[0], from);
    let ended = run(story, &session);
    // Written once the last of both calls has been answered.
    let prefix = prefix(story, &channel).join("/");
    let mut row = Row::new(story, &ticket.resource_id, storages[believed], &prefix);
    row.recording(&sid);
    session_records::write(
        story,
        &channel,
        &row,
        Change::Insert,
        again.answered_at() + 60 * MILLI,
    );
    session::finish(story, &session, &mut row, &ended);
    (channel, sid, storages)
}

/// A second start of the same cname and uid, with a ticket of its own and another vendor, is refused in the
/// middle of the session; the row is right.
fn same_identity_rejected(story: &mut Story) {
    let (app, [one, other]) = story.app_with_two_storages();
    let channel = story.channel(app);
    let sid = story.sid();
    let (ticket, from) = accepted(story, &channel, other, story.starts_at, &sid);
    let until = from + duration(story);
    let again_at = from + story.span(20 * SECOND, 150 * SECOND);
    let second = api_calls::acquire(story, &channel, again_at, &[]);
    let refused = Start::new(story, one, second.at + 200 * MILLI, Answer::Conflict);
    api_calls::start(story, &channel, &second, &refused);
    let session = Session {
        channel: &channel,
        ticket: &ticket,
        sid: &sid,
        storage: other,
        from,
        until,
        files: Files::Arrive,
    };
    let ended = run(story, &session);
    session::believe(story, &session, other, &ended);
    let planted = Planted::new(
        "same_identity_rejected",
        &channel,
        &[&sid],
        other,
        other,
        "race",
    );
    planted.expect(story, "conflicting_starts", Some("same_identity_rejected"));
}

/// A second start of the same cname and uid is accepted all the same: two sessions, files in two stores.
fn same_identity_accepted(story: &mut Story) {
    let (app, [one, other]) = story.app_with_two_storages();
    let channel = story.channel(app);
    let sids = two_sessions(story, [&channel, &channel], [one, other], [one, other]);
    let planted = Planted::new(
        "same_identity_accepted",
        &channel,
        &[&sids[0], &sids[1]],
        one,
        other,
        "race",
    );
    planted.expect(story, "conflicting_starts", Some("same_identity_accepted"));
}

/// Two recorders with uids of their own in one channel, one to each vendor; each has its row, both are right.
fn other_uid(story: &mut Story) {
    let (app, [one, other]) = story.app_with_two_storages();
    let (first, second) = two_recorders(story, app);
    let sids = two_sessions(story, [&first, &second], [one, other], [one, other]);
    let planted = Planted::new(
        "other_uid",
        &first,
        &[&sids[0], &sids[1]],
        one,
        other,
        "race",
    );
    planted.expect(story, "conflicting_starts", Some("other_uid"));
}

/// The same, and the second session's row was written with the first one's storage.
fn other_uid_row_overwritten(story: &mut Story) {
    let (app, [one, other]) = story.app_with_two_storages();
    let (first, second) = two_recorders(story, app);
    let sids = two_sessions(story, [&first, &second], [one, other], [one, one]);
    let case = "other_uid_row_overwritten";
    let planted = Planted::new(case, &first, &[&sids[0], &sids[1]], one, other, "race");
    planted.expect(story, "conflicting_starts", Some("other_uid"));
    let mismatched = Planted::new(case, &second, &[&sids[1]], one, other, "race");
    mismatched.expect(story, "vendor_mismatch", Some("record_wrong"));
}

fn two_recorders(story: &mut Story, app: &'static App) -> (Channel, Channel) {
    let first = story.channel(app);
    let second = Channel {
        uid: first.uid + 100_000,
        ..first.clone()
    };
    (first, second)
}

/// No second start at all: the row's vendor comes from a default that nobody changed with the storage.
fn stale_default(story: &mut Story) {
    let (app, [believed, stored]) = story.app_with_two_storages();
    let channel = story.channel(app);
    let sid = single(story, &channel, stored, believed, Files::Arrive);
    let planted = Planted::new(
        "stale_default",
        &channel,
        &[&sid],
        believed,
        stored,
        "state_mismatch",
    );
    planted.expect(story, "vendor_mismatch", Some("record_wrong"));
}

/// The row has no vendor, and the host of its URL is that of another cloud.
fn stale_host(story: &mut Story) {
    let app = &APPS[3];
    let channel = story.channel(app);
    let (stored, believed) = (app.home, app.other);
    let sid = single(story, &channel, stored, believed, Files::Arrive);
    let planted = Planted::new(
        "stale_host",
        &channel,
        &[&sid],
        believed,
        stored,
        "state_mismatch",
    );
    planted.expect(story, "vendor_mismatch", Some("record_wrong"));
}

/// Announced as uploaded, never seen in a bucket that others' files keep arriving in.
fn missing_upload(story: &mut Story) {
    never_arrived(story, "missing_upload", "missing");
}

/// The same, so shortly before the fleet ends that the files may yet come.
fn upload_due(story: &mut Story) {
    never_arrived(story, "upload_due", "late");
}

fn never_arrived(story: &mut Story, case: &'static str, variant: &'static str) {
    let channel = story.channel_in_turn();
    let storage = channel.app.home;
    let sid = single(story, &channel, storage, storage, Files::Never);
    let planted = Planted::new(case, &channel, &[&sid], storage, storage, "unknown");
    planted.expect(story, "missing_upload", Some(variant));
}
