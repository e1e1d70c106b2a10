//! The samples in `tests/schemas/<stream>/{valid,invalid}/*.json` prove the published schemas: one test a file.
//!
//! What `check` says of an invalid sample stands beside it as `<name>.expected`. After a change that is meant,
//! `UPDATE_EXPECTED=1 cargo test --test schemas` writes these files anew; read the difference before it is
//! committed.

use std::fmt::Write as _;
use std::path::Path;

use datatest_stable::Result;
use serde_json::Value;
use tapetrail::decode::{DecodeContext, Decoded, decode};
use tapetrail::event::Stream;
use tapetrail::redact::Redactor;
use tapetrail::schema;

fn valid(path: &Path, text: String) -> Result<()> {
    let (stream, message) = sample(path, &text)?;
    let problems = schema::validate(stream, &message);
    if !problems.is_empty() {
        return Err(format!("should fit {stream}, and does not: {problems:#?}").into());
    }
    is_taken(stream, &text)?;
    if schema::guess(&message).is_some_and(|guessed| guessed != stream) {
        return Err(format!("is guessed to be of another stream than {stream}").into());
    }
    Ok(())
}

/// What fits the contract is taken by the consumer: nothing of it becomes a dead letter.
fn is_taken(stream: Stream, text: &str) -> Result<()> {
    let context = DecodeContext::default();
    let mut redacted = String::new();
    Redactor::new(None)
        .json(text.as_bytes(), &mut redacted)
        .map_err(|reject| format!("cannot be redacted: {reject:?}"))?;
    let mut rejected = Vec::new();
    let mut rows = 0;
    let outcome = decode(stream, &redacted, &context, &mut |decoded| {
        rows += 1;
        if let Decoded::Rejected { reject, .. } = decoded {
            rejected.push(reject);
        }
    });
    rejected.extend(outcome.err());
    if !rejected.is_empty() || rows == 0 {
        return Err(format!("fits {stream}, and the consumer refuses it: {rejected:?}").into());
    }
    Ok(())
}

fn invalid(path: &Path, text: String) -> Result<()> {
    let (stream, message) = sample(path, &text)?;
    let problems = schema::validate(stream, &message);
    if problems.is_empty() {
        return Err(format!("should not fit {stream}, and does").into());
    }
    // Any other validator must refuse it too, but for what is inside a text: no schema can look there.
    let is_inside_text = |problem: &schema::Problem| {
        problem.path.contains('#') || problem.problem == "the text is not JSON"
    };
    let is_refused = !schema::fits_published(stream, &message);
    if is_refused == problems.iter().all(is_inside_text) {
        return Err(format!("the published schema and `check` disagree: {problems:#?}").into());
    }
    compare(&path.with_extension("expected"), &sentences(&problems))
}

fn sample(path: &Path, text: &str) -> Result<(Stream, Value)> {
    let stream = path
        .ancestors()
        .nth(2)
        .and_then(Path::file_name)
        .and_then(|name| name.to_str());
    let stream = stream.unwrap_or_default().parse::<Stream>()?;
    Ok((stream, serde_json::from_str(text)?))
}

fn sentences(problems: &[schema::Problem]) -> String {
    let mut text = String::new();
    for schema::Problem {
        path,
        problem,
        cure,
    } in problems
    {
        let at = if path.is_empty() { "the message" } else { path };
        writeln!(text, "{at}\n  wrong:  {problem}\n  change: {cure}").expect("a string takes all");
    }
    text
}

fn compare(path: &Path, actual: &str) -> Result<()> {
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        return Ok(std::fs::write(path, actual)?);
    }
    let expected = std::fs::read_to_string(path)
        .map_err(|error| format!("{}: {error}; UPDATE_EXPECTED=1 writes it", path.display()))?;
    if expected == actual {
        return Ok(());
    }
    Err(
        format!("expected:\n{expected}\nactual:\n{actual}\nUPDATE_EXPECTED=1 writes it anew")
            .into(),
    )
}

datatest_stable::harness! {
    { test = valid, root = "tests/schemas", pattern = r"/valid/[^/]+\.json$" },
    { test = invalid, root = "tests/schemas", pattern = r"/invalid/[^/]+\.json$" },
}
