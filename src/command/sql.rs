//! `tapetrail sql`: statements in, rows out; without any, a prompt.

mod computed;
mod prompt;
mod typing;

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::investigate::{Question, open_case};
use super::output::{EngineArgs, OutputArgs};
use super::{Context, Outcome};
use crate::detection::front_matter::{self, Header, guess};
use crate::detection::library::Library;
use crate::detection::window::Window;
use crate::engine::{Engine, Params, Statement};
use computed::Computed;

/// Run SQL over the lake
///
/// Tables `log_api_calls`, `log_webhooks`, `log_storage_events` and `log_session_records` hold everything that
/// was received; `api_calls`, `webhooks`, `storage_events`, `session_records` show the events; `starts`,
/// `sessions`, `session_files` and `session_timeline` say what happened; `findings` and `not_judged` are what `detect` says,
/// computed when they are asked for. `--tables` shows them all with their columns.
/// `--list` shows queries to start from, which `--query` runs. Without SQL it is a prompt, in which Tab completes and `\?`
/// helps. The dialect is that of Apache DataFusion. Nothing can be changed or written.
///
/// With --sid, --cname, --key or --resource-id all of it is about one case alone: the rows that `investigate` looks at, those
/// of the channel and its sessions in the month around them. Every view answers at once then, however large the lake.
#[derive(Debug, Args)]
pub struct SqlArgs {
    /// SQL to run; several statements are separated by `;`
    #[arg(short, long, value_name = "SQL", group = "what")]
    command: Option<String>,

    /// File with SQL; `-` is stdin. A header `-- ---` in it may declare parameters
    #[arg(short, long, value_name = "FILE", group = "what")]
    file: Option<PathBuf>,

    /// Query to run by its name, for example sessions_of_channel --param cname=room_42; --list shows them
    #[arg(short, long, value_name = "NAME", group = "what")]
    query: Option<String>,

    /// Value of `$NAME` in the SQL: a number, true or false, an RFC 3339 time, else text ('7' in quotes is text)
    #[arg(long = "param", value_name = "NAME=VALUE")]
    params: Vec<String>,

    /// Read only days from this on, in all tables and views: 7d (ago), 2026-11-22 or an RFC 3339 time
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// Read only days that begin before this, in the same way
    #[arg(long, value_name = "TIME")]
    until: Option<String>,

    /// List the queries that --query runs, with their parameters
    #[arg(long, group = "what")]
    list: bool,

    /// List tables and views with their columns
    #[arg(long, group = "what")]
    tables: bool,

    /// Say on stderr how long each statement took
    #[arg(long)]
    timing: bool,

    #[command(flatten)]
    output: OutputArgs,

    #[command(flatten)]
    engine: EngineArgs,

    // The last, because its heading is that of all that follow.
    #[command(flatten, next_help_heading = "Only one case")]
    case: Question,
}

pub async fn run(mut args: SqlArgs, context: &Context) -> Result<Outcome> {
    if args.list {
        let queries = args.engine.library()?.investigations_catalog()?;
        args.output.print(&queries)?;
        return Ok(Outcome::Clean);
    }
    let (since, until) = (args.since.as_deref(), args.until.as_deref());
    let window = Window::parse(since, until, context.clock.now())?;
    args.engine.read_until = window.until;
    if args.tables {
        let (mut engine, library) = args.engine.open(context, None).await?;
        Computed::promise(&mut engine, &library, &args, context, window)?;
        args.output.print(&engine.catalog().await?)?;
        return Ok(Outcome::Clean);
    }
    if args.is_interactive() {
        let (engine, library, computed) = open(&args, context, window).await?;
        prompt::run(engine, &library, &args, context, computed).await?;
        return Ok(Outcome::Clean);
    }
    let (statements, params) = statements(&args)?;
    let (engine, _, mut computed) = open(&args, context, window).await?;
    for statement in &statements {
        computed.prepare(&engine, statement).await?;
        run_statement(&engine, statement, &params, &args, context).await?;
    }
    Ok(Outcome::Clean)
}

/// Opens a session over the lake, or over what it has of one case.
async fn open(
    args: &SqlArgs,
    context: &Context,
    window: Window,
) -> Result<(Arc<Engine>, Library, Computed)> {
    let (mut engine, library) = match args.case.is_asked() {
        true => open_case(&args.engine, &args.case, context, window).await?,
        false => args.engine.open(context, window.since).await?,
    };
    let computed = Computed::promise(&mut engine, &library, args, context, window)?;
    Ok((Arc::new(engine), library, computed))
}

impl SqlArgs {
    /// Nothing is said to be run, and a person is there to say it.
    fn is_interactive(&self) -> bool {
        let is_told = self.command.is_some() || self.file.is_some() || self.query.is_some();
        !is_told && std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
    }
}

/// Returns what is to be run, and the values it is run with.
fn statements(args: &SqlArgs) -> Result<(Vec<Statement>, Params)> {
    if let Some(name) = &args.query {
        let library = args.engine.library()?;
        let query = library.investigation(name)?;
        let params = query.params(&args.params);
        return Ok((vec![query.statement.clone()], params?));
    }
    let (origin, sql) = read_sql(args)?;
    let statements = Statement::parse_all(&sql).with_context(|| origin.clone())?;
    if statements.is_empty() {
        bail!("{origin}: there is no statement in it");
    }
    Ok((statements, params(&args.params, &origin, &sql)?))
}

async fn run_statement(
    engine: &Engine,
    statement: &Statement,
    params: &Params,
    args: &SqlArgs,
    context: &Context,
) -> Result<()> {
    let start = context.clock.instant();
    let stream = engine.execute(statement, params).await?;
    args.output.print_stream(stream).await?;
    if args.timing {
        let seconds = context.clock.elapsed(start).as_secs_f64();
        eprintln!("{seconds:.3} s");
    }
    Ok(())
}

/// Returns the SQL and what to call its origin in messages.
fn read_sql(args: &SqlArgs) -> Result<(String, String)> {
    if let Some(sql) = &args.command {
        return Ok(("--command".to_string(), sql.clone()));
    }
    match &args.file {
        Some(path) if path.as_os_str() != "-" => {
            let sql = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read `{}`", path.display()))?;
            Ok((path.display().to_string(), sql))
        }
        None if std::io::stdin().is_terminal() => bail!(
            "there is no SQL; give it with -c \"SELECT ...\" or -f FILE, or pipe it in\nhint: `tapetrail sql --tables` shows the tables and views, `--list` queries to start from"
        ),
        _ => {
            let mut sql = String::new();
            std::io::stdin()
                .read_to_string(&mut sql)
                .context("cannot read SQL from stdin")?;
            Ok(("stdin".to_string(), sql))
        }
    }
}

/// Returns the values of `--param`, typed by the file's header where it declares them, beside its defaults.
fn params(flags: &[String], origin: &str, sql: &str) -> Result<Params> {
    let declared = Header::parse(origin, sql)
        .ok()
        .flatten()
        .map_or_else(BTreeMap::new, |header| header.params);
    let mut given = BTreeMap::new();
    for flag in flags {
        let Some((name, value)) = flag.split_once('=') else {
            bail!("--param {flag}: write NAME=VALUE");
        };
        let value = match declared.get(name) {
            Some(param) => param
                .kind
                .parse(value)
                .with_context(|| format!("--param {flag}"))?,
            None => guess(value),
        };
        given.insert(name.to_string(), value);
    }
    let mut params = front_matter::bind(&declared, &given)?;
    params.extend(
        given
            .into_iter()
            .filter(|(name, _)| !declared.contains_key(name)),
    );
    Ok(params)
}
