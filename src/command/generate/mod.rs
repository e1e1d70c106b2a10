//! `tapetrail generate`: a synthetic fleet with its truth, to files or to Kafka; and detections scored against a truth.

mod files;
mod kafka;
mod score;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use clap::{Args, ValueEnum};

use super::kafka_args::PropertyArgs;
use super::output::{EngineArgs, OutputArgs, program_name, quoted};
use super::progress::Progress;
use super::{Context, Outcome};
use crate::detection::window;
use crate::event::{MICROS_PER_DAY, Micros};
use crate::generate::{
    self, DAYS_MIN, Fleet, Produced, SESSIONS_MIN, SIGNING_KEY_ID, SIGNING_SECRET, Settings, Truth,
};
use files::Files;
use kafka::Topics;

pub(super) use score::score_table;

const EXAMPLES: &str = "\
A fleet as files, and how well it is seen through; the first command says how to import all four:
  tapetrail generate --sessions 10000 -o fleet
  tapetrail --config fleet/tapetrail.toml import --stream webhooks fleet/webhooks.ndjson.zst
  tapetrail generate --score fleet/truth.ndjson

A load for a consumer:
  tapetrail generate -b localhost:9092 --start 5d --rate 5000 --sessions 1000000";

/// Make a synthetic fleet with planted faults, and the truth about them
///
/// Writes the API calls, webhooks, storage events and session records of as many recordings as you like, in
/// every mode and for every vendor: most of them ordinary, some with one of the faults that the detections
/// look for, some that only look so. Streams behave as they do: messages come twice, late and out of order,
/// clocks differ, callbacks get lost, numbers come as text, some messages are broken. Beside them
/// `truth.ndjson` says what must be found and what must not (schemas/truth.v1.json). The same options give
/// the same bytes, today and tomorrow.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct GenerateArgs {
    /// Recordings that somebody asked for
    #[arg(long, value_name = "N", help_heading = "What to make", default_value_t = Settings::default().sessions, value_parser = clap::value_parser!(u32).range(i64::from(SESSIONS_MIN)..))]
    sessions: u32,

    /// Another number makes another fleet, the same number the same one
    #[arg(long, value_name = "N", help_heading = "What to make", default_value_t = Settings::default().seed)]
    seed: u64,

    /// When the first recording starts: 2026-09-01, an RFC 3339 time, or how long ago (7d), which the clock decides
    #[arg(
        long,
        value_name = "TIME",
        help_heading = "What to make",
        default_value = "2026-09-01"
    )]
    start: String,

    /// Days over which recordings start; faults end 38 hours before the last
    #[arg(long, value_name = "N", help_heading = "What to make", default_value_t = Settings::default().days, value_parser = clap::value_parser!(u32).range(i64::from(DAYS_MIN)..=3_650))]
    days: u32,

    /// How much goes wrong with messages on their way: 0 nothing, 100 a bad day. The faults stay the same
    #[arg(long, value_name = "PERCENT", help_heading = "What to make", default_value_t = Settings::default().noise, value_parser = clap::value_parser!(u8).range(0..=100))]
    noise: u8,

    /// Slices a track has at most. The service makes one every 15 seconds, 240 in an hour: say 100000 for all of
    /// them, and for a query every two minutes
    #[arg(long, value_name = "N", help_heading = "What to make", default_value_t = Settings::default().slices_max, value_parser = clap::value_parser!(u32).range(2..))]
    slices: u32,

    /// Directory of the files; with Kafka, of the truth alone
    #[arg(
        short,
        long,
        value_name = "DIR",
        help_heading = "Where to",
        default_value = "fleet"
    )]
    output: PathBuf,

    /// How files are packed
    #[arg(long, value_enum, value_name = "HOW", help_heading = "Where to", default_value_t = Packing::Zstd)]
    compress: Packing,

    /// Replace the fleet that is in the directory
    #[arg(long, help_heading = "Where to")]
    overwrite: bool,

    /// Send to the topics of these brokers instead of writing files
    #[arg(
        short = 'b',
        long,
        value_name = "HOST:PORT,...",
        help_heading = "Where to"
    )]
    brokers: Option<String>,

    /// Send to the topics of the brokers that the configuration names
    #[arg(long, help_heading = "Where to", conflicts_with = "brokers")]
    kafka: bool,

    #[command(flatten, next_help_heading = "Where to")]
    properties: PropertyArgs,

    /// Messages a second that are sent to Kafka at most
    #[arg(long, value_name = "N", help_heading = "Where to", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,

    /// Make nothing: run the detections over the lake and compare what they find with this truth. Exits with 1 when
    /// recall or precision of any detection or variant is below 1
    #[arg(long, value_name = "TRUTH", help_heading = "Scoring", conflicts_with_all = ["sessions", "seed", "start", "days", "noise", "slices", "output", "compress", "overwrite", "brokers", "kafka", "rate"])]
    score: Option<PathBuf>,

    /// Print what was missed, said wrongly or invented instead of the scores
    #[arg(long, help_heading = "Scoring", requires = "score")]
    mistakes: bool,

    #[command(flatten, next_help_heading = "Scoring")]
    printed: OutputArgs,

    #[command(flatten, next_help_heading = "Scoring")]
    engine: EngineArgs,
}

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Packing {
    Zstd,
    Gzip,
    None,
}

