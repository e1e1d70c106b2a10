//! DataFusion over the lake: tables and views by name, SQL with bound parameters, read-only.
//!
//! `log_<stem>` is everything a stream's table holds; the views of `queries/views/` build on the logs. Views
//! are plain logical plans, so a filter on a session, a channel or a time reaches the files through them.
//! This room knows nothing of what the queries mean.

mod alone;
mod error;
mod keeping;
mod nulls;
mod repeated;
mod session;
mod sql;
mod statement;
mod stepwise;
mod views;
mod yielding;

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, ensure};
use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use arrow::record_batch::RecordBatch;
use bytesize::ByteSize;
use chrono::NaiveDate;
use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;
use datafusion::common::runtime::SpawnedTask;
use datafusion::datasource::MemTable;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::common::spawn_buffered;
use datafusion::physical_plan::display::DisplayableExecutionPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use tokio::sync::Semaphore;

pub use error::readable;
use error::readable_among;
pub use keeping::Kept;
use keeping::ReadersLeft;
use session::{days_between, empty_table, memory_table, session};
pub use sql::Sql;
pub use statement::Statement;
use views::Views;
pub use views::{View, worth_keeping};

use crate::event::{MICROS_PER_DAY, Micros, Stream};
use crate::lake::history::{AsOf, versions};
use crate::lake::table::{Lake, Texts, providers};

/// Named values for the `$name` placeholders of a statement.
pub type Params = Vec<(String, ScalarValue)>;

/// What shapes a session.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Bound on the memory of sorts, joins and aggregates together; sorts and aggregates spill to the
    /// system's temporary directory when they reach their share of it.
    pub memory: ByteSize,
    /// Reads only days from this instant on, for all tables. Rows without any date (1970-01-01) stay.
    pub read_from: Option<Micros>,
    /// Reads only days that begin before this instant, in the same way.
    pub read_until: Option<Micros>,
    /// The views to register, in any order.
    pub views: Vec<View>,
    /// Rows that stand in for the views of these names: what a session over a part of the lake has to know of
    /// the whole.
    pub given: Vec<(String, RecordBatch)>,
    /// What is computed once, for a run of many statements that build on it.
    pub kept: Kept,
    /// The versions of the tables, for whoever cites what was read.
    pub table_versions: String,
    /// Whether to compute all views so, and the queries of a `WITH`.
    pub stepwise: Stepwise,
}

/// Whether statements are computed step by step, from rows to rows, instead of as one plan. The rows are the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stepwise {
    #[default]
    Never,
    /// Where the tables have so few rows that planning would take most of the time. Elsewhere only the queries of a
    /// `WITH` are computed so that are read more than once.
    LittleData,
    Always,
}

impl EngineOptions {
    /// Says whether rows of a day are read.
    pub fn reads(&self, day: NaiveDate) -> bool {
        let day = day.signed_duration_since(NaiveDate::default()).num_days();
        let day_of = |instant: Micros| instant.div_euclid(MICROS_PER_DAY);
        let is_after = self.read_from.is_none_or(|from| day >= day_of(from));
        let is_before =
            (self.read_until).is_none_or(|until| day <= day_of(until.saturating_sub(1)));
        day == 0 || (is_after && is_before)
    }
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions {
            memory: DEFAULT_MEMORY,
            read_from: None,
            read_until: None,
            views: Vec::new(),
            given: Vec::new(),
            kept: Kept::default(),
            table_versions: String::new(),
            stepwise: Stepwise::Never,
        }
    }
}

/// A fixed number rather than a share of the machine, so that a query that fits here fits everywhere.
pub const DEFAULT_MEMORY: ByteSize = ByteSize::gib(4);

/// Batches that a statement in a task of its own makes before anybody takes them.
const BATCHES_AHEAD: usize = 2;

/// Rows of a batch, as DataFusion has them by default.
const BATCH_ROWS: usize = 8192;

/// A session over one state of the lake. Cheap to share; holds no locks on the lake.
pub struct Engine {
    session: SessionContext,
    table_versions: String,
    /// Names of the views, each after those it reads.
    view_names: Vec<String>,
    /// Views are registered when a statement first needs them.
    views: Views,
    kept: BTreeSet<String>,
    readers_left: ReadersLeft,
    /// Relations whose rows come later, with their columns.
    promised: Vec<(String, SchemaRef)>,
    is_stepwise: bool,
    /// Whether a query of a `WITH` is computed before its readers when it has several.
    is_sharing: bool,
    /// Into how many parts the rows of a view are divided that can be computed apart.
    slices: usize,
    /// As many as there are cores: what is computed at a time, each on one of them.
    cores: Semaphore,
}

