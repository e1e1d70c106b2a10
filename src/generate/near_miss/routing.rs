//! Near-misses of files that are elsewhere than believed.

use crate::generate::Plot;
use crate::generate::api_calls::{self, Answer, HOSTS, Start};
use crate::generate::bodies::prefix;
use crate::generate::fault::two_sessions;
use crate::generate::session::{
    self, Files, Session, accepted, complete, duration, finish, run, single,
};
use crate::generate::session_records::{self, Change, Row};
use crate::generate::story::{Channel, HOUR, MILLI, MINUTE, SECOND, Story};
use crate::generate::world::{APPS, UNMONITORED};

pub(super) const PLOTS: [Plot; 10] = [
    ("restart_elsewhere", restart_elsewhere),
    ("asked_for_redundancy", asked_for_redundancy),
    ("credentials_refreshed", credentials_refreshed),
    ("same_channel_in_two_apps", same_channel_in_two_apps),
    ("record_corrected", record_corrected),
    ("late_files", late_files),
    ("mirrored_call", mirrored_call),
    ("retried_in_place", retried_in_place),
    ("retried_long_after", retried_long_after),
    ("unmonitored_bucket", unmonitored_bucket),
];

/// A second start to another vendor, long after the first session ended: a restart (P08).
fn restart_elsewhere(story: &mut Story) {
    let (app, storages) = story.app_with_two_storages();
    let channel = story.channel(app);
    let mut sids = Vec::new();
    let mut at = story.starts_at;
    for storage in storages {
        let sid = story.sid();
        let (_, ended_at) = complete(story, &channel, storage, at, &sid);
        sids.push(sid);
        at = ended_at + 4 * MINUTE;
    }
    story.looks_like_a_fault("restart_elsewhere", &channel, &[&sids[0], &sids[1]]);
}

/// Two recorders with the same storage, the second placed away from the first by `excludeResourceIds` (P05).
fn asked_for_redundancy(story: &mut Story) {
    let channel = story.channel_in_turn();
    let twin = Channel {
        uid: channel.uid + 100_000,
        ..channel.clone()
    };
    let storage = channel.app.home;
    let sids = [story.sid(), story.sid()];
    let (first, from) = accepted(story, &channel, storage, story.starts_at, &sids[0]);
    let second = api_calls::acquire(story, &twin, from + 200 * MILLI, &[&first.resource_id]);
    let start = Start::new(
        story,
        storage,
        second.at + 200 * MILLI,
        Answer::Started(&sids[1]),
    );
    api_calls::start(story, &twin, &second, &start);
    let until = from + duration(story);
    let sessions = [
        (&channel, &first, &sids[0], from),
        (&twin, &second, &sids[1], start.answered_at()),
    ];
    for (channel, ticket, sid, from) in sessions {
        let session = Session {
            channel,
            ticket,
            sid,
            storage,
            from,
            until,
            files: Files::Arrive,
        };
        let ended = run(story, &session);
        session::believe(story, &session, storage, &ended);
    }
    story.looks_like_a_fault("asked_for_redundancy", &channel, &[&sids[0], &sids[1]]);
}

/// An update with the same place and fresh credentials: what it is meant for (P10).
fn credentials_refreshed(story: &mut Story) {
    let channel = story.channel_in_turn();
    let storage = channel.app.home;
    let sid = story.sid();
    let (ticket, from) = accepted(story, &channel, storage, story.starts_at, &sid);
    let session = Session {
        channel: &channel,
        ticket: &ticket,
        sid: &sid,
        storage,
        from,
        until: from + 75 * MINUTE,
        files: Files::Arrive,
    };
    api_calls::update_storage(story, &channel, &ticket, &sid, storage, from + 60 * MINUTE);
    let ended = run(story, &session);
    session::believe(story, &session, storage, &ended);
    story.looks_like_a_fault("credentials_refreshed", &channel, &[&sid]);
}

/// The same channel name in two apps, recorded at the same time to two vendors: two channels.
fn same_channel_in_two_apps(story: &mut Story) {
    let first = story.channel_in_turn();
    let other = (APPS.iter()).find(|app| app.home.slug != first.app.home.slug);
    let second = Channel {
        app: other.expect("the fleet has more than one vendor"),
        ..first.clone()
    };
    let storages = [first.app.home, second.app.home];
    let sids = two_sessions(story, [&first, &second], storages, storages);
    story.looks_like_a_fault("same_channel_in_two_apps", &first, &[&sids[0]]);
    story.looks_like_a_fault("same_channel_in_two_apps", &second, &[&sids[1]]);
}

