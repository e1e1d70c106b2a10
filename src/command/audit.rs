//! `tapetrail audit`: looks into the buckets themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use clap::Args;
use datafusion::common::ScalarValue;
use futures::StreamExt;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::output::{EngineArgs, OutputArgs};
use super::{Context, LogFormat, Outcome, WARNINGS};
use crate::audit::{AuditStore, Wanted, append, look, open_stores};
use crate::detection::library::Library;
use crate::detection::window;
use crate::engine::{Engine, Params, Statement};
use crate::event::{MICROS_PER_DAY, Micros, Stream};
use crate::intake::Intake;
use crate::lake::commit::Ledger;
use crate::vendor;

/// Look into the buckets themselves for the files of sessions
///
/// After a session's end plus audit.grace, every store of `[audit.stores]` is searched for the session's files, by the
/// paths that calls and records name for its channel and by its id: a few requests a session, never a whole listing.
/// What is there, what a notification or an index (.m3u8) promised and is not there, and where nobody may look is
/// appended to the table `audits`, which detections and `investigate` take for the strongest witness.
///
/// It only reads from the stores. A session that was audited is not looked for again, unless --sid names it, so a run
/// that was ended goes on where it stopped. Credentials come from the environment: AWS_ACCESS_KEY_ID and so on for all
/// stores, TAPETRAIL_STORE_<NAME>_AWS_ACCESS_KEY_ID for one.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Look for this session alone, now, whether it was audited before or not
    #[arg(long, value_name = "SID", conflicts_with_all = ["since", "follow"])]
    sid: Option<String>,

    /// Look for sessions that ended from this on: 7d (ago), 2026-11-22 or an RFC 3339 time
    #[arg(long, value_name = "TIME", default_value = "31d")]
    since: String,

    /// Go on for ever: look again this long after the end of the look before; SIGTERM ends it
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "1m", value_parser = humantime::parse_duration)]
    follow: Option<Duration>,

    #[command(flatten)]
    engine: EngineArgs,

    #[command(flatten)]
    output: OutputArgs,
}

/// Sessions whose results become one commit.
const SESSIONS_A_COMMIT: usize = 200;

/// A ticket lasts 30 days at most, and with it a session.
const REACH: Micros = 31 * MICROS_PER_DAY;

const DUE: &str = "
SELECT sessions.sid, sessions.app_id, sessions.cname, sessions.prefix, sessions.record_prefix, sessions.vendor_name, sessions.bucket
FROM sessions
LEFT JOIN (SELECT sid, max(occurred_at) AS at FROM audits GROUP BY sid) AS audited ON audited.sid = sessions.sid
WHERE sessions.ended_at >= $since AND sessions.ended_at <= $ended_before
    AND (audited.at IS NULL OR audited.at < sessions.ended_at)
ORDER BY sessions.ended_at, sessions.sid";

const NAMED: &str = "
SELECT sid, app_id, cname, prefix, record_prefix, vendor_name, bucket
FROM sessions
WHERE sid = $sid";

const PREFIXES: &str = "
SELECT DISTINCT app_id, cname, prefix FROM starts WHERE prefix IS NOT NULL AND cname IS NOT NULL";

const PROMISED: &str = "
SELECT DISTINCT sid, unnest(files) AS file FROM webhooks
WHERE event_type IN (4, 31) AND sid IS NOT NULL AND files IS NOT NULL";

const OF_SESSION: &str = "
SELECT store, vendor_name, bucket, result, promised_by, \"key\", size, written_at, answer
FROM audits
WHERE run = $run
ORDER BY store, result, \"key\"";

