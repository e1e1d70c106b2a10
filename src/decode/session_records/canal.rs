//! Canal's flat messages: changes of rows of one table of MySQL, all values as text
//! (`domain/state-records.md`, section 3).

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};

use super::change::{Change, ChangeKind, Found, Row, joined_key, table_name};
use super::{Format, Head, read};
use crate::decode::scalar::{List, Text};
use crate::decode::time::Instant;
use crate::event::{Reject, SkipReason};

pub(super) const FORMAT: Format = Format {
    name: "Canal",
    known_by: "`database`, `type`, and a list in `data`",
    recognize: |head| {
        head.database.0.is_some()
            && head.kind.0.is_some()
            && (head.is_ddl.is_there() || is_list(head))
    },
    decode,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    /// When the database executed it; `ts` is only when Canal sent it.
    es: Instant,
    #[serde(borrow, rename = "pkNames")]
    key_columns: List<Text<'a>>,
    data: Vec<Row>,
}

fn decode(text: &str, head: &Head<'_>) -> Result<Found, Reject> {
    let kind = match head.kind.as_deref() {
        _ if head.is_ddl.json() == Some("true") => None,
        Some("INSERT") => Some(ChangeKind::Insert),
        Some("UPDATE") => Some(ChangeKind::Update),
        Some("DELETE") => Some(ChangeKind::Delete),
        _ => None,
    };
    let Some(kind) = kind else {
        return Ok(Found::Nothing(SkipReason::ControlMessage));
    };
    if !is_list(head) {
        return Ok(Found::Nothing(SkipReason::EmptyList));
    }
    let message: Message<'_> = read(text)?;
    let Some(row) = message.data.into_iter().next() else {
        return Ok(Found::Nothing(SkipReason::EmptyList));
    };
    let columns = message.key_columns.into_items();
    let key = joined_key(
        columns
            .iter()
            .filter_map(|column| row.get(column.as_deref()?)),
    );
    Ok(Found::Change(Change {
        row,
        kind,
        is_partial: false,
        table: table_name([head.database.as_deref(), head.table.as_deref()]),
        key,
        committed_at: message.es.micros().filter(|at| *at > 0),
        position: None,
    }))
}

/// Returns a message of several rows as messages of one row each: what is kept of a row must decode to it alone.
pub(super) fn rows_apart(text: &str, head: &Head<'_>) -> Result<Option<Vec<String>>, Reject> {
    if !(FORMAT.recognize)(head) || !is_list(head) {
        return Ok(None);
    }
    let rows: Vec<&RawValue> = read(head.data.json().unwrap_or("[]"))?;
    if rows.len() < 2 {
        return Ok(None);
    }
    let before: Vec<&RawValue> = match head.old.json() {
        Some(old) if old.starts_with('[') => read(old)?,
        _ => Vec::new(),
    };
    let mut message: BTreeMap<Cow<'_, str>, &RawValue> = read(text)?;
    message.remove("data");
    message.remove("old");
    let one = |row: &RawValue, before: Option<&&RawValue>| {
        let row = to_raw_value(&[row]).expect("JSON can be written");
        let before = before.map(|before| to_raw_value(&[before]).expect("JSON can be written"));
        let mut message = message.clone();
        message.insert(Cow::Borrowed("data"), &row);
        if let Some(before) = &before {
            message.insert(Cow::Borrowed("old"), before);
        }
        serde_json::to_string(&message).expect("JSON can be written")
    };
    let messages = rows.iter().enumerate();
    Ok(Some(
        messages
            .map(|(place, row)| one(row, before.get(place)))
            .collect(),
    ))
}

fn is_list(head: &Head<'_>) -> bool {
    head.data.json().is_some_and(|data| data.starts_with('['))
}
