//! A question -> the case it means, and what SQL says of it. Finds the rows; `layout` arranges them.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use arrow::json::ArrayWriter;
use arrow::record_batch::RecordBatch;
use chrono::DateTime;
use datafusion::common::ScalarValue;
use serde_json::{Map, Value};

use super::Question;
use super::gather::{Scope, gather};
use crate::detection::library::{Library, Overrides};
use crate::detection::run::{RunOptions, run};
use crate::engine::{Engine, Params, Statement};
use crate::event::{MICROS_PER_SECOND, Micros};

/// Starts and sessions this close to the time asked about belong to the case.
const CASE_REACH: Micros = 3_600 * MICROS_PER_SECOND;

/// Sessions of the channel that are read, the nearest ones: what came long before or after explains nothing.
const SESSIONS_MAX: usize = 200;

/// A row as SQL gave it; null columns are left out.
pub(super) type Row = Map<String, Value>;

/// All that is known of one case.
#[derive(Debug)]
pub struct Case {
    pub(super) app_id: Option<String>,
    pub(super) cname: Option<String>,
    /// The session asked for, else none.
    pub(super) sid: Option<String>,
    pub(super) starts: Vec<Row>,
    pub(super) sessions: Vec<Row>,
    /// The worst first.
    pub(super) findings: Vec<Row>,
    pub(super) not_judged: Vec<Row>,
    pub(super) timeline: Vec<Row>,
    pub(super) coverage: Vec<Row>,
    /// What the headers of the detections that found something advise, in the order of the findings.
    pub(super) responses: Vec<String>,
}

/// One channel or session that the question can mean.
struct Candidate {
    app_id: Option<String>,
    cname: Option<String>,
    sid: Option<String>,
    at: Option<Micros>,
    last_at: Option<Micros>,
}

impl Case {
    /// Finds the case that a question means, and what is known of it. `at` is the time asked about.
    pub async fn open(
        engine: &Engine,
        library: &Library,
        overrides: Overrides,
        question: &Question,
        at: Option<Micros>,
    ) -> Result<Case> {
        let asked = of_app(candidates(engine, library, question).await?, question);
        if asked.is_empty() {
            bail!(
                "nothing in the lake names {question}\nhint: `tapetrail sql -c \"SELECT * FROM watermarks WHERE scope = 'stream'\"` shows how far each stream has come"
            );
        }
        let app_id = the_app(&asked, question)?;
        let cname = channel(&asked);
        // A channel name alone can mean sessions of other apps; a session, key or ticket only what named it.
        let sid = match question.cname {
            Some(_) => None,
            None => asked.iter().find_map(|candidate| candidate.sid.clone()),
        };
        let of_channel = Question {
            cname: cname.clone(),
            app: app_id.clone(),
            ..Question::default()
        };
        let all = of_app(candidates(engine, library, &of_channel).await?, &of_channel);
        let at = match at {
            Some(at) => at,
            None => focus(&asked, question.cname.is_some()).context("no event of it has a time")?,
        };
        let sids = nearest_sids(&all, sid.as_deref(), at);
        let scope = Scope {
            app_id: app_id.as_deref(),
            cname: cname.as_deref(),
            sids: &sids,
            at,
        };
        let small = gather(engine, library, &scope).await?;
        let mut case = Case {
            app_id,
            cname,
            sid,
            starts: Vec::new(),
            sessions: Vec::new(),
            findings: Vec::new(),
            not_judged: Vec::new(),
            timeline: Vec::new(),
            coverage: Vec::new(),
            responses: Vec::new(),
        };
        case.fill(&small, library, overrides, at).await?;
        Ok(case)
    }

