//! `tapetrail sql` without SQL: a prompt with history, completion, and commands that begin with `\`.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::FileHistory;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Editor, Helper};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::typing::{COMMANDS, Names, is_complete, place, short};
use super::{Context, SqlArgs};
use crate::detection::library::Library;
use crate::engine::{Engine, Params, Statement};

/// Lines that the history keeps.
const HISTORY: usize = 5_000;

/// What a line asks for beside rows.
enum Next {
    GoOn,
    Leave,
}

/// A person at a terminal.
struct Prompt<'p> {
    engine: &'p Arc<Engine>,
    library: &'p Library,
    args: &'p SqlArgs,
    context: &'p Context,
    is_timed: bool,
}

/// Reads and runs what is typed until the person leaves.
pub(super) async fn run(
    engine: &Arc<Engine>,
    library: &Library,
    args: &SqlArgs,
    context: &Context,
) -> Result<()> {
    // From here on Ctrl-C cancels, and does not end the program.
    let _ = interrupts()?;
    let settings = Config::builder()
        .max_history_size(HISTORY)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .auto_add_history(true)
        .build();
    let mut editor: Editor<Typing, FileHistory> = Editor::with_config(settings)?;
    editor.set_helper(Some(Typing(names(engine, library).await?)));
    let history = history_file();
    if let Some(file) = &history {
        // There is none the first time.
        let _ = editor.load_history(file);
    }
    let mut prompt = Prompt {
        engine,
        library,
        args,
        context,
        is_timed: args.timing,
    };
    eprintln!(
        "tapetrail {}, lake `{}`. SQL ends with `;`. \\? for help, \\q to leave",
        env!("CARGO_PKG_VERSION"),
        context.lake
    );
    loop {
        let line = tokio::task::block_in_place(|| editor.readline("tapetrail> "));
        match line {
            Ok(line) => {
                if let Some(file) = &history
                    && let Err(error) = editor.append_history(file)
                {
                    tracing::debug!(%error, "the history cannot be written");
                }
                if let Next::Leave = prompt.answer(&line).await? {
                    return Ok(());
                }
            }
            // The line is given up, not the prompt.
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(error).context("cannot read from the terminal"),
        }
    }
}

impl Prompt<'_> {
    /// Runs what was typed. An error is told and is no reason to leave.
    async fn answer(&mut self, line: &str) -> Result<Next> {
        let line = line.trim();
        if matches!(line, "\\q" | "\\quit") || matches!(line.trim_end_matches(';'), "quit" | "exit")
        {
            return Ok(Next::Leave);
        }
        // Made anew, it knows nothing of what was pressed before.
        let mut interrupts = interrupts()?;
        let outcome = tokio::select! {
            outcome = self.run(line) => outcome,
            _ = interrupts.recv() => {
                eprintln!("canceled");
                return Ok(Next::GoOn);
            }
        };
        if let Err(error) = outcome {
            let error = short(&format!("{error:#}"));
            eprintln!("error: {error}");
            if let Some(place) = place(line, &error) {
                eprintln!("{place}");
            }
        }
        Ok(Next::GoOn)
    }

    async fn run(&mut self, line: &str) -> Result<()> {
        let mut words = line.split_whitespace();
        match words.next() {
            None => Ok(()),
            Some("\\d") => match words.next() {
                None => self.list(None).await,
                Some(name) => self.describe(name.trim_end_matches(';')).await,
            },
            Some("\\dt") => self.list(Some("table")).await,
            Some("\\dv") => self.list(Some("view")).await,
            Some("\\dq") => self
                .args
                .output
                .print(&self.library.investigations_catalog()?),
            Some("\\query") => self.query(words.collect()).await,
            Some("\\timing") => {
                self.is_timed = !self.is_timed;
                eprintln!("timing is {}", if self.is_timed { "on" } else { "off" });
                Ok(())
            }
            Some("\\?" | "\\h" | "\\help") => {
                for (name, does) in COMMANDS {
                    eprintln!("{name:<8} {does}");
                }
                eprintln!(
                    "Tab completes, the arrows and Ctrl-R look through what was typed, Ctrl-C cancels"
                );
                Ok(())
            }
            Some(word) if word.starts_with('\\') => {
                anyhow::bail!("there is no command `{word}`; \\? shows what there is")
            }
            Some(_) => {
                for statement in &Statement::parse_all(line)? {
                    self.statement(statement, &Params::new()).await?;
                }
                Ok(())
            }
        }
    }

    async fn statement(&self, statement: &Statement, params: &Params) -> Result<()> {
        let start = self.context.clock.instant();
        let stream = self.engine.execute_apart(statement, params).await?;
        self.args.output.print_stream(stream).await?;
        if self.is_timed {
            let seconds = self.context.clock.elapsed(start).as_secs_f64();
            eprintln!("{seconds:.3} s");
        }
        Ok(())
    }

    /// Runs a query by its name.
    async fn query(&self, words: Vec<&str>) -> Result<()> {
        let Some((name, params)) = words.split_first() else {
            return self
                .args
                .output
                .print(&self.library.investigations_catalog()?);
        };
        let query = self.library.investigation(name.trim_end_matches(';'))?;
        let params: Vec<String> = params.iter().map(|word| word.to_string()).collect();
        self.statement(&query.statement, &query.params(&params)?)
            .await
    }

    /// Lists tables and views, each with its title.
    async fn list(&self, kind: Option<&str>) -> Result<()> {
        let catalog = Catalog::of(self.engine).await?;
        let mut rows: Vec<[String; 3]> = Vec::new();
        for column in &catalog.columns {
            let is_new = rows.last().is_none_or(|row| row[0] != column.relation);
            if is_new && kind.is_none_or(|kind| kind == column.kind) {
                let title = self.title(&column.relation);
                rows.push([column.relation.clone(), column.kind.clone(), title]);
            }
        }
        rows.sort();
        self.args
            .output
            .print(&batch(["name", "kind", "what it shows"], &rows)?)
    }

    fn title(&self, relation: &str) -> String {
        let query = self.library.query(&format!("views/{relation}"));
        match query.and_then(|query| query.header.as_ref()) {
            Some(header) => header.title.clone(),
            None if relation.starts_with("log_") => "Everything that was received".to_string(),
            None => String::new(),
        }
    }

    /// Shows the columns of a table or view.
    async fn describe(&self, name: &str) -> Result<()> {
        let catalog = Catalog::of(self.engine).await?;
        let header =
            (self.library.query(&format!("views/{name}"))).and_then(|query| query.header.as_ref());
        let mut rows: Vec<[String; 3]> = Vec::new();
        for column in catalog
            .columns
            .into_iter()
            .filter(|column| column.relation == name)
        {
            let doc = header.and_then(|header| header.columns.get(&column.name));
            let doc = doc.map_or(column.description, |column| column.doc.clone());
            rows.push([column.name, column.data_type, doc]);
        }
        if rows.is_empty() {
            anyhow::bail!("there is no table or view `{name}`; \\d lists them");
        }
        if let Some(header) = header {
            eprintln!("{}. {}", header.title, header.description.trim());
        }
        self.args
            .output
            .print(&batch(["column", "type", "description"], &rows)?)
    }
}

