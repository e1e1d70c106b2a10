//! The primary key of a row as text.

use serde_json::Value;

use super::change::Row;
use super::record::text;

/// Reads the key from the message's key where that is an object, bare or in Kafka Connect's wrapper; else from
/// the row's `id`. The values of a composite key are joined with `/`.
///
/// A key that is no object may be anything, a channel's name for one: topics are free to be keyed by it.
pub(super) fn read(key: Option<&str>, row: &Row) -> Option<String> {
    key.and_then(of_message).or_else(|| {
        ["id", "_id", "Id", "ID"]
            .iter()
            .find_map(|column| row.get(*column).and_then(text))
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
    let values: Vec<_> = members.values().filter_map(text).collect();
    (!values.is_empty()).then(|| values.join("/"))
}
