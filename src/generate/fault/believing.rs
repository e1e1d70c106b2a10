//! Rows of the customer that were written too early, or name another bucket or path than the files have (failure
//! pattern P21, and the rule that a row follows the answer).

use crate::generate::Plot;
use crate::generate::api_calls::{self, Answer, Start};
use crate::generate::bodies::prefix;
use crate::generate::session::{Files, Session, accepted, duration, finish, run};
use crate::generate::session_records::{self, Change, Row};
use crate::generate::story::{MILLI, SECOND, Story};
use crate::generate::truth::Planted;

pub(super) const PLOTS: [Plot; 3] = [
    ("written_too_early", written_too_early),
    ("other_bucket_believed", other_bucket_believed),
    ("other_path_believed", other_path_believed),
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
    let session = Session {
        channel: &channel,
        ticket: &ticket,
        sid: &sid,
        storage: home,
        from,
        until: from + duration(story),
        files: Files::Arrive,
    };
    let ended = run(story, &session);
    finish(story, &session, &mut row, &ended);
    let case = "written_too_early";
    let planted = Planted::new(case, &channel, &[&sid], home, home, "state_mismatch");
    planted.expect(story, "record_before_response", Some("too_early"));
}

/// The row keeps the name of a bucket that was given up.
fn other_bucket_believed(story: &mut Story) {
    let rename = |row: &mut Row| row.in_bucket("retired-archive");
    misplaced(story, ("other_bucket_believed", "bucket"), None, rename);
}

/// The row has another path.
fn other_path_believed(story: &mut Story) {
    let path = Some("elsewhere/kept");
    misplaced(story, ("other_path_believed", "prefix"), path, |_| ());
}

fn misplaced(
    story: &mut Story,
    (case, variant): (&'static str, &'static str),
    path: Option<&str>,
    set: impl FnOnce(&mut Row),
) {
    let (app, home, _) = story.app_with_columns();
    let channel = story.channel(app);
    let sid = story.sid();
    let (ticket, from) = accepted(story, &channel, home, story.starts_at, &sid);
    let session = Session {
        channel: &channel,
        ticket: &ticket,
        sid: &sid,
        storage: home,
        from,
        until: from + duration(story),
        files: Files::Arrive,
    };
    let ended = run(story, &session);
    let right = prefix(story, &channel).join("/");
    let mut row = Row::new(story, &ticket.resource_id, home, path.unwrap_or(&right));
    set(&mut row);
    row.recording(&sid);
    session_records::write(story, &channel, &row, Change::Insert, from + 60 * MILLI);
    finish(story, &session, &mut row, &ended);
    let planted = Planted::new(case, &channel, &[&sid], home, home, "state_mismatch");
    planted.expect(story, "destination_mismatch", Some(variant));
}
