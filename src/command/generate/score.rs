//! What the detections find in a lake, against what was planted in it.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, UInt64Array};

use crate::command::output::{EngineArgs, OutputArgs, counted, program_name, quoted};
use crate::command::{Context, Outcome};
use crate::detection::library::Library;
use crate::detection::run::{self as detections, RunOptions};
use crate::engine::Engine;
use crate::generate::{Found, Mistake, Score, Scoring, Truth};
use crate::source::file;

/// Mistakes that are told below the scores; `--mistakes` prints all.
const TOLD_MAX: usize = 20;

pub(super) async fn run(
    truth: &Path,
    prints_mistakes: bool,
    output: &OutputArgs,
    engine: &EngineArgs,
    context: &Context,
) -> Result<Outcome> {
    let truth = read(truth)?;
    let only = judged(&truth, &engine.library()?)?;
    let kept = |library: &Library| library.kept_views(&only);
    let (engine, library) = engine.open_keeping(context, None, kept).await?;
    let mut versions = engine.table_versions().split(',');
    ensure!(
        versions.any(|version| !version.ends_with("=none")),
        "the lake `{}` is empty: there is nothing to compare with the truth\nhint: `generate` prints how to import the fleet; --lake names another lake",
        context.lake
    );
    let engine = Arc::new(engine);
    let options = RunOptions {
        overrides: library.overrides(&context.config.detect.params, &[])?,
        only,
        ..RunOptions::default()
    };
    let findings = detections::run(&engine, &library, &options).await?;
    let names: Vec<&str> = (findings.tallies.iter())
        .map(|tally| tally.detection.as_str())
        .collect();
    let scoring = truth.score(
        &Found::from_rows(&findings.rows),
        &Found::not_judged_from_rows(&findings.not_judged),
        &names,
    );
    match prints_mistakes {
        true => output.print(&mistake_table(&scoring, &context.lake)?)?,
        false => {
            output.print(&score_table(scoring.scores.iter())?)?;
            tell_mistakes(&scoring, &context.lake);
        }
    }
    tell_sums(&truth, &scoring);
    tell_unchecked(&engine, &scoring).await?;
    Ok(match scoring.is_perfect() {
        true => Outcome::Clean,
        false => Outcome::Found,
    })
}

fn read(path: &Path) -> Result<Truth> {
    let truth = Truth::read(file::open(path)?)
        .with_context(|| format!("`{}` is no truth", path.display()))?;
    let is_empty = truth.expected.is_empty() && truth.near_misses.is_empty();
    ensure!(
        !is_empty,
        "`{}` says nothing of what must be found\nhint: schemas/truth.v1.json has the form",
        path.display()
    );
    Ok(truth)
}

/// Returns the detections to run: those that the truth is complete for, or all, which an empty list means. One that
/// is not there finds nothing.
fn judged(truth: &Truth, library: &Library) -> Result<Vec<String>> {
    let mut judged = truth.fleet.judged.clone();
    if judged.is_empty() {
        return Ok(judged);
    }
    let known: Vec<&String> = (library.detections().iter())
        .map(|detection| &detection.name)
        .collect();
    judged.retain(|name| known.contains(&name));
    ensure!(
        !judged.is_empty(),
        "the truth judges only detections that are not there\nhint: `detect --list` names those that are"
    );
    Ok(judged)
}

/// Returns scores as a table.
pub(in crate::command) fn score_table<'s>(
    scores: impl Iterator<Item = &'s Score>,
) -> Result<RecordBatch> {
    let scores: Vec<&Score> = scores.collect();
    let count = |of: fn(&Score) -> usize| -> ArrayRef {
        let counts = scores.iter().map(|score| of(score) as u64);
        Arc::new(UInt64Array::from_iter_values(counts))
    };
    // Never rounded up: what says 1 is all of it.
    let share = |of: fn(&Score) -> f64| -> ArrayRef {
        let shares = scores
            .iter()
            .map(|score| (of(score) * 10_000.0).floor() / 10_000.0);
        Arc::new(Float64Array::from_iter_values(shares))
    };
    let detections = scores.iter().map(|score| score.detection.as_str());
    let variants = scores.iter().map(|score| score.variant.as_deref());
    let mut columns: Vec<(&str, ArrayRef)> = vec![(
        "detection",
        Arc::new(StringArray::from_iter_values(detections)),
    )];
    if scores.iter().any(|score| score.variant.is_some()) {
        columns.push(("variant", Arc::new(variants.collect::<StringArray>())));
    }
    columns.extend([
        ("planted", count(|score| score.planted)),
        ("found", count(|score| score.found)),
        ("right", count(|score| score.right)),
        ("missed", count(|score| score.missed)),
        ("differing", count(|score| score.differing)),
        ("duplicate", count(|score| score.duplicate)),
        ("spurious", count(|score| score.spurious)),
        ("recall", share(Score::recall)),
        ("precision", share(Score::precision)),
    ]);
    Ok(RecordBatch::try_from_iter_with_nullable(
        columns
            .into_iter()
            .map(|(name, values)| (name, values, name == "variant")),
    )?)
}

