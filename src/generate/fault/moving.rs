//! Files that are where neither the start nor the record sent them: an update moved the session, or somebody's job
//! moved the files (failure patterns P10 and P20).

use crate::event::Micros;
use crate::generate::Plot;
use crate::generate::api_calls;
use crate::generate::session::{self, Files, Session, accepted, run, run_with_files, write_file};
use crate::generate::story::{Channel, MINUTE, SECOND, Story};
use crate::generate::truth::Planted;
use crate::generate::world::{APPS, Storage};

pub(super) const PLOTS: [Plot; 7] = [
    ("moved_by_update", moved_by_update),
    ("bucket_moved_by_update", bucket_moved_by_update),
    ("path_moved_by_update", path_moved_by_update),
    ("moved_at_once", moved_at_once),
    ("files_elsewhere", files_elsewhere),
    ("start_unknown", start_unknown),
    ("all_differ", all_differ),
];

/// When credentials are refreshed, and how long such sessions are (API facts, section 2).
const REFRESHED_AFTER: Micros = 60 * MINUTE;
const LASTS: Micros = 75 * MINUTE;

/// A session at home that an update gave this place at this path; its row says home.
fn updated(
    story: &mut Story,
    channel: &Channel,
    storage: &Storage,
    path: Option<&'static str>,
) -> String {
    let home = channel.app.home;
    let sid = story.sid();
    let (ticket, from) = accepted(story, channel, home, story.starts_at, &sid);
    let session = Session {
        channel,
        ticket: &ticket,
        sid: &sid,
        storage: home,
        from,
        until: from + LASTS,
        files: Files::Arrive,
    };
    let moved_at = from + REFRESHED_AFTER;
    story.twist.path = path;
    api_calls::update_storage(story, channel, &ticket, &sid, storage, moved_at);
    story.twist.path = None;
    let ended = run(story, &session);
    if storage != home {
        write_file(story, storage, &ended.index_key, moved_at + 2 * MINUTE);
    }
    session::believe(story, &session, home, &ended);
    sid
}

/// The refresh of credentials brings another place (P10).
fn moved_by_update(story: &mut Story) {
    let (app, home, other) = story.app_in_turn();
    let channel = story.channel(app);
    let sid = updated(story, &channel, other, None);
    let case = "moved_by_update";
    let planted = Planted::new(case, &channel, &[&sid], home, other, "state_mismatch");
    planted.expect(story, "storage_switched_by_update", Some("vendor"));
}

/// The same to another bucket of the same vendor.
fn bucket_moved_by_update(story: &mut Story) {
    let channel = story.channel_in_turn();
    let home = channel.app.home;
    let archive = Storage {
        bucket: "session-archive",
        ..home.clone()
    };
    let sid = updated(story, &channel, &archive, None);
    let case = "bucket_moved_by_update";
    let planted = Planted::new(case, &channel, &[&sid], home, home, "state_mismatch");
    planted.expect(story, "storage_switched_by_update", Some("bucket"));
}

/// The same to another path in the same bucket.
fn path_moved_by_update(story: &mut Story) {
    let channel = story.channel_in_turn();
    let home = channel.app.home;
    let sid = updated(story, &channel, home, Some("moved/there"));
    let case = "path_moved_by_update";
    let planted = Planted::new(case, &channel, &[&sid], home, home, "state_mismatch");
    planted.expect(story, "storage_switched_by_update", Some("path"));
}

/// An accepted session whose files all come to these places, and whose row believes in its own.
fn placed(
    story: &mut Story,
    channel: &Channel,
    [started, believed, there]: [&'static Storage; 3],
    update_after: Option<Micros>,
) -> String {
    let sid = story.sid();
    let (ticket, from) = accepted(story, channel, started, story.starts_at, &sid);
    let session = Session::ordinary(story, channel, &ticket, &sid, started, from);
    if let Some(after) = update_after {
        api_calls::update_storage(story, channel, &ticket, &sid, there, from + after);
    }
    let ended = run_with_files(story, &session, there);
    session::believe(story, &session, believed, &ended);
    sid
}

/// An update right after the start: every file is at the other place, and the row never heard of it (P10, P20).
fn moved_at_once(story: &mut Story) {
    let (app, home, other) = story.app_with_columns();
    let channel = story.channel(app);
    let sid = placed(story, &channel, [home, home, other], Some(2 * SECOND));
    let case = "moved_at_once";
    let planted = Planted::new(case, &channel, &[&sid], home, other, "state_mismatch");
    planted.expect(story, "storage_switched_by_update", Some("vendor"));
    planted.expect(story, "vendor_mismatch", Some("moved_by_update"));
}

/// Start and row agree, and the files are at another vendor: a job moved them, or the bucket forwards (P20).
fn files_elsewhere(story: &mut Story) {
    let (app, home, other) = story.app_with_columns();
    let channel = story.channel(app);
    let sid = placed(story, &channel, [home, home, other], None);
    let case = "files_elsewhere";
    let planted = Planted::new(case, &channel, &[&sid], home, other, "unknown");
    planted.expect(story, "vendor_mismatch", Some("files_elsewhere"));
}

/// The start, the row and the files name three vendors (P20).
fn all_differ(story: &mut Story) {
    let (app, home, other) = story.app_with_columns();
    let channel = story.channel(app);
    let third = (APPS.iter().map(|app| app.home))
        .find(|storage| storage.slug != home.slug && storage.slug != other.slug)
        .expect("the fleet has more than two vendors");
    let sid = placed(story, &channel, [home, third, other], None);
    let case = "all_differ";
    let planted = Planted::new(case, &channel, &[&sid], third, other, "unknown");
    planted.expect(story, "vendor_mismatch", Some("all_differ"));
}

/// The accepted start is not in the log; the row names one vendor, the files are at another (P20).
fn start_unknown(story: &mut Story) {
    let (app, home, other) = story.app_with_columns();
    let channel = story.channel(app);
    let sid = story.sid();
    let ticket = api_calls::Ticket {
        resource_id: story.resource_id(),
        at: story.starts_at,
    };
    let from = story.starts_at + SECOND;
    let session = Session::ordinary(story, &channel, &ticket, &sid, other, from);
    let ended = run(story, &session);
    session::believe(story, &session, home, &ended);
    let case = "start_unknown";
    let planted = Planted::new(case, &channel, &[&sid], home, other, "unknown");
    planted.expect(story, "vendor_mismatch", Some("start_unknown"));
}
