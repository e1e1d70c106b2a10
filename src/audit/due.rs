//! Which sessions are to be looked for, where, and for which files.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Result, bail};
use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use super::search::{PromisedBy, Wanted};
use super::stores::AuditStore;
use crate::detection::library::Library;
use crate::engine::Engine;
use crate::event::{MICROS_PER_DAY, Micros};
use crate::vendor;

/// When sessions are looked for.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// From their end on.
    pub grace: Duration,
    /// A store that refused is asked for the same session again after so long.
    pub retry: Duration,
    pub now: Micros,
}

/// Files that were not there are looked for once more so long after the end: later none is expected
/// (`domain/cloud-recording-api.md`, section 7).
const LAST_LOOK: Micros = MICROS_PER_DAY;

/// What looks into one store have said of a session.
#[derive(Debug, Clone, Copy, Default)]
struct Look {
    answered_at: Option<Micros>,
    refused_at: Option<Micros>,
}

/// The end of a session, as far as it matters here.
#[derive(Debug, Clone, Copy)]
struct Ended {
    at: Micros,
    /// When the upload was announced as complete, which may be later.
    announced_at: Option<Micros>,
    /// The last looks found none of its files, or not all that were promised.
    lacks: bool,
}

impl Rule {
    /// Says whether a store, of whose state at `state_at` we can learn, is to be looked into.
    fn is_due(&self, ended: Ended, look: Look, state_at: Micros) -> bool {
        if !self.is_over(ended.at, state_at) {
            return false;
        }
        let Some(answered_at) = look.answered_at.filter(|at| *at >= ended.at) else {
            let retry_at = look.refused_at.map(|at| after(at, self.retry));
            return retry_at.is_none_or(|at| self.now >= at);
        };
        let said = ended.at.max(ended.announced_at.unwrap_or(ended.at));
        let last = after(said, self.grace).saturating_add(LAST_LOOK);
        ended.lacks && answered_at < last && state_at >= last
    }

    /// Says whether the files of a session that ended then should have been there at an instant.
    fn is_over(&self, ended_at: Micros, at: Micros) -> bool {
        at >= after(ended_at, self.grace)
    }
}

fn after(at: Micros, duration: Duration) -> Micros {
    at.saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
}

/// Returns what to look for of all sessions that ended since then and are due, the first that ended first.
pub async fn due(
    engine: &Engine,
    library: &Library,
    stores: &[AuditStore],
    since: Micros,
    rule: &Rule,
) -> Result<Vec<Wanted>> {
    let params = [text("sid", None), instant("since", Some(since))];
    let sessions = texts(engine, library, "sessions", &params).await?;
    let mut looks: BTreeMap<(String, String), Look> = BTreeMap::new();
    for row in texts(engine, library, "looks", &[]).await? {
        let [Some(sid), Some(store), answered_at, refused_at] = row else {
            continue;
        };
        let look = Look {
            answered_at: micros(answered_at),
            refused_at: micros(refused_at),
        };
        looks.insert((sid, store), look);
    }
    let lacking = texts(engine, library, "lacking", &[]).await?;
    let lacking: BTreeSet<String> = lacking.into_iter().filter_map(|[sid]| sid).collect();
    let mut found = Vec::new();
    for row in sessions {
        let Some((mut session, Some(at), announced_at)) = read(row) else {
            continue;
        };
        let ended = Ended {
            at,
            announced_at,
            lacks: lacking.contains(&session.wanted.sid),
        };
        let is_due = |store: &&AuditStore| {
            let key = (session.wanted.sid.clone(), store.name.clone());
            let look = looks.get(&key).copied().unwrap_or_default();
            rule.is_due(ended, look, store.listed_at().unwrap_or(rule.now))
        };
        let stores: BTreeSet<String> = (stores.iter().filter(is_due))
            .map(|store| store.name.clone())
            .collect();
        if !stores.is_empty() {
            session.wanted.stores = stores;
            found.push(session);
        }
    }
    completed(engine, library, found).await
}

