//! Documents of MongoDB as change events have them: whole, or what an update says of itself; and the events of MongoDB's
//! own Kafka connector, which are those of its change streams (`domain/state-records.md`, section 2).

use serde::Deserialize;
use serde_json::{Map, Value};

use super::change::{Change, ChangeKind, Found, Row, joined_key, table_name};
use super::{Format, Head, extended_json, read, record};
use crate::decode::raw::Raw;
use crate::decode::scalar::Text;
use crate::event::{Micros, Reject, RejectCode, SkipReason};

/// An event of a change stream.
pub(super) const FORMAT: Format = Format {
    name: "MongoDB change stream",
    known_by: "`operationType` and `ns`",
    recognize: |head| head.operation_type.as_deref().is_some() && head.ns.object().is_some(),
    decode,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Event<'a> {
    #[serde(borrow)]
    full_document: Raw<'a>,
    #[serde(borrow)]
    full_document_before_change: Raw<'a>,
    #[serde(borrow)]
    document_key: Raw<'a>,
    /// When and in which order the database committed it: seconds, and a number within the second.
    #[serde(borrow)]
    cluster_time: Raw<'a>,
    /// The same by the clock of its machine, in milliseconds.
    #[serde(borrow)]
    wall_time: Raw<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Namespace<'a> {
    #[serde(borrow)]
    db: Text<'a>,
    #[serde(borrow)]
    coll: Text<'a>,
}

fn decode(text: &str, head: &Head<'_>) -> Result<Found, Reject> {
    let kind = match head.operation_type.as_deref().unwrap_or_default() {
        "insert" => ChangeKind::Insert,
        "update" | "replace" => ChangeKind::Update,
        "delete" => ChangeKind::Delete,
        // Of collections, databases and indexes, and the end of the stream.
        _ => return Ok(Found::Nothing(SkipReason::ControlMessage)),
    };
    let event: Event<'_> = read(text)?;
    let namespace: Namespace<'_> = read(head.ns.object().unwrap_or("{}"))?;
    let image = match kind {
        ChangeKind::Delete => document(event.full_document_before_change)?,
        _ => document(event.full_document)?,
    };
    let (row, is_partial) = match (image, kind) {
        (Some(row), _) => (row, false),
        (None, ChangeKind::Delete) => (Row::new(), false),
        (None, _) => (changed_fields(head.update_description)?, true),
    };
    let cluster_time = timestamp(event.cluster_time)?;
    let seconds = cluster_time.map(|(seconds, _)| seconds.saturating_mul(1_000_000));
    Ok(Found::Change(Change {
        row,
        kind,
        is_partial,
        table: table_name([namespace.db.as_deref(), namespace.coll.as_deref()]),
        key: document(event.document_key)?.and_then(|key| joined_key(key.values())),
        committed_at: date(event.wall_time)?.or(seconds).filter(|at| *at > 0),
        position: cluster_time.map(|(seconds, number)| format!("{seconds}:{number}")),
    }))
}

/// Reads a document, with plain values in place of typed ones: an object, or an object written as text. None where there
/// is none.
pub(super) fn document(image: Raw<'_>) -> Result<Option<Row>, Reject> {
    let Some(json) = image.json().filter(|json| *json != "null") else {
        return Ok(None);
    };
    let value = match json.starts_with('"') {
        true => read(&read::<String>(json)?)?,
        false => read(json)?,
    };
    match extended_json::plain(value) {
        Value::Object(row) => Ok(Some(row)),
        _ => Err(Reject::new(
            RejectCode::InvalidField,
            "a document must be an object, or an object written as text",
        )),
    }
}

/// Reads `{"$date": ..}`, or the date itself.
fn date(time: Raw<'_>) -> Result<Option<Micros>, Reject> {
    let time: Value = read(time.json().unwrap_or("null"))?;
    Ok(record::instant(&extended_json::plain(time)))
}

/// Reads `{"$timestamp": {"t": seconds, "i": number}}`, or that written as text, or its inner part.
fn timestamp(time: Raw<'_>) -> Result<Option<(i64, i64)>, Reject> {
    let Some(time) = document(time)? else {
        return Ok(None);
    };
    let inner = time.get("$timestamp").and_then(Value::as_object);
    let part = |name: &str| inner.unwrap_or(&time).get(name)?.as_i64();
    Ok(part("t").zip(part("i")))
}

/// What an update says of itself: each path that it set, and each that it removed.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct UpdateDescription<'a> {
    #[serde(borrow)]
    updated_fields: Raw<'a>,
    removed_fields: Option<Vec<String>>,
}

/// Documents are no deeper; a path of more steps is none.
const DEPTH_MAX: usize = 100;

/// Returns the changed part of a document, built from the paths of an `updateDescription`; a field that was removed is
/// null. Nothing is known of the others.
pub(super) fn changed_fields(update: Raw<'_>) -> Result<Row, Reject> {
    let Some(update) = update.object() else {
        return Err(Reject::new(
            RejectCode::MissingField,
            "neither the document after the change is there nor an `updateDescription`",
        ));
    };
    let update: UpdateDescription<'_> = read(update)?;
    let mut row = Row::new();
    for (path, value) in document(update.updated_fields)?.unwrap_or_default() {
        put(&mut row, &path, value);
    }
    for path in update.removed_fields.unwrap_or_default() {
        put(&mut row, &path, Value::Null);
    }
    Ok(row)
}

/// Puts a value where its path leads: `storage.vendor` is a member of `storage`, `files.0` the first of `files`.
fn put(row: &mut Row, path: &str, value: Value) {
    if path.matches('.').count() >= DEPTH_MAX {
        row.insert(path.to_string(), value);
        return;
    }
    let (steps, last) = path.rsplit_once('.').unwrap_or(("", path));
    let mut members = row;
    for step in steps.split('.').filter(|step| !step.is_empty()) {
        let inner = members.entry(step).or_insert(Value::Null);
        // An update sets a field or parts of it, not both.
        if !inner.is_object() {
            *inner = Value::Object(Map::new());
        }
        members = inner.as_object_mut().expect("it was made one");
    }
    members.insert(last.to_string(), value);
}
