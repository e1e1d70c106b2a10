//! The command line: one file a command. A command wires rooms and chooses a renderer.

mod audit;
mod check;
pub mod consume;
mod demo;
mod detect;
mod generate;
mod import;
pub mod investigate;
mod kafka_args;
mod maintain;
pub mod output;
mod progress;
mod proxy;
mod replay;
mod report;
mod serve;
mod service;
mod sql;
mod verify;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand, ValueEnum};
use tokio::runtime::Runtime;
use tracing_subscriber::EnvFilter;

use crate::clock::Clock;
use crate::config::Config;
use crate::lake::store::Location;
use crate::lake::table::Lake;

/// Where did the recording go, and which of our own calls sent it there?
///
/// Tapetrail keeps every API call, webhook, storage event and session record of Agora Cloud Recording in a
/// lake of Parquet, and finds with SQL what went to another place than believed. Start with `tapetrail demo`.
#[derive(Debug, Parser)]
#[command(
    name = "tapetrail",
    version,
    max_term_width = 110,
    next_help_heading = "Everywhere"
)]
pub struct Cli {
    /// Configuration file (TOML)
    #[arg(long, global = true, env = "TAPETRAIL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Root of the lake: a directory, or s3://BUCKET/PATH; also gs:// and az://
    #[arg(long, global = true, env = "TAPETRAIL_LAKE", value_name = "URI")]
    lake: Option<String>,

    /// Say more on stderr (-v: debug, -vv: trace)
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::DemoArgs),
    Consume(consume::ConsumeArgs),
    Serve(serve::ServeArgs),
    Proxy(proxy::ProxyArgs),
    Import(import::ImportArgs),
    Generate(generate::GenerateArgs),
    Sql(sql::SqlArgs),
    Detect(detect::DetectArgs),
    Investigate(investigate::InvestigateArgs),
    Report(report::ReportArgs),
    Audit(audit::AuditArgs),
    Check(check::Args),
    Verify(verify::VerifyArgs),
    Replay(replay::ReplayArgs),
    Maintain(maintain::MaintainArgs),
}

/// How rows are printed on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Json,
    Ndjson,
    Csv,
    Markdown,
}

/// What every command gets.
#[derive(Debug, Clone)]
pub struct Context {
    pub config: Config,
    /// Root of the lake as given; `./lake` by default.
    pub lake: String,
    pub clock: Clock,
    /// How often `-v` was given.
    pub verbose: u8,
}

impl Context {
    /// Opens the lake's store; creates nothing.
    pub fn lake(&self) -> Result<Lake> {
        // A command that logs more has begun to; of the others only this one thing is not said elsewhere.
        start_logging_at(LogFormat::Text, WAITING);
        let location = Location::open(&self.lake, self.config.durability)?;
        Ok(Lake::new(location))
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// Sends log lines to stderr. `RUST_LOG` decides when it is set, else the number of `-v`.
pub fn start_logging(format: LogFormat, verbose: u8) {
    let level = match verbose {
        0 => INFO,
        1 => "info,tapetrail=debug,kafka=debug",
        _ => "debug,tapetrail=trace",
    };
    start_logging_at(format, level);
}

/// Every step, without the chatter of the Delta library: a commit that was overtaken is an error to it, and the usual
/// case to us.
const INFO: &str = "info,object_store=warn,deltalake_core=error,deltalake_core::kernel::transaction=off,delta_kernel=error,buoyant_kernel=error";

/// Nothing but trouble: for commands that tell their steps themselves.
const WARNINGS: &str = "warn,deltalake_core=error,deltalake_core::kernel::transaction=off,delta_kernel=error,buoyant_kernel=error";

/// That the lake's store keeps us waiting.
const WAITING: &str = "off,tapetrail::lake=warn";

fn start_logging_at(format: LogFormat, level: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // Logging may run already where a command calls another.
    let _ = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}

/// How a command ended, when it could do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Exit code 0.
    Clean,
    /// Exit code 1: it found something that the caller asked to be told of.
    Found,
}

impl Cli {
    /// Runs the command; an error is one that a person reads on stderr, exit code 2.
    pub fn run(self) -> Result<Outcome> {
        let config = Config::load(self.config.as_deref())?;
        let lake_flag = self.lake.clone();
        let lake = self
            .lake
            .or_else(|| config.lake.clone())
            .unwrap_or_else(|| "./lake".to_string());
        let context = Context {
            config,
            lake,
            clock: Clock::system(),
            verbose: self.verbose,
        };
        match self.command {
            Command::Demo(args) => demo::run(args, lake_flag, context),
            Command::Consume(args) => consume::run(args, context),
            Command::Serve(args) => serve::run(args, context),
            Command::Proxy(args) => proxy::run(args, context),
            Command::Import(args) => import::run(args, context),
            Command::Generate(args) => generate::run(args, context),
            Command::Sql(args) => {
                let runtime = runtime()?;
                let outcome = runtime.block_on(sql::run(args, &context));
                // A query that was given up may take its time to notice.
                runtime.shutdown_timeout(LAST_STEPS);
                outcome
            }
            Command::Detect(args) => {
                give_back_large_arrays();
                runtime()?.block_on(detect::run(args, &context))
            }
            Command::Investigate(args) => runtime()?.block_on(investigate::run(args, &context)),
            Command::Report(args) => {
                give_back_large_arrays();
                runtime()?.block_on(report::run(args, &context))
            }
            Command::Audit(args) => audit::run(args, context),
            Command::Check(args) => check::run(args, &context),
            Command::Verify(args) => runtime()?.block_on(verify::run(args, &context)),
            Command::Replay(args) => runtime()?.block_on(replay::run(args, &context)),
            Command::Maintain(args) => maintain::run(args, context),
        }
    }
}

/// How long queries that nobody waits for any more may still run when the program ends.
const LAST_STEPS: Duration = Duration::from_secs(1);

/// Has the memory of a large array go back to the system with it. The GNU C library would keep more and more of it, for
/// larger and larger arrays, which over a large lake was a sixth of all; over a small one it is quicker. What is free at
/// the end of a heap stays instead, within bounds: it is wanted again at once.
fn give_back_large_arrays() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: sets numbers of the allocator; no other thread runs yet.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 1024 * 1024);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 64 * 1024 * 1024);
    }
}

/// Returns the threads that a command's asynchronous work runs on.
fn runtime() -> Result<Runtime> {
    Runtime::new().context("cannot start the runtime")
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> ExitCode {
        match outcome {
            Outcome::Clean => ExitCode::SUCCESS,
            Outcome::Found => ExitCode::from(1),
        }
    }
}
