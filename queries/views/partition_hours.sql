-- ---
-- name        = "partition_hours"
-- title       = "Hours in which partitions have events"
-- kept        = true
-- description = "One row per partition and hour with an event whose time can be trusted. Imported files are one partition."
--
-- [columns]
-- stream           = { type = "string", doc = "api_calls, webhooks, storage_events, session_records" }
-- topic            = { type = "string", doc = "Kafka topic, or `import` for files" }
-- partition_number = { type = "int64", doc = "Kafka partition; -1 for files" }
-- hour             = { type = "int64", doc = "the hour: how many were over since 1970" }
-- first_at         = { type = "timestamp", doc = "first event in it" }
-- last_at          = { type = "timestamp", doc = "last event in it" }
-- ---
SELECT
    stream,
    topic,
    coalesce("partition", -1) AS partition_number,
    arrow_cast(at, 'Int64') / 3600000000 AS hour,
    min(at) AS first_at,
    max(at) AS last_at
FROM event_times
GROUP BY stream, topic, coalesce("partition", -1), arrow_cast(at, 'Int64') / 3600000000
