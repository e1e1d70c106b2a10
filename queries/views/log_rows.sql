-- ---
-- name        = "log_rows"
-- title       = "The rows of all logs, whatever they are the trace of"
-- description = "One row per row of a stream's table: events, dead letters, skipped rows and gaps, with the columns that all tables have."
--
-- [columns]
-- stream       = { type = "string", doc = "api_calls, webhooks, storage_events, session_records, audits, upload_status" }
-- topic        = { type = "string", doc = "Kafka topic, or `import` for files" }
-- partition    = { type = "int64", doc = "Kafka partition; null for files" }
-- offset       = { type = "int64", doc = "Kafka offset; for files the line, from 1" }
-- offset_to    = { type = "int64", doc = "of a gap the first offset after it" }
-- source_id    = { type = "string", doc = "cluster and epoch as `cluster@epoch`; for files the hash of the content" }
-- record_index = { type = "int64", doc = "place of the event in its message, from 0" }
-- disposition  = { type = "string", doc = "event, dead, skipped, gap" }
-- replay_of    = { type = "string", doc = "for rows that replay made: the position they came from, `topic/partition@offset#record_index`" }
-- received_at  = { type = "timestamp", doc = "the Kafka record's timestamp; null for files" }
-- event_date   = { type = "date", doc = "UTC date, the partition column" }
-- occurred_at  = { type = "timestamp", doc = "event time by its producer's clock" }
-- time_trusted = { type = "bool", doc = "whether that can be believed" }
-- reason       = { type = "string", doc = "of a dead letter: why, a code" }
-- detail       = { type = "string", doc = "the same in a sentence" }
-- payload      = { type = "string", doc = "the redacted message, where it is JSON" }
-- raw          = { type = "string", doc = "the scrubbed bytes, where it is not" }
-- key          = { type = "string", doc = "the message's key, redacted; of a storage event the object's" }
-- headers      = { type = "string", doc = "the message's headers as JSON, redacted" }
-- ---
SELECT
    'api_calls' AS stream,
    topic, "partition", "offset", offset_to, source_id, record_index, disposition, replay_of, received_at, event_date,
    occurred_at, time_trusted, reason, detail, payload, raw, "key", headers
FROM log_api_calls
UNION ALL
SELECT
    'webhooks' AS stream,
    topic, "partition", "offset", offset_to, source_id, record_index, disposition, replay_of, received_at, event_date,
    occurred_at, time_trusted, reason, detail, payload, raw, "key", headers
FROM log_webhooks
UNION ALL
SELECT
    'storage_events' AS stream,
    topic, "partition", "offset", offset_to, source_id, record_index, disposition, replay_of, received_at, event_date,
    occurred_at, time_trusted, reason, detail, payload, raw, "key", headers
FROM log_storage_events
UNION ALL
SELECT
    'session_records' AS stream,
    topic, "partition", "offset", offset_to, source_id, record_index, disposition, replay_of, received_at, event_date,
    occurred_at, time_trusted, reason, detail, payload, raw, "key", headers
FROM log_session_records
UNION ALL
SELECT
    'audits' AS stream,
    topic, "partition", "offset", offset_to, source_id, record_index, disposition, replay_of, received_at, event_date,
    occurred_at, time_trusted, reason, detail, payload, raw, "key", headers
FROM log_audits
UNION ALL
SELECT
    'upload_status' AS stream,
    topic, "partition", "offset", offset_to, source_id, record_index, disposition, replay_of, received_at, event_date,
    occurred_at, time_trusted, reason, detail, payload, raw, "key", headers
FROM log_upload_status
