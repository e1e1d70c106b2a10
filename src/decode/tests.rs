//! What every decoder promises, and the helpers by which the tests of single streams read a message.

use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::redact::Redactor;
use crate::redact::outline::Outline;
use crate::table::api_calls::ApiCallRow;
use crate::table::rows::EventRow;
use crate::table::webhooks::WebhookRow;

/// Decodes a message and keeps what it gave longer than the message, after checking that its outline gives the same.
pub(super) fn decoded_with(
    stream: Stream,
    text: &str,
    context: &DecodeContext<'_>,
) -> Result<Vec<Decoded<'static>>, Reject> {
    let (mut redacted, mut outline) = (String::new(), Outline::default());
    let redactor = Redactor::new(None);
    let outcome = redactor.json_with_outline(text.as_bytes(), &mut redacted, &mut outline);
    if outcome.is_ok() {
        let outlined = outline.of(&redacted);
        assert_eq!(
            decoded_once(
                stream,
                &redacted,
                &DecodeContext {
                    outlined,
                    ..*context
                }
            ),
            decoded_once(stream, &redacted, context),
            "{text}"
        );
    }
    decoded_once(stream, text, context)
}

fn decoded_once(
    stream: Stream,
    text: &str,
    context: &DecodeContext<'_>,
) -> Result<Vec<Decoded<'static>>, Reject> {
    let mut all = Vec::new();
    let outcome = decode(stream, text, context, &mut |one| all.push(owned(one)));
    if outcome.is_err() {
        assert_eq!(all, [], "a dead letter emits nothing");
    }
    outcome.map(|()| all)
}

pub(super) fn decoded(stream: Stream, text: &str) -> Result<Vec<Decoded<'static>>, Reject> {
    decoded_with(stream, text, &DecodeContext::default())
}

/// Decodes a message that holds one event.
pub(super) fn event(stream: Stream, text: &str) -> Event<'static> {
    let all = decoded(stream, text).unwrap_or_else(|reject| panic!("{reject:?} for {text}"));
    match <[_; 1]>::try_from(all) {
        Ok([Decoded::Event(event)]) => event,
        other => panic!("not one event: {other:?}"),
    }
}

/// Decodes a message that is a dead letter as a whole.
pub(super) fn rejected(stream: Stream, text: &str) -> Reject {
    decoded(stream, text).expect_err(text)
}

fn owned(decoded: Decoded<'_>) -> Decoded<'static> {
    match decoded {
        Decoded::Event(event) => Decoded::Event(Event {
            event_id: event.event_id.into_owned().into(),
            occurred_at: event.occurred_at,
            payload: event.payload.into_owned().into(),
            row: match event.row {
                EventRow::ApiCall(row) => EventRow::ApiCall(owned_api_call(row)),
                EventRow::Webhook(row) => EventRow::Webhook(owned_webhook(row)),
                other => panic!("no row of these tests: {other:?}"),
            },
        }),
        Decoded::Skipped { reason, payload } => Decoded::Skipped {
            reason,
            payload: payload.own(),
        },
        Decoded::Rejected { reject, payload } => Decoded::Rejected {
            reject,
            payload: payload.own(),
        },
    }
}

/// A column's value that no longer borrows.
trait Own {
    type Owned;
    fn own(self) -> Self::Owned;
}

impl Own for Option<Cow<'_, str>> {
    type Owned = Option<Cow<'static, str>>;
    fn own(self) -> Self::Owned {
        self.map(|text| Cow::Owned(text.into_owned()))
    }
}

impl Own for Option<Vec<Cow<'_, str>>> {
    type Owned = Option<Vec<Cow<'static, str>>>;
    fn own(self) -> Self::Owned {
        self.map(|texts| {
            texts
                .into_iter()
                .map(|text| Cow::Owned(text.into_owned()))
                .collect()
        })
    }
}

