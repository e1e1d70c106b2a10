//! What the service says of the upload of files -> `upload_status` (design, section 4). One object a file and state, as its
//! support exports it; a line of CSV becomes one before it comes here.

use std::borrow::Cow;

use serde::Deserialize;

use super::identity::{DELIVERY_FIELDS, derive_event_id};
use super::object_key;
use super::scalar::{Text, lower_case};
use super::time::parse_assuming_utc;
use super::{DecodeContext, Decoded, Emit, each_element, missing, reject};
use crate::event::{Reject, RejectCode};
use crate::table::rows::{Event, EventRow};
use crate::table::upload_status::UploadStatusRow;
use crate::vendor;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct UploadStatus<'a> {
    #[serde(borrow)]
    sid: Text<'a>,
    #[serde(borrow)]
    file: Text<'a>,
    /// A number, or a name.
    #[serde(borrow)]
    vendor: Text<'a>,
    #[serde(borrow)]
    bucket: Text<'a>,
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow)]
    at: Text<'a>,
}

/// Decodes every state of a message.
pub(super) fn decode(
    text: &str,
    _context: &DecodeContext<'_>,
    emit: &mut Emit<'_>,
) -> Result<(), Reject> {
    each_element(text, text, emit, decode_one)
}

fn decode_one(text: &str, payload: &str, emit: &mut Emit<'_>) -> Result<(), Reject> {
    let state: UploadStatus<'_> = serde_json::from_str(text).map_err(|error| reject(&error))?;
    let file = state.file.filled();
    let name = object_key::parse(file.as_deref().unwrap_or_default());
    let sid = state.sid.filled().map(lower_case);
    let sid = sid.or(name.sid).ok_or_else(|| missing("sid"))?;
    let status = state.status.filled().ok_or_else(|| missing("status"))?;
    let at = state.at.filled().ok_or_else(|| missing("at"))?;
    let at = parse_assuming_utc(&at)
        .ok_or_else(|| Reject::new(RejectCode::InvalidField, "`at` is no time"))?;
    let vendor = state.vendor.filled();
    let vendor = vendor.and_then(|vendor| vendor::from_text(&vendor));
    let row = UploadStatusRow {
        sid: Some(sid),
        file_name: name.file_name.map(Cow::Borrowed),
        file: file.as_deref().map(Cow::Borrowed),
        vendor,
        vendor_name: vendor.and_then(vendor::slug).map(Cow::Borrowed),
        bucket: state.bucket.filled(),
        status: Some(lower_case(status)),
    };
    emit(Decoded::Event(Event {
        event_id: Cow::Owned(derive_event_id(text, DELIVERY_FIELDS)),
        occurred_at: Some(at),
        payload: Cow::Borrowed(payload),
        row: EventRow::UploadStatus(row),
    }));
    Ok(())
}
