//! `tapetrail verify`: is everything there, once?

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use chrono::DateTime;
use clap::Args;

use super::kafka_args::PropertyArgs;
use super::output::{LibraryArgs, OutputArgs, counted};
use super::{Context, Outcome};
use crate::event::Stream;
use crate::lake::log::Source;
use crate::source::kafka::{Broker, TopicPartition};
use crate::verify::{Problem, Report, Verified, verify};

/// Prove that nothing is lost and nothing is repeated
///
/// Compares every partition's rows with the offsets that the tables' commits cover: a row for each offset, none
/// twice, no event missing inside a message, as many rows as were committed. What was verified before is not
/// looked at again while the table only grows. With --brokers the offsets are compared with Kafka's, too.
///
/// Exit code 0: whole. 1: something is wrong, named on stdout. 2: it could not be verified.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Look at every row again
    #[arg(long)]
    full: bool,

    /// Compare with these brokers' offsets, too
    #[arg(short = 'b', long, value_name = "HOST:PORT,...")]
    brokers: Option<String>,

    #[command(flatten)]
    properties: PropertyArgs,

    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    queries: LibraryArgs,
}

/// How long a broker may take to tell its offsets.
const BROKER_TIMEOUT: Duration = Duration::from_secs(10);

pub async fn run(args: VerifyArgs, context: &Context) -> Result<Outcome> {
    let lake = context.lake()?;
    let mut report = verify(&lake, &args.queries.library()?, args.full).await?;
    if let Some(brokers) = &args.brokers {
        let mut config = context.config.clone();
        config.kafka.brokers.clone_from(brokers);
        args.properties.apply(&mut config.kafka)?;
        let (partitions, config) = (report.partitions.clone(), config);
        let against = tokio::task::spawn_blocking(move || {
            against_broker(&Broker::connect(&config)?, &partitions)
        });
        report.problems.extend(against.await??);
    }
    args.output.print(&rows(&report)?)?;
    tell(&report);
    Ok(match report.problems.is_empty() {
        true => Outcome::Clean,
        false => Outcome::Found,
    })
}

/// Says whether `later` is a later epoch of the partition that `earlier` is: that one's topic is gone from Kafka.
fn succeeds(later: &Verified, earlier: &Verified) -> bool {
    match (later.source.epoch(), earlier.source.epoch()) {
        (Some((of, later)), Some((same, earlier))) => of == same && later > earlier,
        _ => false,
    }
}

/// Compares what the lake holds with where Kafka's partitions begin and end.
fn against_broker(broker: &Broker, partitions: &[Verified]) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for verified in partitions {
        let Source::Partition {
            topic, partition, ..
        } = &verified.source
        else {
            continue;
        };
        if partitions.iter().any(|other| succeeds(other, verified)) {
            continue;
        }
        let at = TopicPartition {
            topic: topic.clone(),
            partition: *partition,
        };
        let watermarks = broker.watermarks(&at, BROKER_TIMEOUT)?;
        let committed = broker.committed(&at, BROKER_TIMEOUT)?;
        let mut problem = |code, detail| {
            problems.push(Problem {
                stream: verified.stream,
                source: Some(verified.source.clone()),
                code,
                detail,
            });
        };
        if verified.next < watermarks.low {
            problem(
                "lost",
                format!(
                    "Kafka has removed everything before offset {}, the lake ends at {}",
                    watermarks.low, verified.next
                ),
            );
        }
        if verified.next > watermarks.high {
            problem(
                "anew",
                format!(
                    "Kafka ends at offset {}, the lake at {}: the topic was made anew or shortened",
                    watermarks.high, verified.next
                ),
            );
        }
        if committed.is_some_and(|committed| committed > verified.next) {
            problem(
                "restored",
                format!(
                    "the group has committed offset {}, the lake ends at {}: the table was restored to an older version",
                    committed.unwrap_or_default(),
                    verified.next
                ),
            );
        }
    }
    Ok(problems)
}

