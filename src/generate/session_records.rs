//! What the customer's own database believes, as its changes reach Kafka (state record facts).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::story::{Channel, MILLI, Story, millis, rfc3339};
use super::world::{RecordForm, Storage, VendorSpelling};
use crate::config::Mapping;
use crate::event::{Micros, Stream};

/// One row of the customer's table of recordings, which changes as the session goes on.
#[derive(Debug, Clone)]
pub(super) struct Row {
    id: u32,
    resource_id: String,
    sid: Option<String>,
    /// Where the customer believes that the files are.
    storage: &'static Storage,
    /// Key of the index file, once it is said to be uploaded.
    key: Option<String>,
    prefix: String,
    /// Where the customer has the name of the bucket from something else.
    bucket: Option<&'static str>,
    /// The same of its region.
    region: Option<&'static str>,
    status: &'static str,
}

/// Says which of a row's columns is what, for the configuration of whoever reads the fleet.
pub fn mapping() -> Mapping {
    let fields = [
        ("app_id", "app_id"),
        ("cname", "channel"),
        ("uid", "rec_uid"),
        ("resource_id", "resource_id"),
        ("sid", "sid"),
        ("vendor", "vendor|storage_vendor"),
        ("bucket", "bucket"),
        ("region", "region"),
        ("prefix", "prefix"),
        ("url", "recording_url"),
        ("status", "status"),
        ("recorded_at", "updated_at"),
    ];
    let vendors = [("aliyun", 2), ("aws", 1), ("oss", 2), ("s3", 1)];
    Mapping {
        table: None,
        fields: fields
            .map(|(field, path)| (field.to_string(), path.to_string()))
            .into(),
        vendors: vendors
            .map(|(name, number)| (name.to_string(), number))
            .into(),
        hosts: BTreeMap::new(),
    }
}

impl Row {
    pub(super) fn new(
        story: &mut Story,
        resource_id: &str,
        storage: &'static Storage,
        prefix: &str,
    ) -> Self {
        Row {
            id: story.record_id(),
            resource_id: resource_id.to_string(),
            sid: None,
            storage,
            key: None,
            prefix: prefix.to_string(),
            bucket: None,
            region: None,
            status: "starting",
        }
    }

    pub(super) fn recording(&mut self, sid: &str) {
        self.sid = Some(sid.to_string());
        self.status = "recording";
    }

    /// Says that recording goes on, before anybody knows of a session.
    pub(super) fn claimed(&mut self) {
        self.status = "recording";
    }

    pub(super) fn in_bucket(&mut self, bucket: &'static str) {
        self.bucket = Some(bucket);
    }

    pub(super) fn in_region(&mut self, region_code: &'static str) {
        self.region = Some(region_code);
    }

    pub(super) fn failed(&mut self) {
        self.status = "failed";
    }

    pub(super) fn uploaded(&mut self, key: &str) {
        self.key = Some(key.to_string());
        self.status = "uploaded";
    }

    pub(super) fn moved(&mut self, storage: &'static Storage) {
        self.storage = storage;
    }
}

/// How a row came to be as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Insert,
    Update,
}

/// Writes the row's state as of `at`.
pub(super) fn write(story: &mut Story, channel: &Channel, row: &Row, change: Change, at: Micros) {
    // Each customer's database has its own clock.
    let skew = story.skew(channel.app.id, 500 * MILLI);
    let columns = columns(channel, row, at + skew);
    let op = match change {
        Change::Insert => "c",
        Change::Update => "u",
    };
    let committed_at = at + skew + 3 * MILLI;
    let key = json!({"id": row.id});
    let (key, value) = match channel.app.records {
        RecordForm::Debezium => (key, envelope(story, columns, op, committed_at)),
        RecordForm::DebeziumWithSchema => (
            json!({"schema": {"type": "struct", "name": "app.public.recordings.Key"}, "payload": key}),
            json!({"schema": {"type": "struct", "name": "app.public.recordings.Envelope", "optional": false},
                "payload": envelope(story, columns, op, committed_at)}),
        ),
        RecordForm::Flattened => {
            let mut flat = columns;
            flat["__op"] = json!(op);
            flat["__source_ts_ms"] = json!(millis(committed_at));
            (key, flat)
        }
        RecordForm::Plain => (json!(row.id), columns),
    };
    let arrives = at + 3 * MILLI + story.transit();
    story.emit(
        Stream::SessionRecords,
        Some(key.to_string()),
        &value,
        arrives,
    );
}

