//! A row as it is, written by an application, by the JDBC source connector, or flattened without a word about
//! the change (`domain/state-records.md`, sections 2 and 3).

use super::change::{Change, ChangeKind, Found, Row};
use super::{Format, Head, read};
use crate::event::{Reject, SkipReason};

pub(super) const FORMAT: Format = Format {
    name: "plain row",
    known_by: "none of the envelopes",
    recognize: |_| true,
    decode,
};

fn decode(json: &str, _head: &Head<'_>) -> Result<Found, Reject> {
    let row: Row = read(json)?;
    if is_control(&row) {
        return Ok(Found::Nothing(SkipReason::ControlMessage));
    }
    Ok(Found::Change(Change {
        row,
        kind: ChangeKind::Update,
        is_partial: false,
        table: None,
        key: None,
        committed_at: None,
        position: None,
    }))
}

/// Says whether this is one of Debezium's messages about itself: heartbeat, change of a schema, begin and end
/// of a transaction.
fn is_control(row: &Row) -> bool {
    let has = |column: &str| row.contains_key(column);
    let is_heartbeat = row
        .keys()
        .all(|column| matches!(column.as_str(), "ts_ms" | "ts_us" | "ts_ns"));
    let is_schema_change = has("ddl") && (has("tableChanges") || has("databaseName"));
    let status = row.get("status").and_then(|status| status.as_str());
    let is_transaction = matches!(status, Some("BEGIN" | "END"))
        && has("id")
        && (has("event_count") || has("data_collections"));
    (is_heartbeat && !row.is_empty()) || is_schema_change || is_transaction
}
