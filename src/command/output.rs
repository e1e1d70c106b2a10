//! What the commands that read the lake share: how rows are printed, and how the lake is opened for SQL.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use anyhow::Result;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use bytesize::ByteSize;
use clap::Args;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;

use super::{Context, Format};
use crate::detection::library::Library;
use crate::engine::{self, Engine, EngineOptions};
use crate::event::Micros;
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

/// How the lake is opened.
#[derive(Debug, Args)]
pub struct EngineArgs {
    /// Directory with queries of your own, in folders `views`, `detections`, ...; same names replace ours
    #[arg(long, value_name = "DIR")]
    queries: Option<PathBuf>,

    /// Memory that sorts, joins and aggregates may use together before they spill to disk
    #[arg(long, value_name = "SIZE", default_value_t = engine::DEFAULT_MEMORY)]
    memory_limit: ByteSize,

    /// Days that begin at this instant or later are left out; set by commands that take `--until`.
    #[arg(skip)]
    pub read_until: Option<Micros>,
}

impl Default for EngineArgs {
    fn default() -> Self {
        EngineArgs {
            queries: None,
            memory_limit: engine::DEFAULT_MEMORY,
            read_until: None,
        }
    }
}

impl EngineArgs {
    /// Reads the queries.
    pub fn library(&self) -> Result<Library> {
        Library::with_directory(self.queries.as_deref())
    }

    /// Opens the lake with all views; `read_from` leaves earlier days out.
    pub async fn open(
        &self,
        context: &Context,
        read_from: Option<Micros>,
    ) -> Result<(Engine, Library)> {
        self.open_keeping(context, read_from, |_| Ok(BTreeSet::new()))
            .await
    }

    /// The same, for a run of queries: the views that `kept` names are computed now, once for all of them.
    pub async fn open_keeping(
        &self,
        context: &Context,
        read_from: Option<Micros>,
        kept: impl FnOnce(&Library) -> Result<BTreeSet<String>>,
    ) -> Result<(Engine, Library)> {
        let library = self.library()?;
        let options = EngineOptions {
            memory: self.memory_limit,
            read_from,
            read_until: self.read_until,
            views: library.views(),
            kept: kept(&library)?,
            ..EngineOptions::default()
        };
        let tables = context.lake()?.providers().await?;
        if tables.is_empty() {
            eprintln!(
                "note: there is no table in the lake `{}` yet; all of them look empty",
                context.lake
            );
        }
        Ok((Engine::new(tables, options).await?, library))
    }
}

impl OutputArgs {
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
            (Format::Table, false) => eprintln!("{rows} row{}", if rows == 1 { "" } else { "s" }),
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
