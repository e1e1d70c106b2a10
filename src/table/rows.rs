//! Rows of one table being gathered: the common columns beside the stream's own.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;

use super::api_calls::{ApiCallColumns, ApiCallRow};
use super::audits::{AuditColumns, AuditRow};
use super::common::{CommonColumns, CommonRow};
use super::session_records::{SessionRecordColumns, SessionRecordRow};
use super::storage_events::{StorageEventColumns, StorageEventRow};
use super::upload_status::{UploadStatusColumns, UploadStatusRow};
use super::webhooks::{WebhookColumns, WebhookRow};
use crate::event::{
    Disposition, MICROS_PER_DAY, Micros, Reject, SkipReason, Stream, TimestampType,
};

/// Bytes that one row takes beside its texts: fixed-width columns, string views and validity.
pub const ROW_BYTES: usize = 700;

/// 2014-01-01T00:00:00Z: nothing was recorded before the service existed.
const EARLIEST_TRUSTED: Micros = 1_388_534_400 * 1_000_000;

/// Where a message came from, and when.
#[derive(Debug, Clone, Default)]
pub struct Origin<'a> {
    /// Kafka topic, or `import`.
    pub topic: Cow<'a, str>,
    /// Kafka partition; none for files.
    pub partition: Option<i32>,
    /// Kafka offset, or line.
    pub offset: i64,
    /// Hash of an imported file's content.
    pub source_id: Option<Cow<'a, str>>,
    /// Kafka record timestamp; none for files.
    pub received_at: Option<Micros>,
    pub timestamp_type: Option<TimestampType>,
    /// The instant that bounds trusted event times where there is no `received_at`: start of the import.
    pub taken_at: Micros,
    /// Place of the message's first event: 0, but for a single element of a message: replayed, or a gap now.
    pub first_index: i32,
    /// For replayed rows: the position they came from.
    pub replay_of: Option<Cow<'a, str>>,
}