/// Returns what to look for of one session, now and in every store.
pub async fn named(
    engine: &Engine,
    library: &Library,
    stores: &[AuditStore],
    sid: &str,
    rule: &Rule,
) -> Result<Wanted> {
    let params = [
        text("sid", Some(sid.to_ascii_lowercase())),
        instant("since", None),
    ];
    let row = texts(engine, library, "sessions", &params).await?.pop();
    let Some((mut session, ended_at, _)) = row.and_then(read) else {
        bail!("no stream knows a session `{sid}`");
    };
    // A store can be asked at any time; a listing knows nothing of what came after it.
    let knows = |store: &&AuditStore| match (store.listed_at(), ended_at) {
        (Some(at), Some(ended_at)) => rule.is_over(ended_at, at),
        (Some(_), None) => false,
        (None, _) => true,
    };
    session.wanted.stores = (stores.iter().filter(knows))
        .map(|store| store.name.clone())
        .collect();
    if session.wanted.stores.is_empty() {
        bail!(
            "the session `{sid}` had not ended, or not for audit.grace, when the listing was made"
        );
    }
    let mut completed = completed(engine, library, vec![session]).await?;
    Ok(completed.pop().expect("one went in"))
}

/// A session of a channel.
struct OfChannel {
    channel: (Option<String>, Option<String>),
    wanted: Wanted,
}

/// Reads a row of `audit/sessions`: the session, its end, and when its upload was announced.
fn read(row: [Option<String>; 9]) -> Option<(OfChannel, Option<Micros>, Option<Micros>)> {
    let [
        sid,
        app_id,
        cname,
        prefix,
        record_prefix,
        vendor_name,
        bucket,
        ended_at,
        announced_at,
    ] = row;
    let vendor = vendor_name.as_deref().and_then(vendor::from_text);
    let wanted = Wanted {
        sid: sid?,
        cname: cname.clone(),
        // The empty one is of a start without fileNamePrefix.
        prefixes: [prefix, record_prefix, Some(String::new())]
            .into_iter()
            .flatten()
            .collect(),
        destination: vendor.zip(bucket),
        ..Wanted::default()
    };
    let channel = (app_id, cname);
    Some((
        OfChannel { channel, wanted },
        micros(ended_at),
        micros(announced_at),
    ))
}

/// Adds the paths of all starts of a session's channel, one of which may have sent its files elsewhere, and the names of the
/// files that it was promised.
async fn completed(
    engine: &Engine,
    library: &Library,
    sessions: Vec<OfChannel>,
) -> Result<Vec<Wanted>> {
    if sessions.is_empty() {
        return Ok(Vec::new());
    }
    let cnames = sessions.iter().filter_map(|it| it.channel.1.as_deref());
    let sids = sessions.iter().map(|it| it.wanted.sid.as_str());
    let cnames = text("cnames", listed(cnames, "\n"));
    let sids = text("sids", listed(sids, ","));
    let mut prefixes: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for row in texts(engine, library, "prefixes", &[cnames]).await? {
        let [app_id, cname, Some(prefix)] = row else {
            continue;
        };
        prefixes.entry((app_id, cname)).or_default().insert(prefix);
    }
    let mut promised: BTreeMap<String, BTreeMap<String, PromisedBy>> = BTreeMap::new();
    for row in texts(engine, library, "promises", &[sids]).await? {
        let [Some(sid), Some(file), Some(by)] = row else {
            continue;
        };
        if let Some(by) = PromisedBy::from_text(&by) {
            let known = promised.entry(sid).or_default().entry(file).or_insert(by);
            *known = by.max(*known);
        }
    }
    let complete = |OfChannel {
                        channel,
                        mut wanted,
                    }: OfChannel| {
        wanted.promised = promised.remove(&wanted.sid).unwrap_or_default();
        wanted
            .prefixes
            .extend(prefixes.get(&channel).cloned().unwrap_or_default());
        wanted
    };
    Ok(sessions.into_iter().map(complete).collect())
}