macro_rules! own_as_it_is {
    ($($kind:ty),+) => {
        $(impl Own for Option<$kind> {
            type Owned = Self;
            fn own(self) -> Self {
                self
            }
        })+
    };
}
own_as_it_is!(i32, i64, bool);

macro_rules! owned_row {
    ($name:ident: $row:ident { $($column:ident),+ $(,)? }) => {
        fn $name(row: $row<'_>) -> $row<'static> {
            $row { $($column: row.$column.own(),)+ }
        }
    };
}
owned_row!(owned_api_call: ApiCallRow {
            app_id, operation, mode, cname, uid, resource_id, sid, requested_at, responded_at, http_status,
            code, reason_text, outcome, error, vendor, vendor_name, region, region_code, bucket, endpoint,
            prefix, access_key_fingerprint, sts_expires_at, start_parameter_vendor,
            start_parameter_vendor_name, start_parameter_region, start_parameter_region_code,
            start_parameter_bucket, start_parameter_endpoint, start_parameter_prefix,
            start_parameter_access_key_fingerprint, exclude_resource_ids, resource_expired_hour,
            recorder_region, av_file_types, uploading_status, recording_status, files, request_host,
            request_hash, caller_service, caller_host, caller_ip, caller_region, caller_environment,
            caller_version, caller_trace_id, caller_attempt, context_user_region, context_user_ip,
            context_environment
});
owned_row!(owned_webhook: WebhookRow {
            app_id, notice_id, product_id, event_type, event_name, sid, cname, uid, sequence, sent_at,
            notified_at, service_type, service_scene, signature, signature_key_id, is_test, leave_code,
            exit_status, module, error_code, error_level, error_message, warn_code, status, progress,
            new_uid, stop_code, result, stream_uid, stream_state, files, vendor, vendor_name, region,
            region_code, bucket, delivered_at, response_status
});

fn any_json() -> impl Strategy<Value = Value> {
    // Names that the decoders know, so that odd values reach every field.
    const KEYS: [&str; 34] = [
        "requested_at",
        "responded_at",
        "app_id",
        "event_id",
        "request",
        "response",
        "url",
        "body",
        "status",
        "cname",
        "uid",
        "sid",
        "code",
        "clientRequest",
        "storageConfig",
        "startParameter",
        "vendor",
        "region",
        "fileNamePrefix",
        "extensionParams",
        "serverResponse",
        "fileList",
        "extensionServiceState",
        "payload",
        "caller",
        "noticeId",
        "eventType",
        "notifyMs",
        "details",
        "raw_body",
        "headers",
        "received_at",
        "uids",
        "x",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(Value::from(
            "/v1/apps/a/cloud_recording/resourceid/r/mode/mix/start"
        )),
        Just(Value::from(
            "{\"cname\":\"c\",\"clientRequest\":{\"storageConfig\":{\"vendor\":1}}}"
        )),
    ];
    leaf.prop_recursive(6, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(prop::sample::select(&KEYS[..]), inner, 0..8).prop_map(
                |members| {
                    members
                        .into_iter()
                        .map(|(key, value)| (key.to_owned(), value))
                        .collect()
                }
            ),
        ]
    })
}

proptest! {
    #[test]
    fn arbitrary_json_never_panics_and_leaves_a_trace(value in any_json()) {
        for stream in [Stream::ApiCalls, Stream::Webhooks] {
            if let Ok(all) = decoded(stream, &value.to_string()) {
                prop_assert!(!all.is_empty());
            }
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in ".{0,60}") {
        for stream in [Stream::ApiCalls, Stream::Webhooks] {
            let _ = decoded(stream, &text);
        }
    }
}

#[test]
fn deep_nesting_is_no_crash() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for stream in [Stream::ApiCalls, Stream::Webhooks] {
        assert_eq!(rejected(stream, &deep).code, RejectCode::NotAnObject);
        let inside = format!("{{\"payload\":{{\"details\":{deep}}}}}");
        assert!(decoded(stream, &inside).is_err());
    }
}