/// What Ctrl-C sends while a statement runs; while a line is typed it is a key.
fn interrupts() -> Result<Signal> {
    signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")
}

/// Where what was typed is kept: `TAPETRAIL_HISTORY` (empty: nowhere), else a file in the home directory.
fn history_file() -> Option<PathBuf> {
    match std::env::var_os("TAPETRAIL_HISTORY") {
        Some(path) if path.is_empty() => None,
        Some(path) => Some(path.into()),
        None => std::env::home_dir().map(|home| home.join(".tapetrail_history")),
    }
}

/// A column of the catalog.
struct Column {
    relation: String,
    kind: String,
    name: String,
    data_type: String,
    description: String,
}

struct Catalog {
    columns: Vec<Column>,
}

impl Catalog {
    async fn of(engine: &Engine) -> Result<Catalog> {
        let rows = engine.catalog().await?;
        let text = |name: &str, row: usize| rows[name].as_string::<i32>().value(row).to_string();
        let columns = (0..rows.num_rows()).map(|row| Column {
            relation: text("relation", row),
            kind: text("kind", row),
            name: text("column", row),
            data_type: text("type", row),
            description: text("description", row),
        });
        Ok(Catalog {
            columns: columns.collect(),
        })
    }
}

fn batch(names: [&str; 3], rows: &[[String; 3]]) -> Result<RecordBatch> {
    let column = |at: usize| -> ArrayRef {
        let values = rows.iter().map(|row| row[at].as_str());
        Arc::new(StringArray::from_iter_values(values))
    };
    let columns = names
        .iter()
        .enumerate()
        .map(|(at, name)| (*name, column(at)));
    Ok(RecordBatch::try_from_iter(columns)?)
}

async fn names(engine: &Engine, library: &Library) -> Result<Names> {
    let mut names = Names::default();
    for column in Catalog::of(engine).await?.columns {
        names
            .relations
            .entry(column.relation)
            .or_default()
            .push(column.name);
    }
    let sql = "SELECT DISTINCT routine_name AS name FROM information_schema.routines";
    for rows in engine.run(sql, &[]).await? {
        let column = cast(&rows["name"], &DataType::Utf8)?;
        let found = column.as_string::<i32>().iter().flatten();
        names.functions.extend(found.map(str::to_string));
    }
    let queries = library.investigations().iter();
    names.queries = queries.map(|query| query.name.clone()).collect();
    Ok(names)
}

/// Completes words, and lets a statement go on over lines until its `;`.
struct Typing(Names);

impl Helper for Typing {}

impl Hinter for Typing {
    type Hint = String;
}

impl Highlighter for Typing {}

impl Completer for Typing {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &rustyline::Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok(self.0.complete(line, position))
    }
}

impl Validator for Typing {
    fn validate(&self, typed: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        Ok(match is_complete(typed.input()) {
            true => ValidationResult::Valid(None),
            false => ValidationResult::Incomplete,
        })
    }
}
