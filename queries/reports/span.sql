-- ---
-- name        = "span"
-- title       = "From when to when the lake has events"
-- description = "One row: the earliest and the latest trusted event of any stream. Where `--since` or `--until` is not given, the report takes whole periods around them."
--
-- [columns]
-- first_at = { type = "timestamp", doc = "earliest event; null in an empty lake" }
-- last_at  = { type = "timestamp", doc = "latest event, not later than its arrival" }
-- ---
SELECT
    min(first_at) AS first_at,
    max(last_at) AS last_at
FROM (
    SELECT min(occurred_at) AS first_at, max(least(occurred_at, coalesce(received_at, occurred_at))) AS last_at
    FROM api_calls
    WHERE time_trusted
    UNION ALL
    SELECT min(occurred_at) AS first_at, max(least(occurred_at, coalesce(received_at, occurred_at))) AS last_at
    FROM webhooks
    WHERE time_trusted
    UNION ALL
    SELECT min(occurred_at) AS first_at, max(least(occurred_at, coalesce(received_at, occurred_at))) AS last_at
    FROM storage_events
    WHERE time_trusted
    UNION ALL
    SELECT min(occurred_at) AS first_at, max(least(occurred_at, coalesce(received_at, occurred_at))) AS last_at
    FROM session_records
    WHERE time_trusted
)
ORDER BY first_at
