//! A case -> what is said of it in sentences: the verdict, and what to do next. The same in every form of the answer.

use chrono::{DateTime, SecondsFormat};

use super::case::{CASE_REACH, Case, Row, field};
use crate::event::Micros;

/// Where the files of a session are, as `queries/investigations/sessions.sql` judges it.
const STATES: [(&str, &str); 6] = [
    (
        "wrong_place",
        "with another vendor than the customer's record says",
    ),
    (
        "wrong_bucket",
        "in another bucket than the customer's record says",
    ),
    ("present", "with files that nothing contradicts"),
    ("in_backup", "waiting in the service's backup cloud"),
    ("not_seen", "announced as uploaded without a file seen"),
    ("unknown", "without a trace of an upload"),
];

/// Returns the answer to "where is it?", the shortest sentence first.
pub(super) fn verdict(case: &Case) -> Vec<String> {
    let asked = asked(case);
    let mut says = match asked.as_slice() {
        [] => vec![no_session(case)],
        [session] => sentence(session).into_iter().collect(),
        _ => {
            let mut says = vec![counted(&asked)];
            says.extend(asked.iter().filter_map(|session| {
                let (sid, verdict) = (field(session, "sid")?, sentence(session)?);
                Some(format!("Session {sid}. {verdict}"))
            }));
            says
        }
    };
    let is_well = asked
        .iter()
        .all(|row| field(row, "state") == Some("present"));
    if is_well && let Some(title) = case.findings.first().and_then(|row| field(row, "title")) {
        says.push(format!("Yet a fault was found: {}.", lowered(title)));
    }
    let silent: Vec<&str> = (case.coverage.iter())
        .filter(|row| row.get("events").and_then(|events| events.as_i64()) == Some(0))
        .filter_map(|row| field(row, "stream"))
        .collect();
    if !silent.is_empty() {
        says.push(format!(
            "Nothing of this case came by {}; see what the streams know.",
            listed(&silent)
        ));
    }
    says
}

/// Returns what to do, the most pressing first.
pub(super) fn next_steps(case: &Case) -> Vec<String> {
    let mut steps = case.responses.clone();
    let states: Vec<&str> = (asked(case).iter())
        .filter_map(|row| field(row, "state"))
        .collect();
    let any = |state: &str| states.contains(&state);
    if steps.is_empty() && (any("wrong_place") || any("wrong_bucket")) {
        steps.push("Look where the files are, and correct the customer's record.".to_string());
    }
    if !case.not_judged.is_empty() && case.is_past {
        steps.push(
            "Ask without --as-of: what could not be judged then may be known by now.".to_string(),
        );
    } else if !case.not_judged.is_empty() {
        steps.push("Ask again when the streams have passed the times named above, or have the buckets named there send their events: until then what is not judged stays open.".to_string());
    }
    if steps.is_empty() && any("in_backup") {
        steps.push(
            "Ask again later: the service brings files home from its backup cloud by itself."
                .to_string(),
        );
    }
    if steps.is_empty() && any("not_seen") {
        steps.push("Look into the bucket itself (`tapetrail audit --sid`), and see that it sends its events.".to_string());
    }
    if steps.is_empty() && case.starts.is_empty() && case.sessions.is_empty() {
        steps.extend(far(case).map(|nearest| {
            let as_of = as_of(case);
            format!(
                "Ask about the nearest event: --at {}{as_of}.",
                rfc3339(nearest)
            )
        }));
    }
    if steps.is_empty() && (any("unknown") || states.is_empty()) {
        steps.push("Ask for the calls, callbacks and bucket events of that time: what is in the lake does not tell the whole story.".to_string());
    }
    if steps.is_empty() {
        steps.push("None: what is known fits together.".to_string());
    }
    steps
}

/// Returns the option that keeps a further question at the state of the lake that was asked about; nothing where that
/// is the newest.
pub(super) fn as_of(case: &Case) -> String {
    match case.is_past {
        true => format!(" --as-of {}", case.table_versions),
        false => String::new(),
    }
}

/// Returns an instant as `2026-11-22 10:00:00 UTC`.
pub(super) fn spoken(at: Micros) -> String {
    let at = DateTime::from_timestamp_micros(at).unwrap_or_default();
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn rfc3339(at: Micros) -> String {
    let at = DateTime::from_timestamp_micros(at).unwrap_or_default();
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Returns the channel's nearest event, where it lies outside of the time asked about.
fn far(case: &Case) -> Option<Micros> {
    let nearest = case.subject.nearest_at?;
    (nearest.abs_diff(case.subject.at) > CASE_REACH.unsigned_abs()).then_some(nearest)
}

/// Returns words as `a, b and c`.
fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => word.to_string(),
        [words @ .., last] => format!("{} and {last}", words.join(", ")),
    }
}

fn lowered(sentence: &str) -> String {
    let mut letters = sentence.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

/// The session asked for, else all of the case.
fn asked(case: &Case) -> Vec<&Row> {
    let sid = case.subject.sid.as_deref();
    let sessions = case.sessions.iter();
    sessions
        .filter(|row| sid.is_none() || field(row, "sid") == sid)
        .collect()
}

fn sentence(session: &Row) -> Option<String> {
    field(session, "verdict").map(str::to_string)
}

fn counted(sessions: &[&Row]) -> String {
    let parts: Vec<String> = (STATES.iter())
        .map(|(state, phrase)| {
            let of_state = |row: &&&Row| field(row, "state") == Some(state);
            (sessions.iter().filter(of_state).count(), phrase)
        })
        .filter(|(count, _)| *count > 0)
        .map(|(count, phrase)| format!("{count} {phrase}"))
        .collect();
    format!(
        "{} sessions of one channel: {}.",
        sessions.len(),
        parts.join(", ")
    )
}

fn no_session(case: &Case) -> String {
    match (case.starts.len(), far(case)) {
        (0, Some(nearest)) => {
            format!(
                "No start and no session of it is in the lake within an hour of {}; the nearest event is of {}.",
                spoken(case.subject.at),
                spoken(nearest)
            )
        }
        (0, _) => "No start and no session of it is in the lake around this time.".to_string(),
        (count, _) => format!(
            "No session is known of {count} start{}. {}",
            if count == 1 { "" } else { "s" },
            unaccepted(&case.starts)
        ),
    }
}

/// Says what starts that led to no known session may have left behind.
fn unaccepted(starts: &[Row]) -> &'static str {
    let any = |outcome: &str| {
        starts
            .iter()
            .any(|start| field(start, "outcome") == Some(outcome))
    };
    if any("ok") || any("already_running") || any("conflict") {
        "By the answers one is running all the same: its id is in none of the events here."
    } else if any("indeterminate") {
        "One without a clear answer may have left a session behind: its callbacks would name it."
    } else {
        "None was accepted, so nothing was recorded by them."
    }
}
