//! DataFusion over the lake: tables and views by name, SQL with bound parameters, read-only.
//!
//! `log_<stem>` is everything a stream's table holds; the views of `queries/views/` build on the logs. Views
//! are plain logical plans, so a filter on a session, a channel or a time reaches the files through them.
//! This room knows nothing of what the queries mean.

mod error;
mod statement;
mod stepwise;
mod views;
mod yielding;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, ensure};
use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use arrow::record_batch::RecordBatch;
use bytesize::ByteSize;
use chrono::NaiveDate;
use datafusion::catalog::TableProvider;
use datafusion::catalog::view::ViewTable;
use datafusion::common::ScalarValue;
use datafusion::common::runtime::SpawnedTask;
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::memory_pool::{GreedyMemoryPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, col, ident, lit};
use datafusion::physical_plan::common::spawn_buffered;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::future::{BoxFuture, try_join_all};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use tokio::sync::Semaphore;

pub use error::readable;
use error::readable_among;
pub use statement::Statement;
pub use views::View;
use views::Views;
use yielding::Yielding;

use crate::event::{MICROS_PER_DAY, Micros, Stream};
use crate::lake::history::{AsOf, versions};
use crate::lake::table::{Lake, providers, stored_schema};
use crate::table;

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
    /// Views whose rows are computed once, when first used, and stay in memory: for a run of many queries that build
    /// on them.
    pub kept: BTreeSet<String>,
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
            kept: BTreeSet::new(),
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

/// Consumers of memory that an out-of-memory error names.
const CONSUMERS_NAMED: NonZeroUsize = NonZeroUsize::new(3).expect("three is not zero");

