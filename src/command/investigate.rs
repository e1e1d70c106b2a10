//! `tapetrail investigate`: one case in full, for the person who has to answer the customer.

mod answer;
mod case;
mod gather;
mod layout;
mod print;
mod subject;

use std::sync::Arc;

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::output::EngineArgs;
use super::{Context, Outcome};
use crate::detection::library::Library;
use crate::detection::window::{self, Window};
use crate::engine::{Engine, Kept};
use crate::event::Micros;
use crate::render::{Output, terminal_width};
pub use case::Case;
use gather::gather;
use subject::Subject;

/// Say what happened to one recording: verdict, cause, starts side by side, timeline, evidence, next step
///
/// Looks at all calls, notifications, files and records of one channel around one time and says where the
/// recording is, where the customer's database believes it to be, and which call decided that. Where the
/// evidence does not reach, it says so.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("about").required(true))]
pub struct InvestigateArgs {
    #[command(flatten)]
    question: Question,

    /// Read only days from this on, in all streams: 7d (ago), 2026-11-22 or an RFC 3339 time
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// Read only days that begin before this
    #[arg(long, value_name = "TIME")]
    until: Option<String>,

    /// Form of the answer on stdout
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,

    #[command(flatten)]
    engine: EngineArgs,
}

/// What the answer is to be about.
#[derive(Debug, Clone, Default, Args)]
pub struct Question {
    /// Recording session id
    #[arg(long, group = "about", value_name = "SID")]
    pub sid: Option<String>,

    /// Channel name; its latest case unless --at says otherwise
    #[arg(long, group = "about", value_name = "NAME")]
    pub cname: Option<String>,

    /// Key of an object in a bucket
    #[arg(long, group = "about", value_name = "KEY")]
    pub key: Option<String>,

    /// Ticket that acquire gave
    #[arg(long, group = "about", value_name = "ID")]
    pub resource_id: Option<String>,

    /// App ID, where a channel name is used in several apps
    #[arg(long, value_name = "APP_ID")]
    pub app: Option<String>,

    /// When it happened: 2h (ago), 2026-11-22 or an RFC 3339 time
    #[arg(long, requires = "cname", value_name = "TIME")]
    pub at: Option<String>,
}

/// Form of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// A page for a terminal
    Table,
    /// One object
    Json,
    /// A page to paste into a ticket
    Markdown,
    /// One object a line, each with its `part`
    Ndjson,
}

impl Question {
    /// Says whether anything is asked about.
    pub fn is_asked(&self) -> bool {
        let about = [&self.sid, &self.cname, &self.key, &self.resource_id];
        about.into_iter().any(Option::is_some)
    }

    /// Returns the time asked about.
    fn at(&self, context: &Context) -> Result<Option<Micros>> {
        let at = self.at.as_deref();
        at.map(|text| window::instant(text, context.clock.now()))
            .transpose()
    }
}

pub async fn run(mut args: InvestigateArgs, context: &Context) -> Result<Outcome> {
    let at = args.question.at(context)?;
    let (since, until) = (args.since.as_deref(), args.until.as_deref());
    let days = Window::parse(since, until, context.clock.now())?;
    args.engine.read_until = days.until;
    let (engine, library) = open(&args.engine, context, days).await?;
    let overrides = library.overrides(&context.config.detect.params, &[])?;
    let mut case = Case::open(&engine, &library, overrides, &args.question, at).await?;
    case.is_past = args.engine.is_past();
    print(&case, args.format)?;
    Ok(Outcome::Clean)
}

async fn open(
    args: &EngineArgs,
    context: &Context,
    days: Window,
) -> Result<(Arc<Engine>, Library)> {
    // `watermarks` reads it more than once.
    let kept = Kept::views(["partition_hours"]);
    let opened = args.open_keeping(context, days.since, |_| Ok(kept));
    let (engine, library) = opened.await?;
    Ok((Arc::new(engine), library))
}

/// Opens a session over the rows of one case alone: those that the answer to the question is made of.
pub(super) async fn open_case(
    args: &EngineArgs,
    question: &Question,
    context: &Context,
    days: Window,
) -> Result<(Engine, Library)> {
    let (engine, library) = open(args, context, days).await?;
    let subject = Subject::find(&engine, &library, question, question.at(context)?).await?;
    let case = gather(&engine, &library, &subject.scope()).await?;
    Ok((case, library))
}

/// Prints the answer on stdout.
pub fn print(case: &Case, form: Form) -> Result<()> {
    let mut output = Output::stdout();
    match form {
        Form::Table => print::screen(&mut output, &layout::sections(case), terminal_width()),
        Form::Markdown => print::markdown(&mut output, &layout::sections(case)),
        Form::Json => print::json(&mut output, case),
        Form::Ndjson => print::ndjson(&mut output, case),
    }
}
