//! Google Cloud Storage through Pub/Sub (`domain/storage-events.md`, section 6): attributes that say what happened, in
//! an object of their own or as fields of the message, and beside them the object as base64, if it is sent at all.

use std::borrow::Cow;

use serde::Deserialize;

use super::object_event::{Found, Kind, ObjectEvent, required};
use super::{Format, Notification, read, wrapper};
use crate::decode::scalar::{Long, Object, Text};
use crate::decode::time::Instant;
use crate::event::Reject;

/// Also an object without the attributes, which a connector may leave in the headers.
pub(super) const FORMAT: Format = Format {
    recognize: |head| {
        let attributes = head.attributes.0.as_ref();
        attributes.is_some_and(|has| has.bucket.0.is_some() && has.object.0.is_some())
            || head.kind.as_deref() == Some("storage#object")
            || head
                .event_type
                .as_deref()
                .is_some_and(|name| name.starts_with("OBJECT_"))
    },
    decode,
};

pub(super) const PROVIDER: &str = "gcs";
pub(super) const VENDOR: i32 = 6;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    #[serde(borrow)]
    attributes: Object<Attributes<'a>>,
    /// The object, in base64.
    #[serde(borrow)]
    data: Text<'a>,
    /// The same from a connector.
    #[serde(borrow)]
    message: Text<'a>,
    #[serde(borrow, rename = "messageId")]
    id: Text<'a>,
    /// Both spellings can stand in one message.
    #[serde(borrow, rename = "message_id")]
    id_in_snake_case: Text<'a>,
    #[serde(rename = "publishTime")]
    published_at: Instant,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Attributes<'a> {
    #[serde(borrow, rename = "eventType")]
    event_type: Text<'a>,
    #[serde(borrow, rename = "bucketId")]
    bucket: Text<'a>,
    #[serde(borrow, rename = "objectId")]
    object: Text<'a>,
    #[serde(borrow, rename = "objectGeneration")]
    generation: Text<'a>,
    #[serde(rename = "eventTime")]
    event_time: Instant,
    /// The object that takes the place of the one that goes.
    #[serde(borrow, rename = "overwrittenByGeneration")]
    overwritten_by: Text<'a>,
}

/// An object as the JSON API describes it. Names are not encoded.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Resource<'a> {
    #[serde(borrow)]
    pub bucket: Text<'a>,
    #[serde(borrow)]
    pub name: Text<'a>,
    #[serde(borrow)]
    pub generation: Text<'a>,
    pub size: Long,
    #[serde(borrow)]
    pub etag: Text<'a>,
    pub updated: Instant,
    #[serde(rename = "timeCreated")]
    pub created: Instant,
}

fn decode(notification: Notification<'_>) -> Result<Found<'_>, Reject> {
    let message: Message<'_> = read(notification.text)?;
    let attributes: Attributes<'_> = match message.attributes.0 {
        Some(attributes) => attributes,
        None => read(notification.text)?,
    };
    let data = message.data.filled().or(message.message.filled());
    let data = data.and_then(|data| wrapper::unwrap(&data).ok().map(Cow::into_owned));
    let resource: Resource<'_> = match &data {
        // What is wrong there costs what only it says.
        Some(data) => read(data).unwrap_or_default(),
        None => read(notification.text)?,
    };
    let event_type = attributes.event_type.filled();
    let is_replaced = attributes.overwritten_by.filled().is_some();
    let generation = attributes
        .generation
        .filled()
        .or(owned(resource.generation));
    let bucket = attributes.bucket.filled().or(owned(resource.bucket));
    let key = attributes.object.filled().or(owned(resource.name));
    let id = message.id.filled().or(message.id_in_snake_case.filled());
    let times = [
        attributes.event_time,
        resource.updated,
        resource.created,
        message.published_at,
    ];
    Ok(Found::Event(ObjectEvent {
        provider: PROVIDER,
        vendor: Some(VENDOR),
        event_id: id.map(String::from),
        occurred_at: times.into_iter().find_map(Instant::micros),
        account: None,
        bucket: required(Text(bucket), "bucketId")?,
        region_code: None,
        key: required(Text(key), "objectId")?,
        kind: kind(event_type.as_deref().unwrap_or_default(), is_replaced),
        event_name: event_type,
        size: resource.size.0,
        etag: owned(resource.etag),
        version: generation.clone(),
        sequencer: generation,
    }))
}

/// Copies what was read from text that is gone when the event is handed on.
fn owned<'a>(text: Text<'_>) -> Option<Cow<'a, str>> {
    text.filled().map(|text| Cow::Owned(text.into_owned()))
}

/// Reads an event's name. An object that another one replaces does not go: the other's own event says what is there
/// now. Where nothing says what happened to the object, it is not taken for a new one.
pub(super) fn kind(event_type: &str, is_replaced: bool) -> Kind {
    match event_type {
        "OBJECT_FINALIZE" => Kind::Created,
        "OBJECT_DELETE" | "OBJECT_ARCHIVE" if !is_replaced => Kind::Removed,
        _ => Kind::Other,
    }
}
