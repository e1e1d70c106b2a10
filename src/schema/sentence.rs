//! A validator's error -> a sentence for the person who can change the producer.
//!
//! The words come from the schema itself: the description and the examples of the field. Nothing is quoted
//! from the message but names of fields that differ from a known one in spelling alone.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use serde_json::Value;

use super::Problem;

/// Returns what an error says to a producer.
pub(super) fn problem(document: &Value, message: &Value, error: &ValidationError<'_>) -> Problem {
    let path = error.instance_path().as_str();
    let value = message.pointer(path).unwrap_or(&Value::Null);
    let field = Field {
        name: name_of(path),
        node: node(document, error.schema_path().as_str()),
    };
    let (problem, cure) = match error.kind() {
        Kind::Required { property } => return missing(document, path, value, &field, property),
        Kind::Type { .. } => (
            format!(
                "{} is {}; {} is needed",
                field.name,
                kind(value),
                allowed_kinds(field.node)
            ),
            field.how_to_write(),
        ),
        Kind::Pattern { .. } => (
            format!(
                "the text of {} does not have the form that is needed",
                field.name
            ),
            field.how_to_write(),
        ),
        Kind::MinLength { .. } => (format!("{} is empty", field.name), field.how_to_write()),
        Kind::Enum { options } => (
            format!("{} is none of the words that are allowed", field.name),
            format!("use {}", any_of(options.as_array().into_iter().flatten())),
        ),
        Kind::Constant { expected_value } => (
            format!(
                "{} is not {expected_value}, which this form is known by",
                field.name
            ),
            format!("write {expected_value}, or send the message in the form it really has"),
        ),
        Kind::Minimum { limit } => (
            format!("{} is below {limit}", field.name),
            field.how_to_write(),
        ),
        Kind::Maximum { limit } => (
            format!("{} is above {limit}", field.name),
            field.how_to_write(),
        ),
        other => (
            format!("{} breaks the rule `{}`", field.name, other.keyword()),
            field.how_to_write(),
        ),
    };
    Problem::new(path, problem, cure)
}

/// What the schema knows of the place an error is about.
struct Field<'a> {
    /// How a sentence names it.
    name: String,
    /// The schema that was broken: of the property, or a definition that it shares with others.
    node: &'a Value,
}

impl Field<'_> {
    /// Says what the schema wants in this place, by example where it has one.
    fn how_to_write(&self) -> String {
        let value = match examples(self.node) {
            Some(examples) => format!("for example {examples}"),
            None => allowed_kinds(self.node),
        };
        let meaning = description(self.node).unwrap_or_default();
        format!("write {value}. {meaning}").trim_end().to_string()
    }
}

fn missing(
    document: &Value,
    path: &str,
    object: &Value,
    owner: &Field<'_>,
    property: &Value,
) -> Problem {
    let name = property.as_str().unwrap_or_default();
    let schema = owner
        .node
        .pointer(&format!("/properties/{}", escape(name)))
        .unwrap_or(&Value::Null);
    let target = resolve(document, schema);
    let problem = match owner.name.as_str() {
        "the message" => format!("`{name}` is missing"),
        owner => format!("`{name}` is missing in {owner}"),
    };
    let plain = |text: &str| -> String {
        text.chars()
            .filter(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_lowercase()
    };
    let misspelled = object
        .as_object()
        .and_then(|object| object.keys().find(|key| plain(key) == plain(name)));
    let cure = match misspelled {
        Some(key) => format!("rename `{key}` to `{name}`"),
        None => {
            let meaning = description(schema)
                .or_else(|| description(target))
                .unwrap_or_default();
            let example = examples(schema).or_else(|| examples(target));
            let example = example.map_or(String::new(), |text| format!(" For example {text}."));
            format!("add `{name}`. {meaning}{example}")
        }
    };
    Problem::new(path, problem, cure)
}

/// Returns the schema object that holds the keyword at `path`.
fn node<'a>(document: &'a Value, path: &str) -> &'a Value {
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    document.pointer(parent).unwrap_or(&Value::Null)
}

/// Follows `$ref` to the definition; returns the schema itself where it refers to none.
fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let reference = schema["$ref"]
        .as_str()
        .and_then(|text| text.strip_prefix('#'));
    reference
        .and_then(|path| document.pointer(path))
        .unwrap_or(schema)
}

fn description(schema: &Value) -> Option<&str> {
    schema["description"].as_str()
}

/// Returns up to two examples of a schema as JSON text.
fn examples(schema: &Value) -> Option<String> {
    let examples = schema["examples"].as_array()?;
    Some(any_of(
        examples.iter().filter(|example| !example.is_null()).take(2),
    ))
}

fn any_of<'a>(values: impl Iterator<Item = &'a Value>) -> String {
    join_or(values.map(|value| format!("`{value}`")).collect())
}

fn join_or(mut words: Vec<String>) -> String {
    let last = words.pop().unwrap_or_default();
    if words.is_empty() {
        last
    } else {
        format!("{} or {last}", words.join(", "))
    }
}

/// Names the kinds of value that a schema allows, with articles.
fn allowed_kinds(schema: &Value) -> String {
    let kinds = match &schema["type"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => vec!["another value"],
    };
    join_or(
        kinds
            .into_iter()
            .map(|kind| article(kind).to_string())
            .collect(),
    )
}

fn article(kind: &str) -> &str {
    match kind {
        "string" => "a text",
        "integer" => "an integer",
        "number" => "a number",
        "boolean" => "a boolean",
        "object" => "an object",
        "array" => "a list",
        other => other,
    }
}

/// Names the kind of a value, with an article.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Names the place that a JSON pointer ends at.
fn name_of(path: &str) -> String {
    let mut segments = path.rsplit('/');
    let last = segments
        .next()
        .unwrap_or_default()
        .replace("~1", "/")
        .replace("~0", "~");
    if path.is_empty() {
        "the message".to_string()
    } else if last.parse::<usize>().is_ok() {
        match segments.next().filter(|list| !list.is_empty()) {
            Some(list) => format!("item {last} of `{list}`"),
            None => format!("item {last} of the list"),
        }
    } else {
        format!("`{last}`")
    }
}

fn escape(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}
