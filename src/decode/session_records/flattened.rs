//! Rows flattened by `ExtractNewRecordState`, with columns added about the change
//! (`domain/state-records.md`, section 2). Without such columns they are plain rows.

use serde_json::Value;

use super::change::{Change, ChangeKind, Found, Row, is_control_op, table_name};
use super::record::{instant, text};
use super::{Format, Head, read};
use crate::event::{Reject, RejectCode, SkipReason};

pub(super) const FORMAT: Format = Format {
    name: "flattened Debezium",
    known_by: "`__op`, `__deleted` or `__source_ts_ms`",
    recognize: |head| {
        head.flat_op.is_there() || head.flat_deleted.is_there() || head.flat_source_ts_ms.is_there()
    },
    decode,
};

fn decode(json: &str, _head: &Head<'_>) -> Result<Found, Reject> {
    let row: Row = read(json)?;
    let op = text_of(&row, &["__op"]);
    if op.as_deref().is_some_and(is_control_op) {
        return Ok(Found::Nothing(SkipReason::ControlMessage));
    }
    let is_deleted = text_of(&row, &["__deleted"]).as_deref() == Some("true");
    let snapshot = text_of(&row, &["__source_snapshot", "__snapshot"]);
    let is_snapshot = snapshot.is_some_and(|flag| flag != "false");
    let kind = match op.as_deref().map(ChangeKind::from_op) {
        _ if is_deleted => ChangeKind::Delete,
        Some(None) => {
            return Err(Reject::new(
                RejectCode::InvalidField,
                "`__op` must be c, u, d or r",
            ));
        }
        Some(Some(kind)) if kind == ChangeKind::Delete || !is_snapshot => kind,
        None if !is_snapshot => ChangeKind::Update,
        _ => ChangeKind::Snapshot,
    };
    let database = text_of(&row, &["__source_db", "__db"]);
    let schema = text_of(&row, &["__source_schema", "__schema"]);
    let table = text_of(&row, &["__source_table", "__table"]);
    let file = text_of(&row, &["__source_file", "__file"]);
    let pos = text_of(&row, &["__source_pos", "__pos"]);
    Ok(Found::Change(Change {
        kind,
        is_partial: false,
        key: None,
        table: table_name([database.as_deref(), schema.as_deref(), table.as_deref()]),
        committed_at: row.get("__source_ts_ms").and_then(instant),
        position: text_of(&row, &["__source_lsn", "__lsn"])
            .or_else(|| Some(format!("{}:{}", file?, pos?))),
        row,
    }))
}

/// Returns the first of the columns that holds something.
fn text_of(row: &Row, columns: &[&str]) -> Option<String> {
    columns
        .iter()
        .find_map(|column| row.get(*column).and_then(|value: &Value| text(value)))
}
