//! `tapetrail replay`: stored messages through decode and normalize again.

use std::borrow::Cow;
use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use clap::Args;

use super::output::LibraryArgs;
use super::{Context, Outcome};
use crate::decode::webhooks::Signature;
use crate::engine::{Engine, EngineOptions, log_name};
use crate::event::{Micros, Stream, TimestampType};
use crate::intake::{Intake, Left};
use crate::lake::commit::{Batch, CommitError, Ledger, Range};
use crate::lake::log::AppId;
use crate::lake::table::{Texts, provider};
use crate::table::rows::{Origin, Rows};

/// Decode stored messages again, after a fix
///
/// Without a range: every dead letter that no replay has answered yet. With --topic and offsets: everything that
/// is stored of that range. What can be read now is appended with `replay_of`, the position it came from; the old
/// rows stay. Messages are stored redacted, so a replay cannot bring a secret back, nor check a signature again.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Only this stream: api_calls, webhooks, storage_events or session_records
    #[arg(long)]
    stream: Option<Stream>,

    /// Replay a stored range of this topic (`import` for files) instead of dead letters
    #[arg(long, requires = "stream")]
    topic: Option<String>,

    /// Only this partition of the topic
    #[arg(long, requires = "topic")]
    partition: Option<i32>,

    /// First offset of the range
    #[arg(long, requires = "topic", value_name = "OFFSET")]
    from: Option<i64>,

    /// First offset after the range
    #[arg(long, requires = "topic", value_name = "OFFSET")]
    to: Option<i64>,

    /// Say what would be appended, append nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    queries: LibraryArgs,
}

pub async fn run(args: ReplayArgs, context: &Context) -> Result<Outcome> {
    super::start_logging(super::LogFormat::Text, context.verbose);
    let streams = match args.stream {
        Some(stream) => vec![stream],
        None => Stream::TABLES.to_vec(),
    };
    for stream in streams {
        replay(&args, context, stream).await?;
    }
    Ok(Outcome::Clean)
}

