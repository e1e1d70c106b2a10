//! The rows of one channel, lifted out of the lake into a small session of their own: all views and
//! detections then run over a few hundred rows instead of the whole lake.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::common::runtime::SpawnedTask;
use futures::future::try_join_all;
use futures::try_join;

use crate::detection::library::Library;
use crate::engine::{Engine, EngineOptions, Params, Statement, Stepwise, log_name};
use crate::event::{MICROS_PER_DAY, Micros, Stream};
use crate::table;

/// Views whose rows come from the whole lake: how far the streams have come is no matter of one channel.
const OF_THE_WHOLE: [&str; 2] = ["watermarks", "monitored_buckets"];

/// Rows are read from this long before the case to this long after it, as detections do.
pub(super) const REACH: Micros = 31 * MICROS_PER_DAY;

/// Which rows to lift.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub app_id: Option<&'a str>,
    pub cname: Option<&'a str>,
    pub sids: &'a [String],
    /// The time that the case is about.
    pub at: Micros,
}

/// Opens a session over the rows in scope.
pub(super) async fn gather(
    engine: &Arc<Engine>,
    library: &Library,
    scope: &Scope<'_>,
) -> Result<Engine> {
    let (tables, given) = try_join!(tables(engine, scope), of_the_whole(engine))?;
    let options = EngineOptions {
        views: library.views(),
        given,
        table_versions: engine.table_versions().to_string(),
        stepwise: Stepwise::Always,
        ..EngineOptions::default()
    };
    Engine::memory(tables, options).await
}

async fn of_the_whole(engine: &Engine) -> Result<Vec<(String, RecordBatch)>> {
    let mut given = Vec::new();
    for view in OF_THE_WHOLE {
        let all = Statement::parse_one(&format!("SELECT * FROM {view}"))?;
        given.push((view.to_string(), engine.collect(&all, &[]).await?));
    }
    Ok(given)
}

/// Returns the rows in scope, of each stream.
async fn tables(
    engine: &Arc<Engine>,
    scope: &Scope<'_>,
) -> Result<Vec<(Stream, Vec<RecordBatch>)>> {
    let tables = Stream::TABLES.map(|stream| async move {
        let selection = Selection::of(stream, scope);
        let rows = selection.named.iter();
        let rows = rows.map(|condition| collect(engine, &selection, condition));
        anyhow::Ok((stream, try_join_all(rows).await?))
    });
    let mut tables: BTreeMap<_, _> = try_join_all(tables).await?.into_iter().collect();
    let calls = tables.remove(&Stream::ApiCalls).unwrap_or_default();
    let changes = tables.entry(Stream::SessionRecords).or_default();
    add_unnamed_changes(engine, scope, &calls, changes).await?;
    tables.insert(Stream::ApiCalls, calls);
    Ok(tables.into_iter().collect())
}

/// Adds the changes of the customer's rows that name neither the channel nor a session: those with a ticket of the case, and
/// those of a row of which another change is known, as an update or a delete may say no more than the key.
async fn add_unnamed_changes(
    engine: &Arc<Engine>,
    scope: &Scope<'_>,
    calls: &[RecordBatch],
    changes: &mut Vec<RecordBatch>,
) -> Result<()> {
    let mut selection = Selection::of(Stream::SessionRecords, scope);
    let tickets: BTreeSet<String> = texts(calls, "resource_id")?.into_iter().flatten().collect();
    if !tickets.is_empty() {
        let tickets = selection.list("ticket", &tickets);
        let of_app = selection.of_app;
        let condition = selection.unless_named(&format!("resource_id IN ({tickets}){of_app}"));
        changes.push(collect(engine, &selection, &condition).await?);
        selection.named.push(condition);
    }
    let source_tables = texts(changes, "source_table")?.into_iter();
    let mut rows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (table, key) in source_tables.zip(texts(changes, "row_key")?) {
        if let Some(key) = key {
            rows.entry(table.unwrap_or_default())
                .or_default()
                .insert(key);
        }
    }
    for (number, (table, keys)) in rows.iter().enumerate() {
        let keys = selection.list(&format!("key{number}_"), keys);
        let table = selection.list(&format!("table{number}_"), [table]);
        let of_row = format!("row_key IN ({keys}) AND coalesce(source_table, '') = {table}");
        let condition = selection.unless_named(&of_row);
        changes.push(collect(engine, &selection, &condition).await?);
    }
    Ok(())
}

