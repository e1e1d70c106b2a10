//! From columns to the fields of a session record, by the configured mapping that fits the row's table, else by
//! usual column names.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::change::{Change, ChangeKind, Row};
use super::default_columns;
use super::record::text;
use crate::config::Mapping;
use crate::event::{Reject, RejectCode};

/// A field of a session record that a column can be mapped to, in the order of [`Mapping::FIELDS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    AppId,
    Cname,
    Uid,
    ResourceId,
    Sid,
    Vendor,
    Bucket,
    Region,
    Prefix,
    Url,
    Status,
    RecordedAt,
}

pub(super) const FIELD_COUNT: usize = Mapping::FIELDS.len();

/// What PostgreSQL's connector writes for a long column that did not change: unknown, not a value.
pub(super) const UNAVAILABLE: &str = "__debezium_unavailable_value";

const NO_MAPPING: &str = "this row names neither a session (`sid`) nor a channel (`cname`) with a vendor, bucket or url, \
    and no configured mapping fits its table; add `[[session_records.mappings]]` with `table = \"schema.table\"` and, \
    under `fields`, `sid = \"path.of.column\"` and so on to the configuration, then replay this message";

/// The values found in a row, one a field, and how to read them.
pub(super) struct Fields<'r> {
    values: [Option<Column<'r>>; FIELD_COUNT],
    mapping: Option<&'r Mapping>,
}

/// A value that tells something, and where it was found.
#[derive(Clone)]
pub(super) struct Column<'r> {
    /// Column, or a path from it on.
    pub path: &'r str,
    pub value: Cow<'r, Value>,
}

impl<'r> Fields<'r> {
    /// Finds the fields by the first mapping that fits; a mapping without `fields` takes the usual columns.
    pub fn choose(change: &'r Change, mappings: &'r [Mapping]) -> Result<Fields<'r>, Reject> {
        let mapping = place(change, mappings).map(|place| &mappings[place]);
        let configured = mapping.filter(|mapping| !mapping.fields.is_empty());
        let mut fields = Fields {
            values: match configured {
                Some(mapping) => by_paths(&change.row, mapping),
                None => default_columns::find(&change.row),
            },
            mapping,
        };
        if fields.know_the_key_alone(change) {
            fields.values = Default::default();
        } else if configured.is_none() && !change.is_partial && !fields.name_a_session() {
            return Err(Reject::new(RejectCode::NoMapping, NO_MAPPING));
        }
        Ok(fields)
    }

    /// Says whether a deleted row is known by its key alone, as without REPLICA IDENTITY FULL: Debezium then fills the
    /// columns that must not be null with `""`, 0, 1970 or their defaults, which names neither session nor channel.
    pub fn know_the_key_alone(&self, change: &Change) -> bool {
        let has = |field| self.value(field).is_some();
        change.kind == ChangeKind::Delete && !has(Field::Sid) && !has(Field::Cname)
    }

    pub fn value(&self, field: Field) -> Option<&Value> {
        self.column(field).map(|column| &*column.value)
    }

    pub fn column(&self, field: Field) -> Option<&Column<'r>> {
        self.values[field as usize].as_ref()
    }

    /// Says whether the columns of a field are there and empty: null, or a text of blanks. What is not there, or was not
    /// sent by the connector, may be anything.
    pub fn is_emptied(&self, field: Field, change: &Change) -> bool {
        let Some(paths) = self.paths() else {
            return default_columns::is_emptied(&change.row, field);
        };
        let Some(paths) = paths.get(Mapping::FIELDS[field as usize]) else {
            return false;
        };
        let found = alternatives(paths).filter_map(|path| look_into(&change.row, path));
        let found: Vec<bool> = found.map(|value| is_empty(&value)).collect();
        !found.is_empty() && found.into_iter().all(|is_empty| is_empty)
    }

    /// The configured mapping, if it says where the fields are.
    pub fn paths(&self) -> Option<&'r BTreeMap<String, String>> {
        let fields = &self.mapping?.fields;
        (!fields.is_empty()).then_some(fields)
    }

    pub fn text(&self, field: Field) -> Option<String> {
        self.value(field).and_then(text)
    }

    /// Returns the vendor number that the configuration gives for what the customer wrote.
    pub fn configured_vendor(&self, written: &str) -> Option<i32> {
        look_up(&self.mapping?.vendors, written)
    }

    /// Returns the vendor number that the configuration gives for the host of a URL.
    pub fn configured_host(&self, host: &str) -> Option<i32> {
        let hosts = &self.mapping?.hosts;
        let without_port = host.rsplit_once(':').map_or(host, |(name, _)| name);
        look_up(hosts, host).or_else(|| look_up(hosts, without_port))
    }

    fn name_a_session(&self) -> bool {
        let has = |field| self.value(field).is_some();
        has(Field::Sid)
            || (has(Field::Cname) && (has(Field::Vendor) || has(Field::Bucket) || has(Field::Url)))
    }
}

/// Returns the place of the mapping that counts for a change: the first whose table fits.
pub(super) fn place(change: &Change, mappings: &[Mapping]) -> Option<usize> {
    let table = change.table.as_deref();
    mappings.iter().position(|mapping| fits(mapping, table))
}

