//! `tapetrail audit`: looks into the buckets themselves.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use clap::Args;
use datafusion::common::ScalarValue;
use futures::StreamExt;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::output::{EngineArgs, OutputArgs, counted};
use super::{Context, LogFormat, Outcome, WARNINGS};
use crate::audit::due::{Rule, due, named};
use crate::audit::listing::Catalog;
use crate::audit::{AuditStore, Wanted, append, look, open_stores};
use crate::detection::library::Library;
use crate::detection::window;
use crate::engine::{Engine, Kept, Params};
use crate::event::{MICROS_PER_DAY, Micros, Stream};
use crate::intake::Intake;
use crate::lake::commit::Ledger;

/// Look into the buckets themselves for the files of sessions
///
/// After a session's end plus audit.grace, every store of `[audit.stores]` is searched for the session's files, by the
/// paths that calls and records name for its channel and by its id: a few requests a session, never a whole listing.
/// What is there, what a notification, an answer or an index (.m3u8) promised and is not there, and where nobody may look
/// is appended to the table `audits`, which detections and `investigate` take for the strongest witness. Printed is what is
/// wrong: promised files that are missing, sessions without a file, files that are not where the accepted start sent them,
/// stores that refused. Exit code 1 where there is any.
///
/// It only reads from the stores. What was audited is not looked for again, so a run that was ended goes on where it
/// stopped; only files that were missing are looked for once more a day after the end, and stores that refused are asked
/// again. Credentials come from the environment: AWS_ACCESS_KEY_ID and so on for all stores,
/// TAPETRAIL_STORE_<NAME>_AWS_ACCESS_KEY_ID for one.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Look for this session alone, now, whether it was audited before or not
    #[arg(long, value_name = "SID", conflicts_with_all = ["since", "follow"])]
    sid: Option<String>,

    /// Look for sessions that ended from this on: 7d (ago), 2026-11-22 or an RFC 3339 time
    #[arg(long, value_name = "TIME", default_value = "31d")]
    since: String,

    /// Go on for ever: look again this long after the end of the look before; SIGTERM ends it
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "5m", value_parser = humantime::parse_duration)]
    follow: Option<Duration>,

    /// Read a list of what a store holds instead of asking it, and look into the stores so named alone: the manifest.json
    /// of an inventory (Amazon S3, OSS, COS), or any CSV or Parquet with the keys of objects; a path or a URL
    #[arg(long, value_name = "STORE=PATH", conflicts_with = "follow")]
    listing: Vec<String>,

    /// When the listings were made, where they do not say so; else it is taken to be the last write that they list
    #[arg(long, value_name = "TIME", requires = "listing")]
    listed_at: Option<String>,

    #[command(flatten)]
    engine: EngineArgs,

    #[command(flatten)]
    output: OutputArgs,
}

/// Sessions whose results become one commit.
const SESSIONS_A_COMMIT: usize = 50;

/// A ticket lasts 30 days at most, and with it a session.
const REACH: Micros = 31 * MICROS_PER_DAY;

/// Whoever follows asks a store that refused again so much later, not at every look.
const RETRY: Duration = Duration::from_secs(6 * 3600);

pub fn run(args: AuditArgs, context: Context) -> Result<Outcome> {
    super::start_logging_at(LogFormat::Text, WARNINGS);
    let settings = &context.config.audit;
    ensure!(
        !args.engine.is_past(),
        "--as-of: an audit looks into the buckets as they are now, by all that is known now; leave it out"
    );
    ensure!(
        !settings.stores.is_empty(),
        "no store is named in the configuration; add for example\n\n[audit.stores.main]\nurl = \"s3://BUCKET\"\nvendor = \"s3\""
    );
    let mut stores = open_stores(settings)?;
    super::runtime()?.block_on(async {
        let stop = CancellationToken::new();
        super::service::stop_on_signal(
            stop.clone(),
            "stopping after the sessions in hand",
            "stopped at once; what was not committed is looked for again",
        )?;
        let listings = open_listings(&args, &context, &mut stores).await?;
        probe(&stores).await?;
        let mut audit = Audit {
            args: &args,
            context: &context,
            stores,
            listings,
            stop: &stop,
        };
        let Some(pause) = args.follow else {
            let run = audit.once().await?;
            return audit.show(&run).await;
        };
        audit.once().await?;
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return Ok(Outcome::Clean),
            }
            // The lake may be out of reach for a while.
            if let Err(error) = audit.once().await {
                tracing::warn!(
                    "{error:#}; trying again in {}",
                    humantime::format_duration(pause)
                );
            }
        }
    })
}

/// Opens the listings that are named, and leaves only the stores that they are of.
async fn open_listings(
    args: &AuditArgs,
    context: &Context,
    stores: &mut Vec<AuditStore>,
) -> Result<Vec<(String, Catalog)>> {
    let at = args.listed_at.as_deref();
    let at = at.map(|text| window::instant(text, context.clock.now()));
    let at = at.transpose().context("--listed-at")?;
    let mut listings = Vec::new();
    for text in &args.listing {
        let (name, path) = text
            .split_once('=')
            .with_context(|| format!("--listing {text}: write STORE=PATH"))?;
        let store = stores.iter_mut().find(|store| store.name == name);
        let store = store.ok_or_else(|| {
            let names: Vec<_> = context
                .config
                .audit
                .stores
                .keys()
                .map(String::as_str)
                .collect();
            anyhow!(
                "--listing {text}: no store is called `{name}`; the stores are {}",
                names.join(", ")
            )
        })?;
        let settings = &context.config.audit.stores[name];
        let catalog = Catalog::open(path, name, settings, &store.bucket, at);
        let catalog = catalog.await.with_context(|| format!("`{path}`"))?;
        store.answer_from(catalog.unread());
        listings.push((name.to_string(), catalog));
    }
    if !listings.is_empty() {
        stores.retain(|store| store.listed_at().is_some());
    }
    Ok(listings)
}

