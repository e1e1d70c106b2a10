//! A file's statistics, as its commit tells them (Delta protocol, "Per-file Statistics").

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::{max, max_string_view, min, min_string_view};
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value, json};

/// Columns whose least and greatest value every file tells in the log, so that queries can skip it.
const COLUMNS: [&str; 13] = [
    "disposition",
    "topic",
    "partition",
    "offset",
    "record_index",
    "source_id",
    "occurred_at",
    "received_at",
    "app_id",
    "cname",
    "sid",
    "requested_at",
    "replay_of",
];

/// Texts are cut to this many characters, as other engines do.
const TEXT_CHARS: usize = 32;

/// What is known of the rows of a file so far.
#[derive(Debug, Default)]
pub struct Statistics {
    rows: usize,
    columns: BTreeMap<&'static str, Column>,
}

#[derive(Debug, Default)]
struct Column {
    nulls: usize,
    /// The least and the greatest value; none while there is no value.
    bounds: Option<(Bound, Bound)>,
}

/// A value that compares as those of its column do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Bound {
    Number(i64),
    /// Microseconds since the epoch.
    Time(i64),
    Text(String),
}

impl Statistics {
    /// Takes in further rows of the file.
    pub fn add(&mut self, rows: &RecordBatch) {
        self.rows += rows.num_rows();
        for name in COLUMNS {
            let Some(values) = rows.column_by_name(name) else {
                continue;
            };
            let column = self.columns.entry(name).or_default();
            column.nulls += values.null_count();
            column.bounds = match (column.bounds.take(), bounds(values)) {
                (Some((least, greatest)), Some((low, high))) => {
                    Some((least.min(low), greatest.max(high)))
                }
                (known, found) => known.or(found),
            };
        }
    }

    /// Returns the statistics in the form of the Delta protocol.
    pub fn to_json(&self) -> Value {
        let mut least = Map::new();
        let mut greatest = Map::new();
        let mut nulls = Map::new();
        for (name, column) in &self.columns {
            nulls.insert((*name).to_string(), column.nulls.into());
            let Some((low, high)) = &column.bounds else {
                continue;
            };
            if let (Some(low), Some(high)) = (low.below(), high.above()) {
                least.insert((*name).to_string(), low);
                greatest.insert((*name).to_string(), high);
            }
        }
        json!({
            "numRecords": self.rows,
            "minValues": least,
            "maxValues": greatest,
            "nullCount": nulls,
        })
    }
}

impl Bound {
    /// Returns a value that is not greater, or none where the form has none.
    fn below(&self) -> Option<Value> {
        match self {
            Bound::Text(text) => Some(text.chars().take(TEXT_CHARS).collect::<String>().into()),
            other => other.exact(),
        }
    }

    /// Returns a value that is not less.
    fn above(&self) -> Option<Value> {
        match self {
            Bound::Text(text) if text.chars().count() > TEXT_CHARS => {
                // The greatest character after the cut keeps the bound above everything that was cut off.
                let mut bound: String = text.chars().take(TEXT_CHARS).collect();
                bound.push(char::MAX);
                Some(bound.into())
            }
            other => other.exact(),
        }
    }

    fn exact(&self) -> Option<Value> {
        match self {
            Bound::Number(number) => Some((*number).into()),
            Bound::Time(micros) => {
                let at = DateTime::from_timestamp_micros(*micros)?;
                Some(at.to_rfc3339_opts(SecondsFormat::Micros, true).into())
            }
            Bound::Text(text) => Some(text.clone().into()),
        }
    }
}

/// Returns the least and the greatest value, or none where there is none or the type has no order.
fn bounds(column: &ArrayRef) -> Option<(Bound, Bound)> {
    match column.data_type() {
        DataType::Utf8View => {
            let texts = column.as_string_view();
            let text = |text: &str| Bound::Text(text.to_string());
            Some((text(min_string_view(texts)?), text(max_string_view(texts)?)))
        }
        DataType::Int32 => {
            let numbers = column.as_primitive::<Int32Type>();
            let number = |number: i32| Bound::Number(number.into());
            Some((number(min(numbers)?), number(max(numbers)?)))
        }
        DataType::Int64 => {
            let numbers = column.as_primitive::<Int64Type>();
            Some((Bound::Number(min(numbers)?), Bound::Number(max(numbers)?)))
        }
        DataType::Timestamp(..) => {
            let times = column.as_primitive::<TimestampMicrosecondType>();
            Some((Bound::Time(min(times)?), Bound::Time(max(times)?)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringViewArray, TimestampMicrosecondArray};

    use super::*;

    fn rows(cnames: [Option<&str>; 2], offset: i64, at: Option<i64>) -> RecordBatch {
        let cnames: ArrayRef = Arc::new(StringViewArray::from_iter(cnames));
        let offsets: ArrayRef = Arc::new(Int64Array::from(vec![offset; 2]));
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![at; 2]));
        let columns = [
            ("cname", cnames),
            ("offset", offsets),
            ("occurred_at", times),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true)))
            .expect("is a batch")
    }

    #[test]
    fn batches_one_after_the_other_tell_what_all_rows_together_would() {
        let long = "room-with-a-name-that-nobody-can-remember";
        let batches = [
            rows([Some("b"), None], 7, None),
            rows([Some("a"), Some(long)], -2, Some(1_790_000_000_000_001)),
        ];
        let mut apart = Statistics::default();
        batches.iter().for_each(|rows| apart.add(rows));
        let mut together = Statistics::default();
        together.add(&arrow::compute::concat_batches(&batches[0].schema(), &batches).expect("fit"));
        assert_eq!(apart.to_json(), together.to_json());
        let told = apart.to_json();
        assert_eq!(told["numRecords"], 4);
        assert_eq!(told["minValues"]["cname"], "a");
        assert_eq!(
            told["maxValues"]["cname"],
            format!("room-with-a-name-that-nobody-can{}", char::MAX)
        );
        assert_eq!(told["minValues"]["offset"], -2);
        assert_eq!(
            told["maxValues"]["occurred_at"],
            "2026-09-21T14:13:20.000001Z"
        );
        assert_eq!(told["nullCount"]["occurred_at"], 2);
    }
}
