//! Rows of the customer that were written too early, or name another bucket or path than the files have (failure
//! pattern P21, and the rule that a row follows the answer).

use crate::generate::Plot;
use crate::generate::api_calls::{self, Answer, Start};
use crate::generate::bodies::prefix;
use crate::generate::session::{Session, accepted, finish, run};
use crate::generate::session_records::{self, Change, Row};
use crate::generate::story::{MILLI, SECOND, Story};
use crate::generate::truth::Planted;
use crate::generate::world::{App, Storage, VendorSpelling};

pub(super) const PLOTS: [Plot; 6] = [
    ("written_too_early", written_too_early),
    ("refused_path_believed", refused_path_believed),
    ("other_bucket_believed", other_bucket_believed),
    ("other_bucket_in_url", other_bucket_in_url),
    ("other_path_believed", other_path_believed),
    ("other_region_believed", other_region_believed),
];

/// The row says that it records as soon as the start is sent, seconds before it is answered.
fn written_too_early(story: &mut Story) {
    let (app, home, _) = story.app_with_columns();
    let channel = story.channel(app);
    let sid = story.sid();
    let ticket = api_calls::acquire(story, &channel, story.starts_at, &[]);
    let mut start = Start::new(story, home, ticket.at + 200 * MILLI, Answer::Started(&sid));
    start.takes = 5 * SECOND;
    api_calls::start(story, &channel, &ticket, &start);
    let prefix = prefix(story, &channel).join("/");
    let mut row = Row::new(story, &ticket.resource_id, home, &prefix);
    row.claimed();
    let claimed_at = start.at + 40 * MILLI;
    session_records::write(story, &channel, &row, Change::Insert, claimed_at);
    row.recording(&sid);
    let from = start.answered_at();
    session_records::write(story, &channel, &row, Change::Update, from + 60 * MILLI);
    let session = Session::ordinary(story, &channel, &ticket, &sid, home, from);
    let ended = run(story, &session);
    finish(story, &session, &mut row, &ended);
    let case = "written_too_early";
    let planted = Planted::new(case, &channel, &[&sid], home, home, "state_mismatch");
    planted.expect(story, "record_before_response", Some("too_early"));
}

/// The row keeps the path of a second start, which was refused.
fn refused_path_believed(story: &mut Story) {
    let (app, home, _) = story.app_with_columns();
    let channel = story.channel(app);
    let sid = story.sid();
    let (ticket, from) = accepted(story, &channel, home, story.starts_at, &sid);
    let path = "elsewhere/kept";
    story.twist.path = Some(path);
    let second = api_calls::acquire(story, &channel, from + SECOND, &[]);
    let refused = Start::new(story, home, second.at + 200 * MILLI, Answer::Conflict);
    api_calls::start(story, &channel, &second, &refused);
    story.twist.path = None;
    let session = Session::ordinary(story, &channel, &ticket, &sid, home, from);
    let ended = run(story, &session);
    let mut row = Row::new(story, &ticket.resource_id, home, path);
    row.recording(&sid);
    let written_at = refused.answered_at() + 3 * SECOND;
    session_records::write(story, &channel, &row, Change::Insert, written_at);
    finish(story, &session, &mut row, &ended);
    let case = "refused_path_believed";
    let planted = Planted::new(case, &channel, &[&sid], home, home, "race");
    let twin = Some("same_identity_rejected");
    planted.expect(story, "conflicting_starts", twin);
    planted.expect(story, "destination_mismatch", Some("prefix"));
    planted.expect(story, "record_before_response", Some("failed_storage"));
}

/// The row keeps the name of a bucket that was given up.
fn other_bucket_believed(story: &mut Story) {
    let (app, home, _) = story.app_with_columns();
    let rename = |row: &mut Row| row.in_bucket("retired-archive");
    misplaced(
        story,
        ("other_bucket_believed", "bucket"),
        (app, home, None),
        rename,
    );
}

/// The row has nothing but a URL, and that leads to another bucket.
fn other_bucket_in_url(story: &mut Story) {
    let (app, home, _) = story.app_with_urls();
    let rename = |row: &mut Row| row.in_bucket("retired-archive");
    misplaced(
        story,
        ("other_bucket_in_url", "bucket"),
        (app, home, None),
        rename,
    );
}

/// The row has another path.
fn other_path_believed(story: &mut Story) {
    let (app, home, _) = story.app_with_columns();
    let path = Some("elsewhere/kept");
    let fault = ("other_path_believed", "prefix");
    misplaced(story, fault, (app, home, path), |_| ());
}

/// The row has the region that the bucket was in before it moved. Not every cloud says in its notices which it is.
fn other_region_believed(story: &mut Story) {
    let (app, home, other) = story.app_with_columns();
    let storage = match home.region_code.contains('-') {
        true => home,
        false => other,
    };
    let (region, number) = match storage.slug {
        "oss" => ("cn-zhangjiakou", "4"),
        "s3" => ("sa-east-1", "12"),
        "cos" => ("ap-chengdu", "4"),
        _ => ("cn-south-1", "4"),
    };
    // Who writes Agora's number of the vendor may write that of the region.
    let by_number = app.spelling == VendorSpelling::Number && story.chance(50);
    let region = if by_number { number } else { region };
    let fault = ("other_region_believed", "region");
    let move_it = |row: &mut Row| row.in_region(region);
    misplaced(story, fault, (app, storage, None), move_it);
}

fn misplaced(
    story: &mut Story,
    (case, variant): (&'static str, &'static str),
    (app, storage, path): (&'static App, &'static Storage, Option<&str>),
    set: impl FnOnce(&mut Row),
) {
    let channel = story.channel(app);
    let sid = story.sid();
    let (ticket, from) = accepted(story, &channel, storage, story.starts_at, &sid);
    let session = Session::ordinary(story, &channel, &ticket, &sid, storage, from);
    let ended = run(story, &session);
    let right = prefix(story, &channel).join("/");
    let mut row = Row::new(story, &ticket.resource_id, storage, path.unwrap_or(&right));
    set(&mut row);
    row.recording(&sid);
    session_records::write(story, &channel, &row, Change::Insert, from + 60 * MILLI);
    finish(story, &session, &mut row, &ended);
    let planted = Planted::new(case, &channel, &[&sid], storage, storage, "state_mismatch");
    planted.expect(story, "destination_mismatch", Some(variant));
}
