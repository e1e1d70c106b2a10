//! A question -> the subject it means: one channel of one app, a time, and the sessions near it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};

use super::Question;
use super::case::{Row, field, micros, param, query, text};
use super::gather::Scope;
use crate::detection::library::Library;
use crate::engine::Engine;
use crate::event::Micros;

/// Sessions of the channel that are read, the nearest ones: what came long before or after explains nothing.
const SESSIONS_MAX: usize = 200;

/// What a question turned out to be about.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub app_id: Option<String>,
    pub cname: Option<String>,
    /// The session asked for, else none.
    pub sid: Option<String>,
    /// The sessions of the channel, the nearest to `at` first.
    pub sids: Vec<String>,
    pub at: Micros,
    /// The event of the channel that is nearest to `at`.
    pub nearest_at: Option<Micros>,
}

/// One channel or session that the question can mean.
struct Candidate {
    app_id: Option<String>,
    cname: Option<String>,
    sid: Option<String>,
    at: Option<Micros>,
    last_at: Option<Micros>,
}

impl Subject {
    /// Which rows are about it.
    pub(super) fn scope(&self) -> Scope<'_> {
        Scope {
            app_id: self.app_id.as_deref(),
            cname: self.cname.as_deref(),
            sids: &self.sids,
            at: self.at,
        }
    }

    /// Finds what a question means. `at` is the time asked about.
    pub(super) async fn find(
        engine: &Engine,
        library: &Library,
        question: &Question,
        at: Option<Micros>,
    ) -> Result<Subject> {
        let named = candidates(engine, library, question).await?;
        let asked = of_app(&named, question);
        if asked.is_empty() {
            bail!("{}", unknown(engine, library, question, &named).await?);
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
        let named = candidates(engine, library, &of_channel).await?;
        let at = match at {
            Some(at) => at,
            None => focus(&asked, question.cname.is_some()).context("no event of it has a time")?,
        };
        let of_channel = of_app(&named, &of_channel);
        let times = of_channel
            .iter()
            .flat_map(|of| [of.at, of.last_at])
            .flatten();
        let nearest_at = times.min_by_key(|time| time.abs_diff(at));
        let sids = nearest_sids(&of_channel, sid.as_deref(), at);
        Ok(Subject {
            app_id,
            cname,
            sid,
            sids,
            at,
            nearest_at,
        })
    }
}

/// Says that nothing is known of what was asked, and what would be.
async fn unknown(
    engine: &Engine,
    library: &Library,
    question: &Question,
    named: &[Candidate],
) -> Result<String> {
    let mut says = format!("nothing in the lake names {question}");
    let apps: Vec<&str> = apps(named).into_iter().collect();
    if !apps.is_empty() {
        write!(says, "; it is used in {}", apps.join(", "))?;
        return Ok(says);
    }
    says.push_str("\nhint: ids and names are looked up as they are written; what the lake holds:");
    for stream in query(engine, library, "reach", &Vec::new()).await? {
        write!(says, "\n  {}", field(&stream, "says").unwrap_or_default())?;
    }
    Ok(says)
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
fn of_app<'c>(candidates: &'c [Candidate], question: &Question) -> Vec<&'c Candidate> {
    let Some(app) = &question.app else {
        return candidates.iter().collect();
    };
    let is_foreign = |candidate: &Candidate| candidate.app_id.as_ref().is_some_and(|of| of != app);
    let foreign: BTreeSet<&String> = candidates
        .iter()
        .filter(|candidate| is_foreign(candidate))
        .filter_map(|candidate| candidate.sid.as_ref())
        .collect();
    candidates
        .iter()
        .filter(|candidate| {
            !is_foreign(candidate)
                && !candidate
                    .sid
                    .as_ref()
                    .is_some_and(|sid| foreign.contains(sid))
        })
        .collect()
}

fn apps<'c>(candidates: impl IntoIterator<Item = &'c Candidate>) -> BTreeSet<&'c str> {
    let candidates = candidates.into_iter();
    candidates
        .filter_map(|candidate| candidate.app_id.as_deref())
        .collect()
}

fn the_app(candidates: &[&Candidate], question: &Question) -> Result<Option<String>> {
    let apps = apps(candidates.iter().copied());
    if apps.len() > 1 {
        let apps: Vec<&str> = apps.into_iter().collect();
        bail!(
            "{question} is used in {} apps: {}\nhint: add --app APP_ID; the same name in two apps is two channels",
            apps.len(),
            apps.join(", ")
        );
    }
    let app = apps.into_iter().next().map(str::to_string);
    Ok(app.or_else(|| question.app.clone()))
}

/// Returns the channel's name, as calls and records have it rather than as a file name does.
fn channel(candidates: &[&Candidate]) -> Option<String> {
    let with_app = candidates
        .iter()
        .filter(|candidate| candidate.app_id.is_some());
    with_app
        .chain(candidates)
        .find_map(|candidate| candidate.cname.clone())
}

/// Returns the time that a question without one is about: the start of what it names; of a channel, its
/// latest session, else its latest event.
fn focus(candidates: &[&Candidate], is_channel: bool) -> Option<Micros> {
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

fn nearest_sids(candidates: &[&Candidate], asked: Option<&str>, at: Micros) -> Vec<String> {
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
