//! Views are registered when a statement first needs them. Some are kept: their rows are computed once, and given up when
//! nobody is going to read them any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::catalog::view::ViewTable;
use datafusion::common::runtime::SpawnedTask;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, ident, lit};
use futures::future::{BoxFuture, try_join_all};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::{BATCH_ROWS, Engine, Statement, View, cores, stepwise};

/// What the statements of a run share.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// Views whose rows are computed once, when first used, and stay in memory.
    pub views: BTreeSet<String>,
    /// The statements of the run. Each runs once; what none of those left reads is given up, and would be computed
    /// again. Where none is named, rows stay as long as the session.
    pub readers: Vec<Statement>,
    /// Views that only this run has.
    pub added: Vec<View>,
}

impl Kept {
    /// Returns what is kept of views as long as the session.
    pub fn views<const N: usize>(names: [&str; N]) -> Kept {
        Kept {
            views: names.map(str::to_string).into(),
            ..Kept::default()
        }
    }
}

/// How often each kept view is still going to be read, of those that are given up after that.
#[derive(Debug, Default)]
pub(super) struct ReadersLeft(Mutex<BTreeMap<String, usize>>);

impl ReadersLeft {
    fn add(&self, view: &str) {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *left.entry(view.to_string()).or_default() += 1;
    }

    /// Notes that one is through; says whether it was the last.
    fn remove(&self, view: &str) -> bool {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match left.get_mut(view) {
            Some(readers) if *readers > 0 => {
                *readers -= 1;
                *readers == 0
            }
            _ => false,
        }
    }
}

impl Engine {
    /// Counts who is going to read the kept views: the statements of the run, and the kept views among each other, each
    /// of which is computed once.
    pub(super) fn count_readers(&self, statements: &[Statement]) -> Result<()> {
        let relations = statements.iter().map(Statement::relations);
        let mut ahead: Vec<BTreeSet<String>> = relations.collect::<Result<_>>()?;
        let mut computed = BTreeSet::new();
        while let Some(relations) = ahead.pop() {
            for view in self.kept_for(&relations) {
                self.readers_left.add(view);
                if computed.insert(view) {
                    ahead.extend(self.views.needs(view).cloned());
                }
            }
        }
        Ok(())
    }

    /// Returns the kept views that relations build on, not those that these build on in turn.
    fn kept_for(&self, relations: &BTreeSet<String>) -> BTreeSet<&str> {
        let mut kept = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut ahead: Vec<&String> = relations.iter().collect();
        while let Some(relation) = ahead.pop() {
            if !seen.insert(relation) {
                continue;
            }
            match self.kept.get(relation) {
                Some(view) => {
                    kept.insert(view.as_str());
                }
                None => ahead.extend(self.views.needs(relation).into_iter().flatten()),
            }
        }
        kept
    }

    /// Notes that what reads these relations has its rows, and gives up what nobody is going to read any more.
    pub(super) fn finish(&self, relations: &BTreeSet<String>) -> Result<()> {
        for view in self.kept_for(relations) {
            if self.readers_left.remove(view) {
                self.give_up(view)?;
            }
        }
        Ok(())
    }

    /// Forgets the rows of a view, and the plans of others that hold them. Whoever needs it again computes it again.
    fn give_up(&self, view: &str) -> Result<()> {
        tracing::debug!("gave up the view {view}");
        for name in &self.view_names {
            let holds = |needs| self.kept_for(needs).contains(view);
            let is_over_it = !self.kept.contains(name) && self.views.needs(name).is_some_and(holds);
            if name == view || is_over_it {
                self.views.forget(name);
                self.session.deregister_table(name.as_str())?;
            }
        }
        Ok(())
    }

    /// Registers the views that a statement builds on; all where it is no query, or asks what tables there are.
    pub(super) async fn register_views(&self, statement: &Statement) -> Result<()> {
        let is_known = |name: &String| {
            self.views.needs(name).is_some()
                || self.session.table_exist(name.as_str()).unwrap_or_default()
        };
        let relations = statement.relations()?;
        let relations = match statement.is_query() && relations.iter().all(is_known) {
            true => relations,
            false => self.view_names.iter().cloned().collect(),
        };
        self.register(relations).await
    }

