//! Maxwell's messages: one change of one row of MySQL (`domain/state-records.md`, section 3).

use serde::Deserialize;
use serde_json::Value;

use super::change::{Change, ChangeKind, Found, Row, joined_key, table_name};
use super::{Format, Head, read};
use crate::decode::scalar::{List, Text};
use crate::decode::time::Instant;
use crate::event::{Reject, RejectCode, SkipReason};

pub(super) const FORMAT: Format = Format {
    name: "Maxwell",
    known_by: "`database`, `table`, `type`, and a row in `data`",
    recognize: |head| {
        let kind = head.kind.as_deref().unwrap_or_default();
        head.database.0.is_some()
            && (is_about_no_row(kind) || head.table.0.is_some() && head.data.object().is_some())
            && !head.is_ddl.is_there()
    },
    decode,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    /// Seconds: when the database committed it.
    ts: Instant,
    /// File and place in the binary log; only there if asked for.
    #[serde(borrow)]
    position: Text<'a>,
    /// Transaction, and the row's place in it.
    #[serde(borrow)]
    xid: Text<'a>,
    #[serde(borrow)]
    xoffset: Text<'a>,
    /// Values of the key's columns; only there if asked for.
    primary_key: List<Value>,
}

fn decode(text: &str, head: &Head<'_>) -> Result<Found, Reject> {
    let name = head.kind.as_deref().unwrap_or_default();
    if is_about_no_row(name) {
        return Ok(Found::Nothing(SkipReason::ControlMessage));
    }
    let kind = match name {
        "insert" => ChangeKind::Insert,
        "update" => ChangeKind::Update,
        "delete" => ChangeKind::Delete,
        "bootstrap-insert" => ChangeKind::Snapshot,
        _ => {
            return Err(Reject::new(
                RejectCode::InvalidField,
                "`type` must be insert, update, delete or bootstrap-insert",
            ));
        }
    };
    let message: Message<'_> = read(text)?;
    let row: Row = read(head.data.json().unwrap_or("{}"))?;
    let transaction = message.xid.as_deref().map(|xid| match &message.xoffset.0 {
        Some(offset) => format!("{xid}:{offset}"),
        None => xid.to_string(),
    });
    Ok(Found::Change(Change {
        row,
        kind,
        is_partial: false,
        table: table_name([head.database.as_deref(), head.table.as_deref()]),
        key: joined_key(&message.primary_key.into_items()),
        committed_at: message.ts.micros().filter(|at| *at > 0),
        position: message.position.filled().map(String::from).or(transaction),
    }))
}

/// A change of a table or a database, or the marks around the reading of a whole table.
fn is_about_no_row(kind: &str) -> bool {
    kind.starts_with("table-")
        || kind.starts_with("database-")
        || matches!(kind, "bootstrap-start" | "bootstrap-complete")
}
