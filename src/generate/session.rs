//! A session from its accepted start to its last file, and the customer's row beside it.

use super::api_calls::{self, Answer, Start, Ticket};
use super::bodies::prefix;
use super::session_records::{self, Change, Row};
use super::storage_events::{Change as ObjectChange, Object, announce};
use super::story::{Channel, MILLI, MINUTE, SECOND, Story, digits17};
use super::truth::Planted;
use super::twist::{Clocks, Twist};
use super::webhooks::{self, Lifecycle};
use super::world::{Mode, Storage};
use crate::event::Micros;

/// When a session's files come to its bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Files {
    Arrive,
    /// This much later than announced.
    Late(Micros),
    Never,
}

/// A session that was accepted.
#[derive(Clone, Copy)]
pub(super) struct Session<'a> {
    pub(super) channel: &'a Channel,
    pub(super) ticket: &'a Ticket,
    pub(super) sid: &'a str,
    pub(super) storage: &'static Storage,
    /// When the start was answered.
    pub(super) from: Micros,
    /// When the recorder leaves.
    pub(super) until: Micros,
    pub(super) files: Files,
}

impl<'a> Session<'a> {
    /// A session of an ordinary length, whose files all arrive.
    pub(super) fn ordinary(
        story: &mut Story,
        channel: &'a Channel,
        ticket: &'a Ticket,
        sid: &'a str,
        storage: &'static Storage,
        from: Micros,
    ) -> Session<'a> {
        Session {
            channel,
            ticket,
            sid,
            storage,
            from,
            until: from + duration(story),
            files: Files::Arrive,
        }
    }
}

/// What is known when a session has ended.
pub(super) struct Ended {
    pub(super) uploaded_at: Micros,
    /// Full key of the (first) index file.
    pub(super) index_key: String,
}

/// A recording as nearly all are. On a bad day one of its callbacks gets lost on the way.
pub(super) fn ordinary(story: &mut Story) {
    let channel = story.channel(story.app());
    let storage = channel.app.home;
    story.twist.clocks = Clocks::Apart;
    story.twist.loses_one = story.is_settled && story.noise_falls(10);
    let sid = single(story, &channel, storage, storage, Files::Arrive);
    if story.twist.loses_one {
        let case = "callback_lost";
        let planted = Planted::new(case, &channel, &[&sid], storage, storage, "unknown");
        planted.expect(story, "webhook_hygiene", Some("gap"));
    }
}

/// One start, accepted to `storage`; the customer's row says `believed`. Returns the session id.
pub(super) fn single(
    story: &mut Story,
    channel: &Channel,
    storage: &'static Storage,
    believed: &'static Storage,
    files: Files,
) -> String {
    let sid = story.sid();
    let (ticket, from) = accepted(story, channel, storage, story.starts_at, &sid);
    let session = Session {
        channel,
        ticket: &ticket,
        sid: &sid,
        storage,
        from,
        until: from + duration(story),
        files,
    };
    let ended = run(story, &session);
    believe(story, &session, believed, &ended);
    sid
}

/// A session that was told, with what came of it.
pub(super) struct Told {
    pub(super) sid: String,
    pub(super) ticket: Ticket,
    pub(super) from: Micros,
    pub(super) until: Micros,
    pub(super) index_key: String,
}

/// One start at `at`, accepted to the app's home; the session lasts so long. Once its times are known, `set` says what is
/// unusual about it. What its start is to ask for must be in the story's twist before.
pub(super) fn unusual(
    story: &mut Story,
    channel: &Channel,
    (at, lasts): (Micros, Micros),
    files: Files,
    set: impl FnOnce(&mut Twist, Micros, Micros),
) -> Told {
    let sid = story.sid();
    let storage = channel.app.home;
    let (ticket, from) = accepted(story, channel, storage, at, &sid);
    let until = from + lasts;
    set(&mut story.twist, from, until);
    let session = Session {
        channel,
        ticket: &ticket,
        sid: &sid,
        storage,
        from,
        until,
        files,
    };
    let ended = run(story, &session);
    believe(story, &session, storage, &ended);
    Told {
        sid,
        ticket,
        from,
        until,
        index_key: ended.index_key,
    }
}

