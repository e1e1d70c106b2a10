//! Looks into the stores themselves for the files of sessions. What it finds becomes rows of the table `audits`, by the
//! path that every other event takes.

pub mod due;
mod index;
pub mod listing;
mod pace;
mod search;
mod stores;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, bail};
use chrono::{DateTime, SecondsFormat};
use futures::future::join_all;
use serde_json::{Value, json};

pub use search::Wanted;
pub use stores::AuditStore;

use crate::config;
use crate::event::{Micros, TimestampType};
use crate::intake::{Intake, Message};
use crate::lake::commit::{Batch, CommitError, Ledger, Range};
use crate::lake::log::AppId;
use crate::table::rows::{Origin, Rows};
use pace::Pace;
use search::{Outcome, PromisedBy, search};

/// What rows of audits have for the topic that they came from.
const TOPIC: &str = "audit";

/// Opens all stores of the configuration. Asks for nothing.
pub fn open_stores(settings: &config::Audit) -> Result<Vec<AuditStore>> {
    let pace = Arc::new(Pace::new(settings.requests_per_second));
    let mut stores: Vec<AuditStore> = Vec::new();
    for (name, store) in &settings.stores {
        let store = AuditStore::open(name, store, Arc::clone(&pace))?;
        let is_same = |it: &&AuditStore| (it.vendor, &it.bucket) == (store.vendor, &store.bucket);
        if let Some(other) = stores.iter().find(is_same) {
            bail!(
                "audit.stores.{name}: is the bucket `{}` of audit.stores.{}; name it once",
                store.bucket,
                other.name
            );
        }
        stores.push(store);
    }
    Ok(stores)
}

/// Looks for one session in the stores where it is wanted, and returns its results in the form of the stream `audits`.
pub async fn look(
    stores: &[AuditStore],
    wanted: &Wanted,
    run: &str,
    now: impl Fn() -> Micros,
) -> Vec<Value> {
    let now = &now;
    let stores = stores.iter().filter(|it| wanted.stores.contains(&it.name));
    let searches = stores.map(|store| async move {
        let outcomes = search(store, wanted).await;
        let at = store.listed_at().unwrap_or_else(now);
        let told = outcomes
            .iter()
            .map(|outcome| told(store, wanted, run, at, outcome));
        told.collect::<Vec<_>>()
    });
    join_all(searches).await.concat()
}

fn told(store: &AuditStore, wanted: &Wanted, run: &str, at: Micros, outcome: &Outcome) -> Value {
    let mut told = json!({
        "audited_at": rfc3339(at), "run": run, "store": store.name, "vendor": store.vendor, "bucket": store.bucket,
        "sid": wanted.sid, "cname": wanted.cname,
    });
    let by = |by: &Option<PromisedBy>| by.map(PromisedBy::as_str);
    let more = match outcome {
        Outcome::Found {
            object,
            promised_by,
        } => json!({
            "result": "found", "key": object.key, "size": object.size, "etag": object.etag,
            "written_at": object.written_at.and_then(rfc3339), "promised_by": by(promised_by),
        }),
        Outcome::Missing { key, promised_by } => {
            json!({"result": "missing", "key": key, "promised_by": by(promised_by)})
        }
        Outcome::Refused(refusal) => json!({
            "result": if refusal.is_denied { "denied" } else { "failed" }, "answer": refusal.answer,
        }),
    };
    if let (Value::Object(told), Value::Object(more)) = (&mut told, more) {
        told.extend(more);
    }
    told
}

fn rfc3339(at: Micros) -> Option<String> {
    let at = DateTime::from_timestamp_micros(at)?;
    Some(at.to_rfc3339_opts(SecondsFormat::Micros, true))
}

/// How often a commit is tried again that another audit was faster than.
const TRIES: usize = 20;

/// Appends the results of some sessions in one commit. All audits of a lake write to one partition of one topic, as it
/// were, so that `verify` sees that none of their rows goes missing.
pub async fn append(
    ledger: &mut Ledger,
    intake: &mut Intake,
    results: &[Value],
    now: Micros,
) -> Result<(), CommitError> {
    if results.is_empty() {
        return Ok(());
    }
    let mut fenced = None;
    for _ in 0..TRIES {
        ledger.refresh().await?;
        match append_once(ledger, intake, results, now).await {
            Err(CommitError::Fenced(why)) => fenced = Some(why),
            outcome => return outcome,
        }
    }
    Err(CommitError::Fenced(fenced.unwrap_or_default()))
}

async fn append_once(
    ledger: &mut Ledger,
    intake: &mut Intake,
    results: &[Value],
    now: Micros,
) -> Result<(), CommitError> {
    let app_id = AppId::partition(TOPIC, TOPIC, 0, 0);
    let stored = ledger.stored(&app_id).await?;
    let from = stored.unwrap_or(0);
    let mut rows = Rows::new(ledger.stream());
    for (offset, result) in (from..).zip(results) {
        let origin = Origin {
            topic: TOPIC.into(),
            partition: Some(0),
            offset,
            source_id: Some(format!("{TOPIC}@0").into()),
            received_at: Some(now),
            timestamp_type: Some(TimestampType::Producer),
            taken_at: now,
            ..Origin::default()
        };
        let text = result.to_string();
        let message = Message {
            value: Some(text.as_bytes()),
            ..Message::default()
        };
        intake.take(&mut rows, &origin, &message);
    }
    let range = Range {
        from,
        to: from + results.len() as i64,
        is_first: stored.is_none(),
        rows: rows.len() as i64,
    };
    let mut batch = Batch::default();
    ledger
        .put_rows(&mut rows, &mut batch, now / 1000)
        .await
        .map_err(CommitError::Unavailable)?;
    batch.ranges = BTreeMap::from([(app_id, range)]);
    ledger.commit(&batch).await.map(drop)
}
