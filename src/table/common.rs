//! The columns every stream's table has (design, section 4).

use super::columns::{Date, Flag, Int, Long, Text, Time, columns};

columns! {
    /// Where a row came from, what became of the message, and its payload.
    CommonRow, CommonColumns {
        /// event; dead (dead letter); skipped (tombstone, empty list, test message); gap (offsets that hold no message)
        disposition: Text,
        /// Kafka topic, or `import` for files
        topic: Text,
        /// Kafka partition; null for files
        partition: Int,
        /// Kafka offset; for files the line, from 1
        offset: Long,
        /// place of the event in its message, from 0
        record_index: Int,
        /// for gaps: the first offset after the gap
        offset_to: Long,
        /// for files: SHA-256 of the decompressed content
        source_id: Text,
        /// the producer's id, else derived from the redacted content; unique per stream and app
        event_id: Text,
        /// event time by its producer's clock, UTC
        occurred_at: Time,
        /// 2014 <= occurred_at <= received_at + 1 day, judged once at ingest
        time_trusted: Flag,
        /// the Kafka record's timestamp; null for files
        received_at: Time,
        /// who set received_at: broker or producer
        timestamp_type: Text,
        /// UTC date of a trusted occurred_at, else of received_at, else 1970-01-01
        event_date: Date,
        /// the redacted original, JSON text
        payload: Text,
        /// why a message is a dead letter, skipped or a gap: a code
        reason: Text,
        /// the same in a sentence (in session_records, events keep here the fields that an update says are null)
        detail: Text,
        /// for dead letters: the scrubbed bytes
        raw: Text,
        /// for dead letters: the message's key, redacted (in storage_events, events keep the object's key here)
        key: Text,
        /// for dead letters: the message's headers as JSON, redacted
        headers: Text,
        /// for rows that replay made: the position they came from, `topic/partition@offset#record_index`
        replay_of: Text,
    }
}
