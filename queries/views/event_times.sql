-- ---
-- name        = "event_times"
-- title       = "When the events of all streams happened"
-- description = "One row per event whose time can be trusted. An event that is redelivered has more than one row."
--
-- [columns]
-- stream    = { type = "string", doc = "api_calls, webhooks, storage_events, session_records" }
-- topic     = { type = "string", doc = "Kafka topic, or `import` for files" }
-- partition = { type = "int64", doc = "Kafka partition; null for files" }
-- event_id  = { type = "string", doc = "event id" }
-- at        = { type = "timestamp", doc = "event time, never later than its arrival" }
-- ---
SELECT
    'api_calls' AS stream, topic, "partition", event_id,
    least(occurred_at, coalesce(received_at, occurred_at)) AS at
FROM api_calls
WHERE time_trusted
UNION ALL
SELECT
    'webhooks' AS stream, topic, "partition", event_id,
    least(occurred_at, coalesce(received_at, occurred_at)) AS at
FROM webhooks
WHERE time_trusted
UNION ALL
SELECT
    'storage_events' AS stream, topic, "partition", event_id,
    least(occurred_at, coalesce(received_at, occurred_at)) AS at
FROM storage_events
WHERE time_trusted
UNION ALL
SELECT
    'session_records' AS stream, topic, "partition", event_id,
    least(occurred_at, coalesce(received_at, occurred_at)) AS at
FROM session_records
WHERE time_trusted
