//! Detections + parameters -> findings.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use arrow::array::{ArrayRef, StringArray, UInt64Array};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use futures::{StreamExt, TryStreamExt, stream};

use super::findings;
use super::front_matter::Severity;
use super::library::{Detection, Library, Overrides};
use super::window::Window;
use crate::engine::{Engine, cores};

/// Detections at a time for each core: what one of them waits for does not leave the core without work.
const AT_A_TIME: usize = 2;

/// What a run is asked for.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Detections by name; all where it is empty.
    pub only: Vec<String>,
    pub window: Window,
    pub overrides: Overrides,
}

/// What a run gives.
#[derive(Debug, Clone)]
pub struct Findings {
    /// One row a finding, columns as in section 5 of the design, worst first.
    pub rows: RecordBatch,
    /// Sessions that a detection could not judge: detection, app_id, cname, sid, why.
    pub not_judged: RecordBatch,
    /// What each detection found, in order of name.
    pub tallies: Vec<Tally>,
}

/// What one detection found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    pub detection: String,
    pub title: String,
    pub findings: usize,
    /// The highest severity among them.
    pub worst: Option<Severity>,
    pub not_judged: usize,
}

impl Findings {
    /// Returns the highest severity found.
    pub fn worst(&self) -> Option<Severity> {
        self.tallies.iter().filter_map(|tally| tally.worst).max()
    }

    /// Returns the findings with a column that cites the versions of the tables that they were computed from.
    pub fn citing(&self, table_versions: &str) -> Result<RecordBatch> {
        let mut fields: Vec<_> = self.rows.schema().fields().to_vec();
        let field = Field::new(findings::TABLE_VERSIONS.0, DataType::Utf8, true);
        fields.push(Arc::new(field));
        let versions = std::iter::repeat_n(table_versions, self.rows.num_rows());
        let mut columns = self.rows.columns().to_vec();
        columns.push(Arc::new(StringArray::from_iter_values(versions)));
        Ok(RecordBatch::try_new(
            Arc::new(Schema::new(fields)),
            columns,
        )?)
    }

    /// Returns the tallies as a table.
    pub fn summary(&self) -> Result<RecordBatch> {
        let of = |value: fn(&Tally) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(
                self.tallies.iter().map(value),
            ))
        };
        let count = |value: fn(&Tally) -> usize| -> ArrayRef {
            let counts = self.tallies.iter().map(|tally| value(tally) as u64);
            Arc::new(UInt64Array::from_iter_values(counts))
        };
        Ok(RecordBatch::try_from_iter([
            ("detection", of(|tally| tally.detection.clone())),
            ("findings", count(|tally| tally.findings)),
            (
                "worst",
                of(|tally| {
                    tally
                        .worst
                        .map_or("-".to_string(), |worst| worst.to_string())
                }),
            ),
            ("not judged", count(|tally| tally.not_judged)),
            ("title", of(|tally| tally.title.clone())),
        ])?)
    }
}

/// Runs detections, several at a time: one may wait, or be planned, while the cores work for others. The engine must have
/// been opened with `read_from` of the same window.
pub async fn run(
    engine: &Arc<Engine>,
    library: &Library,
    options: &RunOptions,
) -> Result<Findings> {
    let mut started = Vec::new();
    for (place, detection) in library.select(&options.only)?.into_iter().enumerate() {
        let (engine, detection) = (Arc::clone(engine), detection.clone());
        let options = options.clone();
        let found = async move { run_one(&engine, &detection, &options).await };
        started.push(async move {
            let found = SpawnedTask::spawn(found).join_unwind().await;
            anyhow::Ok((place, found.context("the detection was stopped")??))
        });
    }
    let found = stream::iter(started).buffer_unordered(AT_A_TIME * cores());
    let mut found: Vec<_> = found.try_collect().await?;
    found.sort_unstable_by_key(|(place, _)| *place);
    gather(found.into_iter().map(|(_, found)| found).collect())
}

fn gather(found: Vec<Found>) -> Result<Findings> {
    let findings: Vec<_> = found.iter().map(|of| of.findings.clone()).collect();
    let not_judged = found.iter().map(|of| &of.not_judged);
    Ok(Findings {
        rows: findings::in_order(&findings)?,
        not_judged: concat_batches(&findings::not_judged_schema(), not_judged)?,
        tallies: found.into_iter().map(|of| of.tally).collect(),
    })
}

/// What one detection found.
struct Found {
    findings: RecordBatch,
    not_judged: RecordBatch,
    tally: Tally,
}

async fn run_one(engine: &Engine, detection: &Detection, options: &RunOptions) -> Result<Found> {
    let (findings, not_judged) = query_one(engine, detection, options)
        .await
        .with_context(|| format!("detection `{}`", detection.name))?;
    let tally = Tally {
        detection: detection.name.clone(),
        title: detection.header.title.clone(),
        findings: findings.num_rows(),
        worst: findings::severities(&findings)?.into_iter().max(),
        not_judged: not_judged.num_rows(),
    };
    Ok(Found {
        findings,
        not_judged,
        tally,
    })
}

async fn query_one(
    engine: &Engine,
    detection: &Detection,
    options: &RunOptions,
) -> Result<(RecordBatch, RecordBatch)> {
    let params = detection.params(&options.overrides)?;
    let rows = engine.collect(&detection.statement, &params).await?;
    findings::check_columns(rows.schema_ref(), &detection.columns())?;
    let findings = findings::from_rows(
        &rows,
        &detection.name,
        detection.severity,
        &detection.header.identity,
        &options.window,
    )?;
    check_severity(&findings, detection)?;
    tracing::debug!(findings = findings.num_rows(), "ran {}", detection.name);
    let not_judged = match &detection.not_judged {
        Some(statement) => {
            let rows = engine.collect(statement, &params).await?;
            tracing::debug!(
                not_judged = rows.num_rows(),
                "ran {} for what could not be judged",
                detection.name
            );
            findings::not_judged_from_rows(&rows, &detection.name)?
        }
        None => RecordBatch::new_empty(findings::not_judged_schema()),
    };
    Ok((findings, not_judged))
}

/// A reader who filters by the header's severity must not miss worse rows.
fn check_severity(findings: &RecordBatch, detection: &Detection) -> Result<()> {
    match findings::severities(findings)?.into_iter().max() {
        Some(worst) if worst > detection.severity => bail!(
            "a finding is {worst}, worse than the header's severity {}",
            detection.severity
        ),
        _ => Ok(()),
    }
}
