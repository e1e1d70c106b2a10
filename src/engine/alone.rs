//! A statement by itself. As one plan with all views that it builds on, its filters reach the files, and the lookup of a
//! session reads a few pages. Without such a filter each view would be computed as often as it is named, over whole tables:
//! then the statement is a run of its own, in which each view that is worth keeping is computed once.

use std::collections::BTreeSet;
use std::slice;
use std::sync::Arc;

use anyhow::Result;
use datafusion::catalog::memory::MemoryCatalogProviderList;
use datafusion::common::JoinType::{Inner, LeftAnti, LeftSemi, RightAnti, RightSemi};
use datafusion::common::ScalarValue;
use datafusion::datasource::{MemTable, source_as_provider};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator};
use datafusion::prelude::SessionContext;
use tokio::sync::Semaphore;

use super::keeping::ReadersLeft;
use super::{Engine, Statement, Stepwise, cores, readable, session, stepwise};
use crate::table::BLOOM_COLUMNS;

impl Engine {
    /// Returns a session over the same tables in which the statement runs step by step; none where it is better run as one
    /// plan.
    pub(super) async fn as_run(
        &self,
        statement: &Statement,
        params: &[(String, ScalarValue)],
    ) -> Result<Option<Engine>> {
        if self.is_sharing {
            return Ok(None);
        }
        let kept = self.views.worth_keeping(statement)?;
        if kept.is_empty() {
            return Ok(None);
        }
        // Of little data no plan has to be made to know.
        if self.rows().await? > stepwise::ROWS_MAX && self.looks_up(statement, params).await? {
            return Ok(None);
        }
        Ok(Some(self.for_run_of(statement, kept).await?))
    }

    /// Says whether a statement reads a few pages of the files, as one plan.
    pub(super) async fn looks_up(
        &self,
        statement: &Statement,
        params: &[(String, ScalarValue)],
    ) -> Result<bool> {
        self.register_views(statement).await?;
        let plan = self.plan(statement, params).await?;
        let plan = self.session.state().optimize(&plan).map_err(readable)?;
        Ok(looks_up(&plan)? != Some(false))
    }

    async fn for_run_of(&self, statement: &Statement, kept: BTreeSet<String>) -> Result<Engine> {
        let state = self.session.state();
        let mut config = (state.config().clone()).with_create_default_catalog_and_schema(true);
        session::run_side_by_side(config.options_mut());
        let rules = session::aggregating_once(state.physical_optimizers().to_vec());
        let state = SessionStateBuilder::new_from_existing(state)
            .with_config(config)
            .with_catalog_list(Arc::new(MemoryCatalogProviderList::new()))
            .with_physical_optimizer_rules(rules)
            .build();
        let mut run = Engine {
            session: SessionContext::new_with_state(state),
            table_versions: self.table_versions.clone(),
            view_names: self.view_names.clone(),
            views: self.views.anew(),
            kept,
            readers_left: ReadersLeft::default(),
            promised: self.promised.clone(),
            is_stepwise: false,
            is_sharing: true,
            slices: 1,
            cores: Semaphore::new(cores()),
        };
        for name in self.relations_at_hand()? {
            let provider = self.session.table_provider(name.as_str()).await?;
            run.session.register_table(name.as_str(), provider)?;
            if self.view_names.contains(&name) {
                run.views.note(name);
            }
        }
        run.settle(Stepwise::LittleData, slice::from_ref(statement))
            .await?;
        Ok(run)
    }

    /// Returns the names of the tables, and of whatever stands in for a view.
    fn relations_at_hand(&self) -> Result<Vec<String>> {
        let state = self.session.state();
        let catalog = &state.config_options().catalog;
        let schema = (state.catalog_list().catalog(&catalog.default_catalog))
            .and_then(|tables| tables.schema(&catalog.default_schema));
        let mut names = schema
            .map(|schema| schema.table_names())
            .unwrap_or_default();
        names.retain(|name| self.views.needs(name).is_none());
        Ok(names)
    }
}

/// Says whether all files are read with a filter that leaves out most of their pages: one by value, or one that a join finds
/// when it knows the rows of its other side. Rows in memory say nothing of it.
fn looks_up(plan: &LogicalPlan) -> Result<Option<bool>> {
    let inputs = plan.inputs().into_iter().map(looks_up);
    let inputs = inputs.collect::<Result<Vec<_>>>()?;
    let any = |is| inputs.contains(&Some(is)).then_some(is);
    match plan {
        LogicalPlan::TableScan(scan) => {
            let is_of_files = !source_as_provider(&scan.source)?.is::<MemTable>();
            Ok(is_of_files.then(|| scan.filters.iter().any(is_lookup)))
        }
        LogicalPlan::Join(join) => Ok(match join.join_type {
            Inner | LeftSemi | RightSemi if !join.on.is_empty() => any(true).or(any(false)),
            // What others take away from rows does not make them more.
            LeftAnti => inputs[0],
            RightAnti => inputs[1],
            _ => any(false).or(any(true)),
        }),
        _ => Ok(any(false).or(any(true))),
    }
}

/// Says whether a condition is on what files have bloom filters for, by value.
fn is_lookup(filter: &Expr) -> bool {
    let is_clustered = |expr: &Expr| matches!(expr, Expr::Column(column) if BLOOM_COLUMNS.contains(&column.name()));
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And => is_lookup(left) || is_lookup(right),
            Operator::Or => is_lookup(left) && is_lookup(right),
            Operator::Eq => is_clustered(left) || is_clustered(right),
            _ => false,
        },
        Expr::InList(list) => !list.negated && is_clustered(&list.expr),
        _ => false,
    }
}