fn columns(channel: &Channel, row: &Row, at: Micros) -> Value {
    let app = channel.app;
    let plain = app.records == RecordForm::Plain;
    let updated_at = match plain {
        true => json!(rfc3339(at)),
        false => json!(millis(at)),
    };
    let mut columns = json!({
        "id": row.id,
        "app_id": app.id,
        "channel": channel.cname,
        "rec_uid": channel.uid.to_string(),
        "resource_id": row.resource_id,
        "sid": row.sid,
        "prefix": row.prefix,
        "recording_url": row.key.as_deref().map(|key| url(row, key)),
        "status": row.status,
        "updated_at": updated_at,
    });
    let spelled = match app.spelling {
        VendorSpelling::Number => json!(row.storage.vendor),
        VendorSpelling::Slug => json!(row.storage.slug),
        VendorSpelling::Alias => match row.storage.slug {
            "oss" => json!("aliyun"),
            "s3" => json!("aws"),
            other => json!(other),
        },
        VendorSpelling::UrlOnly => return columns,
    };
    columns[if plain { "storage_vendor" } else { "vendor" }] = spelled;
    columns["bucket"] = json!(row.bucket.unwrap_or(row.storage.bucket));
    columns["region"] = json!(row.region.unwrap_or(row.storage.region_code));
    columns
}

fn envelope(story: &mut Story, after: Value, op: &str, committed_at: Micros) -> Value {
    let lsn = millis(committed_at) % 1_000_000_000;
    json!({
        "before": null,
        "after": after,
        "source": {"version": "3.0.0.Final", "connector": "postgresql", "name": "app",
            "ts_ms": millis(committed_at), "snapshot": "false", "db": "app",
            "sequence": format!("[\"{}\",\"{lsn}\"]", lsn - 9), "schema": "public", "table": "recordings",
            "txId": story.between(500, 900_000), "lsn": lsn, "xmin": null},
        "transaction": null,
        "op": op,
        "ts_ms": millis(committed_at + 40 * MILLI),
    })
}

/// Hosts as the clouds give them (state record facts, section 4).
fn url(row: &Row, key: &str) -> String {
    let storage = row.storage;
    let bucket = row.bucket.unwrap_or(storage.bucket);
    let region = storage.region_code;
    let key = key.replace(' ', "%20").replace('#', "%23");
    match storage.slug {
        "s3" => format!("https://{bucket}.s3.{region}.amazonaws.com/{key}"),
        "oss" => format!("https://{bucket}.oss-{region}.aliyuncs.com/{key}"),
        "cos" => format!("https://{bucket}.cos.{region}.myqcloud.com/{key}"),
        "azblob" => format!("https://acmestore.blob.core.windows.net/{bucket}/{key}"),
        "gcs" => format!("https://storage.googleapis.com/{bucket}/{key}"),
        "obs" => format!("https://{bucket}.obs.{region}.myhuaweicloud.com/{key}"),
        "bos" => format!("https://{bucket}.{region}.bcebos.com/{key}"),
        _ => format!(
            "https://{}/{bucket}/{key}",
            storage.endpoint.unwrap_or("storage.example")
        ),
    }
}

/// What compaction keeps of a deleted row: its key without a value.
pub(super) fn tombstone(story: &mut Story, at: Micros) {
    let key = json!({"id": story.record_id()});
    story.emit_bytes(Stream::SessionRecords, Some(key.to_string()), None, at);
    story.skipped.push(Stream::SessionRecords);
}