/// An accepted session with a row that is right; returns when it was answered and when all was over.
pub(super) fn complete(
    story: &mut Story,
    channel: &Channel,
    storage: &'static Storage,
    at: Micros,
    sid: &str,
) -> (Micros, Micros) {
    let (ticket, from) = accepted(story, channel, storage, at, sid);
    let session = Session::ordinary(story, channel, &ticket, sid, storage, from);
    let ended = run(story, &session);
    believe(story, &session, storage, &ended);
    (from, ended.uploaded_at + 5 * SECOND)
}

/// Acquires and starts; returns the ticket and when the start was answered.
pub(super) fn accepted(
    story: &mut Story,
    channel: &Channel,
    storage: &Storage,
    at: Micros,
    sid: &str,
) -> (Ticket, Micros) {
    let ticket = api_calls::acquire(story, channel, at, &[]);
    let pause = story.span(30 * MILLI, 900 * MILLI) + story.twist.ticket_kept;
    let start = Start::new(story, storage, ticket.at + pause, Answer::Started(sid));
    api_calls::start(story, channel, &ticket, &start);
    (ticket, start.answered_at())
}

pub(super) fn duration(story: &mut Story) -> Micros {
    story.span(3 * MINUTE, 45 * MINUTE)
}

/// Tells a session's queries, stop, callbacks and files.
pub(super) fn run(story: &mut Story, session: &Session<'_>) -> Ended {
    run_with_files(story, session, session.storage)
}

/// The same with the files at another place than the session was sent to.
pub(super) fn run_with_files(
    story: &mut Story,
    session: &Session<'_>,
    storage: &'static Storage,
) -> Ended {
    let soon = session.until + story.span(20 * SECOND, 150 * SECOND);
    let uploaded_at = soon + story.twist.upload_takes;
    let there = Session {
        storage,
        ..*session
    };
    let index_key = upload(story, &there, uploaded_at);
    // Callbacks and responses name files with their prefix, but for web pages.
    let index = match session.channel.app.mode {
        Mode::Web => index_key.rsplit('/').next().unwrap_or(&index_key),
        _ => &index_key,
    };
    let &Session {
        channel,
        ticket,
        sid,
        from,
        until,
        ..
    } = session;
    let first = [6 * SECOND, 95 * SECOND];
    // Two minutes apart from then on, unless told briefly (API facts, section 7).
    let more = (2..Micros::from(story.slices_max) / 8).map(|number| number * 2 * MINUTE);
    for after in first.into_iter().chain(more) {
        if after < until - from {
            api_calls::query(story, channel, ticket, sid, index, from + after);
        }
    }
    api_calls::stop(story, channel, ticket, sid, index, until - 800 * MILLI);
    webhooks::tell(
        story,
        &Lifecycle {
            channel,
            sid,
            index,
            started_at: from,
            stopped_at: until,
            uploaded_at,
        },
    );
    Ended {
        uploaded_at,
        index_key,
    }
}

/// Writes the customer's row at the answer and after the upload, believing in `believed`.
pub(super) fn believe(
    story: &mut Story,
    session: &Session<'_>,
    believed: &'static Storage,
    ended: &Ended,
) {
    let prefix = prefix(story, session.channel).join("/");
    let mut row = Row::new(story, &session.ticket.resource_id, believed, &prefix);
    row.recording(session.sid);
    session_records::write(
        story,
        session.channel,
        &row,
        Change::Insert,
        session.from + 60 * MILLI,
    );
    finish(story, session, &mut row, ended);
}

/// Writes that a row's session is uploaded.
pub(super) fn finish(story: &mut Story, session: &Session<'_>, row: &mut Row, ended: &Ended) {
    row.uploaded(&ended.index_key);
    let at = ended.uploaded_at + 3 * SECOND;
    session_records::write(story, session.channel, row, Change::Update, at);
}

