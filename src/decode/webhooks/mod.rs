//! Notifications of the recording service (`domain/webhooks.md`): as they came, in an array, or wrapped by
//! whoever received them.

mod notification;
mod signature;

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

pub use self::signature::{Signature, check_body, check_signature};

use self::notification::Payload;
use super::identity::{DELIVERY_FIELDS, derive_event_id};
use super::scalar::{Int, Object, Text};
use super::time::Instant;
use super::{DecodeContext, Decoded, Emit, each_element, missing, reject};
use crate::event::{Micros, Reject, RejectCode};
use crate::table::rows::{Event, EventRow};
use crate::table::webhooks::WebhookRow;

/// Decodes every notification of a message.
pub(super) fn decode(
    text: &str,
    context: &DecodeContext<'_>,
    emit: &mut Emit<'_>,
) -> Result<(), Reject> {
    each_element(text, text, emit, |text, payload, emit| {
        decode_message(text, payload, context.signature, emit)
    })
}

/// A notification's envelope and a receiver's wrapper in one: which it is, its fields say.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Message<'a> {
    #[serde(borrow, rename = "noticeId")]
    notice_id: Text<'a>,
    /// `noticeId` before 2019-08-27.
    #[serde(rename = "notificationId")]
    notification_id: Text<'a>,
    #[serde(rename = "productId")]
    product_id: Int,
    #[serde(rename = "eventType")]
    event_type: Int,
    #[serde(rename = "notifyMs")]
    notify_ms: Instant,
    #[serde(rename = "eventMs")]
    event_ms: Instant,
    sid: Text<'a>,
    payload: Object<Payload<'a>>,
    /// Set by the deliverer, with a wrapper or without.
    app_id: Text<'a>,
    received_at: Instant,
    response_status: Int,
    raw_body: Option<&'a RawValue>,
    body: Option<&'a RawValue>,
}

impl<'a> Message<'a> {
    fn is_notification(&self) -> bool {
        let is_named = self.notice_id.0.is_some() || self.notification_id.0.is_some();
        is_named || self.event_type.0.is_some() || self.payload.0.is_some()
    }

    /// Returns what a wrapper holds: an object or a list, in its place or as text. The bytes as received go before
    /// what someone made of them, unless only the latter can be read.
    fn wrapped(&self) -> Option<Cow<'a, str>> {
        let is_json = |text: &str| serde_json::from_str::<IgnoredAny>(text).is_ok();
        match (
            self.raw_body.and_then(json_text),
            self.body.and_then(json_text),
        ) {
            (Some(raw), Some(body)) if !is_json(&raw) => Some(body),
            (raw, body) => raw.or(body),
        }
    }
}

fn json_text(body: &RawValue) -> Option<Cow<'_, str>> {
    match body.get().as_bytes() {
        [b'{' | b'[', ..] => Some(Cow::Borrowed(body.get())),
        [b'"', ..] => {
            let text: String = serde_json::from_str(body.get()).ok()?;
            (!text.trim().is_empty()).then_some(Cow::Owned(text))
        }
        _ => None,
    }
}

/// What the receiver says about a delivery.
#[derive(Clone, Copy, Default)]
struct Delivery<'d> {
    signature: Signature<'d>,
    app_id: Option<&'d str>,
    delivered_at: Option<Micros>,
    response_status: Option<i32>,
}

/// Decodes an element of the message: a notification, or a wrapper around one or several.
fn decode_message(
    text: &str,
    payload: &str,
    signature: Signature<'_>,
    emit: &mut Emit<'_>,
) -> Result<(), Reject> {
    let message: Message<'_> = serde_json::from_str(text).map_err(|error| reject(&error))?;
    let mut delivery = Delivery {
        signature,
        ..Delivery::default()
    };
    if message.is_notification() {
        return emit_notification(message, text, payload, &delivery, emit);
    }
    let Some(body) = message.wrapped() else {
        return Err(unknown_shape());
    };
    delivery.app_id = message.app_id.as_deref();
    delivery.delivered_at = message.received_at.micros();
    delivery.response_status = message.response_status.0;
    let outcome = each_element(&body, payload, emit, |text, payload, emit| {
        let message: Message<'_> = serde_json::from_str(text).map_err(|error| reject(&error))?;
        match message.is_notification() {
            true => emit_notification(message, text, payload, &delivery, emit),
            false => Err(unknown_shape()),
        }
    });
    outcome.map_err(|inner| Reject {
        detail: format!("in the wrapper's body: {}", inner.detail),
        ..inner
    })
}

/// Emits one notification. `text` is its own, from which an id is derived; `payload` is what the row keeps.
fn emit_notification(
    message: Message<'_>,
    text: &str,
    payload: &str,
    delivery: &Delivery<'_>,
    emit: &mut Emit<'_>,
) -> Result<(), Reject> {
    let event_type = message.event_type.0.ok_or_else(|| missing("eventType"))?;
    let notice_id = message
        .notice_id
        .filled()
        .or_else(|| message.notification_id.filled());
    let (signature, key_id) = match delivery.signature {
        Signature::Unchecked => ("unchecked", None),
        Signature::Valid { key_id } => ("valid", Some(key_id)),
        Signature::Invalid => ("invalid", None),
    };
    let app_id = message.app_id.filled();
    let mut row = WebhookRow {
        app_id: app_id.or_else(|| delivery.app_id.map(Cow::Borrowed)),
        notice_id: notice_id.clone(),
        product_id: message.product_id.0,
        event_type: Some(event_type),
        sid: message.sid.filled(),
        notified_at: message.notify_ms.micros(),
        signature: Some(Cow::Borrowed(signature)),
        signature_key_id: key_id.map(Cow::Borrowed),
        delivered_at: delivery.delivered_at.or(message.received_at.micros()),
        response_status: delivery.response_status.or(message.response_status.0),
        ..WebhookRow::default()
    };
    notification::fill(&mut row, event_type, message.payload.0.unwrap_or_default());
    let event_id = notice_id.unwrap_or_else(|| derive_event_id(text, DELIVERY_FIELDS).into());
    let occurred_at = row
        .sent_at
        .or(message.event_ms.micros())
        .or(row.notified_at);
    emit(Decoded::Event(Event {
        event_id,
        occurred_at,
        payload: Cow::Borrowed(payload),
        row: EventRow::Webhook(row),
    }));
    Ok(())
}

fn unknown_shape() -> Reject {
    Reject::new(
        RejectCode::UnknownShape,
        "this is neither a notification (`noticeId`, `eventType`, `payload`) nor a wrapper around one (`raw_body`, `body`)",
    )
}

#[cfg(test)]
mod tests;
