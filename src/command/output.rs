//! What the commands that read the lake share: how rows are printed, and how the lake is opened for SQL.

use std::io;
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use bytesize::ByteSize;
use clap::Args;
use datafusion::common::runtime::SpawnedTask;
use datafusion::execution::SendableRecordBatchStream;
use deltalake::DeltaTable;
use futures::StreamExt;

use super::{Context, Format};
use crate::detection::window;
use crate::detection::{self, library::Library};
use crate::engine::{self, Engine, EngineOptions, Kept, Stepwise};
use crate::event::{Micros, Stream};
use crate::lake::history::{AsOf, versions};
use crate::lake::reach;
use crate::lake::table::{Texts, providers};
use crate::render::{
    CsvRenderer, JsonRenderer, MarkdownRenderer, Output, Render, Rendered, TableRenderer,
    terminal_width,
};

/// How rows are printed.
#[derive(Debug, Args)]
pub struct OutputArgs {
    /// Format of the rows on stdout
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,

    /// Rows that a table shows; 0 shows all
    #[arg(long, value_name = "N", default_value_t = 100)]
    max_rows: usize,
}

/// Which queries there are.
#[derive(Debug, Clone, Default, Args)]
pub struct LibraryArgs {
    /// Directory with queries of your own, in folders `views`, `detections`, ...; same names replace ours
    #[arg(long, value_name = "DIR")]
    queries: Option<PathBuf>,
}

impl LibraryArgs {
    /// Reads the queries.
    pub fn library(&self) -> Result<Library> {
        Library::with_directory(self.queries.as_deref())
    }
}

/// How the lake is opened.
#[derive(Debug, Clone, Args)]
pub struct EngineArgs {
    #[command(flatten)]
    queries: LibraryArgs,

    /// Read the lake as it was: at a time (7d, 2026-11-17 or RFC 3339), each table at its newest version by then; or
    /// at versions, as findings cite them: api_calls=12,webhooks=9 (other tables at their newest)
    #[arg(long, value_name = "TIME|VERSIONS")]
    as_of: Option<String>,

    /// Memory that sorts, joins and aggregates may use together before they spill to disk
    #[arg(long, value_name = "SIZE", default_value_t = engine::DEFAULT_MEMORY)]
    memory_limit: ByteSize,

    /// Days that begin at this instant or later are left out; set by commands that take `--until`.
    #[arg(skip)]
    pub read_until: Option<Micros>,

    /// The lake is open already, and what is to be said of it was said.
    #[arg(skip)]
    is_open: bool,
}

impl Default for EngineArgs {
    fn default() -> Self {
        EngineArgs {
            queries: LibraryArgs::default(),
            as_of: None,
            memory_limit: engine::DEFAULT_MEMORY,
            read_until: None,
            is_open: false,
        }
    }
}

impl EngineArgs {
    /// Reads the queries.
    pub fn library(&self) -> Result<Library> {
        self.queries.library()
    }

    /// Returns what opens the lake once more at the very state that an engine reads, all days of it.
    pub fn again(&self, engine: &Engine) -> EngineArgs {
        EngineArgs {
            as_of: Some(engine.table_versions().to_string()),
            read_until: None,
            is_open: true,
            ..self.clone()
        }
    }

    /// Says whether another state than the newest is asked for.
    pub fn is_past(&self) -> bool {
        self.as_of.is_some()
    }

    /// Returns the state of the lake that is asked for.
    pub fn as_of(&self, now: Micros) -> Result<AsOf> {
        let Some(text) = &self.as_of else {
            return Ok(AsOf::Newest);
        };
        let read = match AsOf::parse_versions(text) {
            Some(versions) => versions,
            None if text.parse::<u64>().is_ok() => Err(anyhow!(
                "each table counts its own versions; write api_calls={text}, several separated by commas, or a time"
            )),
            None => window::instant(text, now).map(AsOf::Time),
        };
        read.with_context(|| format!("--as-of {text}"))
    }

    /// Opens the lake with all views; `read_from` leaves earlier days out.
    pub async fn open(
        &self,
        context: &Context,
        read_from: Option<Micros>,
    ) -> Result<(Engine, Library)> {
        let opened = self.open_tables(context).await?;
        let engine = opened
            .engine(self, read_from, Kept::default(), Stepwise::Never)
            .await?;
        Ok((engine, opened.library))
    }

    /// The same, for a run of queries: what `kept` says is computed once for all of them.
    pub async fn open_keeping(
        &self,
        context: &Context,
        read_from: Option<Micros>,
        kept: impl FnOnce(&Library) -> Result<Kept>,
    ) -> Result<(Engine, Library)> {
        let opened = self.open_tables(context).await?;
        let kept = kept(&opened.library)?;
        let engine = opened.engine_keeping(self, read_from, kept).await?;
        Ok((engine, opened.library))
    }

    /// Reads the queries, and opens the tables at the state that is asked for.
    pub async fn open_tables(&self, context: &Context) -> Result<Opened> {
        // Which step takes how long; what is asked for says all else itself.
        if context.verbose > 0 {
            super::start_logging(super::LogFormat::Text, context.verbose);
        }
        let queries = self.queries.clone();
        let library = SpawnedTask::spawn_blocking(move || queries.library());
        let lake = context.lake()?;
        let as_of = self.as_of(context.clock.now())?;
        let tables = lake.tables(&as_of).await;
        // What is wrong with the queries comes first: nothing of the lake mends it.
        let library =
            (library.join_unwind().await).context("reading the queries was stopped")??;
        let tables = tables?;
        let then = self.as_of.as_ref().map_or("yet", |_| "at that time");
        let is_noted = tables.is_empty() && !self.is_open;
        Ok(Opened {
            note: is_noted.then(|| {
                format!(
                    "note: there is no table in the lake `{}` {then}; all of them look empty",
                    context.lake
                )
            }),
            library,
            tables,
        })
    }
}

