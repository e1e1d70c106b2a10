//! What a mapping finds in a sample message, and why: for whoever writes the mapping.

use serde_json::Value;

use super::change::{Change, ChangeKind};
use super::mapping::{self, Column, FIELD_COUNT, Field, Fields, UNAVAILABLE, alternatives};
use super::record::{self, VendorFrom, vendor_of};
use super::{Format, find, row_key};
use crate::config::Mapping;
use crate::decode::{DecodeContext, Decoded};
use crate::event::{Reject, SkipReason};
use crate::table::session_records::SessionRecordRow;

/// One thing that a message says, or does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// A field of the session record, or what is known of the change itself; `outcome` where it becomes no event.
    pub field: &'static str,
    pub value: Option<String>,
    pub why: String,
}

impl Explained {
    fn new(field: &'static str, value: Option<String>, why: impl Into<String>) -> Self {
        Explained {
            field,
            value,
            why: why.into(),
        }
    }
}

/// The fields in the order of [`Mapping::FIELDS`].
const FIELDS: [Field; FIELD_COUNT] = [
    Field::AppId,
    Field::Cname,
    Field::Uid,
    Field::ResourceId,
    Field::Sid,
    Field::Vendor,
    Field::Bucket,
    Field::Region,
    Field::Prefix,
    Field::Url,
    Field::Status,
    Field::RecordedAt,
];

/// Explains each change of a redacted message by itself. What is no change is explained by one line.
pub fn explain(text: &str, context: &DecodeContext<'_>) -> Vec<Vec<Explained>> {
    if text.trim_ascii() == "null" {
        return vec![vec![skipped(SkipReason::Tombstone.as_str())]];
    }
    let mut changes = Vec::new();
    let mut others = Vec::new();
    let outcome = find(
        text,
        &mut |decoded| {
            others.extend(match decoded {
                Decoded::Event(_) => None,
                Decoded::Skipped { reason, .. } => Some(skipped(reason.as_str())),
                Decoded::Rejected { reject, .. } => Some(refused(&reject)),
            });
        },
        &mut |change, format, _, _| {
            changes.push(of_change(change, format, context));
            Ok(())
        },
    );
    if let Err(reject) = outcome {
        others.push(refused(&reject));
    }
    changes.extend(others.into_iter().map(|other| vec![other]));
    changes
}

fn skipped(reason: &str) -> Explained {
    Explained::new("outcome", Some("skipped".to_string()), reason)
}

/// Says that a message would be a dead letter. What follows a semicolon is advice that is known to who reads this.
pub fn refused(reject: &Reject) -> Explained {
    let code = format!("dead letter, {}", reject.code.as_str());
    let why = reject.detail.split(';').next().unwrap_or_default();
    Explained::new("outcome", Some(code), why)
}

fn of_change(change: &Change, format: &Format, context: &DecodeContext<'_>) -> Vec<Explained> {
    let mut all = vec![Explained::new(
        "form",
        Some(format.name.to_string()),
        format.known_by,
    )];
    if change.is_partial {
        let why = "`updateDescription` without a document: any other field keeps what it was";
        all.push(Explained::new(
            "extent",
            Some("what changed".to_string()),
            why,
        ));
    }
    all.push(chosen_mapping(change, context.mappings));
    let fields = match Fields::choose(change, context.mappings) {
        Ok(fields) => fields,
        Err(reject) => {
            all.push(refused(&reject));
            all.push(columns(change));
            return all;
        }
    };
    let row_key = row_key::read(context.key, change);
    let row = record::row(change, &fields, row_key.as_deref());
    all.extend(about_change(change, &row, context));
    for (field, name) in FIELDS.into_iter().zip(Mapping::FIELDS) {
        let why = why(change, &fields, &row, field, name);
        all.push(Explained::new(name, value(&row, field), why));
    }
    if all.iter().any(|explained| explained.value.is_none()) {
        all.push(columns(change));
    }
    all
}

fn chosen_mapping(change: &Change, mappings: &[Mapping]) -> Explained {
    let Some(place) = mapping::place(change, mappings) else {
        let why = match (mappings.len(), &change.table) {
            (0, _) => "none is configured: usual names of columns are looked for".to_string(),
            (_, Some(_)) => "none is for this table: usual names of columns are looked for".to_string(),
            (_, None) => {
                "each is for a table, and the message names none: usual names of columns are looked for"
                    .to_string()
            }
        };
        return Explained::new("mapping", None, why);
    };
    let mapping = &mappings[place];
    let why = match (mapping.table.as_deref(), mapping.fields.is_empty()) {
        (Some(_), false) => "the first whose `table` fits",
        (None, false) => "it has no `table`, so it fits every message",
        (_, true) => {
            "the first that fits; it has no `fields`, so usual names of columns are looked for"
        }
    };
    let name = format!(
        "session_records.mappings[{place}], table {}",
        mapping.table.as_deref().unwrap_or("*")
    );
    Explained::new("mapping", Some(name), why)
}

/// Explains what is known of the change itself.
fn about_change(
    change: &Change,
    row: &SessionRecordRow<'_>,
    context: &DecodeContext<'_>,
) -> [Explained; 4] {
    let time = match (change.committed_at, row.recorded_at) {
        (Some(at), _) if change.kind == ChangeKind::Snapshot => {
            (Some(at), "when the connector read the table")
        }
        (Some(at), _) => (Some(at), "when the database committed it"),
        (None, Some(at)) => (
            Some(at),
            "`recorded_at`: the message does not say when it was committed",
        ),
        (None, None) => (
            context.received_at,
            "Kafka's time of the message: it names no other",
        ),
    };
    let key = match (&row.row_key, &change.key, context.key) {
        (None, ..) => "neither the message nor a column `id` has one",
        (_, Some(_), _) => "named in the message",
        (_, None, Some(_)) => "the message's key, or column `id`",
        _ => "column `id`; in Kafka the message's key counts before it",
    };
    let table = match change.table {
        Some(_) => "named in the message",
        None => "the message names none: only a mapping without `table` fits",
    };
    [
        Explained::new("source_table", change.table.clone(), table),
        Explained::new("row_key", owned(&row.row_key), key),
        Explained::new("change", owned(&row.change), "what happened to the row"),
        Explained::new("occurred_at", time.0.map(instant), time.1),
    ]
}