fn mistake_table(scoring: &Scoring, lake: &str) -> Result<RecordBatch> {
    let texts = |of: &dyn Fn(&Mistake) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(
            scoring.mistakes.iter().map(of),
        ))
    };
    let variants = scoring.mistakes.iter().map(|it| it.variant.as_deref());
    let columns: [(&str, ArrayRef, bool); 9] = [
        ("mistake", texts(&|it| it.kind.as_str().to_string()), false),
        ("detection", texts(&|it| it.detection.clone()), false),
        ("variant", Arc::new(variants.collect::<StringArray>()), true),
        ("case", texts(&|it| it.case.clone()), false),
        ("app_id", texts(&|it| it.app_id.clone()), false),
        ("cname", texts(&|it| it.cname.clone()), false),
        ("sids", texts(&|it| it.sids.join(" ")), false),
        ("what", texts(&|it| it.what.clone()), false),
        ("look", texts(&|it| look(it, lake)), false),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

/// Says on stderr what is wrong, and how to look at it.
fn tell_mistakes(scoring: &Scoring, lake: &str) {
    for mistake in scoring.mistakes.iter().take(TOLD_MAX) {
        let variant = mistake
            .variant
            .as_deref()
            .map_or(String::new(), |variant| format!("/{variant}"));
        let case = match mistake.case.is_empty() {
            true => String::new(),
            false => format!(" ({})", mistake.case),
        };
        let place = [("channel", &mistake.cname), ("app", &mistake.app_id)]
            .into_iter()
            .filter(|(_, name)| !name.is_empty())
            .map(|(what, name)| format!(", {what} {name}"));
        eprintln!(
            "\n{}: {}{variant}{case}{}",
            mistake.kind.as_str(),
            mistake.detection,
            place.collect::<String>()
        );
        if !mistake.what.is_empty() {
            eprintln!("  {}", mistake.what);
        }
        eprintln!("  {}", look(mistake, lake));
    }
    if scoring.mistakes.len() > TOLD_MAX {
        eprintln!(
            "\nhint: {} more; --mistakes prints all of them",
            scoring.mistakes.len() - TOLD_MAX
        );
    }
}

/// Returns the command that shows the case.
fn look(mistake: &Mistake, lake: &str) -> String {
    let program = program_name();
    let lake = quoted(lake);
    match mistake.sids.first() {
        Some(sid) => format!("{program} --lake {lake} investigate --sid {}", quoted(sid)),
        None => {
            let app = match mistake.app_id.is_empty() {
                true => String::new(),
                false => format!(" --app {}", quoted(&mistake.app_id)),
            };
            format!(
                "{program} --lake {lake} investigate --cname {}{app}",
                quoted(&mistake.cname)
            )
        }
    }
}

fn tell_sums(truth: &Truth, scoring: &Scoring) {
    let sum = |of: fn(&Score) -> usize| scoring.totals().map(of).sum::<usize>();
    let (planted, found, right) = (
        sum(|score| score.planted),
        sum(|score| score.found),
        sum(|score| score.right),
    );
    let share = |whole: usize| match whole {
        0 => 1.0,
        whole => (right as f64 / whole as f64 * 1_000.0).floor() / 1_000.0,
    };
    eprintln!(
        "\nrecall {:.3}, precision {:.3}: {planted} planted, {found} found, {right} right; {} near-misses; {}",
        share(planted),
        share(found),
        truth.near_misses.len(),
        counted(scoring.mistakes.len() as u64, "mistake")
    );
}

/// Says why bad signatures were missed where none was ever checked: what a callback was signed with is not in the lake.
async fn tell_unchecked(engine: &Engine, scoring: &Scoring) -> Result<()> {
    let is_bad_signature = |mistake: &Mistake| mistake.variant.as_deref() == Some("bad_signature");
    if !scoring.mistakes.iter().any(is_bad_signature) {
        return Ok(());
    }
    let checked = "SELECT 1 FROM webhooks WHERE signature IN ('valid', 'invalid') LIMIT 1";
    let checked = engine.run(checked, &[]).await?;
    if checked.iter().all(|rows| rows.num_rows() == 0) {
        eprintln!(
            "hint: no signature was checked; the webhooks have to be imported with the fleet's TAPETRAIL_WEBHOOK_SECRETS, which `generate` prints"
        );
    }
    Ok(())
}
