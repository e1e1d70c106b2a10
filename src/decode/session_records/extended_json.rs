//! Documents of MongoDB: values that name their type, `{"$numberInt": "2"}`, as plain ones
//! (`domain/state-records.md`, section 2).

use serde_json::Value;

use super::change::Row;

/// Returns a document with plain values in place of typed ones.
pub(super) fn plain_row(row: Row) -> Row {
    row.into_iter()
        .map(|(column, value)| (column, plain(value)))
        .collect()
}

pub(super) fn plain(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(members) if members.len() == 1 => {
            let (name, inner) = members.into_iter().next().expect("one member");
            match name.as_str() {
                "$oid" | "$numberInt" | "$numberLong" | "$numberDouble" | "$numberDecimal"
                | "$uuid" | "$symbol" => inner,
                // Itself a text, a number of milliseconds, or `{"$numberLong": ..}`.
                "$date" => plain(inner),
                _ => Value::Object([(name, plain(inner))].into_iter().collect()),
            }
        }
        Value::Object(members) => Value::Object(plain_row(members)),
        scalar => scalar,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn typed_values_become_plain() {
        let document = json!({
            "_id": {"$oid": "65a1b2c3d4e5f60708090a0b"},
            "vendor": {"$numberInt": "2"},
            "at": {"$date": {"$numberLong": "1764000606000"}},
            "other": {"$date": 1764000606000_i64},
            "storage": {"bucket": "acme", "prefix": ["a", {"$symbol": "b"}]},
        });
        let Value::Object(row) = document else {
            unreachable!("written as an object")
        };
        let expected = json!({"_id": "65a1b2c3d4e5f60708090a0b", "vendor": "2", "at": "1764000606000",
            "other": 1764000606000_i64, "storage": {"bucket": "acme", "prefix": ["a", "b"]}});
        assert_eq!(Value::Object(plain_row(row)), expected);
    }
}
