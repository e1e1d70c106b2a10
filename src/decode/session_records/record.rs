//! A mapped row as a session record: values read, vendor, bucket and prefix inferred where no column says them.

use std::borrow::Cow;

use serde_json::Value;

use super::change::{Change, ChangeKind};
use super::location;
use super::mapping::{Field, Fields};
use crate::config::Mapping;
use crate::decode::scalar::{integer, whole};
use crate::decode::{object_key, time};
use crate::event::Micros;
use crate::table::session_records::SessionRecordRow;
use crate::vendor;

/// Returns the session record of a change.
pub(super) fn row<'c>(
    change: &'c Change,
    fields: &Fields<'_>,
    row_key: Option<&'c str>,
) -> SessionRecordRow<'c> {
    let text = |field| fields.text(field).map(Cow::Owned);
    let url = fields
        .text(Field::Url)
        .map(|url| location::without_secrets(&url));
    let bucket = fields
        .text(Field::Bucket)
        .or_else(|| location::bucket(url.as_deref()?));
    let vendor = vendor_of(fields, url.as_deref());
    let region = fields
        .text(Field::Region)
        .map(|written| region_of(written, vendor));
    let vendor = vendor.map(|(vendor, _)| vendor);
    let prefix = match fields.value(Field::Prefix) {
        Some(value) => prefix(value),
        None => url
            .as_deref()
            .and_then(|url| location::object_key(url, bucket.as_deref()))
            .and_then(|key| object_key::parse(&key).prefix.map(str::to_string)),
    };
    SessionRecordRow {
        source_table: change.table.as_deref().map(Cow::Borrowed),
        row_key: row_key.map(Cow::Borrowed),
        change: Some(Cow::Borrowed(change.kind.as_str())),
        app_id: text(Field::AppId),
        sid: fields
            .text(Field::Sid)
            .map(|sid| Cow::Owned(sid.to_ascii_lowercase())),
        cname: text(Field::Cname),
        uid: text(Field::Uid),
        resource_id: text(Field::ResourceId),
        vendor,
        vendor_name: vendor.and_then(vendor::slug).map(Cow::Borrowed),
        bucket: bucket.map(Cow::Owned),
        region: region.map(Cow::Owned),
        prefix: prefix.map(Cow::Owned),
        url: url.map(Cow::Owned),
        status: text(Field::Status),
        recorded_at: fields.value(Field::RecordedAt).and_then(instant),
    }
}

/// Names the fields of which an update says that they are null or empty, separated by commas. What it leaves out is as it
/// was before, which the value alone does not tell apart; an insert and a snapshot leave nothing out.
pub(super) fn emptied(change: &Change, fields: &Fields<'_>, row: &SessionRecordRow<'_>) -> String {
    if change.kind != ChangeKind::Update {
        return String::new();
    }
    let is_null = [
        (Field::AppId, row.app_id.is_none()),
        (Field::Cname, row.cname.is_none()),
        (Field::Uid, row.uid.is_none()),
        (Field::ResourceId, row.resource_id.is_none()),
        (Field::Sid, row.sid.is_none()),
        (Field::Vendor, row.vendor.is_none()),
        (Field::Bucket, row.bucket.is_none()),
        (Field::Region, row.region.is_none()),
        (Field::Prefix, row.prefix.is_none()),
        (Field::Url, row.url.is_none()),
        (Field::Status, row.status.is_none()),
    ];
    let emptied = is_null.into_iter().filter(|(field, is_null)| {
        // A vendor or a path that no column says can be in the URL.
        *is_null && fields.is_emptied(*field, change)
    });
    let names: Vec<_> = emptied
        .map(|(field, _)| Mapping::FIELDS[field as usize])
        .collect();
    names.join(",")
}

/// Returns a scalar as text without spaces around it, whole numbers without a fraction; none where it is empty.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_string()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(match number.as_f64().and_then(whole) {
            Some(whole) if number.is_f64() => whole.to_string(),
            _ => number.to_string(),
        }),
        Value::Bool(value) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Reads a time as databases write it: text, or a number since the epoch in a unit told by magnitude.
pub(super) fn instant(value: &Value) -> Option<Micros> {
    match value {
        Value::String(text) => time::parse_assuming_utc(text),
        Value::Number(number) => match number.as_i64() {
            Some(number) => Some(time::from_epoch(number)),
            None => number.as_f64().and_then(time::from_epoch_fraction),
        },
        _ => None,
    }
}

/// Where a vendor's number comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VendorFrom {
    /// `vendors` of the mapping.
    Configured,
    Number,
    /// Slug, scheme or name.
    Name,
    /// `hosts` of the mapping.
    ConfiguredHost,
    Url,
}

/// Reads the vendor as configured, as Agora's number, by name; else infers it from the URL.
pub(super) fn vendor_of(fields: &Fields<'_>, url: Option<&str>) -> Option<(i32, VendorFrom)> {
    let written = fields.text(Field::Vendor).and_then(|written| {
        let number = || i32::try_from(integer(&written)?).ok();
        let configured = fields.configured_vendor(&written);
        configured
            .map(|vendor| (vendor, VendorFrom::Configured))
            .or_else(|| Some((number()?, VendorFrom::Number)))
            .or_else(|| Some((vendor::from_text(&written)?, VendorFrom::Name)))
    });
    written.or_else(|| {
        let url = url?;
        let configured = vendor::host(url).and_then(|host| fields.configured_host(&host));
        configured
            .map(|vendor| (vendor, VendorFrom::ConfiguredHost))
            .or_else(|| Some((vendor::from_url(url)?, VendorFrom::Url)))
    })
}

/// Reads Agora's number of a region, where the vendor is written by its number too; any other writing stays as it is.
fn region_of(written: String, vendor: Option<(i32, VendorFrom)>) -> String {
    let code = match vendor {
        Some((vendor, VendorFrom::Number)) => integer(&written)
            .and_then(|number| vendor::sure_region_code(vendor, i32::try_from(number).ok()?)),
        _ => None,
    };
    code.map_or(written, str::to_string)
}

/// Reads a prefix: a path, or a list of its elements as in `fileNamePrefix`, which columns of JSON hold as text.
fn prefix(value: &Value) -> Option<String> {
    let path = match value {
        Value::Array(items) => {
            let elements: Vec<_> = items.iter().filter_map(Value::as_str).collect();
            elements.join("/")
        }
        value => {
            let text = text(value)?;
            match list(&text) {
                Some(elements) => elements.join("/"),
                None => text,
            }
        }
    };
    let path = path.trim_matches('/');
    (!path.is_empty()).then(|| path.to_string())
}

fn list(text: &str) -> Option<Vec<String>> {
    text.starts_with('[')
        .then(|| serde_json::from_str(text).ok())?
}
