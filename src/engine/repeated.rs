//! A filter reaches the files of a Delta table twice: by way of the table when the scan is planned, and by way of the scan
//! when filters are pushed down. Here each condition stays once, so that no row is asked twice.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::datasource::physical_plan::{FileScanConfigBuilder, FileSource, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::physical_expr::{PhysicalExpr, conjunction, split_conjunction};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;

/// Follows the rules that push filters down.
#[derive(Debug)]
pub(super) struct RepeatedFilters;

impl PhysicalOptimizerRule for RepeatedFilters {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let once = plan.transform_up(|node| {
            Ok(match with_each_once(&node) {
                Some(scan) => Transformed::yes(scan),
                None => Transformed::no(node),
            })
        });
        Ok(once?.data)
    }

    fn name(&self) -> &str {
        "RepeatedFilters"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Returns a scan of Parquet files without the conditions that it has twice; none where there is no such thing.
fn with_each_once(node: &Arc<dyn ExecutionPlan>) -> Option<Arc<dyn ExecutionPlan>> {
    let scan = node.downcast_ref::<DataSourceExec>()?;
    let (config, source) = scan.downcast_to_file_source::<ParquetSource>()?;
    let filter = source.filter()?;
    let all = split_conjunction(&filter);
    let mut once: Vec<Arc<dyn PhysicalExpr>> = Vec::with_capacity(all.len());
    for condition in &all {
        if !once.iter().any(|known| known == *condition) {
            once.push(Arc::clone(condition));
        }
    }
    if once.len() == all.len() {
        return None;
    }
    let source = source.with_predicate(conjunction(once));
    let config = FileScanConfigBuilder::from(config.clone()).with_source(Arc::new(source));
    Some(DataSourceExec::from_data_source(config.build()))
}
