//! The header of a query: TOML inside SQL comments, between two lines `-- ---`.
//!
//! Any SQL tool reads past it, and it cannot drift from the query it describes. Pure: text in, header or a
//! located error out.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use anyhow::{Result, anyhow, bail};
use chrono::DateTime;
use datafusion::common::ScalarValue;
use serde::Deserialize;

/// The line that opens and closes a header.
const FENCE: &str = "-- ---";

/// What a query says of itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Equals the file's stem.
    pub name: String,
    pub title: String,
    pub description: String,
    /// The highest severity its rows can have, or the only one.
    pub severity: Option<Severity>,
    /// Of a detection: what its findings are about, for reports.
    pub category: Option<Category>,
    pub status: Option<Status>,
    /// What looks like the fault and is none.
    #[serde(default)]
    pub false_positives: Vec<String>,
    /// What a person should do about it.
    pub response: Option<String>,
    /// Ids of the failure patterns that it finds (`P06`).
    #[serde(default)]
    pub patterns: Vec<String>,
    /// Of a view: its rows are few and much is built on them, so that a run of many queries computes them once.
    /// Of a report's query: its rows are a table that the report's other queries read.
    #[serde(default)]
    pub kept: bool,
    /// Of a view that is kept: a column of hexadecimal digits, never null, by whose ranges its rows can be computed apart.
    pub sliced_by: Option<String>,
    /// Columns that together say which fault this is; the finding's id is their hash.
    #[serde(default)]
    pub identity: Vec<String>,
    #[serde(default)]
    pub params: BTreeMap<String, Param>,
    /// Output columns; for detections those beyond the columns of every finding.
    #[serde(default)]
    pub columns: BTreeMap<String, Column>,
}

/// A value that the query takes as `$name`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Param {
    #[serde(rename = "type")]
    pub kind: ParamType,
    /// Without it the caller must give a value.
    pub default: Option<toml::Value>,
    pub doc: String,
}

/// An output column.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    #[serde(rename = "type")]
    pub kind: ColumnType,
    pub doc: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ParamType {
    String,
    Int64,
    Float64,
    Bool,
    /// An instant: RFC 3339, or a date, which is its midnight in UTC.
    Timestamp,
    /// A length of time, `"30s"` or `"24h"`. Bound as Arrow's `Duration(us)`, which is also what the
    /// difference of two timestamps is: `ts + $x` and `ts1 - ts2 <= $x` need no cast. (An `INTERVAL` would not
    /// do: intervals compare by months, then days, so `INTERVAL '1 day' > 25 hours`.)
    Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    String,
    /// A list of strings.
    Strings,
    Int64,
    Float64,
    Bool,
    Timestamp,
    Duration,
    Date,
}

/// How bad a finding is, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Low,
    Medium,
    High,
    Critical,
}

/// What findings are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Files are, or were believed to be, elsewhere than meant.
    Routing,
    /// Files did not come, came late or not whole.
    Upload,
    /// Sessions were started, stopped or ended as they should not be.
    Session,
    /// What was logged cannot prove anything.
    Evidence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Experimental,
    Stable,
    Deprecated,
}

impl Severity {
    pub const ALL: [Severity; 5] = [
        Severity::Info,
        Severity::Low,
        Severity::Medium,
        Severity::High,
        Severity::Critical,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Low => "low",
            Severity::Medium => "medium",
            Severity::High => "high",
            Severity::Critical => "critical",
        }
    }
}

impl Category {
    pub const fn as_str(self) -> &'static str {
        match self {
            Category::Routing => "routing",
            Category::Upload => "upload",
            Category::Session => "session",
            Category::Evidence => "evidence",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::Experimental => "experimental",
            Status::Stable => "stable",
            Status::Deprecated => "deprecated",
        })
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Severity::ALL
            .into_iter()
            .find(|severity| severity.as_str() == text)
            .ok_or_else(|| {
                let known = Severity::ALL.map(Severity::as_str).join(", ");
                format!("`{text}` is no severity; the severities are {known}")
            })
    }
}

impl Header {
    /// Reads the header of a query's text, none where it has none. `path` names the file in errors.
    pub fn parse(path: &str, sql: &str) -> Result<Option<Header>> {
        let Some(fenced) = Fenced::find(path, sql)? else {
            return Ok(None);
        };
        toml::from_str(&fenced.toml)
            .map(Some)
            .map_err(|error: toml::de::Error| {
                let offset = error.span().map_or(0, |span| span.start);
                let (line, column) = fenced.place(offset);
                let message = error.message().replace('\n', " ");
                anyhow!("{path}:{line}:{column}: {message}")
            })
    }
}

