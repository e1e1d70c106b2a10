//! One CSV for all queries, a line a cell: query, row, column, value. Spreadsheets and scripts pivot it back; one file
//! could not hold queries of different columns otherwise.

use std::io::Write;
use std::sync::Arc;

use anyhow::Result;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use serde_json::Value;

use super::Report;
use crate::render::{CsvRenderer, Render};

/// Writes a report as CSV.
pub fn write_csv(report: &Report, out: impl Write) -> Result<()> {
    let (mut queries, mut rows, mut columns, mut values) = (vec![], vec![], vec![], vec![]);
    for section in &report.sections {
        for (row, cells) in section.rows.iter().enumerate() {
            for (column, cell) in section.columns.iter().zip(cells) {
                queries.push(section.query.as_str());
                rows.push(row as i64 + 1);
                columns.push(column.name.as_str());
                values.push(text(cell));
            }
        }
    }
    let batch = RecordBatch::try_from_iter_with_nullable([
        (
            "query",
            Arc::new(StringArray::from(queries)) as ArrayRef,
            false,
        ),
        ("row", Arc::new(Int64Array::from(rows)), false),
        ("column", Arc::new(StringArray::from(columns)), false),
        ("value", Arc::new(StringArray::from(values)), true),
    ])?;
    let mut renderer = Box::new(CsvRenderer::new(out, &batch.schema()));
    renderer.write(&batch)?;
    renderer.finish()?;
    Ok(())
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