/// A session over one state of the lake. Cheap to share; holds no locks on the lake.
pub struct Engine {
    session: SessionContext,
    table_versions: String,
    /// Names of the views, each after those it reads.
    view_names: Vec<String>,
    /// Views are registered when a statement first needs them.
    views: Views,
    kept: BTreeSet<String>,
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
const ROWS_OF_SLICE: i64 = 1_000_000;

impl Engine {
    /// Opens a session over the given tables. A stream that is not among them is an empty table, so that
    /// every query works before the first event of a stream has come.
    pub async fn new(
        tables: Vec<(Stream, Arc<dyn TableProvider>)>,
        options: EngineOptions,
    ) -> Result<Engine> {
        let session = session(&options)?;
        let mut views = Views::new(options.views)?;
        let mut engine = Engine {
            table_versions: options.table_versions,
            session,
            view_names: views.names(),
            views: Views::default(),
            kept: options.kept,
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
        for (name, rows) in options.given {
            let table = MemTable::try_new(rows.schema(), vec![vec![rows]])?;
            engine
                .session
                .register_table(name.as_str(), Arc::new(table))?;
            views.note(name);
        }
        engine.views = views;
        engine.is_stepwise = match options.stepwise {
            Stepwise::Never => false,
            Stepwise::LittleData => {
                let rows = engine.rows().await?;
                engine.slices = usize::try_from(rows / ROWS_OF_SLICE)?.next_power_of_two();
                if let Ok(n) = std::env::var("TT_SLICES") {
                    engine.slices = n.parse()?;
                }
                rows <= stepwise::ROWS_MAX
            }
            Stepwise::Always => true,
        };
        if engine.is_stepwise {
            engine.session =
                SessionContext::new_with_state(stepwise::state(engine.session.state()));
        }
        Ok(engine)
    }

    /// Opens a session over the newest version of every table of a lake.
    pub async fn open(lake: &Lake, options: EngineOptions) -> Result<Engine> {
        let tables = lake.tables(&AsOf::Newest).await?;
        let options = EngineOptions {
            table_versions: versions(&tables),
            ..options
        };
        Engine::new(providers(&tables).await?, options).await
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

    /// Returns the versions of the tables that are read, in the form of `--as-of`; empty for rows in memory.
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

    /// Makes these queries views of the session, whose rows are computed once, when first used.
    pub fn keep(&mut self, queries: Vec<View>) -> Result<()> {
        let added = Views::new(queries)?;
        self.kept.extend(added.names());
        self.view_names.extend(added.names());
        self.views.append(added);
        Ok(())
    }

    /// Starts a statement and returns its rows as they come. Refuses whatever writes.
    pub async fn execute(
        &self,
        statement: &Statement,
        params: &[(String, ScalarValue)],
    ) -> Result<SendableRecordBatchStream> {
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
        let frame = self
            .session
            .execute_logical_plan(plan)
            .await
            .map_err(readable)?;
        frame.execute_stream().await.map_err(readable)
    }

    /// Runs a plan to its end as a task of its own, once a core is free for it.
    async fn rows_of(&self, plan: LogicalPlan) -> Result<(SchemaRef, Vec<RecordBatch>)> {
        let _core = self.cores.acquire().await?;
        let stream = self.start(plan).await?;
        let schema = stream.schema();
        let rows = SpawnedTask::spawn(stream.try_collect()).join_unwind().await;
        let rows = rows.context("the query was stopped")?.map_err(readable)?;
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

    /// Registers the views that a statement builds on; all where it is no query, or asks what tables there are.
    async fn register_views(&self, statement: &Statement) -> Result<()> {
        let known = |name: &String| {
            self.view_names.contains(name)
                || Stream::TABLES.map(log_name).contains(name)
                || self.promised.iter().any(|(promised, _)| promised == name)
        };
        let relations = statement.relations()?;
        let relations = match statement.is_query() && relations.iter().all(known) {
            true => relations,
            false => self.view_names.iter().cloned().collect(),
        };
        self.register(relations).await
    }

    /// Registers the views among relations, each after those that it reads; those that do not read each other may be
    /// computed at the same time.
    fn register(&self, names: BTreeSet<String>) -> BoxFuture<'_, Result<()>> {
        let registered = self.views.among(&names).map(|(view, registration)| async {
            let register = || async {
                self.register(registration.needs.clone()).await?;
                let registered = match self.is_stepwise || self.kept.contains(&view.name) {
                    true => self.keep_view(view).await,
                    false => self.register_view(view).await,
                };
                registered.with_context(|| format!("the view `{}` cannot be used", view.name))
            };
            registration.done.get_or_try_init(register).await?;
            Ok(())
        });
        let registered: Vec<_> = registered.collect();
        async { try_join_all(registered).await.map(drop) }.boxed()
    }

    /// Registers the rows that a view has now, in its stead.
    async fn keep_view(&self, view: &View) -> Result<()> {
        let plan = self
            .plan_sharing(&Statement::parse_one(&view.sql)?, &[])
            .await?;
        let slices = self.in_slices(plan, view)?.into_iter();
        let computed: Vec<_> = stream::iter(slices.map(|plan| self.rows_of(plan)))
            .buffered(cores())
            .try_collect()
            .await?;
        let schema = computed.first().map(|(schema, _)| Arc::clone(schema));
        let schema = schema.context("a view has at least one slice")?;
        let rows: Vec<RecordBatch> = computed.into_iter().flat_map(|(_, rows)| rows).collect();
        let rows = compact(&schema, rows)?;
        tracing::debug!(
            rows = rows.iter().map(RecordBatch::num_rows).sum::<usize>(),
            bytes = rows
                .iter()
                .map(RecordBatch::get_array_memory_size)
                .sum::<usize>(),
            "computed the view {}",
            view.name
        );
        let rows = rows.iter().flat_map(batches_of).collect();
        self.session
            .register_table(view.name.as_str(), stepwise::table(schema, rows)?)?;
        Ok(())
    }

    /// Returns the plans whose rows together are those of a view.
    fn in_slices(&self, plan: LogicalPlan, view: &View) -> Result<Vec<LogicalPlan>> {
        let Some(column) = &view.sliced_by else {
            return Ok(vec![plan]);
        };
        let bounds = slice_bounds(self.slices);
        let from = std::iter::once(None).chain(bounds.iter().copied().map(Some));
        let to = (bounds.iter().copied().map(Some)).chain(std::iter::once(None));
        from.zip(to)
            .map(|(from, to)| {
                let from = from.map(|from| ident(column).gt_eq(lit(from.to_string())));
                let to = to.map(|to| ident(column).lt(lit(to.to_string())));
                let mut slice = LogicalPlanBuilder::from(plan.clone());
                for bound in [from, to].into_iter().flatten() {
                    slice = slice.filter(bound)?;
                }
                Ok(slice.build()?)
            })
            .collect()
    }

    async fn register_view(&self, view: &View) -> Result<()> {
        let plan = self.plan(&Statement::parse_one(&view.sql)?, &[]).await?;
        // Types are settled here, once, or the view's schema would not be what its plan gives.
        let table = ViewTable::new(self.analyze(plan)?, Some(view.sql.clone()));
        self.session
            .register_table(view.name.as_str(), Arc::new(table))?;
        Ok(())
    }
}

/// Batches that are copied into one to be kept: few enough for all texts of a column to be addressed.
const BATCHES_COMPACTED: usize = 64;

/// Copies rows into memory of their size: what an aggregate gives is cut from memory that has grown by doubling.
fn compact(schema: &SchemaRef, rows: Vec<RecordBatch>) -> Result<Vec<RecordBatch>> {
    let compacted = rows.chunks(BATCHES_COMPACTED);
    let compacted = compacted.map(|rows| arrow::compute::concat_batches(schema, rows));
    Ok(compacted.collect::<Result<_, _>>()?)
}

/// Cuts rows into batches of the size that queries work with.
fn batches_of(rows: &RecordBatch) -> impl Iterator<Item = RecordBatch> + '_ {
    let count = rows.num_rows();
    let firsts = (0..count).step_by(BATCH_ROWS);
    firsts.map(move |first| rows.slice(first, BATCH_ROWS.min(count - first)))
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

/// Returns the first digits of all slices but the first, for as many of them as the digits divide into.
fn slice_bounds(slices: usize) -> Vec<char> {
    let digits = "0123456789abcdef";
    let each = digits.len() / slices.clamp(1, digits.len());
    digits.chars().step_by(each).skip(1).collect()
}

fn session(options: &EngineOptions) -> Result<SessionContext> {
    let mut config = SessionConfig::new().with_information_schema(true);
    let settings = config.options_mut();
    settings.execution.time_zone = Some("UTC".to_string());
    settings.execution.collect_statistics = true;
    if options.stepwise != Stepwise::Never {
        // Of many queries several run at a time, each on one core: spreading the rows of each over all of them, to aggregate
        // and join them there, takes half as much time again.
        settings.execution.target_partitions = 1;
    }
    // Filters run while pages are decoded, cheapest first, and skip row groups by bloom filter: what makes
    // the lookup of one session read a few pages instead of whole files.
    settings.execution.parquet.pushdown_filters = true;
    settings.execution.parquet.reorder_filters = true;
    settings.execution.parquet.bloom_filter_on_read = true;
    // Both sides of a join in partitions: a side that is collected into one starts to read at once, before the other
    // side has told which sessions and channels matter, and then reads every file.
    settings.optimizer.hash_join_single_partition_threshold = 0;
    settings.optimizer.hash_join_single_partition_threshold_rows = 0;
    // The tables' columns carry comments. A union keeps those that agree, and the planner's check then takes the
    // lost comment of a column for another type.
    settings.execution.skip_physical_aggregate_schema_check = true;
    settings.sql_parser.collect_spans = true;
    let bytes = usize::try_from(options.memory.as_u64()).unwrap_or(usize::MAX);
    // First come, first served: a detection has hundreds of operators, and an equal share for each is too little.
    let pool = TrackConsumersPool::new(GreedyMemoryPool::new(bytes), CONSUMERS_NAMED);
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(pool))
        .build_arc()?;
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_physical_optimizer_rule(Arc::new(Yielding))
        .build();
    Ok(SessionContext::new_with_state(state))
}

fn memory_table(stream: Stream, batches: Vec<RecordBatch>) -> Result<Arc<dyn TableProvider>> {
    let table = MemTable::try_new(table::schema(stream), vec![batches])
        .with_context(|| format!("the rows do not fit the table `{stream}`"))?;
    Ok(Arc::new(table))
}

/// Returns a table without rows, its texts of the type that the other tables have: where a union has to
/// convert some of its inputs, filters on them stop above their aggregates, and every file is opened.
fn empty_table(
    stream: Stream,
    others: &[(Stream, Arc<dyn TableProvider>)],
) -> Result<Arc<dyn TableProvider>> {
    let is_view = |schema: SchemaRef| {
        let mut fields = schema.fields().iter();
        fields.any(|field| *field.data_type() == DataType::Utf8View)
    };
    if others.iter().all(|(_, table)| is_view(table.schema())) {
        return memory_table(stream, Vec::new());
    }
    let schema = Arc::new(stored_schema(stream));
    Ok(Arc::new(MemTable::try_new(schema, vec![Vec::new()])?))
}

/// Narrows a table to the days from one instant on, up to another. It filters the partition column alone, so that
/// whole files drop out before anything is read.
fn days_between(
    name: &str,
    provider: Arc<dyn TableProvider>,
    from: Option<Micros>,
    until: Option<Micros>,
) -> Result<Arc<dyn TableProvider>> {
    let day_of = |instant: Micros| instant.div_euclid(MICROS_PER_DAY) as i32;
    let date = |day: i32| lit(ScalarValue::Date32(Some(day)));
    let of_day = || col(table::PARTITION_COLUMN);
    let from = from.map(|from| of_day().gt_eq(date(day_of(from))));
    // The instant itself is out, and with it a day that begins then.
    let until = until.map(|until| of_day().lt_eq(date(day_of(until.saturating_sub(1)))));
    let mut plan = LogicalPlanBuilder::scan(name, provider_as_source(provider), None)?;
    for bound in [from, until].into_iter().flatten() {
        plan = plan.filter(bound.or(of_day().eq(date(0))))?;
    }
    Ok(Arc::new(ViewTable::new(plan.build()?, None)))
}

#[cfg(test)]
mod tests;
