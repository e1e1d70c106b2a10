//! A case -> sections of a page, the answer first. Pure: rows in, texts and grids out.

use std::collections::BTreeSet;

use serde_json::Value;

use super::answer;
use super::case::{self, Case, Row, field};

/// A headed part of the page.
pub(super) struct Section {
    pub title: String,
    pub blocks: Vec<Block>,
}

/// What a section is made of.
pub(super) enum Block {
    /// A paragraph.
    Text(String),
    /// Paragraphs that are counted from 1.
    Items(Vec<String>),
    /// Cells in columns; the first row heads them.
    Grid(Vec<Vec<String>>),
}

/// Starts that stand side by side; more go below.
const STARTS_ABREAST: usize = 3;

/// Evidence beyond this many findings is in `--format json`.
const FINDINGS_SHOWN: usize = 5;

/// Marks a line whose values differ where they must not.
const DIFFERS: &str = "<>";

/// Marks an event that a finding rests on.
const EVIDENCE: &str = "*";

/// A ticket is shown as far as one tells it from another; `--format json` has all of it.
const TICKET_SHOWN: usize = 20;

/// What a cell without a value shows.
const NONE: &str = "-";

pub(super) fn sections(case: &Case) -> Vec<Section> {
    let texts = |texts: Vec<String>| texts.into_iter().map(Block::Text).collect();
    let mut sections = vec![
        section("Case", about(case)),
        section("Verdict", texts(answer::verdict(case))),
        section("Cause", cause(case)),
        section("Starts side by side (UTC)", starts(case)),
        section(
            "Where the files are and where they are believed to be",
            places(case),
        ),
        section("Next step", vec![Block::Items(answer::next_steps(case))]),
        timeline(case),
        section("Evidence", evidence(case)),
        section("What the streams know", coverage(case)),
        section("Read from", read_from(case)),
    ];
    sections.retain(|section| !section.blocks.is_empty());
    sections
}

fn section(title: impl Into<String>, blocks: Vec<Block>) -> Section {
    Section {
        title: title.into(),
        blocks,
    }
}

fn about(case: &Case) -> Vec<Block> {
    let subject = &case.subject;
    let mut parts = Vec::new();
    if let Some(cname) = &subject.cname {
        parts.push(format!("channel {cname}"));
    }
    if let Some(app) = &subject.app_id {
        parts.push(format!("app {app}"));
    }
    if let Some(sid) = &subject.sid {
        parts.push(format!("session {sid}"));
    }
    parts.push(format!("around {}", answer::spoken(subject.at)));
    let mut blocks = vec![Block::Text(parts.join(", "))];
    let elsewhere = subject.sids.len().saturating_sub(case.sessions.len());
    if elsewhere > 0 {
        let lie = if elsewhere == 1 {
            "session of this channel lies"
        } else {
            "sessions of this channel lie"
        };
        let as_of = answer::as_of(case);
        blocks.push(Block::Text(format!(
            "{elsewhere} more {lie} over an hour away: --cname NAME --at TIME{as_of} shows what happened then."
        )));
    }
    blocks
}

fn cause(case: &Case) -> Vec<Block> {
    let mut blocks = Vec::new();
    if case.findings.is_empty() {
        blocks.push(Block::Text("No detection finds a fault here.".to_string()));
    } else {
        let findings = case.findings.iter().take(FINDINGS_SHOWN);
        blocks.push(Block::Items(findings.map(told).collect()));
    }
    if case.findings.len() > FINDINGS_SHOWN {
        let more = case.findings.len() - FINDINGS_SHOWN;
        blocks.push(Block::Text(format!(
            "... and {more} more; --format json has all"
        )));
    }
    blocks.extend(not_judged(case));
    blocks
}

fn told(finding: &Row) -> String {
    let of = |name| field(finding, name).unwrap_or(NONE);
    let variant = field(finding, "variant").map_or(String::new(), |variant| format!("/{variant}"));
    format!(
        "{}. {} [{}, severity {}, root cause {}]",
        of("title"),
        of("explanation"),
        of("detection").to_string() + &variant,
        of("severity"),
        of("root_cause"),
    )
}

