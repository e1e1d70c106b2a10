//! Alibaba OSS through EventBridge: CloudEvents around one record (`domain/storage-events.md`, section 4).

use std::borrow::Cow;

use serde::Deserialize;

use super::object_event::{Found, required, trimmed};
use super::oss::OssRecord;
use super::{Format, Notification, read};
use crate::decode::scalar::{Object, Text};
use crate::decode::time::Instant;
use crate::event::{Reject, SkipReason};

pub(super) const FORMAT: Format = Format {
    recognize: |head| {
        head.source.as_deref() == Some("acs.oss") && head.cloud_event_type.as_deref().is_some()
    },
    decode,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CloudEvent<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow, rename = "type")]
    event_type: Text<'a>,
    time: Instant,
    /// `acs:oss:<region>:<owner>:<bucket>/<key>`.
    #[serde(borrow)]
    subject: Text<'a>,
    #[serde(borrow, rename = "aliyunaccountid")]
    account: Text<'a>,
    #[serde(borrow, rename = "aliyunregionid")]
    region: Text<'a>,
    #[serde(borrow)]
    data: Object<OssRecord<'a>>,
}

fn decode(notification: Notification<'_>) -> Result<Found<'_>, Reject> {
    let event: CloudEvent<'_> = read(notification.text)?;
    let event_type = required(Text(trimmed(event.event_type)), "type")?;
    let event_name = event_type.strip_prefix("oss:").unwrap_or(&event_type);
    // Buckets, bandwidth, audit trails, copies made by the store itself: nothing about a client's object.
    if !event_name.starts_with("Object") || event_name.starts_with("ObjectReplication:") {
        return Ok(Found::Nothing(SkipReason::ControlMessage));
    }
    let mut record = event.data.0.unwrap_or_default();
    fill(&mut record.event_name, Some(event_name));
    fill(&mut record.region, event.region.as_deref());
    if record.event_time.micros().is_none() {
        record.event_time = event.time;
    }
    let oss = record.oss.0.get_or_insert_default();
    let bucket = oss.bucket.0.get_or_insert_default();
    let subject = event
        .subject
        .as_deref()
        .and_then(|subject| subject.split_once('/'));
    if let Some((arn, key)) = subject {
        fill(&mut bucket.arn, Some(arn));
        fill(&mut bucket.name, arn.splitn(5, ':').nth(4));
        fill(&mut oss.object.0.get_or_insert_default().key, Some(key));
    }
    fill(&mut bucket.owner, event.account.as_deref());
    let mut object_event = record.into_object_event()?;
    if let Some(id) = event.id.filled() {
        object_event.event_id = Some(id.into_owned());
    }
    Ok(Found::Event(object_event))
}

/// Sets what the record leaves out and the event around it says.
fn fill(text: &mut Text<'_>, value: Option<&str>) {
    if text.as_deref().is_none_or(str::is_empty) {
        text.0 = value.map(|value| Cow::Owned(value.to_string()));
    }
}
