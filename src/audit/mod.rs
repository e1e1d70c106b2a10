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

/// What a run found of its sessions, in full.
pub const OF_ONE: &str = "
SELECT store, vendor_name, bucket, result, promised_by, \"key\", size, written_at, answer
FROM audits
WHERE run = $run
ORDER BY store, result, \"key\"";

/// What is wrong with the sessions that a run looked for, by all that is known of them now.
pub const OF_RUN: &str = "
WITH looks AS (
    SELECT session_audits.*
    FROM session_audits
    LEFT SEMI JOIN (SELECT sid FROM audits WHERE run = $run) AS looked ON looked.sid = session_audits.sid
),

found AS (
    SELECT sid, min(cname) AS cname, store, vendor_name, bucket, count(*) AS files, min(\"key\") AS first_key
    FROM looks
    WHERE result = 'found'
    GROUP BY sid, store, vendor_name, bucket
)

SELECT what, sid, cname, store, bucket, detail
FROM (
    SELECT
        'promised, not there' AS what, sid, cname, store, bucket,
        concat(\"key\", ' (promised by ', promised_by, ')') AS detail
    FROM looks
    WHERE result = 'missing' AND \"key\" IS NOT NULL
    UNION ALL
    SELECT
        'no file in any store' AS what, sid, min(cname) AS cname, NULL AS store, NULL AS bucket,
        CASE
            WHEN bool_or(result = 'missing')
                THEN concat('looked into ', string_agg(CASE WHEN result = 'missing' THEN store END, ', ' ORDER BY store))
            ELSE 'no store answered'
        END AS detail
    FROM looks
    GROUP BY sid
    HAVING bool_and(result <> 'found')
    UNION ALL
    SELECT
        'not where it was sent' AS what, found.sid, found.cname, found.store, found.bucket,
        concat(
            found.files, ' files, first ', found.first_key, '; the accepted start named ', sessions.vendor_name, ':',
            sessions.bucket
        ) AS detail
    FROM found
    INNER JOIN sessions ON sessions.sid = found.sid
    LEFT ANTI JOIN found AS sent
        ON sent.sid = sessions.sid
        AND sent.vendor_name = sessions.vendor_name
        AND sent.bucket = sessions.bucket
    WHERE sessions.bucket IS NOT NULL
    UNION ALL
    SELECT
        result AS what, NULL AS sid, NULL AS cname, store, bucket,
        concat(count(DISTINCT sid), ' sessions: ', min(answer)) AS detail
    FROM looks
    WHERE result IN ('denied', 'failed')
    GROUP BY result, store, bucket
)
ORDER BY sid, what, store, detail";

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
