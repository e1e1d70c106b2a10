//! Rows of the customer's own database -> `session_records` (`domain/state-records.md`, design section 2).
//!
//! A format finds the changed row in its envelope; a mapping then finds the fields of a session record in the
//! row. The next envelope is one file and one line in [`FORMATS`].

mod change;
mod debezium;
mod default_columns;
mod flattened;
mod location;
mod mapping;
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
use mapping::Fields;

/// How one kind of producer wraps a row.
struct Format {
    /// Says by the top level of a message whether it has this format.
    recognize: fn(&Head<'_>) -> bool,
    /// Finds the changed rows in a message that [`Format::recognize`] took.
    decode: fn(&str, &Head<'_>) -> Result<Found, Reject>,
}

/// Every format, the most telling first: a plain row can be any object.
const FORMATS: [Format; 3] = [debezium::FORMAT, flattened::FORMAT, plain::FORMAT];

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
    /// Kafka Connect: `{schema, payload}`.
    #[serde(borrow)]
    schema: Raw<'a>,
    #[serde(borrow)]
    payload: Raw<'a>,
}

/// Hands the changes of one message to `emit`.
pub fn decode(text: &str, context: &DecodeContext<'_>, emit: &mut Emit<'_>) -> Result<(), Reject> {
    super::each_element(text, text, emit, |text, payload, emit| {
        open(text, payload, context, emit)
    })
}

/// Reads one object. `Err` means that nothing was emitted.
fn open(
    text: &str,
    payload: &str,
    context: &DecodeContext<'_>,
    emit: &mut Emit<'_>,
) -> Result<(), Reject> {
    let head: Head<'_> = read(text)?;
    if let (true, Some(inner)) = (head.schema.is_there(), head.payload.json()) {
        return match inner {
            "null" => {
                emit_skipped(SkipReason::Tombstone, payload, emit);
                Ok(())
            }
            inner if inner.starts_with('{') => open(inner, payload, context, emit),
            _ => Err(Reject::new(
                RejectCode::NotAnObject,
                "`payload` must be an object",
            )),
        };
    }
    let format = FORMATS
        .iter()
        .find(|format| (format.recognize)(&head))
        .expect("the plain format takes any object");
    match (format.decode)(text, &head)? {
        Found::Nothing(reason) => emit_skipped(reason, payload, emit),
        Found::Change(change) => emit_change(&change, payload, context, emit)?,
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
    let row_key = row_key::read(context.key, &change.row);
    let row = record::row(change, &fields, row_key.as_deref());
    let occurred_at = change
        .committed_at
        .or(row.recorded_at)
        .or(context.received_at);
    emit(Decoded::Event(Event {
        event_id: Cow::Owned(change.event_id(row_key.as_deref())),
        occurred_at,
        payload: Cow::Borrowed(payload),
        row: EventRow::SessionRecord(row),
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
