-- ---
-- name        = "verified_through"
-- title       = "Up to which instant every stream is complete"
-- description = """
-- One row per stream. `watermark` says up to which event time its events have arrived; `is_whole`, that every committed offset has
-- its rows, once, as `tapetrail verify` proves. Both together are `verified_through`; it is null where no event ever came or
-- something is wrong. The table `verified` has the partitions and imported files that were verified for this report.
-- """
--
-- [columns]
-- stream           = { type = "string", doc = "api_calls, webhooks, storage_events, session_records" }
-- verified_through = { type = "timestamp", doc = "complete up to this instant, and proven" }
-- watermark        = { type = "timestamp", doc = "events before this have arrived" }
-- first_at         = { type = "timestamp", doc = "before this the stream was not watched" }
-- last_at          = { type = "timestamp", doc = "its latest event" }
-- partitions       = { type = "int64", doc = "partitions and imported files" }
-- rows             = { type = "int64", doc = "rows in its table" }
-- is_whole         = { type = "bool", doc = "nothing is missing and nothing is there twice; null where there is nothing to verify" }
-- ---
WITH streams AS (
    SELECT position, stream
    FROM (
        VALUES (0, 'api_calls'), (1, 'webhooks'), (2, 'storage_events'), (3, 'session_records')
    ) AS named (position, stream)
),

proven AS (
    SELECT stream, count(*) AS partitions, sum(rows) AS rows, bool_and(is_whole) AS is_whole
    FROM verified
    GROUP BY stream
)

SELECT
    streams.stream,
    CASE WHEN proven.is_whole THEN watermarks.watermark END AS verified_through,
    watermarks.watermark,
    watermarks.low_watermark AS first_at,
    watermarks.last_at,
    coalesce(proven.partitions, 0) AS partitions,
    coalesce(proven.rows, 0) AS rows,
    proven.is_whole
FROM streams
LEFT JOIN watermarks ON watermarks.scope = 'stream' AND watermarks.stream = streams.stream
LEFT JOIN proven ON proven.stream = streams.stream
ORDER BY streams.position