const MISSING: &str = "
SELECT sid, cname, store, bucket, promised_by, \"key\"
FROM audits
WHERE run = $run AND result = 'missing'
    AND (\"key\" IS NOT NULL OR sid NOT IN (SELECT sid FROM audits WHERE run = $run AND result = 'found' AND sid IS NOT NULL))
ORDER BY sid, store, \"key\"";

pub fn run(args: AuditArgs, context: Context) -> Result<Outcome> {
    super::start_logging_at(LogFormat::Text, WARNINGS);
    let settings = &context.config.audit;
    ensure!(
        !settings.stores.is_empty(),
        "no store is named in the configuration; add for example\n\n[audit.stores.main]\nurl = \"s3://BUCKET\"\nvendor = \"s3\""
    );
    let stores = open_stores(settings)?;
    super::runtime()?.block_on(async {
        let stop = CancellationToken::new();
        super::consume::stop_on_signal(
            stop.clone(),
            "stopping after the sessions in hand",
            "stopped at once; what was not committed is looked for again",
        )?;
        probe(&stores).await?;
        loop {
            let (run, counts) = once(&args, &context, &stores, &stop).await?;
            eprintln!(
                "{} sessions in {} stores: {} files found, {} promised files missing, {} sessions without any file, {} searches refused",
                counts.sessions,
                stores.len(),
                counts.found,
                counts.missing,
                counts.nowhere,
                counts.refused
            );
            let Some(pause) = args.follow else {
                show(&args, &context, &run).await?;
                return Ok(match counts.is_clean() {
                    true => Outcome::Clean,
                    false => Outcome::Found,
                });
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return Ok(Outcome::Clean),
            }
        }
    })
}

/// Says of each store whether we may look into it. Those that we may not are told of in each session's results, too.
async fn probe(stores: &[AuditStore]) -> Result<()> {
    let mut usable = 0;
    for store in stores {
        match store.list("", 1).await {
            Ok(_) => usable += 1,
            Err(refusal) => eprintln!(
                "warning: audit.stores.{}: may not list `{}`: {}",
                store.name, store.bucket, refusal.answer
            ),
        }
    }
    if usable == 0 {
        bail!("none of the stores lets us look; see the warnings above");
    }
    Ok(())
}

/// What a run found.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    sessions: usize,
    found: usize,
    /// Promised files that are not where their session's files are.
    missing: usize,
    /// Sessions of which no store has a file.
    nowhere: usize,
    refused: usize,
}

impl Counts {
    /// Adds the results of one session.
    fn add(&mut self, results: &[Value]) {
        let of = |result: &'static str| results.iter().filter(move |it| it["result"] == result);
        self.sessions += 1;
        self.found += of("found").count();
        self.missing += of("missing").filter(|it| it["key"].is_string()).count();
        self.nowhere += usize::from(of("found").next().is_none());
        self.refused += of("denied").chain(of("failed")).count();
    }

    fn is_clean(&self) -> bool {
        self.missing + self.nowhere + self.refused == 0
    }
}

/// Prints what a run found of one session, or of many what is missing.
async fn show(args: &AuditArgs, context: &Context, run: &str) -> Result<()> {
    let (engine, _library) = args.engine.open(context, None).await?;
    let sql = match &args.sid {
        Some(_) => OF_SESSION,
        None => MISSING,
    };
    let run = ScalarValue::Utf8(Some(run.to_string()));
    let params: Params = vec![("run".to_string(), run)];
    let rows = engine.collect(&Statement::parse_one(sql)?, &params).await?;
    args.output.print(&rows)
}

/// Looks for everything that is due; returns the name of the run.
async fn once(
    args: &AuditArgs,
    context: &Context,
    stores: &[AuditStore],
    stop: &CancellationToken,
) -> Result<(String, Counts)> {
    let since = match &args.sid {
        Some(_) => None,
        None => Some(window::instant(&args.since, context.clock.now()).context("--since")?),
    };
    // A session that ended since then may have begun before.
    let read_from = since.map(|since| since.saturating_sub(REACH));
    let nothing_kept = |_: &Library| Ok(BTreeSet::new());
    let (engine, _library) = (args.engine)
        .open_keeping(context, read_from, nothing_kept)
        .await?;
    let wanted = wanted(args, since, context, &engine).await?;
    if let (Some(sid), true) = (&args.sid, wanted.is_empty()) {
        bail!("no stream knows a session `{sid}`");
    }
    let lake = context.lake()?;
    let mut ledger = Ledger::new(Stream::Audits, lake.open_or_create(Stream::Audits).await?);
    let mut intake = Intake::new(&context.config);
    let run = Uuid::new_v4().simple().to_string();
    let mut counts = Counts::default();
    for portion in wanted.chunks(SESSIONS_A_COMMIT) {
        if stop.is_cancelled() {
            break;
        }
        let searches = portion
            .iter()
            .map(|wanted| look(stores, wanted, &run, || context.clock.now()));
        let concurrency = context.config.audit.concurrency;
        let results: Vec<Vec<Value>> = futures::stream::iter(searches)
            .buffered(concurrency)
            .collect()
            .await;
        results.iter().for_each(|results| counts.add(results));
        let results = results.concat();
        append(&mut ledger, &mut intake, &results, context.clock.now()).await?;
    }
    Ok((run, counts))
}