/// Where a fleet goes.
trait Sink {
    fn take(&mut self, message: &Produced) -> Result<()>;

    /// Returns once all of it is where it belongs.
    fn close(self) -> Result<()>;
}

/// How long Kafka keeps messages unless told otherwise.
const RETENTION: Micros = 7 * MICROS_PER_DAY;

const TRUTH: &str = "truth.ndjson";
const CONFIG: &str = "tapetrail.toml";

pub fn run(args: GenerateArgs, mut context: Context) -> Result<Outcome> {
    if let Some(truth) = &args.score {
        let scoring = score::run(truth, args.mistakes, &args.printed, &args.engine, &context);
        return super::runtime()?.block_on(scoring);
    }
    let settings = Settings {
        sessions: args.sessions,
        seed: args.seed,
        start: window::instant(&args.start, context.clock.now())
            .map_err(|error| anyhow!("--start: {error}"))?,
        days: args.days,
        noise: args.noise,
        slices_max: args.slices,
    };
    let directory = &args.output;
    files::claim(directory, args.overwrite)?;
    let to_kafka = args.kafka || args.brokers.is_some();
    let truth = if to_kafka {
        if let Some(brokers) = args.brokers {
            context.config.kafka.brokers = brokers;
        }
        args.properties.apply(&mut context.config.kafka)?;
        let topics = Topics::connect(&context, args.rate)?;
        if settings.start < context.clock.now() - RETENTION {
            eprintln!(
                "note: messages bear the fleet's own times, from {} on; a topic that keeps messages for a week drops them at once\nhint: --start 5d, or retention.ms=-1 on the topics",
                args.start
            );
        }
        tell(Fleet::new(settings), topics, "sending")?
    } else {
        let files = Files::create(directory, args.compress)?;
        tell(Fleet::new(settings), files, "writing")?
    };
    write(directory, TRUTH, |file| truth.write(file))?;
    write(directory, CONFIG, |file| {
        std::io::Write::write_all(file, config_text().as_bytes())
    })?;
    what_next(
        directory,
        &context,
        &truth,
        (!to_kafka).then_some(args.compress),
    );
    Ok(Outcome::Clean)
}

/// Gives the whole fleet to where it goes; returns what was planted in it.
fn tell(mut fleet: Fleet, mut sink: impl Sink, doing: &'static str) -> Result<Truth> {
    let progress = Progress::new(doing, u64::from(fleet.progress().1));
    while let Some(message) = fleet.next() {
        sink.take(&message)?;
        progress.set(u64::from(fleet.progress().0));
    }
    sink.close()?;
    progress.finish();
    Ok(fleet.into_truth())
}

fn write(
    directory: &Path,
    name: &str,
    content: impl FnOnce(&mut std::io::BufWriter<fs::File>) -> std::io::Result<()>,
) -> Result<()> {
    let path = directory.join(name);
    let written = fs::File::create(&path).and_then(|file| {
        let mut file = std::io::BufWriter::new(file);
        content(&mut file)?;
        std::io::Write::flush(&mut file)
    });
    written.with_context(|| format!("cannot write `{}`", path.display()))
}

/// What whoever reads the fleet must be told of its session records.
fn config_text() -> String {
    let mapping = generate::mapping();
    let quoted = |text: &String| format!("{text:?}");
    let fields: Vec<String> = (mapping.fields.iter())
        .map(|(field, path)| format!("{field} = {}", quoted(path)))
        .collect();
    let vendors: Vec<String> = (mapping.vendors.iter())
        .map(|(name, number)| format!("{name} = {number}"))
        .collect();
    format!(
        "# What to read this fleet with. Its callbacks are signed: before `import` or `consume`, set\n\
         #   TAPETRAIL_WEBHOOK_SECRETS={SIGNING_KEY_ID}={SIGNING_SECRET}\n\n\
         [[session_records.mappings]]\nfields = {{ {} }}\nvendors = {{ {} }}\n",
        fields.join(", "),
        vendors.join(", ")
    )
}

/// Says what there is now, and what to type next, ready to be copied.
fn what_next(directory: &Path, context: &Context, truth: &Truth, packing: Option<Packing>) {
    let messages: u64 = truth.fleet.messages.values().sum();
    eprintln!(
        "{} recordings, {messages} messages, {} findings that must be made, {} near-misses; {} in `{}`",
        truth.fleet.sessions,
        truth.expected.len(),
        truth.near_misses.len(),
        TRUTH,
        directory.display()
    );
    let (program, at) = (program_name(), quoted(&directory.display().to_string()));
    let lake = quoted(&context.lake);
    eprintln!("\ngo on with:\n");
    eprintln!("  export TAPETRAIL_WEBHOOK_SECRETS={SIGNING_KEY_ID}={SIGNING_SECRET}");
    match packing {
        Some(packing) => {
            let suffix = packing.suffix();
            eprintln!("  for stream in api_calls webhooks storage_events session_records; do");
            eprintln!(
                "    {program} --config {at}/{CONFIG} --lake {lake} import --stream $stream {at}/$stream.ndjson{suffix}"
            );
            eprintln!("  done");
        }
        None => eprintln!(
            "  {program} --config {at}/{CONFIG} --lake {lake} consume --stop-at-end -b {}",
            context.config.kafka.brokers
        ),
    }
    eprintln!("  {program} --lake {lake} generate --score {at}/{TRUTH}");
}
