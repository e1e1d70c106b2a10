//! The event of a call (`schemas/api_calls.v1.json`), as its caller saw it: request, answer or error, and timing.

use std::collections::BTreeMap;
use std::io::Read as _;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, header};
use flate2::read::GzDecoder;
use serde_json::{Map, Value, json};

use crate::clock::rfc3339;
use crate::event::Micros;

/// Of a longer body only its length is recorded; it passes all the same.
pub(super) const BODY_BYTES_MAX: usize = 1024 * 1024;

/// JSON objects in which the backend says who calls and on whose behalf. They are not passed on.
pub(super) const CALLER: &str = "tapetrail-caller";
pub(super) const CONTEXT: &str = "tapetrail-context";

/// What is known of a call so far.
#[derive(Debug)]
pub(super) struct Call {
    pub event_id: String,
    pub requested_at: Micros,
    pub responded_at: Option<Micros>,
    pub method: Method,
    /// Full URL at the service.
    pub url: String,
    pub request_headers: HeaderMap,
    pub request_body: Captured,
    pub status: Option<StatusCode>,
    pub response_headers: HeaderMap,
    pub response_body: Captured,
    pub error: Option<String>,
}

/// A body as far as it has passed.
#[derive(Debug, Default)]
pub(super) struct Captured {
    bytes: Vec<u8>,
    length: usize,
}

impl Captured {
    pub fn push(&mut self, chunk: &Bytes) {
        self.length += chunk.len();
        match self.length <= BODY_BYTES_MAX {
            true => self.bytes.extend_from_slice(chunk),
            // What came before says nothing without the rest.
            false => self.bytes = Vec::new(),
        }
    }

    /// Returns the body as an event holds it: JSON as it is, text as text.
    pub fn value(&self, headers: &HeaderMap) -> Value {
        if self.length == 0 {
            return Value::Null;
        }
        if self.length > BODY_BYTES_MAX {
            return Value::from(format!("[{} bytes, not recorded]", self.length));
        }
        let encoding = headers.get(header::CONTENT_ENCODING);
        let decoded = match encoding.map(|encoding| encoding.as_bytes()) {
            None | Some(b"identity") => Some(self.bytes.clone()),
            Some(b"gzip") => gunzip(&self.bytes),
            Some(_) => None,
        };
        let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        match text {
            None => Value::from(format!("[{} bytes, not readable]", self.length)),
            Some(text) => match serde_json::from_str::<Map<String, Value>>(&text) {
                Ok(object) => Value::Object(object),
                Err(_) => Value::String(text),
            },
        }
    }
}

fn gunzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let bound = BODY_BYTES_MAX as u64 + 1;
    GzDecoder::new(bytes)
        .take(bound)
        .read_to_end(&mut decoded)
        .ok()?;
    (decoded.len() <= BODY_BYTES_MAX).then_some(decoded)
}

impl Call {
    /// Returns the event. It holds secrets as the call did: redact it before it goes anywhere.
    pub fn event(&self, caller: &BTreeMap<String, String>) -> Value {
        let response = self.status.map(|status| {
            json!({
                "status": status.as_u16(),
                "headers": headers(&self.response_headers),
                "body": self.response_body.value(&self.response_headers),
            })
        });
        let mut said = Map::new();
        for (name, value) in caller {
            said.insert(name.clone(), Value::from(value.as_str()));
        }
        if let Some(trace) = self.trace_id() {
            said.insert("trace_id".to_string(), Value::from(trace));
        }
        said.extend(object(&self.request_headers, CALLER));
        json!({
            "event_id": self.event_id,
            "requested_at": rfc3339(self.requested_at),
            "responded_at": self.responded_at.map(rfc3339),
            "request": {
                "method": self.method.as_str(),
                "url": self.url,
                "headers": headers(&self.request_headers),
                "body": self.request_body.value(&self.request_headers),
            },
            "response": response,
            "error": self.error,
            "caller": said,
            "context": object(&self.request_headers, CONTEXT),
        })
    }

