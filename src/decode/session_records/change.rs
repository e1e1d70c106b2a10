//! What every format gives: one changed row, where and when it changed, and its identity.

use serde_json::{Map, Value, json};

use super::record::text;
use crate::decode::identity::derive_event_id;
use crate::event::{Micros, SkipReason};

/// A row as the message has it: column -> value.
pub(super) type Row = Map<String, Value>;

/// What a format found in a message.
pub(super) enum Found {
    Change(Change),
    /// A message about something else than rows.
    Nothing(SkipReason),
}

/// One change of one row.
pub(super) struct Change {
    /// The row after the change; for a delete the last that is known of it, which may be nothing.
    pub row: Row,
    pub kind: ChangeKind,
    /// The row holds only what changed; the rest of it is as it was.
    pub is_partial: bool,
    /// `db.schema.table` as far as known.
    pub table: Option<String>,
    /// The primary key, where the message names its columns.
    pub key: Option<String>,
    /// When the database committed it.
    pub committed_at: Option<Micros>,
    /// Where in the database's log it stands; none where the message does not say.
    pub position: Option<String>,
}

/// What happened to the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChangeKind {
    Insert,
    /// Also a row that says nothing of an operation: its latest state.
    Update,
    Delete,
    /// The state that a connector found when it read the whole table.
    Snapshot,
}

impl ChangeKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            ChangeKind::Insert => "insert",
            ChangeKind::Update => "update",
            ChangeKind::Delete => "delete",
            ChangeKind::Snapshot => "snapshot",
        }
    }

    /// Reads Debezium's `op`; none for one that is about no row or unknown.
    pub fn from_op(op: &str) -> Option<ChangeKind> {
        match op {
            "c" => Some(ChangeKind::Insert),
            "u" => Some(ChangeKind::Update),
            "d" => Some(ChangeKind::Delete),
            "r" => Some(ChangeKind::Snapshot),
            _ => None,
        }
    }
}

/// Debezium's operations on no single row: truncate, and a message written into the log.
pub(super) fn is_control_op(op: &str) -> bool {
    matches!(op, "t" | "m")
}

/// Joins the values of a primary key's columns.
pub(super) fn joined_key<'v>(values: impl IntoIterator<Item = &'v Value>) -> Option<String> {
    let values: Vec<_> = values.into_iter().filter_map(text).collect();
    (!values.is_empty()).then(|| values.join("/"))
}

/// Columns that start so are what a connector says about the change, and no part of the row's content.
const ADDED_PREFIX: &str = "__";

impl Change {
    /// Derives the id from table, row key, operation, content, and the place in the database's log.
    ///
    /// A redelivery has all of these in common and so the same id. A snapshot gets its id without the place:
    /// each restart of a connector reads the unchanged rows again at a new place and time, and these are one
    /// event, not many. Where the message gives no place, its commit time stands in; where it has none either,
    /// a row that returns to an old content in every column cannot be told from a redelivery.
    pub fn event_id(&self, row_key: Option<&str>) -> String {
        let added: Vec<_> = self
            .row
            .keys()
            .map(String::as_str)
            .filter(|column| column.starts_with(ADDED_PREFIX))
            .collect();
        let row = serde_json::to_string(&self.row).expect("a JSON object can be written");
        let content = derive_event_id(&row, &added);
        let place = match self.kind {
            ChangeKind::Snapshot => None,
            _ => self
                .position
                .clone()
                .or_else(|| self.committed_at.map(|at| at.to_string())),
        };
        let identity = json!([self.table, row_key, self.kind.as_str(), place, content]);
        derive_event_id(&identity.to_string(), &[])
    }
}

/// Joins the parts of a table's name that are there.
pub(super) fn table_name<'p>(parts: impl IntoIterator<Item = Option<&'p str>>) -> Option<String> {
    let parts: Vec<_> = parts
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .collect();
    (!parts.is_empty()).then(|| parts.join("."))
}