/// The stream's own part of a row.
// One at a time, on the stack: a box would be an allocation for each event.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq)]
pub enum EventRow<'a> {
    ApiCall(ApiCallRow<'a>),
    Webhook(WebhookRow<'a>),
    StorageEvent {
        /// The object's key, decoded.
        key: Cow<'a, str>,
        row: StorageEventRow<'a>,
    },
    SessionRecord(SessionRecordRow<'a>),
    Audit {
        /// The key of the object that was found or looked for; empty where there is none.
        key: Cow<'a, str>,
        row: AuditRow<'a>,
    },
    UploadStatus(UploadStatusRow<'a>),
}

/// One event as a decoder gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event<'a> {
    pub event_id: Cow<'a, str>,
    /// Event time by its producer's clock; none where the message has none.
    pub occurred_at: Option<Micros>,
    /// The redacted original of this event.
    pub payload: Cow<'a, str>,
    pub row: EventRow<'a>,
}

/// What a dead letter keeps of its message, scrubbed.
#[derive(Debug, Clone, Default)]
pub struct Remains<'a> {
    /// The redacted message where it is JSON.
    pub payload: Option<Cow<'a, str>>,
    /// The scrubbed bytes where it is not.
    pub raw: Option<Cow<'a, str>>,
    pub key: Option<Cow<'a, str>>,
    pub headers: Option<Cow<'a, str>>,
}

// There are a few of them in a process.
#[allow(clippy::large_enum_variant)]
enum EventColumns {
    ApiCalls(ApiCallColumns),
    Webhooks(WebhookColumns),
    StorageEvents(StorageEventColumns),
    SessionRecords(SessionRecordColumns),
    Audits(AuditColumns),
    UploadStatus(UploadStatusColumns),
}

/// A growing batch of rows of one stream's table.
pub struct Rows {
    stream: Stream,
    common: CommonColumns,
    columns: EventColumns,
    rows: usize,
    bytes: usize,
}

impl Rows {
    pub fn new(stream: Stream) -> Self {
        Rows {
            stream,
            common: CommonColumns::default(),
            columns: match stream {
                Stream::ApiCalls => EventColumns::ApiCalls(Default::default()),
                Stream::Webhooks => EventColumns::Webhooks(Default::default()),
                Stream::StorageEvents => EventColumns::StorageEvents(Default::default()),
                Stream::SessionRecords => EventColumns::SessionRecords(Default::default()),
                Stream::Audits => EventColumns::Audits(Default::default()),
                Stream::UploadStatus => EventColumns::UploadStatus(Default::default()),
            },
            rows: 0,
            bytes: 0,
        }
    }

    /// As `new`, for about so many rows: memory is taken once instead of growing with them.
    pub fn expecting(stream: Stream, rows: usize) -> Self {
        let mut expecting = Rows::new(stream);
        expecting.common.expect(rows);
        match &mut expecting.columns {
            EventColumns::ApiCalls(columns) => columns.expect(rows),
            EventColumns::Webhooks(columns) => columns.expect(rows),
            EventColumns::StorageEvents(columns) => columns.expect(rows),
            EventColumns::SessionRecords(columns) => columns.expect(rows),
            EventColumns::Audits(columns) => columns.expect(rows),
            EventColumns::UploadStatus(columns) => columns.expect(rows),
        }
        expecting
    }

    pub fn stream(&self) -> Stream {
        self.stream
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Returns about how many bytes the rows hold in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends an event and returns its time, where that can be believed. Panics when the event belongs to
    /// another stream: a decoder's bug.
    pub fn push_event(
        &mut self,
        origin: &Origin<'_>,
        record_index: i32,
        event: &Event<'_>,
    ) -> Option<Micros> {
        let mut common = self.common_row(origin, Disposition::Event, record_index);
        common.event_id = Some(Cow::Borrowed(&event.event_id));
        common.payload = Some(Cow::Borrowed(&event.payload));
        common.occurred_at = event.occurred_at;
        let trusted = event
            .occurred_at
            .map(|at| is_trusted(at, origin.received_at.unwrap_or(origin.taken_at)));
        common.time_trusted = trusted;
        let date_of = match (event.occurred_at, trusted) {
            (Some(at), Some(true)) => at,
            _ => origin.received_at.unwrap_or(0),
        };
        common.event_date = Some(date(date_of));
        if let EventRow::StorageEvent { key, .. } | EventRow::Audit { key, .. } = &event.row
            && !key.is_empty()
        {
            common.key = Some(Cow::Borrowed(key));
        }
        self.bytes += event.payload.len();
        let at = self.rows;
        self.push_common(&common);
        match (&mut self.columns, &event.row) {
            (EventColumns::ApiCalls(columns), EventRow::ApiCall(row)) => columns.push(at, row),
            (EventColumns::Webhooks(columns), EventRow::Webhook(row)) => columns.push(at, row),
            (EventColumns::StorageEvents(columns), EventRow::StorageEvent { row, .. }) => {
                columns.push(at, row)
            }
            (EventColumns::SessionRecords(columns), EventRow::SessionRecord(row)) => {
                columns.push(at, row)
            }
            (EventColumns::Audits(columns), EventRow::Audit { row, .. }) => columns.push(at, row),
            (EventColumns::UploadStatus(columns), EventRow::UploadStatus(row)) => {
                columns.push(at, row)
            }
            _ => unreachable!(
                "a decoder of {} gave an event of another stream",
                self.stream
            ),
        }
        event.occurred_at.filter(|_| trusted == Some(true))
    }

    /// Appends a dead letter.
    pub fn push_dead(
        &mut self,
        origin: &Origin<'_>,
        record_index: i32,
        reject: &Reject,
        remains: &Remains<'_>,
    ) {
        let mut common = self.common_row(origin, Disposition::Dead, record_index);
        common.reason = Some(Cow::Borrowed(reject.code.as_str()));
        common.detail = Some(Cow::Borrowed(&reject.detail));
        for (column, value) in [
            (&mut common.payload, &remains.payload),
            (&mut common.raw, &remains.raw),
            (&mut common.key, &remains.key),
            (&mut common.headers, &remains.headers),
        ] {
            *column = value.as_deref().map(Cow::Borrowed);
            self.bytes += value.as_ref().map_or(0, |text| text.len());
        }
        self.push_common(&common);
    }

    /// Appends the trace of a message that means nothing by right.
    pub fn push_skipped(
        &mut self,
        origin: &Origin<'_>,
        record_index: i32,
        reason: SkipReason,
        payload: Option<&str>,
    ) {
        let mut common = self.common_row(origin, Disposition::Skipped, record_index);
        common.reason = Some(Cow::Borrowed(reason.as_str()));
        common.payload = payload.map(Cow::Borrowed);
        self.bytes += payload.map_or(0, str::len);
        self.push_common(&common);
    }

    /// Appends the trace of offsets `[origin.offset, offset_to)` that hold no message.
    pub fn push_gap(&mut self, origin: &Origin<'_>, offset_to: i64, reason: &str, detail: &str) {
        let mut common = self.common_row(origin, Disposition::Gap, origin.first_index);
        common.offset_to = Some(offset_to);
        common.reason = Some(Cow::Borrowed(reason));
        common.detail = Some(Cow::Borrowed(detail));
        self.push_common(&common);
    }

    /// Returns the rows so far as one batch in the order of [`super::schema`], and starts anew.
    pub fn finish(&mut self) -> RecordBatch {
        let mut arrays = self.common.finish(self.rows);
        arrays.extend(match &mut self.columns {
            EventColumns::ApiCalls(columns) => columns.finish(self.rows),
            EventColumns::Webhooks(columns) => columns.finish(self.rows),
            EventColumns::StorageEvents(columns) => columns.finish(self.rows),
            EventColumns::SessionRecords(columns) => columns.finish(self.rows),
            EventColumns::Audits(columns) => columns.finish(self.rows),
            EventColumns::UploadStatus(columns) => columns.finish(self.rows),
        });
        self.rows = 0;
        self.bytes = 0;
        RecordBatch::try_new(Arc::clone(&super::schema(self.stream)), arrays)
            .expect("builders and schema come from one declaration")
    }

    fn common_row<'a>(
        &self,
        origin: &'a Origin<'_>,
        disposition: Disposition,
        record_index: i32,
    ) -> CommonRow<'a> {
        CommonRow {
            disposition: Some(Cow::Borrowed(disposition.as_str())),
            topic: Some(Cow::Borrowed(&origin.topic)),
            partition: origin.partition,
            offset: Some(origin.offset),
            record_index: Some(record_index),
            source_id: origin.source_id.as_deref().map(Cow::Borrowed),
            received_at: origin.received_at,
            timestamp_type: origin.timestamp_type.map(|by| Cow::Borrowed(by.as_str())),
            event_date: Some(date(origin.received_at.unwrap_or(0))),
            replay_of: origin.replay_of.as_deref().map(Cow::Borrowed),
            ..CommonRow::default()
        }
    }

    /// Appends a row of the common columns; those of the stream are null unless they are pushed, too.
    fn push_common(&mut self, row: &CommonRow<'_>) {
        self.common.push(self.rows, row);
        self.rows += 1;
        self.bytes += ROW_BYTES;
    }
}

