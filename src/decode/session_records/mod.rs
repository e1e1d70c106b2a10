//! Rows of the customer's own database -> `session_records` (`domain/state-records.md`, design section 2).
//!
//! A format finds the changed row in its envelope; a mapping then finds the fields of a session record in the
//! row. The next envelope is one file and one line in [`FORMATS`].

mod canal;
mod change;
mod debezium;
mod default_columns;
mod explain;
mod extended_json;
mod flattened;
mod location;
mod mapping;
mod maxwell;
mod mongodb;
mod plain;
mod record;
mod row_key;

use std::borrow::Cow;

use serde::Deserialize;

use super::raw::Raw;
use super::scalar::Text;
use super::{DecodeContext, Decoded, Emit};
use crate::event::{Reject, RejectCode, SkipReason};
use crate::table::rows::{Event, EventRow};
use change::{Change, Found};
pub use explain::{Explained, explain, refused};
use mapping::Fields;

/// How one kind of producer wraps a row.
struct Format {
    name: &'static str,
    /// The members that it is recognized by, for people.
    known_by: &'static str,
    /// Says by the top level of a message whether it has this format.
    recognize: fn(&Head<'_>) -> bool,
    /// Finds the changed rows in a message that [`Format::recognize`] took.
    decode: fn(&str, &Head<'_>) -> Result<Found, Reject>,
}

/// Every format, the most telling first: a plain row can be any object.
static FORMATS: [Format; 6] = [
    debezium::FORMAT,
    flattened::FORMAT,
    maxwell::FORMAT,
    mongodb::FORMAT,
    canal::FORMAT,
    plain::FORMAT,
];

/// The members that tell formats and wrappers apart, read once.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Head<'a> {
    /// Debezium: c, u, d, r, t, m.
    #[serde(borrow)]
    op: Text<'a>,
    #[serde(borrow)]
    before: Raw<'a>,
    #[serde(borrow)]
    after: Raw<'a>,
    #[serde(borrow)]
    source: Raw<'a>,
    /// Flattened.
    #[serde(borrow, rename = "__op")]
    flat_op: Raw<'a>,
    #[serde(borrow, rename = "__deleted")]
    flat_deleted: Raw<'a>,
    #[serde(borrow, rename = "__source_ts_ms")]
    flat_source_ts_ms: Raw<'a>,
    /// Maxwell and Canal.
    #[serde(borrow)]
    database: Text<'a>,
    #[serde(borrow)]
    table: Text<'a>,
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    data: Raw<'a>,
    /// Canal.
    #[serde(borrow)]
    old: Raw<'a>,
    #[serde(borrow, rename = "isDdl")]
    is_ddl: Raw<'a>,
    /// MongoDB.
    #[serde(borrow, rename = "updateDescription")]
    update_description: Raw<'a>,
    #[serde(borrow, rename = "operationType")]
    operation_type: Text<'a>,
    #[serde(borrow)]
    ns: Raw<'a>,
    /// Kafka Connect: `{schema, payload}`.
    #[serde(borrow)]
    schema: Raw<'a>,
    #[serde(borrow)]
    payload: Raw<'a>,
}

/// Takes a change of a row, the format it came in, and the payload that is kept of it.
type OnChange<'c> =
    dyn FnMut(&Change, &'static Format, &str, &mut Emit<'_>) -> Result<(), Reject> + 'c;

/// Hands the changes of one message to `emit`.
pub fn decode(text: &str, context: &DecodeContext<'_>, emit: &mut Emit<'_>) -> Result<(), Reject> {
    find(text, emit, &mut |change, _, payload, emit| {
        emit_change(change, payload, context, emit)
    })
}

/// Finds the changes of one message. What is none is emitted.
fn find(text: &str, emit: &mut Emit<'_>, on_change: &mut OnChange<'_>) -> Result<(), Reject> {
    let inner = in_text(text)?;
    let rows = inner.as_deref().unwrap_or(text);
    super::each_element(rows, text, emit, |text, payload, emit| {
        open(text, payload, emit, on_change)
    })
}

/// Returns the row that a text holds, as an outbox keeps it; none for anything else.
fn in_text(json: &str) -> Result<Option<String>, Reject> {
    if !json.trim_ascii_start().starts_with('"') {
        return Ok(None);
    }
    let text: String = read(json)?;
    Ok(text
        .trim_ascii_start()
        .starts_with(['{', '['])
        .then_some(text))
}

/// Reads one object. `Err` means that nothing was emitted.
fn open(
    text: &str,
    payload: &str,
    emit: &mut Emit<'_>,
    on_change: &mut OnChange<'_>,
) -> Result<(), Reject> {
    let head: Head<'_> = read(text)?;
    if let (true, Some(inner)) = (head.schema.is_there(), head.payload.json()) {
        return match inner.as_bytes().first() {
            Some(b'n') => {
                emit_skipped(SkipReason::Tombstone, payload, emit);
                Ok(())
            }
            Some(b'{') => open(inner, payload, emit, on_change),
            _ => match in_text(inner)? {
                Some(inner) => open(&inner, payload, emit, on_change),
                None => Err(Reject::new(
                    RejectCode::NotAnObject,
                    "`payload` must be an object",
                )),
            },
        };
    }
    if let Some(messages) = canal::rows_apart(text, &head)? {
        for message in messages {
            if let Err(reject) = open(&message, &message, emit, on_change) {
                emit(Decoded::Rejected {
                    reject,
                    payload: Some(Cow::Borrowed(&message)),
                });
            }
        }
        return Ok(());
    }
    let format = FORMATS
        .iter()
        .find(|format| (format.recognize)(&head))
        .expect("the plain format takes any object");
    match (format.decode)(text, &head)? {
        Found::Nothing(reason) => emit_skipped(reason, payload, emit),
        Found::Change(change) => on_change(&change, format, payload, emit)?,
    }
    Ok(())
}

fn emit_change(
    change: &Change,
    payload: &str,
    context: &DecodeContext<'_>,
    emit: &mut Emit<'_>,
) -> Result<(), Reject> {
    let fields = Fields::choose(change, context.mappings)?;
    let row_key = row_key::read(context.key, change);
    let row = record::row(change, &fields, row_key.as_deref());
    let emptied = record::emptied(change, &fields, &row);
    let occurred_at = change
        .committed_at
        .or(row.recorded_at)
        .or(context.received_at);
    emit(Decoded::Event(Event {
        event_id: Cow::Owned(change.event_id(row_key.as_deref())),
        occurred_at,
        payload: Cow::Borrowed(payload),
        row: EventRow::SessionRecord {
            row,
            emptied: Cow::Owned(emptied),
        },
    }));
    Ok(())
}

fn emit_skipped(reason: SkipReason, payload: &str, emit: &mut Emit<'_>) {
    emit(Decoded::Skipped {
        reason,
        payload: Some(Cow::Borrowed(payload)),
    });
}

fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Reject> {
    serde_json::from_str(text).map_err(|error| super::reject(&error))
}

#[cfg(test)]
mod tests;