/// Returns the header's parameters with the values that `given` has for them, else their defaults.
pub fn bind(
    params: &BTreeMap<String, Param>,
    given: &BTreeMap<String, ScalarValue>,
) -> Result<Vec<(String, ScalarValue)>> {
    params
        .iter()
        .map(|(name, param)| {
            let value = match (given.get(name), &param.default) {
                (Some(value), _) => value.clone(),
                (None, Some(default)) => param.kind.value(default)?,
                (None, None) => {
                    bail!("the parameter `{name}` has no default; give it with --param")
                }
            };
            Ok((name.clone(), value))
        })
        .collect()
}

/// Returns a value typed by how it is written: whole number, number, true or false, RFC 3339; else, or in
/// single quotes, text.
pub fn guess(text: &str) -> ScalarValue {
    if let Some(quoted) = text
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''))
    {
        return ScalarValue::from(quoted);
    }
    [ParamType::Int64, ParamType::Float64, ParamType::Bool]
        .into_iter()
        .find_map(|kind| kind.parse(text).ok())
        .or_else(|| instant(text).ok())
        .unwrap_or_else(|| ScalarValue::from(text))
}

/// The lines between the fences, uncommented, and where each was.
struct Fenced {
    toml: String,
    /// Line of the file that the first line of `toml` is, from 1.
    first_line: usize,
    /// Bytes of comment that each line lost.
    stripped: Vec<usize>,
}

impl Fenced {
    /// Finds the header: it starts in the first line that is not blank, or there is none.
    fn find(path: &str, sql: &str) -> Result<Option<Fenced>> {
        let mut lines = sql
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line.trim_end()))
            .skip_while(|(_, line)| line.is_empty());
        let opening_line = match lines.next() {
            Some((number, FENCE)) => number,
            _ => return Ok(None),
        };
        let mut fenced = Fenced {
            toml: String::new(),
            first_line: opening_line + 1,
            stripped: Vec::new(),
        };
        for (number, line) in lines {
            if line == FENCE {
                return Ok(Some(fenced));
            }
            let Some(comment) = line.strip_prefix("--") else {
                bail!("{path}:{number}:1: the header is not closed; end it with a line `{FENCE}`");
            };
            let text = comment.strip_prefix(' ').unwrap_or(comment);
            fenced.stripped.push(line.len() - text.len());
            fenced.toml.push_str(text);
            fenced.toml.push('\n');
        }
        bail!("{path}:{opening_line}:1: the header is not closed; end it with a line `{FENCE}`")
    }

    /// Returns line and column in the file, from 1, of a byte of the TOML.
    fn place(&self, offset: usize) -> (usize, usize) {
        let before = self.toml.get(..offset).unwrap_or(&self.toml);
        let index = before.matches('\n').count();
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before[line_start..].chars().count() + 1;
        let stripped = self.stripped.get(index).copied().unwrap_or(0);
        (self.first_line + index, column + stripped)
    }
}

impl ParamType {
    pub const fn as_str(self) -> &'static str {
        match self {
            ParamType::String => "string",
            ParamType::Int64 => "int64",
            ParamType::Float64 => "float64",
            ParamType::Bool => "bool",
            ParamType::Timestamp => "timestamp",
            ParamType::Duration => "duration",
        }
    }

    /// Returns a null of the type.
    pub fn null(self) -> ScalarValue {
        match self {
            ParamType::String => ScalarValue::Utf8(None),
            ParamType::Int64 => ScalarValue::Int64(None),
            ParamType::Float64 => ScalarValue::Float64(None),
            ParamType::Bool => ScalarValue::Boolean(None),
            ParamType::Timestamp => ScalarValue::TimestampMicrosecond(None, Some("UTC".into())),
            ParamType::Duration => ScalarValue::DurationMicrosecond(None),
        }
    }

    /// Returns a value of a TOML file as a typed value.
    pub fn value(self, value: &toml::Value) -> Result<ScalarValue> {
        Ok(match (self, value) {
            (ParamType::String, toml::Value::String(text)) => ScalarValue::from(text.as_str()),
            (ParamType::Int64, toml::Value::Integer(number)) => ScalarValue::from(*number),
            (ParamType::Float64, toml::Value::Float(number)) => ScalarValue::from(*number),
            (ParamType::Float64, toml::Value::Integer(number)) => ScalarValue::from(*number as f64),
            (ParamType::Bool, toml::Value::Boolean(flag)) => ScalarValue::from(*flag),
            (ParamType::Timestamp, toml::Value::Datetime(at)) => instant(&at.to_string())?,
            (ParamType::Timestamp, toml::Value::String(text)) => instant(text)?,
            (ParamType::Duration, toml::Value::String(text)) => duration(text)?,
            (_, other) => bail!("`{other}` is no {}", self.as_str()),
        })
    }

    /// Returns a value of the command line as a typed value.
    pub fn parse(self, text: &str) -> Result<ScalarValue> {
        let refused = || anyhow!("`{text}` is no {}", self.as_str());
        Ok(match self {
            ParamType::String => ScalarValue::from(text),
            ParamType::Int64 => ScalarValue::from(text.parse::<i64>().map_err(|_| refused())?),
            ParamType::Float64 => ScalarValue::from(text.parse::<f64>().map_err(|_| refused())?),
            ParamType::Bool => ScalarValue::from(text.parse::<bool>().map_err(|_| refused())?),
            ParamType::Timestamp => instant(text)?,
            ParamType::Duration => duration(text)?,
        })
    }
}