fn not_judged(case: &Case) -> impl Iterator<Item = Block> {
    case.not_judged.iter().map(|row| {
        let of = |name| field(row, name).unwrap_or(NONE);
        let session = field(row, "sid").map_or(String::new(), |sid| format!("session {sid}: "));
        Block::Text(format!(
            "Not judged by {}: {session}{}.",
            of("detection"),
            of("why").trim_end_matches('.')
        ))
    })
}

/// Lines of the grid of starts: what it says, and whether a difference decides where files go.
const START_LINES: [(&str, &str, bool); 12] = [
    ("answer", "answer", false),
    ("outcome", "outcome", false),
    ("session", "sid", false),
    ("uid", "uid", false),
    ("ticket", "ticket", false),
    ("vendor", "vendor", true),
    ("region", "region", true),
    ("bucket", "bucket", true),
    ("endpoint", "endpoint", true),
    ("path", "path", true),
    ("access key", "access_key", false),
    ("caller", "caller", false),
];

fn starts(case: &Case) -> Vec<Block> {
    let mut any_differs = false;
    let mut blocks: Vec<Block> = case
        .starts
        .chunks(STARTS_ABREAST)
        .enumerate()
        .map(|(chunk, starts)| {
            let mut head = vec![String::new(), String::new()];
            let mut sent = vec!["sent".to_string(), String::new()];
            for (index, start) in starts.iter().enumerate() {
                let number = chunk * STARTS_ABREAST + index + 1;
                head.push(format!("start {number}"));
                let gap = start.get("gap_ms").and_then(Value::as_i64).unwrap_or(0);
                let at = moment(start, "requested_at");
                sent.push(match gap {
                    0 => at,
                    gap => format!("{at} (+{gap} ms)"),
                });
            }
            let mut grid = vec![head, sent];
            for (label, column, decides) in START_LINES {
                let shown = |start: &Row| match column {
                    "ticket" => shortened(&cell(start, column), TICKET_SHOWN),
                    _ => cell(start, column),
                };
                let cells: Vec<String> = starts.iter().map(shown).collect();
                if cells.iter().all(|cell| cell == NONE) {
                    continue;
                }
                // Against all starts of the case, so that a start that stands alone below is marked, too.
                let first = case.starts.first().map(|start| cell(start, column));
                let differs = decides
                    && case
                        .starts
                        .iter()
                        .any(|start| Some(cell(start, column)) != first);
                any_differs |= differs;
                let mark = if differs { DIFFERS } else { "" };
                let mut line = vec![label.to_string(), mark.to_string()];
                line.extend(cells);
                grid.push(line);
            }
            Block::Grid(grid)
        })
        .collect();
    if any_differs {
        blocks.push(Block::Text(format!(
            "What differs and decides where files go is marked {DIFFERS}."
        )));
    }
    blocks
}

fn places(case: &Case) -> Vec<Block> {
    case.sessions
        .iter()
        .map(|session| {
            let is_wrong = field(session, "state").is_some_and(|state| state.starts_with("wrong_"));
            let line = |label: &str, column: &str| {
                let differs = is_wrong && ["believed", "files_at"].contains(&column);
                let mark = if differs { DIFFERS } else { "" };
                vec![label.to_string(), mark.to_string(), cell(session, column)]
            };
            let ended = match field(session, "ended_by") {
                Some(by) => format!("{} ({by})", moment(session, "ended_at")),
                None => NONE.to_string(),
            };
            let mut grid = vec![
                line("session", "sid"),
                line("the accepted start asked for", "asked_for"),
                line("the customer's record says", "believed"),
                line("the files are in", "files_at"),
                line("the service said of the upload", "upload"),
            ];
            // Witnesses that few cases have.
            for (label, column) in [
                ("its upload status names", "told_at"),
                ("looks into the buckets found", "looked_into"),
            ] {
                let says = field(session, column).filter(|text| !text.is_empty());
                grid.extend(says.map(|_| line(label, column)));
            }
            grid.push(vec!["ended".to_string(), String::new(), ended]);
            Block::Grid(grid)
        })
        .collect()
}

