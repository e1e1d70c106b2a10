//! Tencent COS notifications, each record by itself (`domain/storage-events.md`, section 7).

use std::borrow::Cow;

use serde::Deserialize;

use super::key_encoding::{percent_decoded, plain_or_decoded};
use super::object_event::{Found, Kind, ObjectEvent, joined_id, required, trimmed};
use super::{Format, Notification, read};
use crate::decode::scalar::{Long, Object, Text};
use crate::decode::time::Instant;
use crate::event::Reject;
use crate::vendor;

/// The event's source lies deeper than the head is read, and nobody else has such a member.
pub(super) const FORMAT: Format = Format {
    recognize: |head| head.cos.object().is_some(),
    decode,
};

const VENDOR: i32 = 3;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Record<'a> {
    #[serde(borrow)]
    cos: Object<Cos<'a>>,
    #[serde(borrow)]
    event: Object<Event<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cos<'a> {
    #[serde(borrow, rename = "cosBucket")]
    bucket: Object<Bucket<'a>>,
    #[serde(borrow, rename = "cosObject")]
    object: Object<CosObject<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Bucket<'a> {
    /// Without the account behind it.
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    appid: Text<'a>,
    /// Short: `cd`; or the code.
    #[serde(borrow)]
    region: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CosObject<'a> {
    /// `/<appid>/<bucket>/<key>`.
    #[serde(borrow)]
    key: Text<'a>,
    /// Percent-encoded.
    #[serde(borrow)]
    url: Text<'a>,
    size: Long,
    #[serde(borrow, rename = "vid")]
    version: Text<'a>,
    #[serde(borrow)]
    meta: Object<Meta<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Meta<'a> {
    #[serde(borrow, rename = "x-cos-request-id")]
    request_id: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Event<'a> {
    #[serde(borrow, rename = "eventName")]
    name: Text<'a>,
    /// Whole seconds.
    #[serde(rename = "eventTime")]
    time: Instant,
    #[serde(borrow, rename = "reqid")]
    request_id: Text<'a>,
}

fn decode(notification: Notification<'_>) -> Result<Found<'_>, Reject> {
    let record: Record<'_> = read(notification.text)?;
    let cos = record.cos.0.unwrap_or_default();
    let event = record.event.0.unwrap_or_default();
    let bucket = cos.bucket.0.unwrap_or_default();
    let object = cos.object.0.unwrap_or_default();
    let name = required(Text(trimmed(bucket.name)), "cos.cosBucket.name")?;
    let account = trimmed(bucket.appid);
    let event_name = required(event.name, "event.eventName")?;
    let url = object.url.as_deref().unwrap_or_default();
    let key = key(object.key, account.as_deref(), &name, path_of(url));
    let key = required(Text(key), "cos.cosObject.key")?;
    let meta = object.meta.0.unwrap_or_default();
    let event_id = joined_id(&meta.request_id, &[Some(&key)])
        .or_else(|| joined_id(&event.request_id, &[Some(&key)]));
    Ok(Found::Event(ObjectEvent {
        provider: "cos",
        vendor: Some(VENDOR),
        event_id,
        occurred_at: event.time.micros(),
        region_code: region(url, bucket.region),
        bucket: whole_name(name, account.as_deref()),
        account,
        key,
        kind: kind(&event_name),
        event_name: Some(event_name),
        size: object.size.0,
        etag: None,
        version: object.version.filled(),
        sequencer: None,
    }))
}

/// Returns the bucket's name as everybody but the notification writes it: `<name>-<appid>`.
fn whole_name<'a>(name: Cow<'a, str>, account: Option<&str>) -> Cow<'a, str> {
    match account {
        Some(account) if name.rsplit('-').next() != Some(account) => {
            Cow::Owned(format!("{name}-{account}"))
        }
        _ => name,
    }
}

/// Takes the path off the key, or the key from the URL. Whether the key is encoded is stated nowhere; the URL is, so
/// a key that stands there just so is encoded, too.
fn key<'a>(
    written: Text<'a>,
    account: Option<&str>,
    bucket: &str,
    path: &str,
) -> Option<Cow<'a, str>> {
    let Some(written) = written.filled() else {
        return percent_decoded(path).map(Cow::Owned);
    };
    let start = written.len() - without_path(&written, account, bucket).len();
    let key = match written {
        Cow::Borrowed(written) => Cow::Borrowed(&written[start..]),
        Cow::Owned(mut written) => Cow::Owned(written.split_off(start)),
    };
    if key.is_empty() || key == path {
        return percent_decoded(path).map(Cow::Owned);
    }
    Some(plain_or_decoded(key))
}

/// Drops `/<appid>/<bucket>/`; of a key without it the leading slash.
fn without_path<'k>(written: &'k str, account: Option<&str>, bucket: &str) -> &'k str {
    let key = written.strip_prefix('/').unwrap_or(written);
    let below = |path: &'k str, name: &str| path.strip_prefix(name)?.strip_prefix('/');
    account
        .and_then(|account| below(key, account))
        .and_then(|rest| below(rest, bucket))
        .unwrap_or(key)
}

fn path_of(url: &str) -> &str {
    let path = url[vendor::authority_at(url)..]
        .split_once('/')
        .map_or("", |(_, path)| path);
    path.split(['?', '#']).next().unwrap_or_default()
}

/// Reads the region from the URL's host, `<bucket>.cos.<region>.myqcloud.com`, formerly `<bucket>.cos<region>...`;
/// else from its field.
fn region<'a>(url: &str, field: Text<'a>) -> Option<Cow<'a, str>> {
    let host = vendor::host(url);
    let in_host = host.as_deref().and_then(|host| {
        let mut labels = host.strip_suffix(".myqcloud.com")?.split('.').skip(1);
        let label = labels.next()?.strip_prefix("cos")?;
        match label {
            "" => labels.next(),
            region => Some(region.trim_start_matches('-')),
        }
    });
    if let Some(region) = in_host.filter(|region| !region.is_empty()) {
        let code = vendor::region_code_of_event(VENDOR, region);
        return Some(Cow::Owned(code.to_string()));
    }
    let field = trimmed(field)?;
    match vendor::region_code_of_event(VENDOR, &field) {
        code if code == field => Some(field),
        code => Some(Cow::Owned(code.to_string())),
    }
}

/// Reads an event's name. `cos:ObjectCreated:*` stands in the events of whoever subscribed to all of them.
fn kind(event_name: &str) -> Kind {
    match event_name.strip_prefix("cos:").unwrap_or(event_name) {
        "ObjectCreated:*"
        | "ObjectCreated:Put"
        | "ObjectCreated:Post"
        | "ObjectCreated:Copy"
        | "ObjectCreated:CompleteMultipartUpload" => Kind::Created,
        "ObjectRemove:*" | "ObjectRemove:Delete" | "ObjectRemove:DeleteMarkerCreated" => {
            Kind::Removed
        }
        _ => Kind::Other,
    }
}
