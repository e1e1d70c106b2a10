//! The rows of one channel, lifted out of the lake into a small session of their own: all views and
//! detections then run over a few hundred rows instead of the whole lake.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use arrow::compute::cast;
use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
use datafusion::common::runtime::SpawnedTask;
use futures::future::try_join_all;

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
    let tables = Stream::TABLES.map(|stream| async move {
        let selected = selections(stream, scope).into_iter();
        let rows = selected.map(|(sql, params)| {
            let engine = Arc::clone(engine);
            let rows = async move { engine.collect(&Statement::parse_one(&sql)?, &params).await };
            async move {
                let rows = SpawnedTask::spawn(rows).join_unwind().await;
                in_table_form(stream, &rows.context("the query was stopped")??)
            }
        });
        anyhow::Ok((stream, try_join_all(rows).await?))
    });
    let tables = try_join_all(tables).await?;
    let mut given = Vec::new();
    for view in OF_THE_WHOLE {
        let all = Statement::parse_one(&format!("SELECT * FROM {view}"))?;
        given.push((view.to_string(), engine.collect(&all, &[]).await?));
    }
    let options = EngineOptions {
        views: library.views(),
        given,
        table_versions: engine.table_versions().to_string(),
        stepwise: Stepwise::Always,
        ..EngineOptions::default()
    };
    Engine::memory(tables, options).await
}

/// Returns the statements that together select the rows of one stream, each once: those of the channel, and the others of
/// the sessions. In one statement, neither condition would tell which files and pages hold nothing. Each session id is a
/// parameter of its own, so that the filter is a plain list, which reaches the files.
fn selections(stream: Stream, scope: &Scope<'_>) -> Vec<(String, Params)> {
    let text = |value: Option<&str>| ScalarValue::Utf8(value.map(str::to_string));
    let instant = |at: Micros| ScalarValue::TimestampMicrosecond(Some(at), Some("UTC".into()));
    let read_from = instant(scope.at.saturating_sub(REACH));
    let mut params = vec![("read_from".to_string(), read_from)];
    let mut days = "event_date >= CAST($read_from AS DATE)".to_string();
    // Somebody may have looked into the buckets long after.
    if stream != Stream::Audits {
        let read_to = instant(scope.at.saturating_add(REACH));
        params.push(("read_to".to_string(), read_to));
        days += " AND event_date <= CAST($read_to AS DATE)";
    }
    let names: Vec<String> = (0..scope.sids.len()).map(|n| format!("sid{n}")).collect();
    let sids = names.iter().cloned().zip(scope.sids);
    params.extend(sids.map(|(name, sid)| (name, text(Some(sid)))));
    let of_sessions = match names.is_empty() {
        true => "false".to_string(),
        false => format!("sid IN (${})", names.join(", $")),
    };
    let mut conditions = vec![of_sessions];
    // Notifications and files do not say their app: they belong by session only.
    if matches!(stream, Stream::ApiCalls | Stream::SessionRecords) && scope.cname.is_some() {
        params.push(("cname".to_string(), text(scope.cname)));
        let (of_app, of_another) = match scope.app_id {
            Some(app_id) => {
                params.push(("app_id".to_string(), text(Some(app_id))));
                (
                    " AND (app_id = $app_id OR app_id IS NULL)",
                    " OR app_id <> $app_id",
                )
            }
            None => ("", ""),
        };
        // That the rows are sorted by the channel has their pages found, in this one, too: none but those with one of
        // the sessions is read.
        conditions[0] += &format!(" AND (cname IS NULL OR cname <> $cname{of_another})");
        conditions.push(format!("cname = $cname{of_app}"));
    }
    let log = log_name(stream);
    let statements = conditions.into_iter().map(|condition| {
        let sql =
            format!("SELECT * FROM {log} WHERE disposition = 'event' AND {days} AND {condition}");
        (sql, params.clone())
    });
    statements.collect()
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
