//! The published contract: JSON Schemas of the streams, and what a producer should change where a
//! message does not fit them.
//!
//! The consumer does not use this room: it takes more than the contract promises. What the schema refuses is a
//! dead letter or loses a field; what [`warnings`] names is taken, but cannot be audited in full. No sentence
//! made here quotes a value of the message, which could be a secret.

mod recognize;
mod sentence;
mod warning;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::{Map, Value};

use crate::event::Stream;

pub use recognize::guess;
pub use warning::warnings;

/// One thing that is wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// JSON pointer of the place; `""` is the whole message. What stands after a `#` is inside a text that
    /// holds JSON.
    pub path: String,
    /// What is wrong there.
    pub problem: String,
    /// What to change.
    pub cure: String,
}

impl Problem {
    fn new(path: impl Into<String>, problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Problem {
            path: path.into(),
            problem: problem.into(),
            cure: cure.into(),
        }
    }

    /// Returns the same problem as seen from the message that holds the one it is about at `path`.
    fn at(mut self, path: &str) -> Self {
        self.path.insert_str(0, path);
        self
    }

    /// Returns the same problem as seen from the message whose text at `path` holds the JSON it is about.
    fn inside(mut self, path: &str) -> Self {
        self.path = format!("{path}#{}", self.path);
        self
    }
}

/// Returns the published schema of a stream, as it stands in `schemas/`.
pub fn text(stream: Stream) -> &'static str {
    match stream {
        Stream::ApiCalls => include_str!("../../schemas/api_calls.v1.json"),
        Stream::Webhooks => include_str!("../../schemas/webhooks.v1.json"),
        Stream::StorageEvents => include_str!("../../schemas/storage_events.v1.json"),
        Stream::SessionRecords => include_str!("../../schemas/session_records.v1.json"),
        Stream::Audits => include_str!("../../schemas/audits.v1.json"),
        Stream::UploadStatus => include_str!("../../schemas/upload_status.v1.json"),
    }
}

/// Returns what keeps a message from fitting the contract of its stream; nothing when it fits.
///
/// Where a stream has several forms, the form is recognised by content and the message is judged as that one:
/// "matches none of the forms" helps nobody.
pub fn validate(stream: Stream, message: &Value) -> Vec<Problem> {
    let Some(batch) = message.as_array() else {
        return validate_one(stream, message);
    };
    let of_item = |(index, item): (usize, &Value)| {
        let problems = validate_one(stream, item).into_iter();
        problems.map(move |problem| problem.at(&format!("/{index}")))
    };
    batch.iter().enumerate().flat_map(of_item).collect()
}

fn validate_one(stream: Stream, message: &Value) -> Vec<Problem> {
    let contract = contract(stream);
    if message.is_object() && contract.whole.is_valid(message) {
        return inner_problems(stream, message);
    }
    let (document, validator) = match recognize::form(stream, message) {
        Ok(form) => contract.of_form(form),
        Err(problem) => return vec![problem],
    };
    let (mistyped, others): (Vec<_>, Vec<_>) = validator.iter_errors(message).partition(is_of_type);
    let mut problems = BTreeSet::new();
    let mut paths = BTreeSet::new();
    for error in &mistyped {
        if paths.insert(error.instance_path().as_str()) {
            problems.insert(sentence::problem(document, message, error));
        }
    }
    // A value of the wrong type breaks other rules for that reason alone.
    for error in &others {
        if !paths.contains(error.instance_path().as_str()) {
            problems.insert(sentence::problem(document, message, error));
        }
    }
    problems.into_iter().collect()
}

fn is_of_type(error: &ValidationError<'_>) -> bool {
    matches!(error.kind(), ValidationErrorKind::Type { .. })
}

/// Says whether the published schema alone accepts a message, as any validator would.
pub fn fits_published(stream: Stream, message: &Value) -> bool {
    contract(stream).whole.is_valid(message)
}

/// Judges what a wrapper holds: a message, or a text that holds one, which no schema can look into.
fn inner_problems(stream: Stream, message: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some((path, inner)) = recognize::inner_message(stream, message) {
        let inner = validate(stream, inner).into_iter();
        problems.extend(inner.map(|problem| problem.at(path)));
    }
    for (path, text) in recognize::inner_texts(stream, message) {
        match recognize::json_of(text) {
            Some(inner) => {
                let inner = validate(stream, &inner).into_iter();
                problems.extend(inner.map(|problem| problem.inside(&path)));
            }
            None => problems.push(Problem::new(
                path,
                "the text is not JSON",
                "put the JSON text as it was received here, whole; base64 of it will do",
            )),
        }
    }
    problems
}

/// A stream's schema, ready to be used.
struct Contract {
    document: Value,
    whole: Validator,
    /// The forms that one message can have.
    forms: Vec<Form>,
}

/// One form that a message of the stream can have.
struct Form {
    name: String,
    document: Value,
    validator: Validator,
}

impl Contract {
    fn compile(stream: Stream) -> Contract {
        let document: Value = serde_json::from_str(text(stream))
            .expect("the embedded schema is JSON: a test reads it");
        let forms = document["$defs"]["message"]["anyOf"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|form| form["$ref"].as_str())
            .map(|reference| {
                let name = reference.rsplit('/').next().unwrap_or(reference);
                let document = only_form(&document, reference);
                Form {
                    name: name.to_string(),
                    validator: compile(&document),
                    document,
                }
            })
            .collect();
        Contract {
            whole: compile(&document),
            forms,
            document,
        }
    }

    /// Returns the schema to judge a form by.
    fn of_form(&self, name: &str) -> (&Value, &Validator) {
        match self.forms.iter().find(|form| form.name == name) {
            Some(form) => (&form.document, &form.validator),
            None => (&self.document, &self.whole),
        }
    }
}

/// Returns the document with one form in place of the choice among all.
fn only_form(document: &Value, reference: &str) -> Value {
    let mut only = Map::new();
    for key in ["$schema", "$id", "$defs"] {
        only.insert(key.to_string(), document[key].clone());
    }
    only.insert("$ref".to_string(), Value::String(reference.to_string()));
    Value::Object(only)
}

fn compile(document: &Value) -> Validator {
    jsonschema::draft202012::new(document)
        .expect("the embedded schema is a JSON Schema: a test compiles it")
}

fn contract(stream: Stream) -> &'static Contract {
    static CONTRACTS: LazyLock<[Contract; 6]> =
        LazyLock::new(|| Stream::TABLES.map(Contract::compile));
    &CONTRACTS[stream as usize]
}

#[cfg(test)]
mod tests;
