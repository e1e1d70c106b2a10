//! A question -> the case it means, and what SQL says of it. Finds the rows; `answer` says what follows from them,
//! `layout` arranges them.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use arrow::json::ArrayWriter;
use arrow::record_batch::RecordBatch;
use chrono::DateTime;
use datafusion::common::ScalarValue;
use futures::try_join;
use serde_json::{Map, Value, json};

use super::Question;
use super::gather::{REACH, Scope, gather};
use super::subject::Subject;
use crate::detection::front_matter::Severity;
use crate::detection::library::{Library, Overrides};
use crate::detection::run::{Findings, RunOptions, run};
use crate::engine::{Engine, Params};
use crate::event::{MICROS_PER_SECOND, Micros};

/// Starts and sessions this close to the time asked about belong to the case.
pub(super) const CASE_REACH: Micros = 3_600 * MICROS_PER_SECOND;

/// A row as SQL gave it; null columns are left out.
pub(super) type Row = Map<String, Value>;

/// All that is known of one case.
#[derive(Debug)]
pub struct Case {
    pub(super) subject: Subject,
    pub(super) starts: Vec<Row>,
    pub(super) sessions: Vec<Row>,
    /// The worst first, each with the `title` of its detection.
    pub(super) findings: Vec<Row>,
    pub(super) not_judged: Vec<Row>,
    /// Each with `is_evidence`: whether a finding rests on it.
    pub(super) timeline: Vec<Row>,
    pub(super) coverage: Vec<Row>,
    /// What the headers of the detections that found something advise, in the order of the findings.
    pub(super) responses: Vec<String>,
    /// The versions of the tables that all of it was read from, in the form of `--as-of`.
    pub(super) table_versions: String,
    /// The lake was looked at as it was at an earlier time.
    pub(super) is_past: bool,
}

impl Case {
    /// Finds the case that a question means, and what is known of it. `at` is the time asked about.
    pub async fn open(
        engine: &Arc<Engine>,
        library: &Library,
        overrides: Overrides,
        question: &Question,
        at: Option<Micros>,
    ) -> Result<Case> {
        let subject = Subject::find(engine, library, question, at).await?;
        let scope = subject.scope();
        let small = Arc::new(gather(engine, library, &scope).await?);
        let mut options = RunOptions {
            overrides,
            ..RunOptions::default()
        };
        let mut case = Case::of(subject.clone(), engine);
        case.fill(&small, library, &options).await?;
        options.only = case.unjudged();
        if options.only.is_empty() {
            return Ok(case);
        }
        let witnesses = witnesses(engine, &small, library, &scope).await?;
        if !witnesses.is_empty() {
            let sids = [&subject.sids[..], &witnesses].concat();
            let scope = Scope {
                sids: &sids,
                ..scope
            };
            let wide = Arc::new(gather(engine, library, &scope).await?);
            case.judge(&run(&wide, library, &options).await?, library)?;
        }
        Ok(case)
    }

    fn of(subject: Subject, engine: &Engine) -> Case {
        Case {
            subject,
            starts: Vec::new(),
            sessions: Vec::new(),
            findings: Vec::new(),
            not_judged: Vec::new(),
            timeline: Vec::new(),
            coverage: Vec::new(),
            responses: Vec::new(),
            table_versions: engine.table_versions().to_string(),
            is_past: false,
        }
    }

    /// Names the detections that could not judge something of the case.
    fn unjudged(&self) -> Vec<String> {
        let names = self
            .not_judged
            .iter()
            .filter_map(|row| field(row, "detection"));
        let names: BTreeSet<&str> = names.collect();
        names.into_iter().map(str::to_string).collect()
    }

    async fn fill(
        &mut self,
        engine: &Arc<Engine>,
        library: &Library,
        options: &RunOptions,
    ) -> Result<()> {
        let (from, until) = around(self.subject.at);
        let params = vec![
            param("from", instant(from)),
            param("until", instant(until)),
            param("sid", text(self.subject.sid.as_deref())),
        ];
        let told = async {
            let (starts, sessions, coverage) = try_join!(
                query(engine, library, "starts", &params),
                query(engine, library, "sessions", &params),
                query(engine, library, "coverage", &params),
            )?;
            let sids: BTreeSet<&str> = sids(&sessions).collect();
            let listed = sids.into_iter().collect::<Vec<_>>().join(",");
            let params = [&params[..], &[param("sids", text(Some(&listed)))]].concat();
            let timeline = query(engine, library, "timeline", &params).await?;
            anyhow::Ok((starts, sessions, coverage, timeline))
        };
        let (told, found) = try_join!(told, run(engine, library, options))?;
        (self.starts, self.sessions, self.coverage, self.timeline) = told;
        self.judge(&found, library)
    }

