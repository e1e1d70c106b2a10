//! A join makes many rows of few, and does so without ever giving its thread back: until it is through with what it has
//! read, such a query can neither be canceled nor given up. Here it takes a breath every few batches.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;

/// The last rule of all: no other one knows what to do with the nodes that it puts in.
#[derive(Debug)]
pub(super) struct Yielding;

impl PhysicalOptimizerRule for Yielding {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let yielding = plan.transform_up(|node| {
            Ok(match multiplies(node.name()) {
                true => Transformed::yes(Arc::new(CooperativeExec::new(node)) as _),
                false => Transformed::no(node),
            })
        });
        Ok(yielding?.data)
    }

    fn name(&self) -> &str {
        "Yielding"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Says whether a node may give many batches for one that it reads.
fn multiplies(node: &str) -> bool {
    node.ends_with("JoinExec") || node == "UnnestExec"
}
