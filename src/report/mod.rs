//! The fleet report: how often recordings go elsewhere than meant, where, since which release, and whether it gets
//! worse.
//!
//! `gather` runs the queries of `queries/reports/` over the lake and the findings; every number of a report is a
//! cell of one of them. The other files write what was gathered, each in one format. None asks for the time or
//! leaves its order to chance: the same lake gives the same bytes.

mod csv;
mod gather;
mod html;
mod json;
mod markdown;
mod window;

use arrow::array::RecordBatch;
use serde_json::Value;

use crate::detection::front_matter::{ColumnType, Header};
use crate::event::Micros;

pub use csv::write_csv;
pub use gather::{Given, gather};
pub use html::write_html;
pub use json::write_json;
pub use markdown::write_markdown;
pub use window::{Asked, Period, Span, Window};

/// What a report holds.
#[derive(Debug, Clone)]
pub struct Report {
    pub window: Window,
    /// The versions of the tables that all of it was computed from, in the form of `--as-of`.
    pub table_versions: String,
    /// In the order in which they are read.
    pub sections: Vec<Section>,
}

/// The rows of one query.
#[derive(Debug, Clone)]
pub struct Section {
    pub query: String,
    pub title: String,
    pub description: String,
    pub columns: Vec<Column>,
    pub batch: RecordBatch,
    /// The same rows as values of JSON, one for each column.
    pub rows: Vec<Vec<Value>>,
}

/// A column of a query, as its header declares it.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    pub kind: ColumnType,
    pub doc: String,
}

impl Report {
    /// Returns the rows of a query; none where the report does not have it.
    pub fn section(&self, query: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.query == query)
    }
}

impl Section {
    /// Takes the rows of a query, whose columns are those that its header declares.
    pub fn new(query: &str, header: &Header, batch: RecordBatch) -> anyhow::Result<Section> {
        let columns = batch
            .schema_ref()
            .fields()
            .iter()
            .filter_map(|field| {
                let column = header.columns.get(field.name())?;
                Some(Column {
                    name: field.name().clone(),
                    kind: column.kind,
                    doc: column.doc.clone(),
                })
            })
            .collect();
        Ok(Section {
            query: query.to_string(),
            title: header.title.clone(),
            description: header.description.trim().to_string(),
            rows: json::values(&batch)?,
            columns,
            batch,
        })
    }

    /// Returns a cell; null where there is no such column or row.
    pub fn value(&self, row: usize, column: &str) -> &Value {
        let place = self.columns.iter().position(|known| known.name == column);
        let cells = self.rows.get(row);
        place
            .zip(cells)
            .and_then(|(place, cells)| cells.get(place))
            .unwrap_or(&Value::Null)
    }
}

/// Writes an instant as people read it: to the second, to the minute where that says all, in UTC.
fn instant(at: Micros) -> String {
    let Some(at) = chrono::DateTime::from_timestamp_micros(at) else {
        return String::new();
    };
    at.format("%Y-%m-%d %H:%M").to_string()
}