/// Returns the rows of a stream's table that a condition is true of, in the table's form.
async fn collect(
    engine: &Arc<Engine>,
    selection: &Selection,
    condition: &str,
) -> Result<RecordBatch> {
    let stream = selection.stream;
    let (log, days) = (log_name(stream), &selection.days);
    let sql = format!("SELECT * FROM {log} WHERE disposition = 'event' AND {days} AND {condition}");
    let (engine, params) = (Arc::clone(engine), selection.params.clone());
    let rows = async move { engine.collect(&Statement::parse_one(&sql)?, &params).await };
    let rows = SpawnedTask::spawn(rows).join_unwind().await;
    in_table_form(stream, &rows.context("the query was stopped")??)
}

/// Which rows of one stream are of a case, as conditions in SQL.
struct Selection {
    stream: Stream,
    /// The days that are read.
    days: String,
    /// That a row names no other app.
    of_app: &'static str,
    /// Conditions that together select the rows of the channel and its sessions, each row by one of them. In one condition,
    /// nothing would tell which files and pages hold none.
    named: Vec<String>,
    params: Params,
}

impl Selection {
    fn of(stream: Stream, scope: &Scope<'_>) -> Selection {
        let text = |value: &str| ScalarValue::Utf8(Some(value.to_string()));
        let instant = |at: Micros| ScalarValue::TimestampMicrosecond(Some(at), Some("UTC".into()));
        let read_from = instant(scope.at.saturating_sub(REACH));
        let mut selection = Selection {
            stream,
            days: "event_date >= CAST($read_from AS DATE)".to_string(),
            of_app: "",
            named: Vec::new(),
            params: vec![("read_from".to_string(), read_from)],
        };
        // Somebody may have looked into the buckets, or corrected the row, long after.
        if !matches!(stream, Stream::Audits | Stream::SessionRecords) {
            let read_to = instant(scope.at.saturating_add(REACH));
            selection.params.push(("read_to".to_string(), read_to));
            selection.days += " AND event_date <= CAST($read_to AS DATE)";
        }
        let mut of_sessions = match scope.sids {
            [] => "false".to_string(),
            sids => format!("sid IN ({})", selection.list("sid", sids)),
        };
        // Notifications and files do not say their app: they belong by session only.
        let names_channel = matches!(stream, Stream::ApiCalls | Stream::SessionRecords);
        if let (true, Some(cname)) = (names_channel, scope.cname) {
            selection.params.push(("cname".to_string(), text(cname)));
            let mut of_another = "";
            if let Some(app_id) = scope.app_id {
                selection.params.push(("app_id".to_string(), text(app_id)));
                selection.of_app = " AND (app_id = $app_id OR app_id IS NULL)";
                of_another = " OR app_id <> $app_id";
            }
            // That the rows are sorted by the channel has their pages found, in this one, too: none but those with one of
            // the sessions is read.
            of_sessions += &format!(" AND (cname IS NULL OR cname <> $cname{of_another})");
            selection
                .named
                .push(format!("cname = $cname{}", selection.of_app));
        }
        selection.named.push(of_sessions);
        selection
    }

    /// Returns a list of values for SQL. Each is a parameter of its own, as only a plain list reaches the files.
    fn list<'v>(&mut self, name: &str, values: impl IntoIterator<Item = &'v String>) -> String {
        let mut names = Vec::new();
        for (number, value) in values.into_iter().enumerate() {
            names.push(format!("${name}{number}"));
            let value = ScalarValue::Utf8(Some(value.clone()));
            self.params.push((format!("{name}{number}"), value));
        }
        names.join(", ")
    }

    /// Returns a condition without the rows that are selected already.
    fn unless_named(&self, condition: &str) -> String {
        let named = self
            .named
            .iter()
            .map(|named| format!(" AND ({named}) IS NOT TRUE"));
        format!("({condition}){}", named.collect::<String>())
    }
}

/// Returns a column of texts, row by row.
fn texts(rows: &[RecordBatch], column: &str) -> Result<Vec<Option<String>>> {
    let mut texts = Vec::new();
    for batch in rows {
        let column = batch
            .column_by_name(column)
            .context("a column is missing")?;
        let column = cast(column, &DataType::Utf8)?;
        let values = column.as_string::<i32>().iter();
        texts.extend(values.map(|value| value.map(str::to_string)));
    }
    Ok(texts)
}

/// Brings rows into the column order and types of the stream's table.
fn in_table_form(stream: Stream, rows: &RecordBatch) -> Result<RecordBatch> {
    let schema = table::schema(stream);
    let columns = schema
        .fields()
        .iter()
        .map(|field| {
            let column = rows.column_by_name(field.name()).with_context(|| {
                format!("the table `{stream}` has no column `{}`", field.name())
            })?;
            Ok(cast(column, field.data_type())?)
        })
        .collect::<Result<_>>()?;
    Ok(RecordBatch::try_new(schema, columns)?)
}