/// Returns what to look for of every session that is due, or of the one that was named.
async fn wanted(
    args: &AuditArgs,
    since: Option<Micros>,
    context: &Context,
    engine: &Engine,
) -> Result<Vec<Wanted>> {
    let now = context.clock.now();
    let instant = |at: Micros| ScalarValue::TimestampMicrosecond(Some(at), Some("UTC".into()));
    let rows = match &args.sid {
        Some(sid) => {
            let sid = ScalarValue::Utf8(Some(sid.to_ascii_lowercase()));
            let params: Params = vec![("sid".to_string(), sid)];
            engine.run(NAMED, &params).await?
        }
        None => {
            let grace = i64::try_from(context.config.audit.grace.as_micros()).unwrap_or(i64::MAX);
            let since = since.unwrap_or(0);
            let params: Params = vec![
                ("since".to_string(), instant(since)),
                (
                    "ended_before".to_string(),
                    instant(now.saturating_sub(grace)),
                ),
            ];
            engine.run(DUE, &params).await?
        }
    };
    if rows.iter().all(|rows| rows.num_rows() == 0) {
        return Ok(Vec::new());
    }
    let mut prefixes: BTreeMap<(Option<String>, Option<String>), BTreeSet<String>> =
        BTreeMap::new();
    for row in texts(&engine.run(PREFIXES, &[]).await?)? {
        let [app_id, cname, Some(prefix)] = row else {
            continue;
        };
        prefixes.entry((app_id, cname)).or_default().insert(prefix);
    }
    let mut promised: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in texts(&engine.run(PROMISED, &[]).await?)? {
        let [Some(sid), Some(file)] = row else {
            continue;
        };
        let name = file.rsplit('/').next().unwrap_or(&file).to_string();
        promised.entry(sid).or_default().insert(name);
    }
    let mut all = Vec::new();
    for row in texts(&rows)? {
        let [
            Some(sid),
            app_id,
            cname,
            prefix,
            record_prefix,
            vendor_name,
            bucket,
        ] = row
        else {
            continue;
        };
        let channel = (app_id.clone(), cname.clone());
        let mut of_session = prefixes.get(&channel).cloned().unwrap_or_default();
        of_session.extend(prefix);
        of_session.extend(record_prefix);
        // A start without fileNamePrefix.
        of_session.insert(String::new());
        let vendor = vendor_name.as_deref().and_then(vendor::from_text);
        all.push(Wanted {
            promised: promised.remove(&sid).unwrap_or_default(),
            sid,
            app_id,
            cname,
            prefixes: of_session,
            destination: vendor.zip(bucket),
        });
    }
    Ok(all)
}

/// Returns rows of so many columns as texts.
fn texts<const N: usize>(batches: &[RecordBatch]) -> Result<Vec<[Option<String>; N]>> {
    let mut rows = Vec::new();
    for batch in batches {
        let columns = batch.columns().iter().map(|it| cast(it, &DataType::Utf8));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            rows.push(std::array::from_fn(|at| {
                let column = columns[at].as_string::<i32>();
                column.is_valid(row).then(|| column.value(row).to_string())
            }));
        }
    }
    Ok(rows)
}
