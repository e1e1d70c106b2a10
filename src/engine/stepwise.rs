//! Little data, where planning a query takes longer than running it: every view and every query of a `WITH` is computed
//! once, and what builds on it is planned over its rows. Plans stay as small as they are written, instead of holding all
//! that they build on, once for each time that it is named; what builds on nothing is nothing before it is planned.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::catalog::view::ViewTable;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::datasource::MemTable;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::{EmptyRelation, Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::propagate_empty_relation::PropagateEmptyRelation;

use super::statement::Chosen;
use super::{Engine, Statement};

/// What is little: rows of all tables together.
pub(super) const ROWS_MAX: i64 = 50_000;

/// Rules that make a plan run faster over much data, and take their time for it over little.
const NEEDLESS_RULES: [&str; 7] = [
    "optimize_unions",
    "unions_to_filter",
    "common_sub_expression_eliminate",
    "extract_leaf_expressions",
    "push_down_leaf_projections",
    "eliminate_duplicated_expr",
    "filter_null_join_keys",
];
const NEEDLESS_PHYSICAL_RULES: [&str; 4] = [
    "join_selection",
    "ProjectionPushdown",
    "FilterPushdown",
    "FilterPushdown(Post)",
];

/// Numbers the rows that are kept while a statement runs.
static RUNS: AtomicU64 = AtomicU64::new(0);

/// Returns the state for a session over little data: one pass, no rule that pays off only later.
pub(super) fn state(state: SessionState) -> SessionState {
    // The tables are in the catalog already.
    let mut config = state
        .config()
        .clone()
        .with_create_default_catalog_and_schema(false);
    let settings = config.options_mut();
    settings.optimizer.max_passes = 1;
    let mut rules: Vec<_> = state.optimizer().rules.clone();
    rules.retain(|rule| !NEEDLESS_RULES.contains(&rule.name()));
    rules.insert(0, Arc::new(PropagateEmptyRelation::new()));
    let mut physical_rules = state.physical_optimizers().to_vec();
    physical_rules.retain(|rule| !NEEDLESS_PHYSICAL_RULES.contains(&rule.name()));
    SessionStateBuilder::new_from_existing(state)
        .with_config(config)
        .with_optimizer_rules(rules)
        .with_physical_optimizer_rules(physical_rules)
        .build()
}

/// Returns rows as a table; none as a relation that the planner knows to be empty. The comments of columns are left
/// out: the planner takes a column with another comment for another column where it drops a side of a union.
pub(super) fn table(schema: SchemaRef, rows: Vec<RecordBatch>) -> Result<Arc<dyn TableProvider>> {
    let fields = schema.fields().iter();
    let fields = fields.map(|field| field.as_ref().clone().with_metadata(HashMap::new()));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let rows = rows.into_iter();
    let rows: Vec<RecordBatch> = rows
        .map(|batch| RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec()))
        .collect::<Result<_, _>>()?;
    if rows.iter().any(|batch| batch.num_rows() > 0) {
        return Ok(Arc::new(MemTable::try_new(schema, vec![rows])?));
    }
    let nothing = LogicalPlan::EmptyRelation(EmptyRelation {
        produce_one_row: false,
        schema: Arc::new(DFSchema::try_from(schema)?),
    });
    Ok(Arc::new(ViewTable::new(nothing, None)))
}

/// Gives the columns of a union names of their own. DataFusion would take the names of the only side that is left when
/// all others are empty, and then refuse its own plan as changed.
fn named(plan: LogicalPlan) -> Result<LogicalPlan> {
    if !is_union(&plan) {
        return Ok(plan);
    }
    let columns: Vec<_> = plan.schema().columns();
    let names = columns.into_iter().map(|column| {
        let name = column.name.clone();
        Expr::Column(column).alias(name)
    });
    Ok(LogicalPlanBuilder::from(plan).project(names)?.build()?)
}

/// Says whether the rows are those of a union, sorted or cut short or not.
fn is_union(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Union(_) => true,
        LogicalPlan::Sort(sort) => is_union(&sort.input),
        LogicalPlan::Limit(limit) => is_union(&limit.input),
        _ => false,
    }
}

impl Engine {
    /// Computes the queries of a statement's `WITH`, each over the rows of those before it, and plans the rest. Over much
    /// data it computes only those that more than one reader has.
    pub(super) async fn plan_in_steps(
        &self,
        statement: &Statement,
        params: &[(String, ScalarValue)],
    ) -> Result<LogicalPlan> {
        let slots = format!("with{}.", RUNS.fetch_add(1, Ordering::Relaxed));
        let chosen = match self.is_stepwise {
            true => Chosen::All,
            false => Chosen::Shared,
        };
        let Some((steps, last)) = statement.steps(&slots, chosen) else {
            return named(self.plan(statement, params).await?);
        };
        let slot = |number: usize| format!("\"{slots}{number}\"");
        let count = steps.len();
        let run = async {
            for (number, step) in steps.iter().enumerate() {
                let plan = named(self.plan(step, params).await?)?;
                let (schema, rows) = self.rows_of(plan).await?;
                self.session
                    .register_table(slot(number), table(schema, rows)?)?;
            }
            named(self.plan(&last, params).await?)
        };
        let plan = run.await;
        for number in 0..count {
            self.session.deregister_table(slot(number))?;
        }
        plan
    }
}
