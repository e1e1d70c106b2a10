//! The rows of one channel, lifted out of the lake into a small session of their own: all views and
//! detections then run over a few hundred rows instead of the whole lake.

use anyhow::{Context as _, Result};
use arrow::compute::cast;
use arrow::record_batch::RecordBatch;
use datafusion::common::ScalarValue;
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
    engine: &Engine,
    library: &Library,
    scope: &Scope<'_>,
) -> Result<Engine> {
    let tables = Stream::TABLES.map(|stream| async move {
        let (sql, params) = selection(stream, scope);
        let statement = Statement::parse_one(&sql)?;
        let rows = engine.collect(&statement, &params).await?;
        anyhow::Ok((stream, vec![in_table_form(stream, &rows)?]))
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
        stepwise: Stepwise::Always,
        ..EngineOptions::default()
    };
    Engine::memory(tables, options).await
}

/// Returns the statement that selects the rows of one stream. Each session id is a parameter of its own, so
/// that the filter is a plain list, which reaches the files.
fn selection(stream: Stream, scope: &Scope<'_>) -> (String, Params) {
    let text = |value: Option<&str>| ScalarValue::Utf8(value.map(str::to_string));
    let instant = |at: Micros| ScalarValue::TimestampMicrosecond(Some(at), Some("UTC".into()));
    let mut params = vec![(
        "read_from".to_string(),
        instant(scope.at.saturating_sub(REACH)),
    )];
    let mut days = "event_date >= CAST($read_from AS DATE)".to_string();
    // Somebody may have looked into the buckets long after.
    if stream != Stream::Audits {
        let read_to = instant(scope.at.saturating_add(REACH));
        params.push(("read_to".to_string(), read_to));
        days += " AND event_date <= CAST($read_to AS DATE)";
    }
    let mut any_of = Vec::new();
    if !scope.sids.is_empty() {
        let names: Vec<String> = (0..scope.sids.len()).map(|n| format!("sid{n}")).collect();
        params.extend(
            names
                .iter()
                .zip(scope.sids)
                .map(|(name, sid)| (name.clone(), text(Some(sid)))),
        );
        any_of.push(format!("sid IN (${})", names.join(", $")));
    }
    // Notifications and files do not say their app: they belong by session only.
    if matches!(stream, Stream::ApiCalls | Stream::SessionRecords) && scope.cname.is_some() {
        params.push(("cname".to_string(), text(scope.cname)));
        any_of.push(match scope.app_id {
            Some(app_id) => {
                params.push(("app_id".to_string(), text(Some(app_id))));
                "(cname = $cname AND (app_id = $app_id OR app_id IS NULL))".to_string()
            }
            None => "cname = $cname".to_string(),
        });
    }
    let any_of = match any_of.is_empty() {
        true => "false".to_string(),
        false => any_of.join(" OR "),
    };
    let sql = format!(
        "SELECT * FROM {} WHERE disposition = 'event' \
         AND {days} AND ({any_of})",
        log_name(stream)
    );
    (sql, params)
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
