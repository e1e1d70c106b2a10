//! What an audit found -> `audits` (design, section 4). One object a file, written by `tapetrail audit`, or made of a
//! listing of a bucket.

use std::borrow::Cow;

use serde::Deserialize;

use super::identity::{DELIVERY_FIELDS, derive_event_id};
use super::object_key;
use super::scalar::{Int, Long, Text, lower_case};
use super::time::Instant;
use super::{DecodeContext, Decoded, Emit, each_element, missing, reject};
use crate::event::{Reject, RejectCode};
use crate::table::audits::AuditRow;
use crate::table::rows::{Event, EventRow};
use crate::vendor;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Audit<'a> {
    audited_at: Instant,
    #[serde(borrow)]
    run: Text<'a>,
    #[serde(borrow)]
    store: Text<'a>,
    vendor: Int,
    #[serde(borrow)]
    bucket: Text<'a>,
    #[serde(borrow)]
    sid: Text<'a>,
    #[serde(borrow)]
    cname: Text<'a>,
    #[serde(borrow)]
    key: Text<'a>,
    #[serde(borrow)]
    result: Text<'a>,
    #[serde(borrow)]
    promised_by: Text<'a>,
    #[serde(borrow)]
    answer: Text<'a>,
    size: Long,
    #[serde(borrow)]
    etag: Text<'a>,
    written_at: Instant,
}

const RESULTS: [&str; 4] = ["found", "missing", "denied", "failed"];

/// Decodes every result of a message.
pub(super) fn decode(
    text: &str,
    _context: &DecodeContext<'_>,
    emit: &mut Emit<'_>,
) -> Result<(), Reject> {
    each_element(text, text, emit, decode_one)
}

fn decode_one(text: &str, payload: &str, emit: &mut Emit<'_>) -> Result<(), Reject> {
    let audit: Audit<'_> = serde_json::from_str(text).map_err(|error| reject(&error))?;
    let occurred_at = audit.audited_at.micros();
    let result = audit.result.filled().filter(|it| RESULTS.contains(&&**it));
    let result = result.ok_or_else(|| {
        Reject::new(
            RejectCode::InvalidField,
            "`result` must be \"found\", \"missing\", \"denied\" or \"failed\"",
        )
    })?;
    let bucket = audit.bucket.filled().ok_or_else(|| missing("bucket"))?;
    occurred_at.ok_or_else(|| missing("audited_at"))?;
    let key = audit.key.filled().unwrap_or_default();
    let name = object_key::parse(&key);
    let sid = audit.sid.filled().map(lower_case).or(name.sid);
    let vendor = audit.vendor.0;
    let row = AuditRow {
        run: audit.run.filled(),
        store: audit.store.filled(),
        vendor,
        vendor_name: vendor.and_then(vendor::slug).map(Cow::Borrowed),
        bucket: Some(bucket),
        result: Some(result),
        promised_by: audit.promised_by.filled(),
        answer: audit.answer.filled(),
        size: audit.size.0,
        etag: audit.etag.filled(),
        written_at: audit.written_at.micros(),
        prefix: name.prefix.map(Cow::Borrowed),
        file_name: name.file_name.map(Cow::Borrowed),
        sid,
        cname: name.cname.map(Cow::Borrowed).or(audit.cname.filled()),
        recorded_uid: name.recorded_uid.map(Cow::Borrowed),
        file_type: name.file_type.map(Cow::Borrowed),
        failover_index: name.failover_index,
    };
    emit(Decoded::Event(Event {
        event_id: Cow::Owned(derive_event_id(text, DELIVERY_FIELDS)),
        occurred_at,
        payload: Cow::Borrowed(payload),
        row: EventRow::Audit {
            key: Cow::Borrowed(&key),
            row,
        },
    }));
    Ok(())
}