/// Rows of all tables together for which one slice is enough. What a slice keeps in memory while it is computed is in the
/// order of a kilobyte a row, at most.
const ROWS_OF_SLICE: i64 = 2_000_000;

impl Engine {
    /// Opens a session over the given tables. A stream that is not among them is an empty table, so that
    /// every query works before the first event of a stream has come.
    pub async fn new(
        tables: Vec<(Stream, Arc<dyn TableProvider>)>,
        options: EngineOptions,
    ) -> Result<Engine> {
        let session = session(&options)?;
        let mut all = options.views;
        let mut kept = options.kept.views;
        kept.extend(options.kept.added.iter().map(|view| view.name.clone()));
        all.extend(options.kept.added);
        let views = Views::new(all)?;
        let mut engine = Engine {
            table_versions: options.table_versions,
            session,
            view_names: views.names(),
            views: Views::default(),
            kept,
            readers_left: ReadersLeft::default(),
            promised: Vec::new(),
            is_stepwise: false,
            is_sharing: options.stepwise != Stepwise::Never,
            slices: 1,
            cores: Semaphore::new(cores()),
        };
        for stream in Stream::TABLES {
            let provider = match tables.iter().find(|(of, _)| *of == stream) {
                Some((_, provider)) => Arc::clone(provider),
                None => empty_table(stream, &tables)?,
            };
            let days = (options.read_from, options.read_until);
            engine.register_log(stream, provider, days)?;
        }
        engine.views = views;
        for (name, rows) in options.given {
            engine.stand_in(name, rows)?;
        }
        (engine.settle(options.stepwise, &options.kept.readers)).await?;
        Ok(engine)
    }

    /// Settles how statements are computed, by how much data there is.
    async fn settle(&mut self, stepwise: Stepwise, readers: &[Statement]) -> Result<()> {
        self.is_stepwise = match stepwise {
            Stepwise::Never => false,
            Stepwise::LittleData => {
                let rows = self.rows().await?;
                self.slices = usize::try_from(rows / ROWS_OF_SLICE)?.next_power_of_two();
                rows <= stepwise::ROWS_MAX
            }
            Stepwise::Always => true,
        };
        match self.is_stepwise {
            // So little is not worth giving up.
            true => {
                self.session = SessionContext::new_with_state(stepwise::state(self.session.state()))
            }
            false => self.count_readers(readers)?,
        }
        Ok(())
    }

    /// Opens a session over the newest version of every table of a lake.
    pub async fn open(lake: &Lake, options: EngineOptions) -> Result<Engine> {
        let tables = lake.tables(&AsOf::Newest).await?;
        let options = EngineOptions {
            table_versions: versions(&tables),
            ..options
        };
        Engine::new(providers(&tables, Texts::Copied).await?, options).await
    }

    /// Opens a session over rows in memory.
    pub async fn memory(
        batches: Vec<(Stream, Vec<RecordBatch>)>,
        options: EngineOptions,
    ) -> Result<Engine> {
        let tables = batches
            .into_iter()
            .map(|(stream, batches)| Ok((stream, memory_table(stream, batches)?)))
            .collect::<Result<_>>()?;
        Engine::new(tables, options).await
    }

    /// Returns the versions of the tables that are read, in the form of `--as-of`; empty for rows that are of none.
    pub fn table_versions(&self) -> &str {
        &self.table_versions
    }

    /// Makes a relation known by its columns, whose comments say what they are. It has no rows until they are given.
    pub fn promise(&mut self, name: &str, schema: SchemaRef) -> Result<()> {
        ensure!(
            !self.view_names.iter().any(|view| view == name),
            "a view cannot be called `{name}`, which is computed otherwise"
        );
        self.give(name, RecordBatch::new_empty(Arc::clone(&schema)))?;
        self.promised.push((name.to_string(), schema));
        Ok(())
    }

    /// Makes rows a table of the session, for queries that build on what others gave; in the stead of a table that has
    /// this name.
    pub fn give(&self, name: &str, rows: RecordBatch) -> Result<()> {
        let table = MemTable::try_new(rows.schema(), vec![vec![rows]])?;
        self.session.deregister_table(name)?;
        self.session
            .register_table(name, Arc::new(table))
            .with_context(|| format!("cannot make the table `{name}`"))?;
        Ok(())
    }

