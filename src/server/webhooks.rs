//! `POST /webhooks`: Agora's callbacks (`domain/webhooks.md`, sections 1 and 2), to Kafka in the wrapper that keeps the
//! bytes as received, so that the consumer checks their signature again.

use std::net::SocketAddr;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;

use super::answer::{Refusal, json};
use super::metrics::Reason;
use super::{Inner, KAFKA, Receiver};
use crate::clock::rfc3339;
use crate::decode::webhooks::{Signature, check_body};
use crate::event::{Micros, Stream};
use crate::source::acknowledged::Undelivered;

const V2: &str = "agora-signature-v2";
const V1: &str = "agora-signature";

/// What is sent to Kafka (design, section 2).
#[derive(Serialize)]
struct Wrapper<'a> {
    received_at: String,
    headers: Signatures<'a>,
    response_status: u16,
    raw_body: &'a str,
}

#[derive(Serialize)]
struct Signatures<'a> {
    #[serde(rename = "agora-signature-v2", skip_serializing_if = "Option::is_none")]
    v2: Option<&'a str>,
    #[serde(rename = "agora-signature", skip_serializing_if = "Option::is_none")]
    v1: Option<&'a str>,
}

/// Takes a callback: one notification, or the list that the console's check sends.
pub(super) async fn receive(
    State(Receiver(server)): State<Receiver>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let accepted = match server.check_callback(peer, &headers, body) {
        Ok(callback) => server.keep_callback(&callback).await,
        Err(refusal) => Err(refusal),
    };
    match accepted {
        Ok(()) => {
            let accepted = &server.metrics.accepted;
            accepted.with_label_values(&[Stream::Webhooks.stem()]).inc();
            json(StatusCode::OK, &serde_json::json!({"status": "accepted"}))
        }
        Err(refusal) => server.refuse("webhooks", refusal),
    }
}

struct Callback<'h> {
    body: Bytes,
    v2: Option<&'h str>,
    v1: Option<&'h str>,
}

impl Inner {
    fn check_callback<'h>(
        &self,
        peer: SocketAddr,
        headers: &'h HeaderMap,
        body: Result<Bytes, BytesRejection>,
    ) -> Result<Callback<'h>, Refusal> {
        let sender = self.senders.sender(peer.ip(), headers);
        if !self.senders.allow(sender) {
            let text = format!("{sender} is not in the list of senders (serve.senders)");
            return Err(Refusal::new(Reason::Sender, text));
        }
        let body = self.readable(body)?;
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let (v2, v1) = (header(V2), header(V1));
        let signature = check_body(&body, v2, v1, &self.webhook_secrets);
        match signature {
            Signature::Valid { .. } => {}
            Signature::Invalid => {
                let text = "the signature fits none of the secrets (TAPETRAIL_WEBHOOK_SECRETS)";
                return Err(Refusal::new(Reason::SignatureInvalid, text));
            }
            Signature::Unchecked if self.is_signature_required => {
                let text = "there is no Agora-Signature-V2 and no Agora-Signature";
                return Err(Refusal::new(Reason::SignatureMissing, text));
            }
            Signature::Unchecked => {}
        }
        Ok(Callback { body, v2, v1 })
    }

    /// Sends a callback to Kafka and waits for the acknowledgment.
    async fn keep_callback(&self, callback: &Callback<'_>) -> Result<(), Refusal> {
        let Ok(raw_body) = std::str::from_utf8(&callback.body) else {
            return Err(Refusal::new(Reason::Unreadable, "the body is not UTF-8"));
        };
        let now = self.clock.now();
        let message = wrap(raw_body, callback.v2, callback.v1, now);
        let channel = channel(raw_body);
        let topic = &self.webhooks_topic;
        let sent = self.send(topic, channel.as_deref(), message.as_bytes(), now);
        sent.await.map_err(|error| self.undelivered(&error))
    }

    /// Returns the body of a request, unless it is too large or broke off.
    pub(super) fn readable(&self, body: Result<Bytes, BytesRejection>) -> Result<Bytes, Refusal> {
        body.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                let text = format!(
                    "the body is larger than {} bytes (serve.body_bytes_max)",
                    self.body_bytes_max
                );
                Refusal::new(Reason::TooLarge, text)
            }
            _ => Refusal::new(Reason::Unreadable, "the body broke off"),
        })
    }

    pub(super) fn undelivered(&self, error: &Undelivered) -> Refusal {
        let text = error.to_string();
        match error {
            Undelivered::TooLarge => Refusal::new(Reason::TooLarge, text),
            Undelivered::Unavailable(_) => {
                // What the probe has found out says more.
                if self.vitals.is_ready(KAFKA) {
                    self.is_without_kafka(&text);
                }
                Refusal::new(Reason::Kafka, text)
            }
        }
    }

    pub(super) fn refuse(&self, endpoint: &str, refusal: Refusal) -> Response {
        self.metrics.refuse(endpoint, refusal.reason, &refusal.text);
        refusal.into_response()
    }
}

fn wrap(raw_body: &str, v2: Option<&str>, v1: Option<&str>, now: Micros) -> String {
    let wrapper = Wrapper {
        received_at: rfc3339(now),
        headers: Signatures { v2, v1 },
        response_status: StatusCode::OK.as_u16(),
        raw_body,
    };
    serde_json::to_string(&wrapper).expect("it holds nothing but texts and numbers")
}

/// Returns the channel of a notification, or of the first of a list: it keeps what belongs together in one partition.
fn channel(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    let first = body.get(0).unwrap_or(&body);
    let channel = first.pointer("/payload/cname")?.as_str()?;
    (!channel.is_empty()).then(|| channel.to_string())
}
