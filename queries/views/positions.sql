-- ---
-- name        = "positions"
-- title       = "Where the rows of the four logs came from"
-- description = "One row per row of the logs, with the offsets it covers. `verify` compares it with the offsets in the tables' logs. Rows that a replay made are left out: they repeat positions on purpose."
--
-- [columns]
-- stream       = { type = "string", doc = "api_calls, webhooks, storage_events, session_records" }
-- topic        = { type = "string", doc = "Kafka topic, or `import` for files" }
-- source_id    = { type = "string", doc = "cluster and epoch as `cluster@epoch`; for files the hash of the content" }
-- partition    = { type = "int64", doc = "Kafka partition; null for files" }
-- from_offset  = { type = "int64", doc = "the offset" }
-- to_offset    = { type = "int64", doc = "the offset after; of a gap the first offset after it" }
-- record_index = { type = "int64", doc = "place of the event in its message, from 0" }
-- occurred_at  = { type = "timestamp", doc = "event time, where it can be trusted" }
-- ---
SELECT
    stream,
    topic,
    source_id,
    "partition",
    "offset" AS from_offset,
    coalesce(offset_to, "offset" + 1) AS to_offset,
    record_index,
    CASE WHEN time_trusted THEN occurred_at END AS occurred_at
FROM log_rows
WHERE replay_of IS NULL