    /// What the backend's own tracing calls this call, of W3C's `traceparent` the middle.
    fn trace_id(&self) -> Option<&str> {
        let header = |name: &str| self.request_headers.get(name)?.to_str().ok();
        let traceparent = header("traceparent").and_then(|text| text.split('-').nth(1));
        traceparent.or_else(|| header("x-request-id"))
    }
}

/// The headers that tell something; credentials are left out here already.
fn headers(all: &HeaderMap) -> Map<String, Value> {
    let tell = [
        "content-type",
        "content-length",
        "user-agent",
        "x-request-id",
        "x-resource-id",
        "retry-after",
        "date",
    ];
    let told = tell.iter().filter_map(|name| {
        let value = all.get(*name)?.to_str().ok()?;
        Some((name.to_string(), Value::from(value)))
    });
    told.collect()
}

fn object(headers: &HeaderMap, name: &str) -> Map<String, Value> {
    let text = headers.get(name).and_then(|value| value.to_str().ok());
    let object = text.and_then(|text| serde_json::from_str(text).ok());
    object.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Stream;
    use crate::schema;

    fn captured(body: &[u8]) -> Captured {
        let mut captured = Captured::default();
        captured.push(&Bytes::copy_from_slice(body));
        captured
    }

    fn call() -> Call {
        let mut request_headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Basic cGxhbnRlZA=="),
            (
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            ),
            (CALLER, r#"{"service":"meeting-api","attempt":2}"#),
            (CONTEXT, r#"{"user_region":"eu"}"#),
        ] {
            request_headers.insert(name, value.parse().expect("a value"));
        }
        Call {
            event_id: "e".to_string(),
            requested_at: 1_795_341_600_123_000,
            responded_at: Some(1_795_341_600_611_000),
            method: Method::POST,
            url: "https://api.agora.io/v1/apps/a/cloud_recording/resourceid/R/mode/mix/start"
                .to_string(),
            request_headers,
            request_body: captured(br#"{"cname":"room","uid":"1","clientRequest":{}}"#),
            status: Some(StatusCode::OK),
            response_headers: HeaderMap::new(),
            response_body: captured(br#"{"resourceId":"R","sid":"s"}"#),
            error: None,
        }
    }

    #[test]
    fn an_event_fits_the_contract_and_leaves_the_login_out() {
        let caller = BTreeMap::from([("region".to_string(), "cn-hangzhou".to_string())]);
        let event = call().event(&caller);
        assert_eq!(schema::validate(Stream::ApiCalls, &event), []);
        assert_eq!(event["caller"]["service"], "meeting-api");
        assert_eq!(event["caller"]["region"], "cn-hangzhou");
        assert_eq!(
            event["caller"]["trace_id"],
            "0af7651916cd43dd8448eb211c80319c"
        );
        assert_eq!(event["context"]["user_region"], "eu");
        assert_eq!(event["response"]["body"]["sid"], "s");
        assert!(!event.to_string().contains("cGxhbnRlZA"));
        let unanswered = Call {
            status: None,
            responded_at: None,
            error: Some("connect timeout".to_string()),
            ..call()
        };
        let event = unanswered.event(&caller);
        assert_eq!(schema::validate(Stream::ApiCalls, &event), []);
        assert_eq!(
            (&event["response"], &event["responded_at"]),
            (&Value::Null, &Value::Null)
        );
    }

    #[test]
    fn bodies_are_read_through_gzip_and_told_by_length_where_they_cannot_be() {
        let mut zipped = Vec::new();
        let mut encoder =
            flate2::read::GzEncoder::new(&b"{\"sid\":\"s\"}"[..], flate2::Compression::fast());
        encoder.read_to_end(&mut zipped).expect("is compressed");
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, "gzip".parse().expect("a value"));
        assert_eq!(captured(&zipped).value(&headers)["sid"], "s");
        headers.insert(header::CONTENT_ENCODING, "br".parse().expect("a value"));
        assert_eq!(captured(b"xyz").value(&headers), "[3 bytes, not readable]");
        let none = HeaderMap::new();
        assert_eq!(
            captured(b"upstream is away").value(&none),
            "upstream is away"
        );
        let long = captured(&vec![b' '; BODY_BYTES_MAX + 1]).value(&none);
        assert_eq!(long, "[1048577 bytes, not recorded]");
    }
}