    /// Makes rows stand in for a view of this name.
    pub fn stand_in(&mut self, name: String, rows: RecordBatch) -> Result<()> {
        self.give(&name, rows)?;
        self.kept.remove(&name);
        self.views.note(name);
        Ok(())
    }

    /// Starts a statement and returns its rows as they come. Refuses whatever writes.
    pub async fn execute(
        &self,
        statement: &Statement,
        params: &[(String, ScalarValue)],
    ) -> Result<SendableRecordBatchStream> {
        if let Some(run) = self.as_run(statement, params).await? {
            return Box::pin(run.execute(statement, params)).await;
        }
        self.register_views(statement).await?;
        let plan = self.plan_sharing(statement, params).await?;
        self.start(plan).await
    }

    /// The same in a task of its own, so that whoever waits for the rows can listen to something else meanwhile. The
    /// task ends when nobody waits any more.
    pub async fn execute_apart(
        self: &Arc<Self>,
        statement: &Statement,
        params: &[(String, ScalarValue)],
    ) -> Result<SendableRecordBatchStream> {
        let (engine, statement, params) = (Arc::clone(self), statement.clone(), params.to_vec());
        let planned = SpawnedTask::spawn(async move { engine.execute(&statement, &params).await });
        let rows = planned
            .join_unwind()
            .await
            .context("the query was stopped")??;
        Ok(spawn_buffered(rows, BATCHES_AHEAD))
    }

    /// Runs one statement to its end.
    pub async fn run(
        &self,
        sql: &str,
        params: &[(String, ScalarValue)],
    ) -> Result<Vec<RecordBatch>> {
        let stream = self.execute(&Statement::parse_one(sql)?, params).await?;
        stream.try_collect().await.map_err(readable)
    }

    /// Runs one statement to its end and returns its rows as one batch, which may be empty.
    pub async fn collect(
        &self,
        statement: &Statement,
        params: &[(String, ScalarValue)],
    ) -> Result<RecordBatch> {
        self.register_views(statement).await?;
        let plan = self.plan_sharing(statement, params).await?;
        let (schema, batches) = self.rows_of(plan).await?;
        self.finish(&statement.relations()?)?;
        Ok(arrow::compute::concat_batches(&schema, &batches)?)
    }

    /// Plans a statement without running it and returns the columns it gives.
    pub async fn output_schema(
        &self,
        statement: &Statement,
        params: &[(String, ScalarValue)],
    ) -> Result<SchemaRef> {
        self.register_views(statement).await?;
        let plan = self.analyze(self.plan(statement, params).await?)?;
        Ok(Arc::clone(plan.schema().inner()))
    }

    /// Returns every column that SQL can name, tables first, then the views in the order they build on each
    /// other, then what is promised: relation, kind, column, type, description.
    pub async fn catalog(&self) -> Result<RecordBatch> {
        self.register(self.view_names.iter().cloned().collect())
            .await?;
        let logs = Stream::TABLES.map(log_name);
        let registered = (logs.iter().map(|name| ("table", name)))
            .chain(self.view_names.iter().map(|name| ("view", name)));
        let mut relations = Vec::new();
        for (kind, name) in registered {
            let provider = self.session.table_provider(name.as_str()).await?;
            relations.push((kind, name, provider.schema()));
        }
        let promised = self.promised.iter();
        relations.extend(promised.map(|(name, schema)| ("view", name, Arc::clone(schema))));
        let mut columns: [Vec<String>; 5] = Default::default();
        for (kind, name, schema) in relations {
            for field in schema.fields() {
                let comment = field.metadata().get("comment").cloned().unwrap_or_default();
                let values = [
                    name.clone(),
                    kind.to_string(),
                    field.name().clone(),
                    type_name(field.data_type()),
                    comment,
                ];
                for (column, value) in columns.iter_mut().zip(values) {
                    column.push(value);
                }
            }
        }
        let arrays = columns.map(|values| Arc::new(StringArray::from(values)) as ArrayRef);
        let names = ["relation", "kind", "column", "type", "description"];
        Ok(RecordBatch::try_from_iter(names.into_iter().zip(arrays))?)
    }

