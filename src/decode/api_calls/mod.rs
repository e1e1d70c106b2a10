//! Calls of the recording API, as a client logged them (design, section 2; API facts, sections 1, 2, 4, 5).
//!
//! The message is ours to define, so only two things are asked of it: when the call was made and to which URL.
//! Everything else is read as far as it goes: what is odd is absent, what is unknown stays in the payload.

mod body;
pub mod path;
mod request;
mod response;

use std::borrow::Cow;

use serde::Deserialize;

use self::body::{Apart, Body};
use self::path::{Operation, Path};
use self::request::{ClientRequest, RequestBody, Storage};
use self::response::ResponseBody;
use super::identity::{DELIVERY_FIELDS, derive_event_id, derive_member_id, derive_outlined_id};
use super::outlined::from_outline;
use super::scalar::{Int, Object, Text, lower_case};
use super::time::Instant;
use super::{DecodeContext, Decoded, Emit, each_element, missing, reject};
use crate::event::{Reject, RejectCode};
use crate::redact::outline::Outlined;
use crate::table::api_calls::ApiCallRow;
use crate::table::rows::{Event, EventRow};

/// Decodes one call, or a list of them.
pub(super) fn decode(
    text: &str,
    context: &DecodeContext<'_>,
    emit: &mut Emit<'_>,
) -> Result<(), Reject> {
    each_element(text, text, emit, |text, payload, emit| {
        let is_text = |outlined: &&Outlined<'_>| std::ptr::eq(outlined.text(), text);
        let outlined = context.outlined.as_ref().filter(is_text);
        decode_call(text, outlined, payload, emit)
    })
}

/// A call whose bodies are of the kinds `Q` and `R`.
#[derive(Debug, Default, Deserialize)]
#[serde(
    default,
    bound(deserialize = "Q: Default + Deserialize<'de>, R: Default + Deserialize<'de>")
)]
struct Call<'a, Q, R> {
    #[serde(borrow)]
    event_id: Text<'a>,
    requested_at: Instant,
    responded_at: Instant,
    app_id: Text<'a>,
    request: Object<Request<'a, Q>>,
    response: Object<Response<R>>,
    error: Text<'a>,
    caller: Object<Caller<'a>>,
    context: Object<UserContext<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "B: Default + Deserialize<'de>"))]
struct Request<'a, B> {
    #[serde(borrow)]
    url: Text<'a>,
    body: B,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "B: Default + Deserialize<'de>"))]
struct Response<B> {
    status: Int,
    body: B,
}

/// The backend that made the call.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Caller<'a> {
    #[serde(borrow)]
    service: Text<'a>,
    host: Text<'a>,
    ip: Text<'a>,
    region: Text<'a>,
    environment: Text<'a>,
    version: Text<'a>,
    trace_id: Text<'a>,
    attempt: Int,
}

/// The end user on whose behalf the storage was chosen.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct UserContext<'a> {
    #[serde(borrow)]
    user_region: Text<'a>,
    user_ip: Text<'a>,
    environment: Text<'a>,
}

/// Decodes the call in `text`, which `outlined` is if there is one; `payload` is what the row keeps of the message.
fn decode_call(
    text: &str,
    outlined: Option<&Outlined<'_>>,
    payload: &str,
    emit: &mut Emit<'_>,
) -> Result<(), Reject> {
    type InOnePass<'a> = Call<'a, Body<'a, RequestBody<'a>>, Body<'a, ResponseBody<'a>>>;
    if let Some(outlined) = outlined
        && let Ok(call) = from_outline::<InOnePass<'_>>(outlined)
    {
        return emit_call(call, text, Some(outlined), payload, emit);
    }
    // What is wrong, and where, only the text tells.
    if let Ok(call) = serde_json::from_str::<InOnePass<'_>>(text) {
        return emit_call(call, text, None, payload, emit);
    }
    // The fault may lie in a body, which must not cost the row.
    let call = serde_json::from_str::<Call<'_, Apart<'_>, Apart<'_>>>(text);
    emit_call(
        call.map_err(|error| reject(&error))?,
        text,
        None,
        payload,
        emit,
    )
}

fn emit_call<'a, Q, R>(
    call: Call<'a, Q, R>,
    text: &'a str,
    outlined: Option<&Outlined<'_>>,
    payload: &str,
    emit: &mut Emit<'_>,
) -> Result<(), Reject>
where
    Q: Default + Into<Body<'a, RequestBody<'a>>>,
    R: Default + Into<Body<'a, ResponseBody<'a>>>,
{
    let request = call.request.0.unwrap_or_default();
    let response = call.response.0.unwrap_or_default();
    let requested_at = match call.requested_at {
        Instant::At(at) => at,
        Instant::Absent => return Err(missing("requested_at")),
        Instant::Unreadable => {
            return Err(Reject::new(
                RejectCode::InvalidField,
                "`requested_at` is no time; write RFC 3339 or epoch milliseconds",
            ));
        }
    };
    let url = request.url.filled().ok_or_else(|| missing("request.url"))?;
    let path = path::parse(&url);

    let (request_read, request_text) = request.body.into().split();
    let (response_read, response_text) = response.body.into().split();
    let has_request_body = request_read.is_some() || request_text.is_some();
    let mut request: RequestBody<'_> = match request_read {
        Some(body) => body,
        None => body::read(request_text.as_deref(), "request.body")?,
    };
    let mut response_body: ResponseBody<'_> = match response_read {
        Some(body) => body,
        None => body::read(response_text.as_deref(), "response.body")?,
    };

    let event_id = call.event_id.filled();
    let event_id = event_id.unwrap_or_else(|| derive_event_id(text, DELIVERY_FIELDS).into());
    let mut row = ApiCallRow::default();
    fill_identity(&mut row, &path, &mut request, &mut response_body);
    let app_id = path.app_id.map(Cow::Borrowed);
    row.app_id = app_id.or_else(|| call.app_id.filled());
    row.requested_at = Some(requested_at);
    row.responded_at = call.responded_at.micros();
    row.http_status = response.status.0;
    row.error = call.error.filled();
    fill_caller(&mut row, call.caller, call.context);
    if path.operation == Operation::Start && has_request_body {
        let outlined_body = outlined.and_then(|call| call.root().member("request")?.member("body"));
        let hash = match (request_text.as_deref(), outlined_body) {
            (Some(body), _) => Some(derive_event_id(body, DELIVERY_FIELDS)),
            (None, Some(body)) => Some(derive_outlined_id(body, DELIVERY_FIELDS)),
            (None, None) => derive_member_id(text, &["request", "body"], DELIVERY_FIELDS),
        };
        row.request_hash = hash.map(Cow::Owned);
    }
    if let Some(client_request) = request.client_request.0 {
        fill_request(&mut row, client_request);
    }
    fill_response(&mut row, path.operation, response_body);
    row.request_host = path.host;
    emit(Decoded::Event(Event {
        event_id,
        occurred_at: Some(requested_at),
        payload: Cow::Borrowed(payload),
        row: EventRow::ApiCall(row),
    }));
    Ok(())
}

