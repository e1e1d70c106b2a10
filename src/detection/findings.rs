//! What a finding is: its columns, its id, and the table that the findings of all detections make.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{cast, concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use sha2::{Digest as _, Sha256};

use super::front_matter::{ColumnType, Severity};
use super::window::Window;

/// Bytes of the hash that an id keeps: enough that no two faults of a fleet ever share one.
const ID_BYTES: usize = 16;

/// The columns of every finding (design, section 5), in order, with what they say.
const COLUMNS: [(&str, ColumnType, &str); 17] = [
    (
        "finding_id",
        ColumnType::String,
        "Stable id: the same fault found again has the same one",
    ),
    ("detection", ColumnType::String, "Name of the detection"),
    (
        "severity",
        ColumnType::String,
        "info, low, medium, high or critical",
    ),
    (
        "variant",
        ColumnType::String,
        "Case of the detection, where it tells several apart",
    ),
    ("app_id", ColumnType::String, "App of the channel"),
    ("cname", ColumnType::String, "Channel"),
    ("uid", ColumnType::String, "Recording uid"),
    ("sids", ColumnType::Strings, "Sessions, in order of start"),
    (
        "first_at",
        ColumnType::Timestamp,
        "Time of the earliest evidence",
    ),
    (
        "last_at",
        ColumnType::Timestamp,
        "Time of the latest evidence; --since and --until go by it",
    ),
    (
        "expected_vendor",
        ColumnType::String,
        "Where the customer believed the files to be, else where the accepted start asked for them",
    ),
    ("expected_bucket", ColumnType::String, "Bucket of the same"),
    (
        "actual_vendor",
        ColumnType::String,
        "Where the files are, else where the accepted start sent them",
    ),
    ("actual_bucket", ColumnType::String, "Bucket of the same"),
    (
        "root_cause",
        ColumnType::String,
        "race, state_mismatch, environment_switching, fallback, credentials, service or unknown",
    ),
    (
        "explanation",
        ColumnType::String,
        "What happened, for a person",
    ),
    (
        "evidence",
        ColumnType::Strings,
        "Ids of the events that prove it",
    ),
];

/// The columns of what could not be judged, all of them text.
const NOT_JUDGED_COLUMNS: [(&str, &str); 5] = [
    ("detection", "Name of the detection that gives no verdict"),
    ("app_id", "App of the session"),
    ("cname", "Channel of the session"),
    (
        "sid",
        "Session, null where it is about a start that led to none, or about all",
    ),
    ("why", "What is missing for a verdict"),
];

/// The columns of what there is to find, all of them text.
const DETECTION_COLUMNS: [(&str, &str); 4] = [
    ("detection", "Name, as findings have it"),
    ("title", "What it finds"),
    ("category", "Part of a report that counts its findings"),
    ("severity", "The worst that its findings can have"),
];

/// The column that [`super::run::Findings::citing`] adds.
pub(super) const TABLE_VERSIONS: (&str, &str) = (
    "table_versions",
    "Versions of the tables it was computed from: --as-of with them computes it again",
);

/// Columns that a detection's query need not give: ours to fill.
const FILLED: [&str; 3] = ["finding_id", "detection", "severity"];

/// The causes a finding can name.
const ROOT_CAUSES: [&str; 7] = [
    "race",
    "state_mismatch",
    "environment_switching",
    "fallback",
    "credentials",
    "service",
    "unknown",
];

/// Returns the schema of the table of findings.
pub fn schema() -> SchemaRef {
    let field = |(name, kind, _)| Field::new(name, data_type(kind), true);
    Arc::new(Schema::new(COLUMNS.map(field).to_vec()))
}

/// Returns the relations that show what detections say, by name: `findings` with the versions that they cite,
/// `not_judged` and `detections`. Each column has a comment.
pub fn relations() -> [(&'static str, SchemaRef); 3] {
    let commented = |name: &str, kind, doc: &str| {
        let comment = ("comment".to_string(), doc.to_string());
        Field::new(name, data_type(kind), true).with_metadata(HashMap::from([comment]))
    };
    let of_text = |(name, doc)| commented(name, ColumnType::String, doc);
    let mut of_findings = COLUMNS
        .map(|(name, kind, doc)| commented(name, kind, doc))
        .to_vec();
    of_findings.push(of_text(TABLE_VERSIONS));
    [
        ("findings", Arc::new(Schema::new(of_findings))),
        (
            "not_judged",
            Arc::new(Schema::new(NOT_JUDGED_COLUMNS.map(of_text).to_vec())),
        ),
        (
            "detections",
            Arc::new(Schema::new(DETECTION_COLUMNS.map(of_text).to_vec())),
        ),
    ]
}

/// Returns the schema of the table of what could not be judged.
pub fn not_judged_schema() -> SchemaRef {
    let field = |(name, _)| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(NOT_JUDGED_COLUMNS.map(field).to_vec()))
}

