//! A case -> sections of a page, the answer first. Pure: rows in, texts and grids out.

use serde_json::Value;

use super::case::{Case, Row, field};

/// A headed part of the page.
pub(super) struct Section {
    pub title: &'static str,
    pub blocks: Vec<Block>,
}

/// What a section is made of.
pub(super) enum Block {
    /// A paragraph.
    Text(String),
    /// Cells in columns; the first row heads them.
    Grid(Vec<Vec<String>>),
}

/// Starts that stand side by side; more go below.
const STARTS_ABREAST: usize = 3;

/// Evidence beyond this many findings is in `--format json`.
const FINDINGS_SHOWN: usize = 5;

/// Marks a line of the starts whose values differ where they must not.
const DIFFERS: &str = "<>";

/// What a cell without a value shows.
const NONE: &str = "-";

pub(super) fn sections(case: &Case) -> Vec<Section> {
    let mut sections = vec![
        section("Case", about(case)),
        section("Verdict", verdict(case)),
        section("Cause", cause(case)),
        section("Starts side by side", starts(case)),
        section(
            "Where the files are and where they are believed to be",
            places(case),
        ),
        section("Timeline (UTC)", timeline(case)),
        section("Evidence", evidence(case)),
        section("What the streams know", coverage(case)),
        section("Next step", next_step(case)),
    ];
    sections.retain(|section| !section.blocks.is_empty());
    sections
}

fn section(title: &'static str, blocks: Vec<Block>) -> Section {
    Section { title, blocks }
}

fn about(case: &Case) -> Vec<Block> {
    let mut parts = Vec::new();
    if let Some(cname) = &case.cname {
        parts.push(format!("channel {cname}"));
    }
    if let Some(app) = &case.app_id {
        parts.push(format!("app {app}"));
    }
    if let Some(sid) = &case.sid {
        parts.push(format!("session {sid}"));
    }
    vec![Block::Text(parts.join(", "))]
}

fn verdict(case: &Case) -> Vec<Block> {
    let is_asked = |row: &&Row| case.sid.is_none() || field(row, "sid") == case.sid.as_deref();
    let mut verdicts: Vec<Block> = case
        .sessions
        .iter()
        .filter(is_asked)
        .filter_map(|row| field(row, "verdict"))
        .map(|verdict| Block::Text(verdict.to_string()))
        .collect();
    if verdicts.is_empty() {
        verdicts.push(Block::Text(match case.starts.len() {
            0 => "No start and no session of it is in the lake around this time.".to_string(),
            1 => "The only start was not accepted: there is no session, and nothing was recorded by it.".to_string(),
            count => format!("None of {count} starts was accepted: there is no session."),
        }));
    }
    verdicts
}

fn cause(case: &Case) -> Vec<Block> {
    if case.findings.is_empty() {
        let mut blocks = vec![Block::Text("No detection finds a fault here.".to_string())];
        blocks.extend(not_judged(case));
        return blocks;
    }
    let mut blocks: Vec<Block> = case
        .findings
        .iter()
        .take(FINDINGS_SHOWN)
        .map(|finding| {
            let of = |name| field(finding, name).unwrap_or(NONE);
            let variant =
                field(finding, "variant").map_or(String::new(), |variant| format!("/{variant}"));
            Block::Text(format!(
                "[{}] {}{variant}, cause {}: {}",
                of("severity"),
                of("detection"),
                of("root_cause"),
                of("explanation")
            ))
        })
        .collect();
    if case.findings.len() > FINDINGS_SHOWN {
        let more = case.findings.len() - FINDINGS_SHOWN;
        blocks.push(Block::Text(format!(
            "... and {more} more; --format json has all"
        )));
    }
    blocks.extend(not_judged(case));
    blocks
}

fn not_judged(case: &Case) -> impl Iterator<Item = Block> {
    case.not_judged.iter().map(|row| {
        let of = |name| field(row, name).unwrap_or(NONE);
        Block::Text(format!(
            "not judged by {}: session {}: {}",
            of("detection"),
            of("sid"),
            of("why")
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
    case.starts
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
                let cells: Vec<String> = starts.iter().map(|start| cell(start, column)).collect();
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
                let mark = if differs { DIFFERS } else { "" };
                let mut line = vec![label.to_string(), mark.to_string()];
                line.extend(cells);
                grid.push(line);
            }
            Block::Grid(grid)
        })
        .collect()
}

fn places(case: &Case) -> Vec<Block> {
    case.sessions
        .iter()
        .map(|session| {
            let line = |label: &str, column: &str| vec![label.to_string(), cell(session, column)];
            Block::Grid(vec![
                vec!["session".to_string(), cell(session, "sid")],
                line("the accepted start asked for", "asked_for"),
                line("the customer's record says", "believed"),
                line("the files are in", "files_at"),
                line("the service said of the upload", "upload"),
                vec![
                    "ended".to_string(),
                    match field(session, "ended_by") {
                        Some(by) => format!("{} ({by})", moment(session, "ended_at")),
                        None => NONE.to_string(),
                    },
                ],
            ])
        })
        .collect()
}

fn timeline(case: &Case) -> Vec<Block> {
    if case.timeline.is_empty() {
        return Vec::new();
    }
    let head = ["at", "stream", "what", "detail", "session"].map(str::to_string);
    let mut grid = vec![head.to_vec()];
    grid.extend(case.timeline.iter().map(|row| {
        vec![
            moment(row, "at"),
            cell(row, "stream"),
            cell(row, "what"),
            cell(row, "detail"),
            field(row, "sid").map_or(NONE.to_string(), |sid| sid.chars().take(8).collect()),
        ]
    }));
    vec![Block::Grid(grid)]
}

fn evidence(case: &Case) -> Vec<Block> {
    case.findings
        .iter()
        .take(FINDINGS_SHOWN)
        .map(|finding| {
            let ids: Vec<&str> = finding
                .get("evidence")
                .and_then(Value::as_array)
                .map(|ids| ids.iter().filter_map(Value::as_str).collect())
                .unwrap_or_default();
            let of = |name| field(finding, name).unwrap_or(NONE);
            Block::Text(format!(
                "{} (finding {}): {}",
                of("detection"),
                of("finding_id"),
                ids.join(", ")
            ))
        })
        .collect()
}

fn coverage(case: &Case) -> Vec<Block> {
    case.coverage
        .iter()
        .filter_map(|row| field(row, "says"))
        .map(|says| Block::Text(says.to_string()))
        .collect()
}

fn next_step(case: &Case) -> Vec<Block> {
    let mut steps = case.responses.clone();
    if steps.is_empty() {
        let step = match case.not_judged.is_empty() {
            true => "None: what is known fits together.",
            false => {
                "Wait until the streams have passed the deadlines above, or have the buckets named there send their events."
            }
        };
        steps.push(step.to_string());
    }
    steps.into_iter().map(Block::Text).collect()
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

fn cell(row: &Row, name: &str) -> String {
    match row.get(name) {
        None | Some(Value::Null) => NONE.to_string(),
        Some(Value::String(text)) if text.is_empty() => NONE.to_string(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
