//! The primary key of a row as text.

use serde_json::Value;

use super::change::{Change, joined_key};
use super::extended_json;
use super::record::text;

/// Takes the key that the message itself names; else reads it from the message's key where that is an object, bare or
/// in Kafka Connect's wrapper; else from the row's `id`. The values of a composite key are joined with `/`.
///
/// A key that is no object may be anything, a channel's name for one: topics are free to be keyed by it.
pub(super) fn read(key: Option<&str>, change: &Change) -> Option<String> {
    let named = change.key.clone();
    named.or_else(|| key.and_then(of_message)).or_else(|| {
        ["id", "_id", "Id", "ID"]
            .iter()
            .find_map(|column| change.row.get(*column).and_then(text))
    })
}

fn of_message(key: &str) -> Option<String> {
    let Ok(Value::Object(mut members)) = serde_json::from_str(key) else {
        return None;
    };
    if members.contains_key("schema")
        && let Some(Value::Object(payload)) = members.get_mut("payload")
    {
        members = std::mem::take(payload);
    }
    // Maxwell: `{"database": .., "table": .., "pk.id": 7712}`.
    let is_maxwell = members.keys().any(|column| column.starts_with("pk."));
    let values = members
        .iter()
        .filter(|(column, _)| !is_maxwell || column.starts_with("pk."));
    let values: Vec<Value> = values.map(|(_, value)| plain(value)).collect();
    joined_key(&values)
}

/// MongoDB's keys are JSON written as text, `"{\"$oid\": \"65a1..\"}"` and `"\"room_42\""`; what they hold is the key.
fn plain(value: &Value) -> Value {
    let inner = (value.as_str())
        .filter(|text| text.starts_with("{\"$") || text.starts_with('"'))
        .and_then(|text| serde_json::from_str(text).ok());
    match inner.map(extended_json::plain) {
        Some(inner) if !inner.is_object() => inner,
        _ => value.clone(),
    }
}