/// The queries, and the tables at one state of the lake.
pub struct Opened {
    pub library: Library,
    tables: Vec<(Stream, DeltaTable)>,
    /// What to tell before anything is read.
    note: Option<String>,
}

impl Opened {
    /// Opens a session for a run of queries; `read_from` leaves earlier days out.
    pub async fn engine_keeping(
        &self,
        args: &EngineArgs,
        read_from: Option<Micros>,
        kept: Kept,
    ) -> Result<Engine> {
        (self.engine(args, read_from, kept, Stepwise::LittleData)).await
    }

    async fn engine(
        &self,
        args: &EngineArgs,
        read_from: Option<Micros>,
        kept: Kept,
        stepwise: Stepwise,
    ) -> Result<Engine> {
        if let Some(note) = &self.note {
            eprintln!("{note}");
        }
        let mut options = EngineOptions {
            memory: args.memory_limit,
            read_from,
            read_until: args.read_until,
            views: self.library.views(),
            kept,
            table_versions: versions(&self.tables),
            stepwise,
            ..EngineOptions::default()
        };
        // A statement by itself hardly ever asks; a run of many always does.
        if stepwise != Stepwise::Never
            && let Some(reaches) = reach::of_tables(&self.tables, |day| options.reads(day))?
        {
            options.given = detection::reach::given(&self.library, &reaches).await?;
        }
        let texts = match stepwise {
            Stepwise::Never => Texts::Copied,
            Stepwise::LittleData | Stepwise::Always => Texts::Views,
        };
        Engine::new(providers(&self.tables, texts).await?, options).await
    }
}

impl OutputArgs {
    /// Says whether people read the rows as they are printed, and not a program or another document.
    pub fn is_table(&self) -> bool {
        self.format == Format::Table
    }

    /// Prints rows that are at hand.
    pub fn print(&self, batch: &RecordBatch) -> Result<()> {
        let mut renderer = self.renderer(Output::stdout(), batch.schema())?;
        renderer.write(batch)?;
        self.tell(renderer.finish()?);
        Ok(())
    }

    /// Prints rows as they come; stops the query when nobody wants more.
    pub async fn print_stream(&self, mut stream: SendableRecordBatchStream) -> Result<()> {
        if stream.schema().fields().is_empty() {
            return Ok(());
        }
        let output = Output::stdout();
        let is_closed = output.closed_flag();
        let mut renderer = self.renderer(output, stream.schema())?;
        while let Some(batch) = stream.next().await {
            renderer.write(&batch.map_err(engine::readable)?)?;
            if renderer.is_full() || is_closed.get() {
                break;
            }
        }
        self.tell(renderer.finish()?);
        Ok(())
    }

    fn renderer(&self, output: Output, schema: SchemaRef) -> Result<Box<dyn Render>> {
        let rows_max = match self.max_rows {
            0 => usize::MAX,
            rows => rows,
        };
        Ok(match self.format {
            Format::Table => Box::new(TableRenderer::new(
                output,
                schema,
                terminal_width(),
                rows_max,
            )),
            Format::Json => Box::new(JsonRenderer::array(output)),
            Format::Ndjson => Box::new(JsonRenderer::lines(output)),
            Format::Csv => Box::new(CsvRenderer::new(output, &schema)),
            Format::Markdown => Box::new(MarkdownRenderer::new(output, &schema)?),
        })
    }

    /// Says below a table how many rows it has.
    fn tell(&self, rendered: Rendered) {
        let Rendered { rows, is_cut } = rendered;
        match (self.format, is_cut) {
            (Format::Table, true) => {
                eprintln!("the first {rows} rows; there are more (--max-rows 0 shows all)");
            }
            (Format::Table, false) => eprintln!("{}", counted(rows as u64, "row")),
            _ => {}
        }
    }
}

/// Prints a table on stdout, all of its rows.
pub fn show_table(batch: &RecordBatch) -> Result<()> {
    let renderer = TableRenderer::new(
        Output::stdout(),
        batch.schema(),
        terminal_width(),
        usize::MAX,
    );
    let mut renderer: Box<dyn Render> = Box::new(renderer);
    renderer.write(batch)?;
    renderer.finish()?;
    Ok(())
}

/// Prints a small table on stderr, for people.
pub fn tell_table(batch: &RecordBatch) -> Result<()> {
    let renderer = TableRenderer::new(io::stderr(), batch.schema(), None, usize::MAX);
    let mut renderer: Box<dyn Render> = Box::new(renderer);
    renderer.write(batch)?;
    renderer.finish()?;
    Ok(())
}

/// Returns how this program is called from here: as built, it is in no search path.
pub fn program_name() -> String {
    let path = std::env::current_exe().unwrap_or_else(|_| "tapetrail".into());
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here)
        .unwrap_or(&path)
        .display()
        .to_string()
}

/// Returns a number of things in words: `1 row`, `2 rows`.
pub fn counted(count: u64, thing: &str) -> String {
    match count {
        1 => format!("1 {thing}"),
        _ => format!("{count} {thing}s"),
    }
}

/// Returns a text as one word of a shell.
pub fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_string(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_channel_name_is_one_word_of_a_shell() {
        assert_eq!(quoted("room_42"), "room_42");
        assert_eq!(quoted("visit 7"), "'visit 7'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