/// Writes the files of a session and announces them; returns the key of the first index.
pub(super) fn upload(story: &mut Story, session: &Session<'_>, uploaded_at: Micros) -> String {
    let folder = folder(story, session.channel);
    let stem = format!("{folder}{}_{}", session.sid, session.channel.cname);
    let backup_stem = format!("{folder}bak0_{}_{}", session.sid, session.channel.cname);
    let mut first_index = None;
    let slices = slice_starts(story, session);
    for track in tracks(session.channel.app.mode) {
        let index = format!("{stem}{}.m3u8", track.index);
        let closing = session.until + 5 * SECOND;
        for (number, &slice_from) in slices.iter().enumerate() {
            let stem = match story.twist.fails_over_at {
                Some(at) if slice_from >= at => &backup_stem,
                _ => &stem,
            };
            let name = format!(
                "{stem}{}{}{}.ts",
                track.before_time,
                digits17(slice_from),
                track.after_time
            );
            let written_at = (slice_from + 16 * SECOND).min(closing);
            let size = story.between(180_000, 900_000);
            if story.twist.has_slices {
                write_object(story, session, &name, size, written_at);
            }
            // The index is written anew as slices come, the last time when all is there.
            let index_at = if number + 1 == slices.len() {
                uploaded_at
            } else {
                written_at + SECOND
            };
            let index = format!("{stem}{}.m3u8", track.index);
            if story.twist.has_index {
                write_object(story, session, &index, 300 + 80 * number as i64, index_at);
            }
        }
        first_index.get_or_insert(index);
    }
    first_index.expect("every mode records a track")
}

/// How long one slice is (API facts, section 8).
const SLICE: Micros = 15 * SECOND;

/// When the slices of a track begin: one after the other, or some of them, evenly spread, where the settings allow
/// fewer.
fn slice_starts(story: &Story, session: &Session<'_>) -> Vec<Micros> {
    let (first, last) = (session.from + 5 * SECOND, session.until - 12 * SECOND);
    let all = (last - first) / SLICE + 1;
    let told = all.clamp(2, i64::from(story.slices_max.max(2)));
    (0..told)
        .map(|number| first + (last - first) * number / (told - 1))
        .map(|at| at / MILLI * MILLI)
        .collect()
}

fn write_object(story: &mut Story, session: &Session<'_>, key: &str, size: i64, at: Micros) {
    let at = match session.files {
        Files::Arrive => at,
        Files::Late(late) => at + late,
        Files::Never => return,
    };
    if story.twist.writes_end.is_some_and(|end| at >= end) {
        return;
    }
    let object = Object {
        storage: session.storage,
        key,
        size,
        at,
        change: ObjectChange::Written,
    };
    announce(story, &object);
}

/// The path of a channel's files, with its last slash.
pub(super) fn folder(story: &Story, channel: &Channel) -> String {
    let steps = prefix(story, channel);
    steps.iter().map(|step| format!("{step}/")).collect()
}

/// Writes one more file of a session.
pub(super) fn write_file(story: &mut Story, storage: &Storage, key: &str, at: Micros) {
    let object = Object {
        storage,
        key,
        size: 700,
        at,
        change: ObjectChange::Written,
    };
    announce(story, &object);
}

/// Removes a file, as a rule of the bucket or a converter does.
pub(super) fn remove_file(story: &mut Story, storage: &'static Storage, key: &str, at: Micros) {
    let object = Object {
        storage,
        key,
        size: 700,
        at,
        change: ObjectChange::Removed,
    };
    announce(story, &object);
}

/// How a track's files are named between the channel and the extension (API facts, section 8).
struct Track {
    index: &'static str,
    before_time: &'static str,
    after_time: &'static str,
}

fn tracks(mode: Mode) -> &'static [Track] {
    match mode {
        Mode::Mix | Mode::Web => &[Track {
            index: "",
            before_time: "_",
            after_time: "",
        }],
        Mode::Individual => &[
            Track {
                index: "__uid_s_1000__uid_e_audio",
                before_time: "__uid_s_1000__uid_e_audio_",
                after_time: "",
            },
            Track {
                index: "__uid_s_1000__uid_e_video",
                before_time: "__uid_s_1000__uid_e_video_",
                after_time: "",
            },
        ],
        Mode::Raw => &[Track {
            index: "__uid_s_1000__uid_e_h264",
            before_time: "__uid_s_1000__uid_e_",
            after_time: "_h264",
        }],
    }
}