    /// Adds what detections found of the case, and takes over what they could not judge of it: all detections, or those
    /// that could not judge something before.
    fn judge(&mut self, found: &Findings, library: &Library) -> Result<()> {
        let (from, until) = around(self.subject.at);
        let sids: BTreeSet<&str> = sids(&self.sessions).collect();
        let is_of_case = |row: &Row| {
            let names_session = |sid: &Value| sid.as_str().is_some_and(|sid| sids.contains(sid));
            let in_time = |name| micros(row, name).is_some_and(|at| (from..until).contains(&at));
            match row.get("sids").and_then(Value::as_array) {
                Some(named) if !named.is_empty() => named.iter().any(names_session),
                _ => in_time("first_at") || row.get("sid").is_some_and(names_session),
            }
        };
        let mut findings: Vec<Row> = rows(&found.rows)?.into_iter().filter(is_of_case).collect();
        // What names no session is said of starts that led to none.
        let has_lone_start = self.starts.iter().any(|row| !row.contains_key("sid"));
        let not_judged: Vec<Row> = rows(&found.not_judged)?
            .into_iter()
            .filter(|row| is_of_case(row) || (has_lone_start && !row.contains_key("sid")))
            .collect();
        for finding in &mut findings {
            let detection = field(finding, "detection")
                .and_then(|name| library.detections().iter().find(|known| known.name == name));
            let Some(header) = detection.map(|detection| &detection.header) else {
                continue;
            };
            finding.insert("title".to_string(), json!(header.title));
            // Headers break their lines anywhere.
            let response = header.response.as_deref().unwrap_or_default();
            let response = response.split_whitespace().collect::<Vec<_>>().join(" ");
            if !response.is_empty() && !self.responses.contains(&response) {
                self.responses.push(response);
            }
        }
        let known: BTreeSet<String> = ids(&self.findings).map(str::to_string).collect();
        findings.retain(|row| field(row, "finding_id").is_none_or(|id| !known.contains(id)));
        self.findings.extend(findings);
        let severity = |row: &Row| {
            let all = Severity::ALL.into_iter();
            let written = field(row, "severity")?;
            all.rev().position(|severity| severity.as_str() == written)
        };
        self.findings.sort_by_key(severity);
        self.not_judged = not_judged;
        self.mark_evidence();
        Ok(())
    }

    /// Says of each event whether a finding rests on it.
    fn mark_evidence(&mut self) {
        let proof: BTreeSet<&str> = self.findings.iter().flat_map(evidence).collect();
        for event in &mut self.timeline {
            let is_evidence = field(event, "event_id").is_some_and(|id| proof.contains(id));
            event.insert("is_evidence".to_string(), json!(is_evidence));
        }
    }
}

/// Returns from when to when starts and sessions belong to a case of that time.
fn around(at: Micros) -> (Micros, Micros) {
    (at.saturating_sub(CASE_REACH), at.saturating_add(CASE_REACH))
}

/// Returns the sessions that show what the streams tell of any session of this app and these buckets.
async fn witnesses(
    engine: &Engine,
    small: &Engine,
    library: &Library,
    scope: &Scope<'_>,
) -> Result<Vec<String>> {
    let buckets = query(small, library, "buckets", &Vec::new()).await?;
    let buckets: Vec<&str> = buckets
        .iter()
        .filter_map(|row| field(row, "bucket"))
        .collect();
    let at = scope.at;
    let (from, until) = around(at);
    let params = vec![
        param("app_id", text(scope.app_id)),
        param("buckets", text(Some(&buckets.join(",")))),
        param("at", instant(at)),
        param("from", instant(from)),
        param("until", instant(until)),
        param("read_from", instant(at.saturating_sub(REACH))),
        param("read_to", instant(at.saturating_add(REACH))),
    ];
    let rows = query(engine, library, "witnesses", &params).await?;
    let sids = rows.iter().filter_map(|row| field(row, "sid"));
    Ok(sids.map(str::to_string).collect())
}

fn ids(findings: &[Row]) -> impl Iterator<Item = &str> {
    findings.iter().filter_map(|row| field(row, "finding_id"))
}

/// Runs a query of `queries/investigations/`, with those of the parameters that it uses.
pub(super) async fn query(
    engine: &Engine,
    library: &Library,
    name: &str,
    params: &Params,
) -> Result<Vec<Row>> {
    let name = format!("investigations/{name}");
    let query = library
        .query(&name)
        .with_context(|| format!("the query `{name}` is missing"))?;
    let batch = engine
        .collect(query.sql.statement()?, params)
        .await
        .with_context(|| query.path.clone())?;
    rows(&batch)
}

/// Returns rows as JSON objects.
fn rows(batch: &RecordBatch) -> Result<Vec<Row>> {
    let mut writer = ArrayWriter::new(Vec::new());
    writer.write(batch)?;
    writer.finish()?;
    let text = writer.into_inner();
    match text.is_empty() {
        true => Ok(Vec::new()),
        false => Ok(serde_json::from_slice(&text)?),
    }
}

/// Returns a text of a row.
pub(super) fn field<'r>(row: &'r Row, name: &str) -> Option<&'r str> {
    row.get(name).and_then(Value::as_str)
}

fn sids(sessions: &[Row]) -> impl Iterator<Item = &str> {
    sessions.iter().filter_map(|row| field(row, "sid"))
}

/// Returns the event ids that a finding rests on.
pub(super) fn evidence(finding: &Row) -> impl Iterator<Item = &str> {
    let ids = finding.get("evidence").and_then(Value::as_array);
    ids.into_iter().flatten().filter_map(Value::as_str)
}

pub(super) fn micros(row: &Row, name: &str) -> Option<Micros> {
    let at = DateTime::parse_from_rfc3339(field(row, name)?).ok()?;
    Some(at.timestamp_micros())
}

pub(super) fn param(name: &str, value: ScalarValue) -> (String, ScalarValue) {
    (name.to_string(), value)
}

pub(super) fn text(value: Option<&str>) -> ScalarValue {
    ScalarValue::Utf8(value.map(str::to_string))
}

fn instant(at: Micros) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(Some(at), Some("UTC".into()))
}
