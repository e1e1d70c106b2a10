//! `POST /api-calls`: records of API calls from producers without a Kafka client, one JSON object a line.
//!
//! Whatever a line is, it is kept: what cannot be an event becomes a dead letter in the lake. The answer says what
//! does not fit the contract, so that the producer's author learns of it. Secrets are removed before Kafka sees them.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use subtle::ConstantTimeEq as _;

use super::answer::{Refusal, json};
use super::metrics::Reason;
use super::{Inner, Receiver};
use crate::event::Stream;
use crate::schema;

/// So many problems are told; the rest would be the same again.
const PROBLEMS_MAX: usize = 20;

/// What the producer is told of its batch.
#[derive(Debug, Default, Serialize)]
struct Answer {
    /// Messages that Kafka has acknowledged: one for each line that is not empty.
    accepted: u64,
    /// What does not fit the contract (`schemas/api_calls.v1.json`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<Problem>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Problem {
    line: usize,
    path: String,
    problem: String,
    cure: String,
}

/// Takes a batch: all of it, or, where Kafka does not take a message, none of it as far as the sender may know.
pub(super) async fn receive(
    State(Receiver(server)): State<Receiver>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let taken = match server.may_send_calls(&headers) {
        Ok(()) => server.keep_calls(body).await,
        Err(refusal) => Err(refusal),
    };
    match taken {
        Ok(answer) => {
            let accepted = &server.metrics.accepted;
            (accepted.with_label_values(&[Stream::ApiCalls.stem()])).inc_by(answer.accepted);
            json(StatusCode::OK, &answer)
        }
        Err(refusal) => server.refuse("api_calls", refusal),
    }
}

impl Inner {
    fn may_send_calls(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let given = headers.get(header::AUTHORIZATION);
        let given = given.and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
        let given = given.unwrap_or_default();
        let mut tokens = self.api_call_tokens.iter();
        match tokens.any(|(_, token)| token.as_bytes().ct_eq(given).into()) {
            true => Ok(()),
            false => Err(Refusal::new(
                Reason::Token,
                "the token is none of those in TAPETRAIL_API_CALL_TOKENS; send it as `Authorization: Bearer <token>`",
            )),
        }
    }

    async fn keep_calls(&self, body: Result<Bytes, BytesRejection>) -> Result<Answer, Refusal> {
        let body = self.readable(body)?;
        let now = self.clock.now();
        let mut answer = Answer::default();
        let mut under_way = Vec::new();
        for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
            if line.trim_ascii().is_empty() {
                continue;
            }
            let (text, key) = self.without_secrets(line, index + 1, &mut answer.problems);
            let topic = &self.api_calls_topic;
            under_way.push(self.send(topic, key.as_deref(), text.as_bytes(), now));
        }
        for sent in under_way {
            sent.await.map_err(|error| self.undelivered(&error))?;
            answer.accepted += 1;
        }
        Ok(answer)
    }

    /// Returns a line as it may leave this process, and its channel; notes what is wrong with it.
    fn without_secrets(
        &self,
        line: &[u8],
        number: usize,
        problems: &mut Vec<Problem>,
    ) -> (String, Option<String>) {
        let mut note = |path: String, problem: String, cure: String| {
            if problems.len() < PROBLEMS_MAX {
                let line = number;
                problems.push(Problem {
                    line,
                    path,
                    problem,
                    cure,
                });
            }
        };
        let mut text = String::new();
        if let Err(reject) = self.redactor.json(line, &mut text) {
            let cure = "send one JSON object a line";
            note(String::new(), reject.detail, cure.to_string());
            return (self.redactor.bytes(line), None);
        }
        let Ok(call) = serde_json::from_str::<Value>(&text) else {
            return (text, None);
        };
        for problem in schema::validate(Stream::ApiCalls, &call) {
            note(problem.path, problem.problem, problem.cure);
        }
        let channel = call.pointer("/request/body/cname").and_then(Value::as_str);
        let channel = channel.filter(|channel| !channel.is_empty());
        (text, channel.map(str::to_string))
    }
}