fn why(
    change: &Change,
    fields: &Fields<'_>,
    row: &SessionRecordRow<'_>,
    field: Field,
    name: &str,
) -> String {
    let url = row.url.as_deref();
    let found = fields.column(field);
    match (field, found) {
        (Field::Vendor, _) => return why_vendor(fields, url, change, name),
        (Field::Prefix, None) if row.prefix.is_some() => {
            return "from the name of the object in `url`".to_string();
        }
        (Field::Bucket, None) if row.bucket.is_some() => return "from `url`".to_string(),
        (Field::RecordedAt, Some(column)) if row.recorded_at.is_none() => {
            return format!("column `{}` holds no time that can be read", column.path);
        }
        _ => {}
    }
    match found {
        Some(column) => from(column, fields, name),
        None => why_nothing(change, fields, name),
    }
}

fn from(column: &Column<'_>, fields: &Fields<'_>, name: &str) -> String {
    let path = column.path;
    match fields.paths().and_then(|paths| paths.get(name)) {
        Some(paths) if paths.contains('|') => {
            format!("column `{path}`, the first of `{paths}` with a value")
        }
        Some(_) => format!("column `{path}`"),
        None => format!("column `{path}`, a usual name for it"),
    }
}

fn why_vendor(fields: &Fields<'_>, url: Option<&str>, change: &Change, name: &str) -> String {
    let column = fields.column(Field::Vendor);
    let at = column.map_or(String::new(), |column| from(column, fields, name));
    match (vendor_of(fields, url), column) {
        (Some((_, VendorFrom::Configured)), _) => format!("{at}, by `vendors` of the mapping"),
        (Some((_, VendorFrom::Number)), _) => format!("{at}: a number"),
        (Some((_, VendorFrom::Name)), _) => format!("{at}: a name of a vendor"),
        (Some((_, from)), column) => {
            let by = match from {
                VendorFrom::ConfiguredHost => "the host of `url`, by `hosts` of the mapping",
                _ => "the host of `url`",
            };
            match column {
                Some(column) => format!("{by}: what column `{}` holds is no vendor", column.path),
                None => by.to_string(),
            }
        }
        (None, Some(_)) => {
            format!("{at}: no number and no known name; add it to `vendors` of the mapping")
        }
        (None, None) => why_nothing(change, fields, name),
    }
}

/// Says why nothing was found: for the last path that was tried, where the mapping has any.
fn why_nothing(change: &Change, fields: &Fields<'_>, name: &str) -> String {
    if fields.know_the_key_alone(change) {
        return "of the deleted row only the key is known".to_string();
    }
    let Some(paths) = fields.paths() else {
        return match change.is_partial {
            true => "the update names no column of a usual name".to_string(),
            false => "no column of a usual name has a value".to_string(),
        };
    };
    let Some(path) = paths.get(name).and_then(|paths| alternatives(paths).last()) else {
        return "the mapping does not name it".to_string();
    };
    let column = path.split('.').next().unwrap_or(path);
    match mapping::look_into(&change.row, path).as_deref() {
        Some(Value::String(text)) if text == UNAVAILABLE => {
            format!("`{path}` did not change, and the connector did not send it: unknown")
        }
        Some(Value::Object(_)) => format!("`{path}` is an object: name a member of it, `{path}.x`"),
        Some(Value::Null) if change.is_partial => format!("`{path}` was removed"),
        Some(_) => format!("`{path}` is empty"),
        None if change.is_partial => format!("the update does not name `{path}`"),
        None if change.row.contains_key(column) && column != path => {
            format!("column `{column}` is there, and in it no `{path}`")
        }
        None => format!("the row has no column `{column}`"),
    }
}

/// Names the columns, for whoever misspelled one.
fn columns(change: &Change) -> Explained {
    let names: Vec<_> = change.row.keys().map(String::as_str).collect();
    Explained::new("columns", Some(names.join(", ")), "what the row has")
}

fn value(row: &SessionRecordRow<'_>, field: Field) -> Option<String> {
    let text = match field {
        Field::AppId => &row.app_id,
        Field::Cname => &row.cname,
        Field::Uid => &row.uid,
        Field::ResourceId => &row.resource_id,
        Field::Sid => &row.sid,
        Field::Bucket => &row.bucket,
        Field::Region => &row.region,
        Field::Prefix => &row.prefix,
        Field::Url => &row.url,
        Field::Status => &row.status,
        Field::RecordedAt => return row.recorded_at.map(instant),
        Field::Vendor => {
            let number = row.vendor?;
            return Some(match &row.vendor_name {
                Some(name) => format!("{number} ({name})"),
                None => number.to_string(),
            });
        }
    };
    owned(text)
}

fn owned(text: &Option<std::borrow::Cow<'_, str>>) -> Option<String> {
    text.as_deref().map(str::to_string)
}

fn instant(micros: i64) -> String {
    match chrono::DateTime::from_timestamp_micros(micros) {
        Some(at) => at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true),
        None => micros.to_string(),
    }
}
