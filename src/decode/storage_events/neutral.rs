//! The neutral form, for stores whose notifications are not read as they are (design, section 2).

use std::borrow::Cow;

use serde::Deserialize;

use super::object_event::{Found, Kind, ObjectEvent, required, trimmed};
use super::{Format, Notification, read};
use crate::decode::scalar::{Long, Text, integer};
use crate::decode::time::Instant;
use crate::event::{Reject, RejectCode};
use crate::vendor;

/// Google's object resource has `kind` and `bucket` too, but no `key`.
pub(super) const FORMAT: Format = Format {
    recognize: |head| {
        head.bucket.as_deref().is_some()
            && head.key.as_deref().is_some()
            && (head.kind.as_deref().is_some() || head.occurred_at.as_deref().is_some())
    },
    decode,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Neutral<'a> {
    #[serde(borrow)]
    event_id: Text<'a>,
    occurred_at: Instant,
    #[serde(borrow)]
    kind: Text<'a>,
    #[serde(borrow)]
    vendor: Text<'a>,
    #[serde(borrow)]
    account: Text<'a>,
    #[serde(borrow)]
    bucket: Text<'a>,
    #[serde(borrow)]
    region: Text<'a>,
    #[serde(borrow)]
    key: Text<'a>,
    size: Long,
    #[serde(borrow)]
    etag: Text<'a>,
    #[serde(borrow)]
    version: Text<'a>,
    #[serde(borrow)]
    sequencer: Text<'a>,
}

fn decode(notification: Notification<'_>) -> Result<Found<'_>, Reject> {
    let event: Neutral<'_> = read(notification.text)?;
    let kind = match &*required(event.kind, "kind")? {
        "created" => Kind::Created,
        "removed" => Kind::Removed,
        "other" => Kind::Other,
        _ => {
            return Err(Reject::new(
                RejectCode::InvalidField,
                "`kind` must be \"created\" or \"removed\", or \"other\" for what is no finished object",
            ));
        }
    };
    let vendor = vendor_number(event.vendor)?;
    Ok(Found::Event(ObjectEvent {
        provider: "neutral",
        vendor,
        event_id: event.event_id.filled().map(String::from),
        occurred_at: event.occurred_at.micros(),
        account: event.account.filled(),
        bucket: required(event.bucket, "bucket")?,
        region_code: region(event.region, vendor),
        key: required(event.key, "key")?,
        kind,
        event_name: None,
        size: event.size.0,
        etag: event.etag.filled(),
        version: event.version.filled(),
        sequencer: event.sequencer.filled(),
    }))
}

/// A number is taken as it is, also one that is not known yet; a name must be known.
fn vendor_number(text: Text<'_>) -> Result<Option<i32>, Reject> {
    let Some(text) = text.filled() else {
        return Ok(None);
    };
    let number = integer(&text).and_then(|number| i32::try_from(number).ok());
    match number.or_else(|| vendor::from_text(&text)) {
        Some(number) => Ok(Some(number)),
        None => {
            let slugs: Vec<_> = vendor::vendors()
                .iter()
                .filter_map(|vendor| vendor.slug)
                .collect();
            Err(Reject::new(
                RejectCode::InvalidField,
                format!(
                    "`vendor` must be Agora's number or one of {}",
                    slugs.join(", ")
                ),
            ))
        }
    }
}

/// The vendor's own code; Agora's number of a region is turned into it.
fn region(text: Text<'_>, vendor: Option<i32>) -> Option<Cow<'_, str>> {
    let text = trimmed(text)?;
    let number = text.parse().ok();
    match vendor.zip(number) {
        Some((vendor, number)) => vendor::region_code(vendor, number).map(Cow::Borrowed),
        None => Some(text),
    }
}
