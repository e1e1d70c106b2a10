//! What the demo says at its end: planted against found, one case in full, what to type next.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use datafusion::common::ScalarValue;

use super::Seen;
use crate::command::generate::score_table;
use crate::command::investigate::{self, Case, Form, Question};
use crate::command::output::{program_name, show_table};
use crate::detection::library::Overrides;
use crate::engine::Engine;
use crate::event::Stream;
use crate::generate::{ExpectedFinding, SECRET_MARK, Scoring, Truth};

/// Lines of missed and extra findings that are shown.
const MISTAKES_MAX: usize = 50;

/// The plots that the shown case is taken from, best first.
const SHOWN: [&str; 2] = ["seed_fallback", "seed_race"];

/// Counts the messages that each stream's table holds.
pub(super) async fn messages(engine: &Engine) -> Result<BTreeMap<String, i64>> {
    let mut messages = BTreeMap::new();
    for stream in Stream::ALL {
        let sql = format!("SELECT count(*) AS messages FROM log_{stream} WHERE record_index = 0");
        messages.insert(stream.to_string(), number(engine, &sql, &[]).await?);
    }
    Ok(messages)
}

/// Counts the rows that hold one of the planted credentials.
pub(super) async fn secrets(engine: &Engine) -> Result<i64> {
    let pattern = ScalarValue::from(format!("%{SECRET_MARK}%"));
    let params = [("pattern".to_string(), pattern)];
    let mut secrets = 0;
    for stream in Stream::ALL {
        let columns = ["payload", "raw", "key", "headers", "detail"];
        let condition = columns
            .map(|column| format!("{column} LIKE $pattern"))
            .join(" OR ");
        let sql = format!("SELECT count(*) AS secrets FROM log_{stream} WHERE {condition}");
        secrets += number(engine, &sql, &params).await?;
    }
    Ok(secrets)
}

async fn number(engine: &Engine, sql: &str, params: &[(String, ScalarValue)]) -> Result<i64> {
    let batches = engine.run(sql, params).await?;
    let values = batches
        .iter()
        .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>());
    Ok(values.flatten().sum())
}

/// Prints how every detection did, and each fault that it missed or invented.
pub(super) fn planted_against_found(truth: &Truth, scoring: &Scoring, seen: &Seen) -> Result<()> {
    let sent: u64 = truth.fleet.messages.values().sum();
    let held: i64 = seen.messages.values().sum();
    println!(
        "\n{} recordings, {sent} messages sent, {held} messages in the lake, {} rows with a planted credential.\n",
        truth.fleet.sessions, seen.secrets
    );
    show_table(&score_table(scoring.totals())?)?;
    println!(
        "\n{} near-misses were planted, too: restarts, asked-for redundancy, rotated keys, mirrored calls, late files ...",
        truth.near_misses.len()
    );
    for mistake in scoring.mistakes.iter().take(MISTAKES_MAX) {
        println!(
            "{}: {} {} {} ({}) {}",
            mistake.detection,
            mistake.kind.as_str(),
            mistake.app_id,
            mistake.cname,
            mistake.case,
            mistake.what
        );
    }
    let judged = |detection: &String| truth.fleet.judged.contains(detection);
    for tally in &seen.findings.tallies {
        if !judged(&tally.detection) && tally.findings > 0 {
            println!(
                "{}: {} findings, not counted above",
                tally.detection, tally.findings
            );
        }
    }
    Ok(())
}

/// Shows the seed case as `investigate` does: a start to OSS failed, the retry went to S3, the customer's row still
/// says OSS.
pub(super) async fn one_case<'t>(
    seen: &Seen,
    truth: &'t Truth,
) -> Result<Option<&'t ExpectedFinding>> {
    let planted = SHOWN
        .iter()
        .find_map(|plot| truth.expected.iter().find(|planted| planted.case == *plot));
    let Some(planted) = planted else {
        return Ok(None);
    };
    println!("\nOne case in full, as `investigate` tells it:\n");
    let question = Question {
        cname: Some(planted.cname.clone()),
        app: Some(planted.app_id.to_string()),
        ..Question::default()
    };
    let case = Case::open(
        &seen.engine,
        &seen.library,
        Overrides::new(),
        &question,
        None,
    )
    .await?;
    investigate::print(&case, Form::Table)?;
    Ok(Some(planted))
}

/// Says what to type next, ready to be copied.
pub(super) fn what_next(lake: &str, case: Option<&ExpectedFinding>, took: Duration) {
    println!(
        "\nAll of it took {:.1} s. The lake is in `{lake}`; go on with:\n",
        took.as_secs_f64()
    );
    let program = program_name();
    println!("  {program} --lake {lake} detect --format json");
    println!("  {program} --lake {lake} detect --only vendor_mismatch --not-judged");
    if let Some(case) = case {
        println!(
            "  {program} --lake {lake} investigate --cname '{}' --app {}",
            case.cname, case.app_id
        );
    }
    println!(
        "  {program} --lake {lake} sql -c \"SELECT vendor_name, outcome, count(*) AS starts FROM starts GROUP BY 1, 2 ORDER BY 3 DESC\""
    );
    println!("  {program} --lake {lake} sql --tables");
}