    async fn fill(
        &mut self,
        engine: &Engine,
        library: &Library,
        overrides: Overrides,
        at: Micros,
    ) -> Result<()> {
        let (from, until) = (at.saturating_sub(CASE_REACH), at.saturating_add(CASE_REACH));
        let mut params = vec![
            param("from", instant(from)),
            param("until", instant(until)),
            param("sid", text(self.sid.as_deref())),
        ];
        self.starts = query(engine, library, "starts", &params).await?;
        self.sessions = query(engine, library, "sessions", &params).await?;
        self.coverage = query(engine, library, "coverage", &params).await?;
        let sids: BTreeSet<&str> = self
            .sessions
            .iter()
            .filter_map(|row| field(row, "sid"))
            .collect();
        let listed = sids.iter().copied().collect::<Vec<_>>().join(",");
        params.push(param("sids", text(Some(&listed))));
        self.timeline = query(engine, library, "timeline", &params).await?;

        let options = RunOptions {
            overrides,
            ..RunOptions::default()
        };
        let found = run(engine, library, &options).await?;
        let is_of_case = |row: &Row| {
            let names_session = |sid: &Value| sid.as_str().is_some_and(|sid| sids.contains(sid));
            let in_time = |name| micros(row, name).is_some_and(|at| (from..until).contains(&at));
            match row.get("sids").and_then(Value::as_array) {
                Some(named) if !named.is_empty() => named.iter().any(names_session),
                _ => in_time("first_at") || row.get("sid").is_some_and(names_session),
            }
        };
        let findings: Vec<Row> = rows(&found.rows)?.into_iter().filter(is_of_case).collect();
        let not_judged: Vec<Row> = rows(&found.not_judged)?
            .into_iter()
            .filter(is_of_case)
            .collect();
        for finding in &findings {
            let detection = field(finding, "detection")
                .and_then(|name| library.detections().iter().find(|known| known.name == name));
            let response = detection.and_then(|detection| detection.header.response.as_deref());
            // Headers break their lines anywhere.
            let response =
                response.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
            if let Some(response) = response
                && !self.responses.contains(&response)
            {
                self.responses.push(response);
            }
        }
        self.findings = findings;
        self.not_judged = not_judged;
        Ok(())
    }
}

impl std::fmt::Display for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let named = [
            ("the session", &self.sid),
            ("the channel", &self.cname),
            ("the key", &self.key),
            ("the ticket", &self.resource_id),
        ];
        for (kind, value) in named {
            if let Some(value) = value {
                write!(f, "{kind} `{value}`")?;
            }
        }
        match &self.app {
            Some(app) => write!(f, " in the app `{app}`"),
            None => Ok(()),
        }
    }
}

async fn candidates(
    engine: &Engine,
    library: &Library,
    question: &Question,
) -> Result<Vec<Candidate>> {
    let sid = question.sid.as_ref().map(|sid| sid.to_lowercase());
    let params = vec![
        param("sid", text(sid.as_deref())),
        param("cname", text(question.cname.as_deref())),
        param("object_key", text(question.key.as_deref())),
        param("resource_id", text(question.resource_id.as_deref())),
    ];
    let rows = query(engine, library, "candidates", &params).await?;
    let owned = |row: &Row, name| field(row, name).map(str::to_string);
    Ok(rows
        .iter()
        .map(|row| Candidate {
            app_id: owned(row, "app_id"),
            cname: owned(row, "cname"),
            sid: owned(row, "sid"),
            at: micros(row, "at"),
            last_at: micros(row, "last_at"),
        })
        .collect())
}

/// Leaves out what belongs to other apps than the one asked for: what says so, and every session that does.
fn of_app(candidates: Vec<Candidate>, question: &Question) -> Vec<Candidate> {
    let Some(app) = &question.app else {
        return candidates;
    };
    let is_foreign = |candidate: &Candidate| candidate.app_id.as_ref().is_some_and(|of| of != app);
    let foreign: BTreeSet<String> = candidates
        .iter()
        .filter(|candidate| is_foreign(candidate))
        .filter_map(|candidate| candidate.sid.clone())
        .collect();
    candidates
        .into_iter()
        .filter(|candidate| {
            !is_foreign(candidate)
                && !candidate
                    .sid
                    .as_ref()
                    .is_some_and(|sid| foreign.contains(sid))
        })
        .collect()
}