async fn replay(args: &ReplayArgs, context: &Context, stream: Stream) -> Result<()> {
    let lake = context.lake()?;
    let Some(table) = lake.open(stream).await? else {
        return Ok(());
    };
    if !args.dry_run {
        lake.require_writable().await?;
    }
    // What is read and the counter of replays are of one version: a second replay at once is fenced.
    let library = args.queries.library()?;
    let options = EngineOptions {
        views: library.views(),
        ..EngineOptions::default()
    };
    let engine = Engine::new(
        vec![(stream, provider(&table, Texts::Copied).await?)],
        options,
    )
    .await?;
    let mut ledger = Ledger::new(stream, table);
    let counter = AppId::replay(stream);
    let replays = ledger.stored(&counter).await?;
    let mut intake = Intake::new(&context.config);
    let (mut rows, mut batch, mut counts) = (Rows::new(stream), Batch::default(), Left::default());
    for stored in engine.run(&selection(args, stream), &[]).await? {
        take_again(
            &mut intake,
            &mut rows,
            &stored,
            args.topic.is_none(),
            &mut counts,
            context.clock.now(),
        )?;
        if rows.bytes() >= context.config.consume.file_bytes.as_u64() as usize && !args.dry_run {
            ledger
                .put_rows(&mut rows, &mut batch, context.clock.now() / 1000)
                .await?;
        }
    }
    let (events, skipped, dead) = (counts.events, counts.skipped, counts.dead);
    let outcome = format!("{events} events, {skipped} skipped, {dead} still dead letters");
    if args.dry_run || events + skipped + dead == 0 || (rows.is_empty() && batch.is_empty()) {
        eprintln!("{stream}: {outcome}; nothing appended");
        return Ok(());
    }
    ledger
        .put_rows(&mut rows, &mut batch, context.clock.now() / 1000)
        .await?;
    let range = Range {
        from: replays.unwrap_or(0),
        to: replays.unwrap_or(0) + 1,
        is_first: replays.is_none(),
        rows: 0,
    };
    batch.ranges = BTreeMap::from([(counter, range)]);
    match ledger.commit(&batch).await {
        Ok(version) => eprintln!("{stream}: {outcome}; appended in version {version}"),
        Err(CommitError::Fenced(_)) => bail!("another replay of {stream} was faster; run it again"),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Returns the query for what is to be taken again.
fn selection(args: &ReplayArgs, stream: Stream) -> String {
    let signature = match stream {
        Stream::Webhooks => "signature, signature_key_id",
        _ => "CAST(NULL AS VARCHAR) AS signature, CAST(NULL AS VARCHAR) AS signature_key_id",
    };
    let position = "concat(topic, '/', coalesce(CAST(\"partition\" AS VARCHAR), source_id), '@', \"offset\", '#', record_index)";
    let condition = match &args.topic {
        None => format!(
            "disposition = 'dead' AND {position} IN (SELECT position FROM dead_letters WHERE stream = '{stream}')"
        ),
        Some(topic) => {
            let mut condition = format!(
                "disposition IN ('event', 'dead') AND topic = '{}'",
                topic.replace('\'', "''")
            );
            for (bound, value) in [
                ("\"partition\" =", args.partition.map(i64::from)),
                ("\"offset\" >=", args.from),
                ("\"offset\" <", args.to),
            ] {
                if let Some(value) = value {
                    condition += &format!(" AND {bound} {value}");
                }
            }
            condition
        }
    };
    format!(
        "SELECT topic, source_id, \"partition\", \"offset\", record_index, received_at, timestamp_type, \
         CAST(coalesce(payload, raw) AS VARCHAR) AS content, payload IS NOT NULL AS is_json, {signature}, {position} AS position \
         FROM {} WHERE replay_of IS NULL AND {condition} ORDER BY topic, source_id, \"partition\", \"offset\", record_index",
        log_name(stream)
    )
}

/// Appends what stored rows give now; dead letters that stay dead are not written a second time.
fn take_again(
    intake: &mut Intake,
    rows: &mut Rows,
    stored: &RecordBatch,
    is_dead_only: bool,
    counts: &mut Left,
    taken_at: Micros,
) -> Result<()> {
    let texts = [
        "topic",
        "source_id",
        "timestamp_type",
        "content",
        "signature",
        "signature_key_id",
        "position",
    ];
    let texts =
        texts.map(|name| arrow::compute::cast(&stored[name], &arrow::datatypes::DataType::Utf8));
    let [
        topic,
        source_id,
        timestamp_type,
        content,
        signature,
        key_id,
        position,
    ] = texts;
    let (topic, source_id, timestamp_type) = (topic?, source_id?, timestamp_type?);
    let (content, signature, key_id, position) = (content?, signature?, key_id?, position?);
    let text = |column: &'_ dyn Array, row: usize| -> Option<String> {
        let column = column.as_string::<i32>();
        column.is_valid(row).then(|| column.value(row).to_string())
    };
    let partitions = stored["partition"].as_primitive::<Int32Type>();
    let offsets = stored["offset"].as_primitive::<Int64Type>();
    let indexes = stored["record_index"].as_primitive::<Int32Type>();
    let times = stored["received_at"].as_primitive::<TimestampMicrosecondType>();
    let is_json = stored["is_json"].as_boolean();
    for row in 0..stored.num_rows() {
        let Some(content) = text(&content, row) else {
            continue;
        };
        let by = text(&timestamp_type, row);
        let origin = Origin {
            topic: text(&topic, row).context("every row has a topic")?.into(),
            partition: partitions.is_valid(row).then(|| partitions.value(row)),
            offset: offsets.value(row),
            first_index: indexes.value(row),
            source_id: text(&source_id, row).map(Cow::Owned),
            received_at: times.is_valid(row).then(|| times.value(row)),
            timestamp_type: by.map(|by| match by.as_str() {
                "broker" => TimestampType::Broker,
                _ => TimestampType::Producer,
            }),
            taken_at,
            replay_of: text(&position, row).map(Cow::Owned),
        };
        let key_id = text(&key_id, row).unwrap_or_default();
        let signature = match text(&signature, row).as_deref() {
            Some("valid") => Signature::Valid { key_id: &key_id },
            Some("invalid") => Signature::Invalid,
            _ => Signature::Unchecked,
        };
        let left = intake.take_stored(
            rows,
            &origin,
            &content,
            is_json.value(row),
            signature,
            is_dead_only,
        );
        counts.events += left.events;
        counts.skipped += left.skipped;
        counts.dead += left.dead;
    }
    Ok(())
}
