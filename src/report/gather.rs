//! The queries of `queries/reports/` over the lake, the findings and what was verified.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
use datafusion::common::ScalarValue;
use datafusion::common::runtime::SpawnedTask;
use futures::future::try_join_all;

use super::{Report, Section, Window};
use crate::detection::library::Library;
use crate::detection::report_query::ReportQuery;
use crate::detection::run::Findings;
use crate::engine::Engine;
use crate::event::Micros;
use crate::lake::log::Source;
use crate::verify;

/// The order in which a report is read. Queries that a user adds come after these, in order of name.
pub(super) const ORDER: [&str; 16] = [
    "overview",
    "periods",
    "kinds",
    "kinds_by_period",
    "causes",
    "vendor_pairs",
    "apps",
    "buckets",
    "caller_regions",
    "caller_versions",
    "start_gaps",
    "lost_summary",
    "lost_durations",
    "worst_channels",
    "not_judged_reasons",
    "verified_through",
];

/// Says where the window lies; no section of its own.
const SPAN: &str = "span";

/// What the queries read beside the tables and views of the lake.
pub struct Given<'a> {
    pub findings: &'a Findings,
    pub verified: &'a verify::Report,
}

impl Given<'_> {
    /// Makes tables of it: `findings`, `not_judged`, `detections`, `verified`.
    pub fn register(&self, engine: &Engine, library: &Library) -> Result<()> {
        engine.give("findings", self.findings.rows.clone())?;
        engine.give("not_judged", self.findings.not_judged.clone())?;
        engine.give("detections", library.detection_table()?)?;
        engine.give("verified", verified_table(self.verified)?)
    }
}

/// Runs every query of a report, several at a time. The engine must have been opened with what the library keeps for
/// reports, `given` registered with it, and its tables reach back far enough for the window before, too.
pub async fn gather(engine: &Arc<Engine>, library: &Library, window: Window) -> Result<Report> {
    let params = params(window);
    let started = in_order(library).into_iter().map(|query| {
        let (engine, query, params) = (Arc::clone(engine), query.clone(), params.clone());
        let section = async move {
            let context = || format!("report query `{}`", query.name);
            let params = query.params(&params).with_context(context)?;
            let rows = engine.collect(&query.statement, &params).await;
            Section::new(&query.name, &query.header, rows.with_context(context)?)
        };
        async move {
            let section = SpawnedTask::spawn(section).join_unwind().await;
            section.context("a query of the report was stopped")?
        }
    });
    Ok(Report {
        window,
        table_versions: engine.table_versions().to_string(),
        sections: try_join_all(started).await?,
    })
}

/// Returns the queries that are sections of a report.
fn in_order(library: &Library) -> Vec<&ReportQuery> {
    let shown: BTreeMap<&str, &ReportQuery> = library
        .reports()
        .iter()
        .filter(|query| !query.header.kept && query.name != SPAN)
        .map(|query| (query.name.as_str(), query))
        .collect();
    let known = ORDER.iter().filter_map(|name| shown.get(name));
    let added = shown
        .iter()
        .filter(|(name, _)| !ORDER.contains(name))
        .map(|(_, query)| query);
    known.chain(added).copied().collect()
}

/// Returns what queries can ask for; each takes what its header declares.
fn params(window: Window) -> BTreeMap<String, ScalarValue> {
    let instant = |at: Micros| ScalarValue::TimestampMicrosecond(Some(at), Some("UTC".into()));
    BTreeMap::from([
        ("since".to_string(), instant(window.since)),
        ("until".to_string(), instant(window.until)),
        ("previous_since".to_string(), instant(window.previous_since)),
        (
            "period".to_string(),
            ScalarValue::from(window.period.as_str()),
        ),
    ])
}

/// Returns what was verified as a table, one row a partition or imported file.
fn verified_table(report: &verify::Report) -> Result<RecordBatch> {
    let partitions = &report.partitions;
    let known: BTreeSet<_> = partitions
        .iter()
        .map(|partition| (partition.stream, &partition.source))
        .collect();
    let is_whole = |of: &verify::Verified| {
        let concerns = |problem: &verify::Problem| match &problem.source {
            Some(source) if known.contains(&(problem.stream, source)) => false,
            // What is wrong with the table, or with rows that nothing accounts for, is wrong with all of it.
            _ => problem.stream == of.stream,
        };
        of.is_whole && !report.problems.iter().any(concerns)
    };
    let topic = |source: &Source| match source {
        Source::Partition { topic, .. } => topic.clone(),
        Source::Import { .. } => "import".to_string(),
    };
    let number = |source: &Source| match source {
        Source::Partition { partition, .. } => Some(i64::from(*partition)),
        Source::Import { .. } => None,
    };
    let source_id = |source: &Source| match source {
        Source::Partition { source_id, .. } | Source::Import { source_id } => source_id.clone(),
    };
    let texts = |value: &dyn Fn(&verify::Verified) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(partitions.iter().map(value)))
    };
    let numbers = |value: &dyn Fn(&verify::Verified) -> Option<i64>| -> ArrayRef {
        Arc::new(partitions.iter().map(value).collect::<Int64Array>())
    };
    let whole: BooleanArray = partitions.iter().map(|of| Some(is_whole(of))).collect();
    Ok(RecordBatch::try_from_iter_with_nullable([
        ("stream", texts(&|of| of.stream.stem().to_string()), false),
        ("topic", texts(&|of| topic(&of.source)), false),
        ("partition", numbers(&|of| number(&of.source)), true),
        ("source_id", texts(&|of| source_id(&of.source)), false),
        ("next_offset", numbers(&|of| Some(of.next)), true),
        ("rows", numbers(&|of| Some(of.rows)), true),
        ("is_whole", Arc::new(whole) as ArrayRef, true),
    ])?)
}