/// The row named the wrong vendor while the session ran, and was put right when it ended.
fn record_corrected(story: &mut Story) {
    let (app, [wrong, right]) = story.app_with_two_storages();
    let channel = story.channel(app);
    let sid = story.sid();
    let (ticket, from) = accepted(story, &channel, right, story.starts_at, &sid);
    let session = Session::ordinary(story, &channel, &ticket, &sid, right, from);
    let ended = run(story, &session);
    let prefix = prefix(story, &channel).join("/");
    let mut row = Row::new(story, &ticket.resource_id, wrong, &prefix);
    row.recording(&sid);
    session_records::write(story, &channel, &row, Change::Insert, from + 60 * MILLI);
    row.moved(right);
    finish(story, &session, &mut row, &ended);
    story.looks_like_a_fault("record_corrected", &channel, &[&sid]);
}

/// Files that come a quarter of an hour after they were announced.
fn late_files(story: &mut Story) {
    let channel = story.channel_in_turn();
    let storage = channel.app.home;
    let sid = single(story, &channel, storage, storage, Files::Late(15 * MINUTE));
    story.looks_like_a_fault("late_files", &channel, &[&sid]);
}

/// The same call sent to another host as well, as fail-over clients do: one attempt.
fn mirrored_call(story: &mut Story) {
    let channel = story.channel_in_turn();
    let storage = channel.app.home;
    let sid = story.sid();
    let ticket = api_calls::acquire(story, &channel, story.starts_at, &[]);
    let mut start = Start::new(
        story,
        storage,
        ticket.at + 200 * MILLI,
        Answer::Started(&sid),
    );
    start.host = HOSTS[0];
    start.takes = 2 * SECOND;
    api_calls::start(story, &channel, &ticket, &start);
    api_calls::mirror_last(story, &channel, &ticket, start.at + 1_100 * MILLI);
    let from = start.answered_at();
    let session = Session::ordinary(story, &channel, &ticket, &sid, storage, from);
    let ended = run(story, &session);
    session::believe(story, &session, storage, &ended);
    story.looks_like_a_fault("mirrored_call", &channel, &[&sid]);
}

/// A failed start, then an accepted one to the same place: a retry, no switch.
fn retried_in_place(story: &mut Story) {
    let channel = story.channel_in_turn();
    let storage = channel.app.home;
    let sid = story.sid();
    let ticket = api_calls::acquire(story, &channel, story.starts_at, &[]);
    let answer = if story.chance(50) {
        Answer::NoWorker
    } else {
        Answer::Unknown
    };
    let failed = Start::new(story, storage, ticket.at + 200 * MILLI, answer);
    api_calls::start(story, &channel, &ticket, &failed);
    complete(
        story,
        &channel,
        storage,
        failed.answered_at() + 3 * SECOND,
        &sid,
    );
    story.looks_like_a_fault("retried_in_place", &channel, &[&sid]);
}

/// A failed start to one vendor, and hours later a lesson of the same name to another: no fallback.
fn retried_long_after(story: &mut Story) {
    let (app, [first, second]) = story.app_with_two_storages();
    let channel = story.channel(app);
    let sid = story.sid();
    let ticket = api_calls::acquire(story, &channel, story.starts_at, &[]);
    let failed = Start::new(
        story,
        first,
        ticket.at + 200 * MILLI,
        Answer::InvalidParameter,
    );
    api_calls::start(story, &channel, &ticket, &failed);
    complete(story, &channel, second, story.starts_at + 5 * HOUR, &sid);
    story.looks_like_a_fault("retried_long_after", &channel, &[&sid]);
}

/// Announced as uploaded to a bucket that nobody watches: no verdict is possible.
fn unmonitored_bucket(story: &mut Story) {
    let channel = story.channel_in_turn();
    let sid = single(story, &channel, &UNMONITORED, &UNMONITORED, Files::Arrive);
    story.looks_like_a_fault("unmonitored_bucket", &channel, &[&sid]);
    story.cannot_be_judged("missing_upload", "unmonitored_bucket", &channel, &sid);
}
