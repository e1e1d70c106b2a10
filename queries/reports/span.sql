-- ---
-- name        = "span"
-- title       = "From when to when the lake has events"
-- description = "One row: the earliest and the latest trusted event of any stream. Where `--since` or `--until` is not given, the report takes whole periods around them."
--
-- [columns]
-- first_at = { type = "timestamp", doc = "earliest event, not later than its arrival; null in an empty lake" }
-- last_at  = { type = "timestamp", doc = "latest event, not later than its arrival" }
-- ---
SELECT
    min(low_watermark) AS first_at,
    max(last_at) AS last_at
FROM watermarks
WHERE scope = 'stream'
ORDER BY first_at
