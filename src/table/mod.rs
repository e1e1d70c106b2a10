//! The four tables of the lake: their columns once, as typed rows and as the builders that take them.
//!
//! A decoder fills a row (`ApiCallRow`, ...), which borrows from the message; `push` copies it straight
//! into Arrow builders. There is no intermediate JSON value and no per-row allocation.
//! The columns every table has are in [`common`]; `rows` joins both into a record batch.

pub mod api_calls;
pub mod audits;
pub mod columns;
pub mod common;
pub mod rows;
pub mod session_records;
pub mod storage_events;
mod text;
pub mod upload_status;
pub mod webhooks;

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};

use crate::event::Stream;

/// The partition column of every table: the UTC date of the event.
pub const PARTITION_COLUMN: &str = "event_date";

/// Columns that get a bloom filter, where a table has them.
pub const BLOOM_COLUMNS: [&str; 2] = ["sid", "cname"];

/// Columns of high cardinality or great length, for which a Parquet dictionary is wasted work: where nearly every
/// value is new, it makes the file larger, too.
pub const PLAIN_COLUMNS: [&str; 16] = [
    "payload",
    "raw",
    "event_id",
    "offset",
    "detail",
    "headers",
    "occurred_at",
    "received_at",
    "requested_at",
    "responded_at",
    "sent_at",
    "notified_at",
    "recorded_at",
    "resource_id",
    "request_hash",
    "caller_trace_id",
];

/// Those of them whose values come several times in the sorted files of a whole day.
pub const REPEATED_COLUMNS: [&str; 1] = ["resource_id"];

/// Texts that are one of a few names. Their dictionary takes a few bits a row, and so do numbers of 32 bits, which
/// are codes: in a file of a few thousand rows, compressors for them cost more time than they save bytes.
pub const NAME_COLUMNS: [&str; 10] = [
    "event_name",
    "file_type",
    "kind",
    "mode",
    "operation",
    "outcome",
    "provider",
    "region_code",
    "uploading_status",
    "vendor_name",
];

/// Texts that are hashes, in which a compressor finds nothing that comes again.
pub const HASH_COLUMNS: [&str; 1] = ["request_hash"];

/// Columns of which nobody asks for a range: Parquet keeps no statistics of them.
pub const UNRANGED_COLUMNS: [&str; 8] = [
    "payload",
    "raw",
    "detail",
    "headers",
    "event_id",
    "request_hash",
    "resource_id",
    "caller_trace_id",
];

/// Returns the columns that rows are sorted by inside a file, after `event_date` (design, section 4).
pub fn sort_columns(stream: Stream) -> &'static [&'static str] {
    match stream {
        Stream::ApiCalls | Stream::SessionRecords => &["app_id", "cname", "occurred_at"],
        Stream::Webhooks | Stream::StorageEvents | Stream::Audits | Stream::UploadStatus => {
            &["sid", "occurred_at"]
        }
    }
}

/// Returns the whole schema of a stream's table: common columns, then the stream's own.
pub fn schema(stream: Stream) -> SchemaRef {
    let mut fields = common::CommonColumns::fields();
    fields.extend(match stream {
        Stream::ApiCalls => api_calls::ApiCallColumns::fields(),
        Stream::Webhooks => webhooks::WebhookColumns::fields(),
        Stream::StorageEvents => storage_events::StorageEventColumns::fields(),
        Stream::SessionRecords => session_records::SessionRecordColumns::fields(),
        Stream::Audits => audits::AuditColumns::fields(),
        Stream::UploadStatus => upload_status::UploadStatusColumns::fields(),
    });
    Arc::new(Schema::new(fields))
}