    /// Registers the views among relations, each after those that it reads; those that do not read each other may be
    /// computed at the same time.
    pub(super) fn register(&self, names: BTreeSet<String>) -> BoxFuture<'_, Result<()>> {
        let registered = self.views.among(&names).map(|(view, done)| async move {
            let register = || async {
                let needs = view.sql.relations()?;
                self.register(needs.clone()).await?;
                if self.is_stepwise || self.kept.contains(&view.name) {
                    self.keep_view(view).await?;
                    self.finish(needs)
                } else {
                    self.register_view(view).await
                }
            };
            let registered = done.get_or_try_init(register).await;
            registered
                .with_context(|| format!("the view `{}` cannot be used", view.name))
                .map(drop)
        });
        let registered: Vec<_> = registered.collect();
        async { try_join_all(registered).await.map(drop) }.boxed()
    }

    /// Registers the rows that a view has now, in its stead.
    async fn keep_view(&self, view: &View) -> Result<()> {
        let plan = self.plan_sharing(view.sql.statement()?, &[]).await?;
        let slices = self.in_slices(plan, view)?.into_iter();
        let computed: Vec<_> = stream::iter(slices.map(|plan| self.rows_to_keep(plan)))
            .buffered(cores())
            .try_collect()
            .await?;
        let schema = computed.first().map(|(schema, _)| Arc::clone(schema));
        let schema = schema.context("a view has at least one slice")?;
        let rows: Vec<RecordBatch> = computed.into_iter().flat_map(|(_, rows)| rows).collect();
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

    /// Runs a plan and returns its rows as they are kept.
    async fn rows_to_keep(&self, plan: LogicalPlan) -> Result<(SchemaRef, Vec<RecordBatch>)> {
        let (schema, rows) = self.rows_of(plan).await?;
        let may_stay = self.is_stepwise;
        let compacted = SpawnedTask::spawn(async move { compact(&schema, rows, may_stay) });
        let compacted = compacted.join_unwind().await;
        compacted.context("the query was stopped")?
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
        let plan = self.plan(view.sql.statement()?, &[]).await?;
        // Types are settled here, once, or the view's schema would not be what its plan gives.
        let table = ViewTable::new(self.analyze(plan)?, Some(view.sql.to_string()));
        self.session
            .register_table(view.name.as_str(), Arc::new(table))?;
        Ok(())
    }
}

/// Batches that are copied into one to be kept: few enough for all texts of a column to be addressed.
const BATCHES_COMPACTED: usize = 64;

/// Copies rows into memory of their size: what an aggregate gives is cut from memory that has grown by doubling. Texts
/// that are views become plain ones unless they `may_stay`: a view holds whatever its rows were once taken from.
fn compact(
    schema: &SchemaRef,
    rows: Vec<RecordBatch>,
    may_stay: bool,
) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let compacted = rows.chunks(BATCHES_COMPACTED).map(|rows| match may_stay {
        true => Ok(concat_batches(schema, rows)?),
        false => {
            let plain = rows.iter().map(plain_texts).collect::<Result<Vec<_>>>()?;
            Ok(concat_batches(&plain_texts_of(schema), &plain)?)
        }
    });
    let schema = match may_stay {
        true => Arc::clone(schema),
        false => plain_texts_of(schema),
    };
    Ok((schema, compacted.collect::<Result<_>>()?))
}

fn plain_texts(rows: &RecordBatch) -> Result<RecordBatch> {
    let schema = plain_texts_of(rows.schema_ref());
    let columns = rows.columns().iter().zip(schema.fields());
    let columns = columns.map(
        |(column, field)| match column.data_type() == field.data_type() {
            true => Ok(Arc::clone(column)),
            false => cast(column, field.data_type()),
        },
    );
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(schema, columns)?)
}

fn plain_texts_of(schema: &SchemaRef) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Utf8View => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8)),
        _ => Arc::clone(field),
    });
    Arc::new(Schema::new_with_metadata(
        fields.collect::<Vec<_>>(),
        schema.metadata().clone(),
    ))
}

/// Cuts rows into batches of the size that queries work with.
fn batches_of(rows: &RecordBatch) -> impl Iterator<Item = RecordBatch> + '_ {
    let count = rows.num_rows();
    let firsts = (0..count).step_by(BATCH_ROWS);
    firsts.map(move |first| rows.slice(first, BATCH_ROWS.min(count - first)))
}

/// Returns the first digits of all slices but the first, for as many of them as the digits divide into.
pub(super) fn slice_bounds(slices: usize) -> Vec<char> {
    let digits = "0123456789abcdef";
    let each = digits.len() / slices.clamp(1, digits.len());
    digits.chars().step_by(each).skip(1).collect()
}
