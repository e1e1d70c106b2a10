//! One JSON object: the window, and each query with its rows.

use std::io::Write;

use anyhow::Result;
use arrow::array::RecordBatch;
use arrow::json::writer::{JsonArray, WriterBuilder};
use serde_json::{Map, Value, json};

use super::{Report, Section};
use crate::event::Micros;

/// Names the form, for whoever reads it by machine.
const FORM: &str = "tapetrail-report.v1";

/// Writes a report as JSON.
pub fn write_json(report: &Report, mut out: impl Write) -> Result<()> {
    serde_json::to_writer_pretty(&mut out, &object(report))?;
    writeln!(out)?;
    Ok(())
}

/// Returns a report as a value of JSON.
pub(super) fn object(report: &Report) -> Value {
    let window = report.window;
    json!({
        "form": FORM,
        "window": {
            "since": rfc3339(window.since),
            "until": rfc3339(window.until),
            "previous_since": rfc3339(window.previous_since),
            "period": window.period.as_str(),
        },
        "table_versions": report.table_versions,
        "sections": report.sections.iter().map(section).collect::<Vec<_>>(),
    })
}

fn section(section: &Section) -> Value {
    let columns: Vec<Value> = section
        .columns
        .iter()
        .map(|column| json!({"name": column.name, "doc": column.doc}))
        .collect();
    let names = || section.columns.iter().map(|column| column.name.clone());
    let rows: Vec<Value> = section
        .rows
        .iter()
        .map(|cells| Value::Object(names().zip(cells.iter().cloned()).collect::<Map<_, _>>()))
        .collect();
    json!({
        "query": format!("reports/{}", section.query),
        "title": section.title,
        "description": section.description,
        "columns": columns,
        "rows": rows,
    })
}

fn rfc3339(at: Micros) -> String {
    chrono::DateTime::from_timestamp_micros(at).map_or(String::new(), |at| {
        at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
    })
}

/// Returns the rows of a query as values of JSON, one for each column.
pub(super) fn values(batch: &RecordBatch) -> Result<Vec<Vec<Value>>> {
    let mut writer = WriterBuilder::new()
        .with_explicit_nulls(true)
        .build::<_, JsonArray>(Vec::new());
    writer.write(batch)?;
    writer.finish()?;
    let bytes = writer.into_inner();
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<Map<String, Value>> = serde_json::from_slice(&bytes)?;
    let names = batch.schema_ref().fields();
    let cells = |mut row: Map<String, Value>| {
        names
            .iter()
            .map(|field| row.remove(field.name()).unwrap_or(Value::Null))
            .collect()
    };
    Ok(rows.into_iter().map(cells).collect())
}
