//! Parses the arguments, runs the command, maps the outcome to an exit code.

use std::process::ExitCode;

use clap::Parser;
use tapetrail::command::Cli;
use tapetrail::lake::plain::sentence;
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            eprintln!("error: {}", sentence(&error));
            ExitCode::from(2)
        }
    }
}
