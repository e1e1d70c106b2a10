//! A filter takes the rows for which its condition is true, and NULL is not true: `a = $a OR b = $b` with no `b` asks for
//! `a` alone. Left as it is, the NULL keeps the condition from statistics and bloom filters, and every file is read.

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::utils::{conjunction, disjunction, split_binary, split_conjunction};
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, Operator};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// Follows the rule that makes NULL of what compares with it, and goes before the one that pushes filters down.
#[derive(Debug)]
pub(super) struct NullAlternatives;

impl OptimizerRule for NullAlternatives {
    fn name(&self) -> &str {
        "null_alternatives"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Filter(filter) = plan else {
            return Ok(Transformed::no(plan));
        };
        let conditions = split_conjunction(&filter.predicate);
        if !conditions.iter().any(|condition| has_null(condition)) {
            return Ok(Transformed::no(LogicalPlan::Filter(filter)));
        }
        let without = conditions.into_iter().map(|condition| {
            let alternatives = split_binary(condition, Operator::Or).into_iter();
            disjunction(alternatives.filter(|expr| !is_null(expr)).cloned())
                .unwrap_or_else(|| Expr::Literal(ScalarValue::Boolean(None), None))
        });
        let Some(predicate) = conjunction(without) else {
            return Ok(Transformed::no(LogicalPlan::Filter(filter)));
        };
        let filter = Filter::try_new(predicate, filter.input)?;
        Ok(Transformed::yes(LogicalPlan::Filter(filter)))
    }
}

/// Says whether NULL is one of several alternatives.
fn has_null(condition: &Expr) -> bool {
    let alternatives = split_binary(condition, Operator::Or);
    alternatives.len() > 1 && alternatives.into_iter().any(is_null)
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(value, _) if value.is_null())
}