/// Returns the columns that every detection's query gives; `severity` is optional.
pub(super) fn given_columns() -> BTreeMap<String, ColumnType> {
    COLUMNS
        .into_iter()
        .filter(|(name, _, _)| !FILLED.contains(name))
        .map(|(name, kind, _)| (name.to_string(), kind))
        .collect()
}

pub(super) fn not_judged_columns() -> BTreeMap<String, ColumnType> {
    let names = ["app_id", "cname", "sid", "why"];
    names
        .map(|name| (name.to_string(), ColumnType::String))
        .into()
}

/// Compares what a query gives with what it must give: the same columns, in any order, of fitting types.
pub(super) fn check_columns(given: &Schema, must: &BTreeMap<String, ColumnType>) -> Result<()> {
    for (name, kind) in must {
        let field = given
            .field_with_name(name)
            .map_err(|_| anyhow::anyhow!("the query does not give the column `{name}`"))?;
        ensure!(
            fits(field.data_type(), *kind),
            "the column `{name}` is {}, not {kind:?}",
            field.data_type()
        );
    }
    for field in given.fields() {
        let name = field.name();
        ensure!(
            must.contains_key(name) || name == "severity",
            "the query gives a column `{name}` that is not in [columns]"
        );
    }
    Ok(())
}

/// Says whether values of an Arrow type are of a declared type; a bare NULL is of every type.
fn fits(given: &DataType, kind: ColumnType) -> bool {
    let is_text = |given: &DataType| {
        matches!(
            given,
            DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 | DataType::Null
        )
    };
    match (kind, given) {
        (_, DataType::Null) => true,
        (ColumnType::String, given) => is_text(given),
        (ColumnType::Strings, DataType::List(item)) => is_text(item.data_type()),
        (ColumnType::Int64, given) => given.is_integer(),
        (ColumnType::Float64, given) => given.is_floating(),
        (ColumnType::Bool, given) => *given == DataType::Boolean,
        (ColumnType::Timestamp, given) => matches!(given, DataType::Timestamp(_, Some(_))),
        (ColumnType::Duration, given) => matches!(given, DataType::Duration(_)),
        (ColumnType::Date, given) => *given == DataType::Date32,
        (ColumnType::Strings, _) => false,
    }
}

fn data_type(kind: ColumnType) -> DataType {
    match kind {
        ColumnType::String => DataType::Utf8,
        ColumnType::Strings => DataType::List(Arc::new(Field::new("item", DataType::Utf8, true))),
        ColumnType::Int64 => DataType::Int64,
        ColumnType::Float64 => DataType::Float64,
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ColumnType::Duration => DataType::Duration(TimeUnit::Microsecond),
        ColumnType::Date => DataType::Date32,
    }
}

/// Makes findings of the rows of one detection: fills in id, name and severity, drops columns that only
/// served the id, and keeps those in the window.
pub(super) fn from_rows(
    rows: &RecordBatch,
    detection: &str,
    severity: Severity,
    identity: &[String],
    window: &Window,
) -> Result<RecordBatch> {
    let constant = |text: &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
            text,
            rows.num_rows(),
        )))
    };
    let schema = schema();
    let arrays = schema
        .fields()
        .iter()
        .map(
            |field| match (field.name().as_str(), rows.column_by_name(field.name())) {
                ("finding_id", _) => ids(rows, detection, identity),
                ("detection", _) => Ok(constant(detection)),
                ("severity", None) => Ok(constant(severity.as_str())),
                (_, Some(column)) => Ok(cast(column, field.data_type())?),
                (name, None) => bail!("the query does not give the column `{name}`"),
            },
        )
        .collect::<Result<Vec<_>>>()?;
    let findings = RecordBatch::try_new(schema, arrays)?;
    check_words(&findings)?;
    let last_at = findings["last_at"].as_primitive::<TimestampMicrosecondType>();
    let kept = last_at.iter().map(|at| Some(window.contains(at))).collect();
    Ok(arrow::compute::filter_record_batch(&findings, &kept)?)
}

/// Returns `rows` of a detection's `not_judged` query as the table has them.
pub(super) fn not_judged_from_rows(rows: &RecordBatch, detection: &str) -> Result<RecordBatch> {
    let name: ArrayRef = Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
        detection,
        rows.num_rows(),
    )));
    let schema = not_judged_schema();
    let arrays = schema
        .fields()
        .iter()
        .map(|field| match rows.column_by_name(field.name()) {
            None => Ok(Arc::clone(&name)),
            Some(column) => Ok(cast(column, field.data_type())?),
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(schema, arrays)?)
}

