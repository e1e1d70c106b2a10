//! The command line: one file a command. A command wires rooms and chooses a renderer.

mod check;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

use crate::clock::Clock;
use crate::config::Config;

/// Where did the recording go, and which of our own calls sent it there?
///
/// Tapetrail keeps every API call, webhook, storage event and session record of Agora Cloud Recording in a
/// lake of Parquet, and finds with SQL what went to another place than believed. Start with `tapetrail demo`.
#[derive(Debug, Parser)]
#[command(name = "tapetrail", version, max_term_width = 110)]
pub struct Cli {
    /// Configuration file (TOML)
    #[arg(long, global = true, env = "TAPETRAIL_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Root of the lake: a directory
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
    Check(check::Args),
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
        let lake = self
            .lake
            .or_else(|| config.lake.clone())
            .unwrap_or_else(|| "./lake".to_string());
        let context = Context {
            config,
            lake,
            clock: Clock::system(),
        };
        match self.command {
            Command::Check(args) => check::run(args, &context),
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> ExitCode {
        match outcome {
            Outcome::Clean => ExitCode::SUCCESS,
            Outcome::Found => ExitCode::from(1),
        }
    }
}