/// Says of each store what it does not let us do. The results of each session tell of it, too.
async fn probe(stores: &[AuditStore]) -> Result<()> {
    let mut usable = stores.len();
    for store in stores {
        let probed = store.probe().await;
        usable -= usize::from(!probed.may_list);
        for denied in probed.denied {
            eprintln!("warning: audit.stores.{}: {denied}", store.name);
        }
    }
    if usable == 0 {
        bail!("none of the stores lets us look; see the warnings above");
    }
    Ok(())
}

/// Runs of one process.
struct Audit<'a> {
    args: &'a AuditArgs,
    context: &'a Context,
    stores: Vec<AuditStore>,
    listings: Vec<(String, Catalog)>,
    stop: &'a CancellationToken,
}

impl Audit<'_> {
    /// Looks for everything that is due, and says what became of it. Returns the name of the run.
    async fn once(&mut self) -> Result<String> {
        let wanted = self.wanted().await?;
        let sids: BTreeSet<String> = wanted.iter().map(|wanted| wanted.sid.clone()).collect();
        for (name, catalog) in &self.listings {
            let listing = catalog.read(&sids).await?;
            let store = self.stores.iter_mut().find(|store| store.name == *name);
            store.expect("was opened with it").answer_from(listing);
        }
        let run = Uuid::new_v4().simple().to_string();
        let mut counts = Counts::default();
        if !wanted.is_empty() {
            self.look(&wanted, &run, &mut counts).await?;
        }
        if !wanted.is_empty() || self.args.follow.is_none() {
            counts.tell(self.stores.len());
        }
        Ok(run)
    }

    async fn look(&self, wanted: &[Wanted], run: &str, counts: &mut Counts) -> Result<()> {
        let table = self.context.lake()?.open_or_create(Stream::Audits).await?;
        let mut ledger = Ledger::new(Stream::Audits, table);
        let mut intake = Intake::new(&self.context.config);
        let clock = &self.context.clock;
        for portion in wanted.chunks(SESSIONS_A_COMMIT) {
            let searches = portion
                .iter()
                .map(|wanted| look(&self.stores, wanted, run, || clock.now()));
            let results: Vec<Vec<Value>> = futures::stream::iter(searches)
                .take_until(self.stop.cancelled())
                .buffered(self.context.config.audit.concurrency)
                .collect()
                .await;
            results.iter().for_each(|results| counts.add(results));
            append(&mut ledger, &mut intake, &results.concat(), clock.now()).await?;
            if self.stop.is_cancelled() {
                break;
            }
        }
        Ok(())
    }

    /// Returns what to look for of every session that is due, or of the one that was named.
    async fn wanted(&self) -> Result<Vec<Wanted>> {
        let now = self.context.clock.now();
        let rule = Rule {
            grace: self.context.config.audit.grace,
            retry: self.args.follow.map_or(Duration::ZERO, |_| RETRY),
            now,
        };
        if let Some(sid) = &self.args.sid {
            let (engine, library) = self.open(None).await?;
            let wanted = named(&engine, &library, &self.stores, sid, &rule).await?;
            return Ok(vec![wanted]);
        }
        let since = window::instant(&self.args.since, now).context("--since")?;
        // A session that ended since then may have begun before.
        let (engine, library) = self.open(Some(since.saturating_sub(REACH))).await?;
        due(&engine, &library, &self.stores, since, &rule).await
    }

    async fn open(&self, read_from: Option<Micros>) -> Result<(Engine, Library)> {
        let nothing_kept = |_: &Library| Ok(Kept::default());
        let opened = self
            .args
            .engine
            .open_keeping(self.context, read_from, nothing_kept);
        opened.await
    }

    /// Prints what a run found of one session, or of many what is wrong.
    async fn show(&self, run: &str) -> Result<Outcome> {
        let (engine, library) = self.open(None).await?;
        let sid = self.args.sid.as_deref().map(str::to_ascii_lowercase);
        let params: Params = vec![
            ("run".to_string(), ScalarValue::from(run)),
            ("sid".to_string(), ScalarValue::Utf8(sid)),
        ];
        let wrong = library.statement("audit/wrong")?;
        let wrong = engine.collect(wrong, &params).await?;
        match &self.args.sid {
            Some(_) => {
                let results = library.statement("audit/results")?;
                let results = engine.collect(results, &params).await?;
                self.args.output.print(&results)?;
            }
            None => self.args.output.print(&wrong)?,
        }
        Ok(match wrong.num_rows() {
            0 => Outcome::Clean,
            _ => Outcome::Found,
        })
    }
}

/// What a run found.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    sessions: usize,
    found: usize,
    /// Promised files that are not where their session's files are.
    missing: usize,
    /// Sessions of which no store that was looked into has a file.
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

    fn tell(&self, stores: usize) {
        let count = |count: usize, thing| counted(count as u64, thing);
        eprintln!(
            "{} in {}: {} found, {} missing, {} without any file, {} refused",
            count(self.sessions, "session"),
            count(stores, "store"),
            count(self.found, "file"),
            count(self.missing, "promised file"),
            count(self.nowhere, "session"),
            count(self.refused, "look"),
        );
    }
}