    async fn plan(
        &self,
        statement: &Statement,
        params: &[(String, ScalarValue)],
    ) -> Result<LogicalPlan> {
        let mut statement = statement.clone();
        statement.bind(params)?;
        let plan = self
            .session
            .state()
            .statement_to_plan(statement.parsed)
            .await
            .map_err(|error| readable_among(error, &self.relations()))?;
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .verify_plan(&plan)
            .map_err(|_| {
                anyhow!("SQL here only reads: tables, views and files cannot be made, changed or written")
            })?;
        Ok(plan)
    }

    /// Plans a statement. What it reads more than once is computed first, once, where the session is for such statements.
    async fn plan_sharing(
        &self,
        statement: &Statement,
        params: &[(String, ScalarValue)],
    ) -> Result<LogicalPlan> {
        match self.is_sharing {
            true => self.plan_in_steps(statement, params).await,
            false => self.plan(statement, params).await,
        }
    }

    /// Returns the names of all relations.
    fn relations(&self) -> Vec<String> {
        let logs = Stream::TABLES.map(log_name).into_iter();
        let promised = self.promised.iter().map(|(name, _)| name);
        let views = self.view_names.iter().chain(promised).cloned();
        views.chain(logs).collect()
    }

    fn register_log(
        &self,
        stream: Stream,
        provider: Arc<dyn TableProvider>,
        days: (Option<Micros>, Option<Micros>),
    ) -> Result<()> {
        let name = log_name(stream);
        let provider = match days {
            (None, None) => provider,
            (from, until) => days_between(&name, provider, from, until)?,
        };
        self.session.register_table(name.as_str(), provider)?;
        Ok(())
    }

    async fn start(&self, plan: LogicalPlan) -> Result<SendableRecordBatchStream> {
        Ok(self.start_plan(plan).await?.1)
    }

    async fn start_plan(
        &self,
        plan: LogicalPlan,
    ) -> Result<(Arc<dyn ExecutionPlan>, SendableRecordBatchStream)> {
        let frame = (self.session.execute_logical_plan(plan).await).map_err(readable)?;
        let task = Arc::new(frame.task_ctx());
        let plan = frame.create_physical_plan().await.map_err(readable)?;
        let stream = execute_stream(Arc::clone(&plan), task).map_err(readable)?;
        Ok((plan, stream))
    }

    /// Runs a plan to its end as a task of its own, once a core is free for it.
    async fn rows_of(&self, plan: LogicalPlan) -> Result<(SchemaRef, Vec<RecordBatch>)> {
        let _core = self.cores.acquire().await?;
        let (plan, stream) = self.start_plan(plan).await?;
        let schema = stream.schema();
        let rows = SpawnedTask::spawn(stream.try_collect()).join_unwind().await;
        let rows = rows.context("the query was stopped")?.map_err(readable)?;
        let shown = DisplayableExecutionPlan::with_metrics(plan.as_ref());
        tracing::trace!("{}", shown.indent(true));
        Ok((schema, rows))
    }

    /// Settles the types of a plan.
    fn analyze(&self, plan: LogicalPlan) -> Result<LogicalPlan> {
        let state = self.session.state();
        state
            .analyzer()
            .execute_and_check(plan, state.config_options(), |_, _| {})
            .map_err(readable)
    }

    /// Returns how many rows the tables have together. Asks the logs of the tables, not their files.
    async fn rows(&self) -> Result<i64> {
        let mut rows = 0;
        for stream in Stream::TABLES {
            let sql = format!("SELECT count(*) FROM {}", log_name(stream));
            let plan = self.plan(&Statement::parse_one(&sql)?, &[]).await?;
            let counted: Vec<RecordBatch> = self.start(plan).await?.try_collect().await?;
            let counts = counted.iter().map(|batch| batch.column(0));
            rows += counts
                .flat_map(|column| column.as_primitive::<Int64Type>().values())
                .sum::<i64>();
        }
        Ok(rows)
    }
}

/// Returns how many queries can run at a time.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Returns the name of the relation that shows all rows of a stream's table.
pub fn log_name(stream: Stream) -> String {
    format!("log_{}", stream.stem())
}

/// Returns a type as people know it.
fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => "string".to_string(),
        DataType::Timestamp(_, _) => "timestamp".to_string(),
        DataType::Date32 => "date".to_string(),
        DataType::List(item) => format!("list of {}", type_name(item.data_type())),
        other => other.to_string().to_lowercase(),
    }
}

#[cfg(test)]
mod tests;