/// Says whether an event time can be believed: 2014 <= `at` <= `bound` + 1 day.
fn is_trusted(at: Micros, bound: Micros) -> bool {
    (EARLIEST_TRUSTED..=bound.saturating_add(MICROS_PER_DAY)).contains(&at)
}

/// Returns the UTC date of an instant in days since the epoch.
fn date(at: Micros) -> i32 {
    at.div_euclid(MICROS_PER_DAY) as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{AsArray, Date32Array};
    use arrow::datatypes::Date32Type;

    fn event(occurred_at: Option<Micros>) -> Event<'static> {
        Event {
            event_id: "e1".into(),
            occurred_at,
            payload: "{}".into(),
            row: EventRow::Webhook(WebhookRow::default()),
        }
    }

    fn event_dates(received_at: Option<Micros>, occurred_at: Option<Micros>) -> Date32Array {
        let mut rows = Rows::new(Stream::Webhooks);
        let origin = Origin {
            received_at,
            ..Origin::default()
        };
        rows.push_event(&origin, 0, &event(occurred_at));
        let batch = rows.finish();
        batch["event_date"].as_primitive::<Date32Type>().clone()
    }

    #[test]
    fn a_trusted_event_time_gives_the_date() {
        let day = 20_000 * MICROS_PER_DAY;
        assert_eq!(event_dates(Some(day + 7), Some(day - 1)).value(0), 19_999);
        assert_eq!(
            event_dates(Some(day), Some(day + MICROS_PER_DAY)).value(0),
            20_001
        );
    }

    #[test]
    fn an_event_time_before_2014_or_in_the_future_does_not() {
        let day = 20_000 * MICROS_PER_DAY;
        assert_eq!(event_dates(Some(day), Some(0)).value(0), 20_000);
        assert_eq!(
            event_dates(Some(day), Some(day + MICROS_PER_DAY + 1)).value(0),
            20_000
        );
        assert_eq!(event_dates(Some(day), None).value(0), 20_000);
        assert_eq!(event_dates(None, Some(0)).value(0), 0);
    }

    #[test]
    fn every_table_finishes_to_its_schema() {
        for stream in Stream::TABLES {
            let mut rows = Rows::new(stream);
            rows.push_gap(&Origin::default(), 7, "compaction", "no message");
            rows.push_skipped(&Origin::default(), 0, SkipReason::Tombstone, None);
            assert_eq!(rows.len(), 2);
            assert_eq!(rows.finish().schema(), crate::table::schema(stream));
            assert!(rows.is_empty());
        }
    }
}
