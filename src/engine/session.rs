//! How a session is set up, and what its tables are.

use std::num::NonZeroUsize;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::catalog::view::ViewTable;
use datafusion::common::ScalarValue;
use datafusion::common::config::ConfigOptions;
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::execution::memory_pool::{GreedyMemoryPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{LogicalPlanBuilder, col, lit};
use datafusion::optimizer::Optimizer;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::combine_partial_final_agg::CombinePartialFinalAggregate;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::nulls::NullAlternatives;
use super::repeated::RepeatedFilters;
use super::yielding::Yielding;
use super::{EngineOptions, Stepwise};
use crate::event::{MICROS_PER_DAY, Micros, Stream};
use crate::lake::table::stored_schema;
use crate::table;

type PhysicalRule = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// Consumers of memory that an out-of-memory error names.
const CONSUMERS_NAMED: NonZeroUsize = NonZeroUsize::new(3).expect("three is not zero");

pub(super) fn session(options: &EngineOptions) -> Result<SessionContext> {
    let mut config = SessionConfig::new().with_information_schema(true);
    let settings = config.options_mut();
    settings.execution.time_zone = Some("UTC".to_string());
    settings.execution.collect_statistics = true;
    if options.stepwise != Stepwise::Never {
        run_side_by_side(settings);
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
    let mut rules = Optimizer::new().rules;
    let simplify = rules
        .iter()
        .position(|rule| rule.name() == "simplify_expressions");
    rules.insert(
        simplify.map_or(0, |place| place + 1),
        Arc::new(NullAlternatives),
    );
    let mut physical_rules = PhysicalOptimizer::new().rules;
    if options.stepwise != Stepwise::Never {
        physical_rules = aggregating_once(physical_rules);
    }
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .with_optimizer_rules(rules)
        .with_physical_optimizer_rules(physical_rules)
        .with_physical_optimizer_rule(Arc::new(RepeatedFilters))
        .with_physical_optimizer_rule(Arc::new(Yielding))
        .build();
    Ok(SessionContext::new_with_state(state))
}

/// Of many queries several run at a time, each on one core: spreading the rows of each over all of them, to aggregate and
/// join them there, takes half as much time again.
pub(super) fn run_side_by_side(settings: &mut ConfigOptions) {
    settings.execution.target_partitions = 1;
}

/// Returns the rules for a session whose queries run on one core each. The sides of a union would be aggregated apart and
/// then once more together, although each side has other groups, or as many.
pub(super) fn aggregating_once(mut rules: Vec<PhysicalRule>) -> Vec<PhysicalRule> {
    let place = (rules.iter()).position(|rule| rule.name() == "EnsureRequirements");
    let combine = Arc::new(CombinePartialFinalAggregate::new());
    rules.insert(place.unwrap_or_default(), combine);
    rules
}

pub(super) fn memory_table(
    stream: Stream,
    batches: Vec<RecordBatch>,
) -> Result<Arc<dyn TableProvider>> {
    let table = MemTable::try_new(table::schema(stream), vec![batches])
        .with_context(|| format!("the rows do not fit the table `{stream}`"))?;
    Ok(Arc::new(table))
}

/// Returns a table without rows, its texts of the type that the other tables have: where a union has to
/// convert some of its inputs, filters on them stop above their aggregates, and every file is opened.
pub(super) fn empty_table(
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
pub(super) fn days_between(
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