fn the_app(candidates: &[Candidate], question: &Question) -> Result<Option<String>> {
    let apps: BTreeSet<&String> = candidates
        .iter()
        .filter_map(|candidate| candidate.app_id.as_ref())
        .collect();
    if apps.len() > 1 {
        let apps: Vec<&str> = apps.into_iter().map(String::as_str).collect();
        bail!(
            "{question} is used in {} apps: {}\nhint: add --app APP_ID; the same name in two apps is two channels",
            apps.len(),
            apps.join(", ")
        );
    }
    Ok(apps
        .into_iter()
        .next()
        .cloned()
        .or_else(|| question.app.clone()))
}

/// Returns the channel's name, as calls and records have it rather than as a file name does.
fn channel(candidates: &[Candidate]) -> Option<String> {
    let with_app = candidates
        .iter()
        .filter(|candidate| candidate.app_id.is_some());
    with_app
        .chain(candidates)
        .find_map(|candidate| candidate.cname.clone())
}

/// Returns the time that a question without one is about: the start of what it names; of a channel, its
/// latest session, else its latest event.
fn focus(candidates: &[Candidate], is_channel: bool) -> Option<Micros> {
    let sessions = || {
        candidates
            .iter()
            .filter(|candidate| candidate.sid.is_some())
    };
    let mut starts: Vec<(&String, Micros)> = Vec::new();
    for candidate in sessions() {
        let (Some(sid), Some(at)) = (&candidate.sid, candidate.at) else {
            continue;
        };
        match starts.iter_mut().find(|(known, _)| *known == sid) {
            Some((_, first)) => *first = at.min(*first),
            None => starts.push((sid, at)),
        }
    }
    let starts = starts.into_iter().map(|(_, at)| at);
    let latest_call = candidates
        .iter()
        .filter(|candidate| candidate.sid.is_none())
        .filter_map(|candidate| candidate.last_at)
        .max();
    match is_channel {
        true => starts.max().max(latest_call),
        false => starts.min().or(latest_call),
    }
}

fn nearest_sids(candidates: &[Candidate], asked: Option<&str>, at: Micros) -> Vec<String> {
    let mut by_distance: Vec<(u64, &str)> = candidates
        .iter()
        .filter_map(|candidate| Some((candidate.at?.abs_diff(at), candidate.sid.as_deref()?)))
        .collect();
    by_distance.sort_unstable();
    let mut sids: Vec<String> = Vec::new();
    for sid in asked
        .into_iter()
        .chain(by_distance.into_iter().map(|(_, sid)| sid))
    {
        if sids.len() < SESSIONS_MAX && !sids.iter().any(|known| known == sid) {
            sids.push(sid.to_string());
        }
    }
    sids
}

/// Runs a query of `queries/investigations/`, with those of the parameters that it uses.
async fn query(
    engine: &Engine,
    library: &Library,
    name: &str,
    params: &Params,
) -> Result<Vec<Row>> {
    let name = format!("investigations/{name}");
    let query = library
        .query(&name)
        .with_context(|| format!("the query `{name}` is missing"))?;
    let statement = Statement::parse_one(&query.sql)?;
    let batch = engine
        .collect(&statement, params)
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

fn micros(row: &Row, name: &str) -> Option<Micros> {
    let at = DateTime::parse_from_rfc3339(field(row, name)?).ok()?;
    Some(at.timestamp_micros())
}

fn param(name: &str, value: ScalarValue) -> (String, ScalarValue) {
    (name.to_string(), value)
}

fn text(value: Option<&str>) -> ScalarValue {
    ScalarValue::Utf8(value.map(str::to_string))
}

fn instant(at: Micros) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(Some(at), Some("UTC".into()))
}