fn instant(text: &str) -> Result<ScalarValue> {
    let full = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        _ => text.to_string(),
    };
    let at = DateTime::parse_from_rfc3339(&full).map_err(|_| {
        anyhow!("`{text}` is no timestamp; write 2026-11-22T10:00:00Z or 2026-11-22")
    })?;
    Ok(ScalarValue::TimestampMicrosecond(
        Some(at.timestamp_micros()),
        Some("UTC".into()),
    ))
}

fn duration(text: &str) -> Result<ScalarValue> {
    humantime::parse_duration(text)
        .ok()
        .and_then(|duration| i64::try_from(duration.as_micros()).ok())
        .map(|micros| ScalarValue::DurationMicrosecond(Some(micros)))
        .ok_or_else(|| anyhow!("`{text}` is no duration; write 30s, 5m or 24h"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = r#"-- ---
-- name        = "start_storm"
-- title       = "Many starts"
-- description = "A retry loop."
-- severity    = "medium"
-- ---
SELECT 1"#;

    fn refusal(sql: &str) -> String {
        Header::parse("x.sql", sql)
            .expect_err("is refused")
            .to_string()
    }

    #[test]
    fn a_header_is_read_and_a_query_without_one_is_fine() {
        let header = Header::parse("x.sql", MINIMAL)
            .expect("parses")
            .expect("has one");
        assert_eq!(header.name, "start_storm");
        assert_eq!(header.severity, Some(Severity::Medium));
        assert!(
            Header::parse("x.sql", "-- a comment\nSELECT 1")
                .expect("parses")
                .is_none()
        );
    }

    #[test]
    fn a_mistyped_key_is_located_in_the_file() {
        let sql = MINIMAL.replace("-- severity ", "-- severty  ");
        let message = refusal(&sql);
        assert!(
            message.starts_with("x.sql:5:4: unknown field `severty`"),
            "{message}"
        );
    }

    #[test]
    fn a_wrong_value_is_located_after_its_equals_sign() {
        let message = refusal(&MINIMAL.replace("\"medium\"", "\"mild\""));
        assert!(
            message.starts_with("x.sql:5:18: unknown variant `mild`"),
            "{message}"
        );
    }

    #[test]
    fn an_open_header_is_refused() {
        assert!(refusal("-- ---\n-- name = \"x\"\nSELECT 1").starts_with("x.sql:3:1: the header"));
        assert!(refusal("-- ---\n-- name = \"x\"").contains("not closed"));
    }

    #[test]
    fn values_are_typed() {
        let micros = |value| match value {
            ScalarValue::DurationMicrosecond(Some(micros)) => micros,
            ScalarValue::TimestampMicrosecond(Some(micros), Some(zone)) if &*zone == "UTC" => {
                micros
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(
            micros(ParamType::Duration.parse("1500ms").expect("is one")),
            1_500_000
        );
        let midnight = micros(ParamType::Timestamp.parse("2026-11-22").expect("is one"));
        let shifted = ParamType::Timestamp.parse("2026-11-22T01:00:00+01:00");
        assert_eq!(midnight, micros(shifted.expect("is one")));
        assert!(ParamType::Int64.parse("many").is_err());
        let number = toml::Value::Integer(3);
        assert_eq!(
            ParamType::Int64.value(&number).expect("is one"),
            ScalarValue::from(3_i64)
        );
        assert!(ParamType::Duration.value(&number).is_err());
    }

    #[test]
    fn a_value_without_a_declared_type_is_what_it_looks_like() {
        assert_eq!(guess("7"), ScalarValue::from(7_i64));
        assert_eq!(guess("'7'"), ScalarValue::from("7"));
        assert_eq!(guess("0.5"), ScalarValue::from(0.5));
        assert_eq!(guess("true"), ScalarValue::from(true));
        assert_eq!(guess("room 7"), ScalarValue::from("room 7"));
        assert_eq!(
            guess("2026-11-22"),
            instant("2026-11-22T00:00:00Z").expect("is one")
        );
    }
}
