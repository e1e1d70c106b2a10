//! Azure Blob Storage through Event Grid, in its own schema and in CloudEvents (`domain/storage-events.md`, section 5).

use std::borrow::Cow;

use serde::Deserialize;

use super::key_encoding::percent_decoded;
use super::object_event::{Found, Kind, ObjectEvent, required};
use super::{Format, Notification, read};
use crate::decode::scalar::{Long, Object, Text};
use crate::decode::time::Instant;
use crate::event::{Reject, SkipReason};
use crate::vendor;

const SERVICE: &str = "Microsoft.Storage.";

pub(super) const FORMAT: Format = Format {
    recognize: |head| {
        let is_storage = |name: Option<&str>| name.is_some_and(|name| name.starts_with(SERVICE));
        is_storage(head.event_type.as_deref()) || is_storage(head.cloud_event_type.as_deref())
    },
    decode,
};

/// The names of Event Grid's own schema, and beside them those of CloudEvents.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event<'a> {
    #[serde(borrow)]
    id: Text<'a>,
    #[serde(borrow, rename = "eventType")]
    event_type: Text<'a>,
    #[serde(borrow, rename = "type")]
    cloud_event_type: Text<'a>,
    #[serde(rename = "eventTime")]
    event_time: Instant,
    time: Instant,
    /// `/subscriptions/.../storageAccounts/<account>`.
    #[serde(borrow)]
    topic: Text<'a>,
    #[serde(borrow)]
    source: Text<'a>,
    /// `/blobServices/default/containers/<container>/blobs/<key>`; the key is not encoded.
    #[serde(borrow)]
    subject: Text<'a>,
    #[serde(borrow)]
    data: Object<Data<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Data<'a> {
    #[serde(borrow)]
    api: Text<'a>,
    #[serde(rename = "contentLength")]
    size: Long,
    #[serde(borrow, rename = "eTag")]
    etag: Text<'a>,
    #[serde(borrow, rename = "blobVersion")]
    version: Text<'a>,
    /// Percent-encoded.
    #[serde(borrow)]
    url: Text<'a>,
    #[serde(borrow)]
    sequencer: Text<'a>,
}

fn decode(notification: Notification<'_>) -> Result<Found<'_>, Reject> {
    let event: Event<'_> = read(notification.text)?;
    let event_type = event
        .event_type
        .filled()
        .or(event.cloud_event_type.filled());
    let event_type = required(Text(event_type), "eventType")?;
    let data = event.data.0.unwrap_or_default();
    let url = data.url.as_deref().unwrap_or_default();
    let account = account(event.topic)
        .or_else(|| account(event.source))
        .or_else(|| account_of_host(url));
    let Some((container, key)) = name(event.subject).or_else(|| name_of_url(url)) else {
        // A policy that has run, an inventory: about no blob.
        return match event_type.starts_with("Microsoft.Storage.Blob") {
            true => Err(crate::decode::missing("subject")),
            false => Ok(Found::Nothing(SkipReason::ControlMessage)),
        };
    };
    let occurred_at = event.event_time.micros().or(event.time.micros());
    Ok(Found::Event(ObjectEvent {
        provider: "azblob",
        vendor: Some(5),
        event_id: event.id.filled().map(String::from),
        occurred_at,
        account,
        bucket: required(Text(Some(container)), "container")?,
        region_code: None,
        key: required(Text(Some(key)), "subject")?,
        kind: kind(&event_type, data.api.as_deref().unwrap_or_default()),
        event_name: Some(event_type),
        size: data.size.0,
        etag: data.etag.filled(),
        version: data.version.filled(),
        sequencer: data.sequencer.filled(),
    }))
}

type Name<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Reads container and key from a subject.
fn name(subject: Text<'_>) -> Option<Name<'_>> {
    fn split(subject: &str) -> Option<(&str, &str)> {
        let (_, path) = subject.split_once("/containers/")?;
        path.split_once("/blobs/")
    }
    Some(match subject.0? {
        Cow::Borrowed(subject) => {
            let (container, key) = split(subject)?;
            (Cow::Borrowed(container), Cow::Borrowed(key))
        }
        Cow::Owned(subject) => {
            let (container, key) = split(&subject)?;
            (
                Cow::Owned(container.to_string()),
                Cow::Owned(key.to_string()),
            )
        }
    })
}

/// Reads container and key from `https://<account>.blob.core.windows.net/<container>/<key>`.
fn name_of_url<'a>(url: &str) -> Option<Name<'a>> {
    let (_, path) = url[vendor::authority_at(url)..].split_once('/')?;
    let (container, key) = path.split(['?', '#']).next()?.split_once('/')?;
    let key = percent_decoded(key)?;
    Some((Cow::Owned(container.to_string()), Cow::Owned(key)))
}

fn account<'a>(topic: Text<'_>) -> Option<Cow<'a, str>> {
    let (_, account) = topic.as_deref()?.split_once("/storageAccounts/")?;
    let account = account.split('/').next().filter(|name| !name.is_empty())?;
    Some(Cow::Owned(account.to_string()))
}

fn account_of_host<'a>(url: &str) -> Option<Cow<'a, str>> {
    let host = vendor::host(url)?;
    let (account, _) = host.split_once('.')?;
    Some(Cow::Owned(account.to_string()))
}

/// Only what these calls leave behind is a whole blob: others tell of one that is still empty or grows.
fn kind(event_type: &str, api: &str) -> Kind {
    match event_type.strip_prefix(SERVICE) {
        Some("BlobCreated") => match api {
            "PutBlob" | "PutBlockList" | "CopyBlob" | "FlushWithClose" => Kind::Created,
            _ => Kind::Other,
        },
        Some("BlobDeleted") => Kind::Removed,
        _ => Kind::Other,
    }
}