/// One line an event; days and sessions are columns only where there are several.
fn timeline(case: &Case) -> Section {
    let days: BTreeSet<String> = (case.timeline.iter())
        .map(|row| day_and_time(row).0)
        .collect();
    let sids: BTreeSet<&str> = (case.timeline.iter())
        .filter_map(|row| field(row, "sid"))
        .collect();
    let title = match days.first() {
        Some(day) if days.len() == 1 => format!("Timeline ({day}, UTC)"),
        _ => "Timeline (UTC)".to_string(),
    };
    let line = |[at, mark, session, stream, what]: [String; 5]| match sids.len() > 1 {
        true => vec![at, mark, session, stream, what],
        false => vec![at, mark, stream, what],
    };
    let head = ["at", "", "session", "stream", "what"].map(str::to_string);
    let mut grid = vec![line(head)];
    grid.extend(case.timeline.iter().map(|row| {
        let is_evidence = row.get("is_evidence") == Some(&Value::Bool(true));
        let what = [field(row, "what"), field(row, "detail")];
        let what: Vec<&str> = (what.into_iter().flatten())
            .filter(|text| !text.is_empty())
            .collect();
        line([
            match days.len() {
                1 => day_and_time(row).1,
                _ => moment(row, "at"),
            },
            if is_evidence { EVIDENCE } else { "" }.to_string(),
            field(row, "sid").map_or(NONE.to_string(), |sid| sid.chars().take(8).collect()),
            cell(row, "stream"),
            what.join(": "),
        ])
    }));
    let mut blocks = Vec::new();
    if grid.len() > 1 {
        blocks.push(Block::Grid(grid));
    }
    if !case.findings.is_empty() && !blocks.is_empty() {
        blocks.push(Block::Text(format!("Evidence is marked {EVIDENCE}.")));
    }
    section(title, blocks)
}

/// The events that findings rest on, and which finding each proves.
fn evidence(case: &Case) -> Vec<Block> {
    let findings: Vec<&Row> = case.findings.iter().take(FINDINGS_SHOWN).collect();
    let proves = |id: &str| -> String {
        let numbers = findings.iter().enumerate();
        let numbers: Vec<String> = numbers
            .filter(|(_, finding)| case::evidence(finding).any(|proof| proof == id))
            .map(|(index, _)| (index + 1).to_string())
            .collect();
        numbers.join(", ")
    };
    let mut ids: Vec<&str> = Vec::new();
    for id in findings.iter().flat_map(|finding| case::evidence(finding)) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    if ids.is_empty() {
        return Vec::new();
    }
    let head = ["cause", "at", "what", "event id"].map(str::to_string);
    let mut grid = vec![head.to_vec()];
    grid.extend(ids.iter().map(|id| {
        let event = (case.timeline.iter()).find(|event| field(event, "event_id") == Some(id));
        let of = |name| event.map_or(NONE.to_string(), |event| cell(event, name));
        vec![
            proves(id),
            event.map_or(NONE.to_string(), |event| moment(event, "at")),
            of("what"),
            id.to_string(),
        ]
    }));
    let names: Vec<String> = (findings.iter().enumerate())
        .map(|(index, finding)| format!("{} is finding {}", index + 1, cell(finding, "finding_id")))
        .collect();
    vec![
        Block::Grid(grid),
        Block::Text(format!("Cause {}.", names.join(", "))),
    ]
}

fn coverage(case: &Case) -> Vec<Block> {
    case.coverage
        .iter()
        .filter_map(|row| field(row, "says"))
        .map(|says| Block::Text(says.to_string()))
        .collect()
}

/// Cites the state of the lake, so that anybody can ask for the same answer.
fn read_from(case: &Case) -> Vec<Block> {
    vec![Block::Text(format!(
        "--as-of {} gives the same answer again, whatever has come since.",
        case.table_versions
    ))]
}

/// Returns an instant as `2026-11-22 10:00:00.123`.
fn moment(row: &Row, name: &str) -> String {
    match field(row, name) {
        Some(at) => {
            let at = at.trim_end_matches('Z').replacen('T', " ", 1);
            match at.split_once('.') {
                Some((seconds, fraction)) => format!("{seconds}.{:0<3.3}", fraction),
                None => format!("{at}.000"),
            }
        }
        None => NONE.to_string(),
    }
}

fn day_and_time(row: &Row) -> (String, String) {
    let at = moment(row, "at");
    match at.split_once(' ') {
        Some((day, time)) => (day.to_string(), time.to_string()),
        None => (String::new(), at),
    }
}

fn shortened(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_string(),
    }
}

fn cell(row: &Row, name: &str) -> String {
    match row.get(name) {
        None | Some(Value::Null) => NONE.to_string(),
        Some(Value::String(text)) if text.is_empty() => NONE.to_string(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