/// Returns a row per partition or file, and one per problem of a whole table.
fn rows(report: &Report) -> Result<RecordBatch> {
    let whole_tables = report
        .problems
        .iter()
        .filter(|problem| problem.source.is_none());
    let lines: Vec<Line<'_>> = report
        .partitions
        .iter()
        .map(|verified| Line::of(verified, report))
        .chain(whole_tables.map(|problem| Line {
            stream: problem.stream,
            verified: None,
            problem: Some(format!("{}: {}", problem.code, problem.detail)),
        }))
        .collect();
    let text = |value: &dyn Fn(&Line<'_>) -> Option<String>| -> ArrayRef {
        Arc::new(lines.iter().map(value).collect::<StringArray>())
    };
    let number = |value: &dyn Fn(&Verified) -> Option<i64>| -> ArrayRef {
        Arc::new(
            lines
                .iter()
                .map(|line| line.verified.and_then(value))
                .collect::<Int64Array>(),
        )
    };
    let times = lines
        .iter()
        .map(|line| line.verified.and_then(|verified| verified.occurred_at));
    let times = times
        .collect::<TimestampMicrosecondArray>()
        .with_timezone("UTC");
    Ok(RecordBatch::try_from_iter([
        ("stream", text(&|line| Some(line.stream.to_string()))),
        (
            "source",
            text(&|line| line.verified.map(|verified| source_name(&verified.source))),
        ),
        (
            "partition",
            number(&|verified| match verified.source {
                Source::Partition { partition, .. } => Some(i64::from(partition)),
                Source::Import { .. } => None,
            }),
        ),
        ("first_offset", number(&|verified| Some(verified.first))),
        (
            "verified_through_offset",
            number(&|verified| verified.is_whole.then_some(verified.next - 1)),
        ),
        ("rows", number(&|verified| Some(verified.rows))),
        ("verified_through", Arc::new(times) as ArrayRef),
        ("problem", text(&|line| line.problem.clone())),
    ])?)
}

struct Line<'r> {
    stream: Stream,
    verified: Option<&'r Verified>,
    problem: Option<String>,
}

impl<'r> Line<'r> {
    fn of(verified: &'r Verified, report: &Report) -> Self {
        let mine = report.problems.iter().filter(|problem| {
            problem.stream == verified.stream && problem.source.as_ref() == Some(&verified.source)
        });
        let problems: Vec<String> = mine
            .map(|problem| format!("{}: {}", problem.code, problem.detail))
            .collect();
        Line {
            stream: verified.stream,
            verified: Some(verified),
            problem: (!problems.is_empty()).then(|| problems.join("; ")),
        }
    }
}

fn source_name(source: &Source) -> String {
    match source {
        Source::Partition { topic, .. } => topic.clone(),
        Source::Import { source_id } => format!("import {}", &source_id[..source_id.len().min(12)]),
    }
}

fn tell(report: &Report) {
    let rows: i64 = report.partitions.iter().map(|verified| verified.rows).sum();
    let looked_at: i64 = report
        .partitions
        .iter()
        .map(|verified| verified.looked_at)
        .sum();
    let through = report
        .partitions
        .iter()
        .filter_map(|verified| verified.occurred_at)
        .max();
    let through = through.and_then(DateTime::from_timestamp_micros);
    let through = through.map_or("no event".to_string(), |at| {
        at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
    });
    let covered = match report.partitions.len() {
        1 => "1 partition or file".to_string(),
        several => format!("{several} partitions and files"),
    };
    let count = |count: i64, thing| counted(count.unsigned_abs(), thing);
    let (rows, looked_at) = (count(rows, "row"), count(looked_at, "offset"));
    match report.problems.len() {
        0 => eprintln!(
            "whole: {covered}, {rows}, nothing lost, nothing repeated; verified through {through} ({looked_at} looked at in this run)"
        ),
        problems => eprintln!(
            "BROKEN: {} in {covered}, {rows}",
            counted(problems as u64, "problem")
        ),
    }
}