fn fill_caller<'a>(
    row: &mut ApiCallRow<'a>,
    caller: Object<Caller<'a>>,
    context: Object<UserContext<'a>>,
) {
    if let Some(caller) = caller.0 {
        row.caller_service = caller.service.filled();
        row.caller_host = caller.host.filled();
        row.caller_ip = caller.ip.filled();
        row.caller_region = caller.region.filled();
        row.caller_environment = caller.environment.filled();
        row.caller_version = caller.version.filled();
        row.caller_trace_id = caller.trace_id.filled();
        row.caller_attempt = caller.attempt.0;
    }
    if let Some(context) = context.0 {
        row.context_user_region = context.user_region.filled();
        row.context_user_ip = context.user_ip.filled();
        row.context_environment = context.environment.filled();
    }
}

/// Fills the names of what the call is about: from the path, else the request, else the response.
fn fill_identity<'a>(
    row: &mut ApiCallRow<'a>,
    path: &Path<'a>,
    request: &mut RequestBody<'a>,
    response: &mut ResponseBody<'a>,
) {
    let either = |first: &mut Text<'a>, second: &mut Text<'a>| {
        let first = std::mem::take(first).filled();
        first.or_else(|| std::mem::take(second).filled())
    };
    row.operation = Some(Cow::Borrowed(path.operation.as_str()));
    row.mode = path.mode.map(Cow::Borrowed);
    row.cname = either(&mut request.cname, &mut response.cname);
    row.uid = either(&mut request.uid, &mut response.uid);
    let response_id = std::mem::take(&mut response.resource_id);
    row.resource_id = path
        .resource_id
        .map(Cow::Borrowed)
        .or_else(|| response_id.filled());
    let response_sid = std::mem::take(&mut response.sid);
    let sid = path
        .sid
        .map(Cow::Borrowed)
        .or_else(|| response_sid.filled());
    row.sid = sid.map(lower_case);
}

fn fill_request<'a>(row: &mut ApiCallRow<'a>, client_request: Box<ClientRequest<'a>>) {
    if let Some(config) = client_request.storage_config.0 {
        let storage = Storage::from(config);
        row.vendor = storage.vendor;
        row.vendor_name = storage.vendor_name;
        row.region = storage.region;
        row.region_code = storage.region_code;
        row.bucket = storage.bucket;
        row.endpoint = storage.endpoint;
        row.prefix = storage.prefix;
        row.access_key_fingerprint = storage.access_key_fingerprint;
        row.sts_expires_at = storage.sts_expires_at;
    }
    if let Some(start_parameter) = client_request.start_parameter.0
        && let Some(config) = start_parameter.storage_config.0
    {
        let storage = Storage::from(config);
        row.start_parameter_vendor = storage.vendor;
        row.start_parameter_vendor_name = storage.vendor_name;
        row.start_parameter_region = storage.region;
        row.start_parameter_region_code = storage.region_code;
        row.start_parameter_bucket = storage.bucket;
        row.start_parameter_endpoint = storage.endpoint;
        row.start_parameter_prefix = storage.prefix;
        row.start_parameter_access_key_fingerprint = storage.access_key_fingerprint;
    }
    row.exclude_resource_ids = client_request.exclude_resource_ids.0.map(names);
    row.resource_expired_hour = client_request.resource_expired_hour.0;
    let (region, affinity) = (client_request.region, client_request.region_affinity);
    row.recorder_region = region.filled().or_else(|| affinity.filled());
    let file_config = client_request.recording_file_config.0.unwrap_or_default();
    row.av_file_types = file_config.av_file_type.0.map(names);
}

fn fill_response<'a>(row: &mut ApiCallRow<'a>, operation: Operation, body: ResponseBody<'a>) {
    let code = body.code.0;
    let outcome = response::outcome(operation, row.http_status, code, row.sid.is_some());
    row.code = code;
    row.reason_text = body.reason.filled().or_else(|| body.message.filled());
    row.outcome = Some(Cow::Borrowed(outcome.as_str()));
    if let Some(server_response) = body.server_response.0 {
        row.recording_status = server_response.status.0;
        let (uploading_status, files) = server_response.into_upload();
        row.uploading_status = uploading_status;
        row.files = files.0;
    }
}

fn names(texts: Vec<Text<'_>>) -> Vec<Cow<'_, str>> {
    texts.into_iter().filter_map(Text::filled).collect()
}

#[cfg(test)]
mod tests;