fn micros(text: Option<String>) -> Option<Micros> {
    text?.parse().ok()
}

/// So many names can be asked for one by one; of more everything is read.
const NAMES_MAX: usize = 200;

/// Returns a few names in one text, none where they are many.
fn listed<'n>(names: impl Iterator<Item = &'n str>, mark: &str) -> Option<String> {
    let names: BTreeSet<&str> = names.collect();
    let names: Vec<&str> = names.into_iter().collect();
    (names.len() <= NAMES_MAX).then(|| names.join(mark))
}

fn text(name: &str, value: Option<String>) -> (String, ScalarValue) {
    (name.to_string(), ScalarValue::Utf8(value))
}

fn instant(name: &str, value: Option<Micros>) -> (String, ScalarValue) {
    let value = ScalarValue::TimestampMicrosecond(value, Some("UTC".into()));
    (name.to_string(), value)
}

/// Runs a query of `queries/audit/` and returns its rows, of so many columns, as texts.
async fn texts<const N: usize>(
    engine: &Engine,
    library: &Library,
    name: &str,
    params: &[(String, ScalarValue)],
) -> Result<Vec<[Option<String>; N]>> {
    let statement = library.statement(&format!("audit/{name}"))?;
    let batch = engine.collect(statement, params).await?;
    let columns = batch.columns().iter().map(|it| cast(it, &DataType::Utf8));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let row = |row: usize| {
        std::array::from_fn(|at| {
            let column = columns[at].as_string::<i32>();
            column.is_valid(row).then(|| column.value(row).to_string())
        })
    };
    Ok((0..batch.num_rows()).map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Micros = MICROS_PER_DAY / 24;
    const RULE: Rule = Rule {
        grace: Duration::from_secs(3600),
        retry: Duration::from_secs(6 * 3600),
        now: 0,
    };

    /// Says at which of these hours after its end a session is due.
    fn due_at(hours: &[i64], ended: Ended, look: Look) -> Vec<i64> {
        let is_due = |hour: &i64| {
            let now = hour * HOUR;
            Rule { now, ..RULE }.is_due(ended, look, now)
        };
        hours.iter().copied().filter(is_due).collect()
    }

    const ENDED: Ended = Ended {
        at: 0,
        announced_at: None,
        lacks: false,
    };

    fn answered(hour: i64) -> Look {
        Look {
            answered_at: Some(hour * HOUR),
            refused_at: None,
        }
    }

    #[test]
    fn a_session_is_due_once_its_grace_is_over_and_not_again() {
        assert_eq!(due_at(&[0, 1, 2], ENDED, Look::default()), [1, 2]);
        assert!(due_at(&[1, 2, 24, 25, 26, 99], ENDED, answered(1)).is_empty());
        let begun = answered(-1);
        assert_eq!(due_at(&[2], ENDED, begun), [2], "that was before its end");
    }

    #[test]
    fn what_was_not_there_is_looked_for_once_more_a_day_later() {
        let lacking = Ended {
            lacks: true,
            ..ENDED
        };
        let hours = [2, 24, 25, 26];
        assert_eq!(due_at(&hours, lacking, answered(1)), [25, 26]);
        assert!(due_at(&hours, lacking, answered(25)).is_empty());
        let announced = Ended {
            announced_at: Some(HOUR),
            ..lacking
        };
        assert_eq!(due_at(&hours, announced, answered(1)), [26]);
    }

    #[test]
    fn a_store_that_refused_is_asked_again_later() {
        let refused = Look {
            answered_at: None,
            refused_at: Some(2 * HOUR),
        };
        assert_eq!(due_at(&[2, 7, 8], ENDED, refused), [8]);
    }

    #[test]
    fn a_listing_says_nothing_of_what_ended_after_it() {
        let rule = Rule {
            now: 99 * HOUR,
            ..RULE
        };
        assert!(!rule.is_due(ENDED, Look::default(), HOUR - 1));
        assert!(rule.is_due(ENDED, Look::default(), HOUR));
    }
}