/// Joins the findings of all detections: worst first, then by detection, time and id.
pub(super) fn in_order(findings: &[RecordBatch]) -> Result<RecordBatch> {
    let all = concat_batches(&schema(), findings)?;
    let severity = severities(&all)?;
    let detection = all["detection"].as_string::<i32>();
    let first_at = all["first_at"].as_primitive::<TimestampMicrosecondType>();
    let id = all["finding_id"].as_string::<i32>();
    let mut order: Vec<u32> = (0..all.num_rows() as u32).collect();
    order.sort_by_key(|row| {
        let row = *row as usize;
        (
            std::cmp::Reverse(severity[row]),
            detection.value(row),
            first_at.value(row),
            id.value(row),
        )
    });
    Ok(take_record_batch(&all, &UInt32Array::from(order))?)
}

/// Returns the severity of each finding.
pub(super) fn severities(findings: &RecordBatch) -> Result<Vec<Severity>> {
    let words = findings["severity"].as_string::<i32>();
    words
        .iter()
        .map(|word| {
            word.context("a finding has no severity")?
                .parse()
                .map_err(anyhow::Error::msg)
        })
        .collect()
}

/// Refuses words that nobody downstream would understand.
fn check_words(findings: &RecordBatch) -> Result<()> {
    severities(findings)?;
    for word in findings["root_cause"].as_string::<i32>().iter() {
        let word = word.context("a finding has no root cause; `unknown` is one")?;
        let known = ROOT_CAUSES.join(", ");
        ensure!(
            ROOT_CAUSES.contains(&word),
            "`{word}` is no root cause; they are {known}"
        );
    }
    Ok(())
}

/// Returns each row's id: a hash of the detection and the identity columns, in the order of the header.
fn ids(rows: &RecordBatch, detection: &str, identity: &[String]) -> Result<ArrayRef> {
    let options = FormatOptions::new();
    let columns = identity
        .iter()
        .map(|name| {
            let column = rows
                .column_by_name(name)
                .with_context(|| format!("the query does not give the identity column `{name}`"))?;
            Ok((column, ArrayFormatter::try_new(column, &options)?))
        })
        .collect::<Result<Vec<_>>>()?;
    let ids = (0..rows.num_rows()).map(|row| {
        let mut hash = Sha256::new();
        let mut add = |value: Option<&str>| match value {
            // Lengths keep ("ab", "c") apart from ("a", "bc"), and null apart from an empty text.
            Some(text) => {
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text);
            }
            None => hash.update(u64::MAX.to_le_bytes()),
        };
        add(Some(detection));
        for (column, formatter) in &columns {
            let text = formatter.value(row).to_string();
            add((!column.is_null(row)).then_some(text.as_str()));
        }
        hex::encode(&hash.finalize()[..ID_BYTES])
    });
    Ok(Arc::new(StringArray::from_iter_values(ids)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(cnames: Vec<Option<&str>>, uids: Vec<Option<&str>>) -> RecordBatch {
        let column = |values| Arc::new(StringArray::from(values)) as ArrayRef;
        RecordBatch::try_from_iter_with_nullable([
            ("cname", column(cnames), true),
            ("uid", column(uids), true),
        ])
        .expect("is a batch")
    }

    fn id_of(cname: Option<&str>, uid: Option<&str>, detection: &str) -> String {
        let identity = ["cname".to_string(), "uid".to_string()];
        let ids = ids(&rows(vec![cname], vec![uid]), detection, &identity).expect("has ids");
        ids.as_string::<i32>().value(0).to_string()
    }

    #[test]
    fn ids_tell_faults_apart_and_never_change() {
        let id = id_of(Some("room"), Some("1"), "x");
        assert_eq!(id, "4156cc85b00406a7fc3b43d1e92a8d5b");
        assert_ne!(id, id_of(Some("room1"), Some(""), "x"));
        assert_ne!(id, id_of(Some("room"), Some("1"), "y"));
        assert_ne!(id_of(None, Some("1"), "x"), id_of(Some(""), Some("1"), "x"));
    }

    #[test]
    fn columns_must_be_those_declared() {
        let given = |fields: Vec<Field>| Schema::new(fields);
        let must = BTreeMap::from([("a".to_string(), ColumnType::Strings)]);
        let list = data_type(ColumnType::Strings);
        let check =
            |fields| check_columns(&given(fields), &must).map_err(|error| error.to_string());
        check(vec![Field::new("a", list.clone(), true)]).expect("fits");
        check(vec![Field::new("a", DataType::Null, true)]).expect("a bare NULL fits");
        let error = check(vec![Field::new("a", DataType::Utf8, true)]).expect_err("no list");
        assert!(error.contains("not Strings"), "{error}");
        check(vec![]).expect_err("misses one");
        check(vec![
            Field::new("a", list, true),
            Field::new("b", DataType::Utf8, true),
        ])
        .expect_err("has one too many");
    }
}