/// Says whether a value tells anything.
pub(super) fn is_known(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.trim().is_empty() && text != UNAVAILABLE,
        Value::Number(_) | Value::Bool(_) => true,
        // A prefix can be a list of path elements.
        Value::Array(items) => items.iter().any(|item| item.is_string()),
        Value::Null | Value::Object(_) => false,
    }
}

/// Says whether a value tells that there is none.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    }
}

/// Compares a mapping's `table` with the message's from the right, part by part; `*` stands for any part.
fn fits(mapping: &Mapping, table: Option<&str>) -> bool {
    let Some(pattern) = mapping.table.as_deref().filter(|pattern| *pattern != "*") else {
        return true;
    };
    let Some(table) = table else {
        return false;
    };
    let mut parts = table.rsplit('.');
    pattern.rsplit('.').all(|wanted| {
        parts
            .next()
            .is_some_and(|part| wanted == "*" || wanted == part)
    })
}

fn by_paths<'r>(row: &'r Row, mapping: &'r Mapping) -> [Option<Column<'r>>; FIELD_COUNT] {
    Mapping::FIELDS.map(|name| {
        alternatives(mapping.fields.get(name)?).find_map(|path| {
            let value = look_into(row, path).filter(|value| is_known(value))?;
            Some(Column { path, value })
        })
    })
}

/// Returns the paths that are to be tried for a field, in order.
pub(super) fn alternatives(paths: &str) -> impl Iterator<Item = &str> {
    paths.split('|').map(str::trim)
}

/// Follows a path of columns and members; a text on the way is taken for JSON, as databases store it.
pub(super) fn look_into<'r>(row: &'r Row, path: &str) -> Option<Cow<'r, Value>> {
    if let Some(value) = row.get(path) {
        return Some(Cow::Borrowed(value));
    }
    let mut steps = path.split('.');
    let mut value = Cow::Borrowed(row.get(steps.next()?)?);
    for step in steps {
        value = match value {
            Cow::Borrowed(Value::String(text)) => Cow::Owned(member_of_text(text, step)?),
            Cow::Borrowed(value) => Cow::Borrowed(member(value, step)?),
            Cow::Owned(Value::String(text)) => Cow::Owned(member_of_text(&text, step)?),
            Cow::Owned(value) => Cow::Owned(member(&value, step)?.clone()),
        };
    }
    Some(value)
}

fn member_of_text(text: &str, step: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(text).ok()?;
    member(&value, step).cloned()
}

fn member<'v>(value: &'v Value, step: &str) -> Option<&'v Value> {
    match value {
        Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        value => value.get(step),
    }
}

/// Looks up what people write by hand: exactly, else without regard to case.
fn look_up(map: &BTreeMap<String, i32>, written: &str) -> Option<i32> {
    let written = written.trim();
    map.get(written).copied().or_else(|| {
        map.iter()
            .find(|(known, _)| known.trim().eq_ignore_ascii_case(written))
            .map(|(_, vendor)| *vendor)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_in_the_order_of_their_names() {
        let at = |name: &str| Mapping::FIELDS.iter().position(|known| *known == name);
        assert_eq!(at("app_id"), Some(Field::AppId as usize));
        assert_eq!(at("resource_id"), Some(Field::ResourceId as usize));
        assert_eq!(at("vendor"), Some(Field::Vendor as usize));
        assert_eq!(at("url"), Some(Field::Url as usize));
        assert_eq!(at("recorded_at"), Some(Field::RecordedAt as usize));
    }

    #[test]
    fn tables_are_compared_from_the_right() {
        let fits = |pattern: Option<&str>, table: Option<&str>| {
            let mapping = Mapping {
                table: pattern.map(str::to_string),
                ..Mapping::default()
            };
            super::fits(&mapping, table)
        };
        assert!(fits(None, None));
        assert!(fits(Some("*"), None));
        assert!(fits(Some("recordings"), Some("app.public.recordings")));
        assert!(fits(
            Some("public.recordings"),
            Some("app.public.recordings")
        ));
        assert!(fits(
            Some("app.public.recordings"),
            Some("app.public.recordings")
        ));
        assert!(fits(Some("public.*"), Some("app.public.recordings")));
        assert!(!fits(Some("recordings"), Some("app.public.old_recordings")));
        assert!(!fits(
            Some("app.public.recordings"),
            Some("public.recordings")
        ));
        assert!(!fits(Some("recordings"), None));
    }

    #[test]
    fn paths_lead_through_members_lists_and_json_in_text() {
        let row = serde_json::json!({
            "a": {"b": [{"c": 1}]},
            "json": "{\"storage\":\"{\\\"vendor\\\":2}\"}",
            "x.y": "dotted",
            "text": "no json",
        });
        let Value::Object(row) = row else {
            unreachable!("written as an object")
        };
        let at = |path: &str| look_into(&row, path).map(Cow::into_owned);
        assert_eq!(at("a.b.0.c"), Some(Value::from(1)));
        assert_eq!(at("json.storage.vendor"), Some(Value::from(2)));
        assert_eq!(at("x.y"), Some(Value::from("dotted")));
        assert_eq!(at("a.b.1.c"), None);
        assert_eq!(at("text.a"), None);
        assert_eq!(at(""), None);
        assert_eq!(at("..."), None);
    }
}
