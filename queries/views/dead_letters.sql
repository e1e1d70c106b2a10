-- ---
-- name        = "dead_letters"
-- title       = "Messages that could not be read and are not yet resolved"
-- description = """
-- One row per dead letter of any stream that no replay has answered. A replayed row that is an event or was skipped answers
-- the position it came from; the row of a replay that failed again is not shown beside the first.
-- """
--
-- [columns]
-- stream       = { type = "string", doc = "api_calls, webhooks, storage_events, session_records, upload_status" }
-- position     = { type = "string", doc = "`topic/partition@offset#record_index`; for files `import/<hash>@line#record_index`" }
-- topic        = { type = "string", doc = "Kafka topic, or `import` for files" }
-- partition    = { type = "int64", doc = "Kafka partition; null for files" }
-- offset       = { type = "int64", doc = "Kafka offset; for files the line, from 1" }
-- record_index = { type = "int64", doc = "place of the event in its message, from 0" }
-- received_at  = { type = "timestamp", doc = "the Kafka record's timestamp; null for files" }
-- event_date   = { type = "date", doc = "UTC date it was received" }
-- reason       = { type = "string", doc = "why it is a dead letter: a code" }
-- detail       = { type = "string", doc = "the same in a sentence" }
-- payload      = { type = "string", doc = "the redacted message, where it is JSON" }
-- raw          = { type = "string", doc = "the scrubbed bytes, where it is not" }
-- key          = { type = "string", doc = "the message's key, redacted" }
-- headers      = { type = "string", doc = "the message's headers as JSON, redacted" }
-- ---
SELECT
    dead.stream,
    dead.position,
    dead.topic,
    dead."partition",
    dead."offset",
    dead.record_index,
    dead.received_at,
    dead.event_date,
    dead.reason,
    dead.detail,
    dead.payload,
    dead.raw,
    dead."key",
    dead.headers
FROM (
    SELECT
        *,
        concat(
            topic, '/', coalesce(CAST("partition" AS STRING), source_id), '@', "offset", '#', record_index
        ) AS position
    FROM log_rows
    WHERE disposition = 'dead' AND replay_of IS NULL
) AS dead
LEFT ANTI JOIN (
    SELECT stream, replay_of
    FROM log_rows
    WHERE disposition IN ('event', 'skipped') AND replay_of IS NOT NULL
) AS answers
    ON answers.stream = dead.stream
    AND answers.replay_of = dead.position
