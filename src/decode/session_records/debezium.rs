//! Debezium's envelope: `before`, `after`, `source`, `op` (`domain/state-records.md`, section 1).

use serde::Deserialize;

use super::change::{Change, ChangeKind, Found, Row, is_control_op, table_name};
use super::{Format, Head, mongodb, read};
use crate::decode::raw::Raw;
use crate::decode::scalar::Text;
use crate::decode::time::Instant;
use crate::event::{Reject, RejectCode, SkipReason};

pub(super) const FORMAT: Format = Format {
    name: "Debezium",
    known_by: "`op`, and `source`, `before` or `after`",
    recognize: |head| {
        head.op.as_deref().is_some()
            && (head.source.object().is_some() || head.before.is_there() || head.after.is_there())
    },
    decode,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Source<'a> {
    /// Commit time; `ts_ms` beside `source` is only when the connector read it.
    ts_ms: Instant,
    #[serde(borrow)]
    snapshot: Text<'a>,
    #[serde(borrow)]
    db: Text<'a>,
    #[serde(borrow)]
    schema: Text<'a>,
    #[serde(borrow)]
    table: Text<'a>,
    /// MongoDB.
    #[serde(borrow)]
    collection: Text<'a>,
    /// PostgreSQL.
    #[serde(borrow)]
    lsn: Text<'a>,
    /// MongoDB: a number within the second that `ts_ms` names.
    #[serde(borrow)]
    ord: Text<'a>,
    /// MySQL and MariaDB: one position can hold several rows.
    #[serde(borrow)]
    file: Text<'a>,
    #[serde(borrow)]
    pos: Text<'a>,
    #[serde(borrow)]
    row: Text<'a>,
}

fn decode(_text: &str, head: &Head<'_>) -> Result<Found, Reject> {
    let op = head.op.as_deref().unwrap_or_default();
    if is_control_op(op) {
        return Ok(Found::Nothing(SkipReason::ControlMessage));
    }
    let Some(kind) = ChangeKind::from_op(op) else {
        return Err(Reject::new(
            RejectCode::InvalidField,
            "`op` must be c, u, d or r, or t or m for what is about no row",
        ));
    };
    let source: Source<'_> = match head.source.object() {
        Some(source) => read(source)?,
        None => Source::default(),
    };
    let is_snapshot = source
        .snapshot
        .as_deref()
        .is_some_and(|flag| flag != "false" && !flag.is_empty());
    let after = || match row(head.after)? {
        Some(row) => Ok((row, false)),
        // MongoDB's connector sends the document only if it is told to look it up, and if it is still there.
        None if kind == ChangeKind::Update && head.update_description.object().is_some() => {
            Ok((mongodb::changed_fields(head.update_description)?, true))
        }
        None => Err(Reject::new(
            RejectCode::MissingField,
            "`after` is missing although the row is not deleted",
        )),
    };
    let (row, is_partial) = match kind {
        // Without REPLICA IDENTITY FULL there is nothing, or the key alone.
        ChangeKind::Delete => (row(head.before)?.unwrap_or_default(), false),
        _ => after()?,
    };
    let kind = match kind {
        ChangeKind::Delete => kind,
        _ if is_snapshot => ChangeKind::Snapshot,
        _ => kind,
    };
    let table = source.table.as_deref().or(source.collection.as_deref());
    Ok(Found::Change(Change {
        row,
        kind,
        is_partial,
        key: None,
        table: table_name([source.db.as_deref(), source.schema.as_deref(), table]),
        committed_at: source.ts_ms.micros().filter(|at| *at > 0),
        position: position(&source),
    }))
}

/// Reads a row image: an object, or a document written as text (MongoDB).
fn row(image: Raw<'_>) -> Result<Option<Row>, Reject> {
    let Some(json) = image.json().filter(|json| *json != "null") else {
        return Ok(None);
    };
    if json.starts_with('"') {
        return mongodb::document(image);
    }
    if !json.starts_with('{') {
        return Err(Reject::new(
            RejectCode::InvalidField,
            "`before` and `after` must be objects or null",
        ));
    }
    read(json).map(Some)
}

fn position(source: &Source<'_>) -> Option<String> {
    if let Some(lsn) = source.lsn.as_deref() {
        return Some(lsn.to_string());
    }
    if let (Some(ord), Some(at)) = (source.ord.as_deref(), source.ts_ms.micros()) {
        return Some(format!("{at}:{ord}"));
    }
    let (file, pos) = (source.file.as_deref()?, source.pos.as_deref()?);
    Some(format!(
        "{file}:{pos}:{}",
        source.row.as_deref().unwrap_or_default()
    ))
}
