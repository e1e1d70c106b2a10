-- ---
-- name        = "watermarks"
-- title       = "How far streams, partitions and buckets have come"
-- kept        = true
-- description = """
-- One row per partition, per stream and per bucket. A partition's watermark is the latest trusted event time that at least
-- three of its events have reached, never later than their arrival, so that one broken clock moves nothing. A stream's is the
-- least over its partitions that are not idle; a partition is idle when its last event lies more than 24 hours before the
-- furthest partition's watermark. A partition with fewer than three events holds its stream at its first event until it is
-- idle. A bucket's is its own greatest event. Imported files are one partition. The low watermark is the earliest trusted event.
-- """
--
-- [columns]
-- scope         = { type = "string", doc = "partition, stream or bucket" }
-- stream        = { type = "string", doc = "api_calls, webhooks, storage_events, session_records" }
-- topic         = { type = "string", doc = "of a partition: its topic" }
-- partition     = { type = "int64", doc = "of a partition: its number" }
-- vendor_name   = { type = "string", doc = "of a bucket: slug of its vendor" }
-- bucket        = { type = "string", doc = "of a bucket: its name" }
-- watermark     = { type = "timestamp", doc = "what came before has arrived" }
-- low_watermark = { type = "timestamp", doc = "before this the scope was not watched" }
-- last_at       = { type = "timestamp", doc = "latest trusted event, not later than its arrival" }
-- is_idle       = { type = "bool", doc = "of a partition: whether its stream does not wait for it" }
-- ---
WITH reached AS (
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
),

hours AS (
    SELECT
        stream,
        topic,
        coalesce("partition", -1) AS partition_number,
        date_trunc('hour', at) AS hour,
        min(at) AS first_at,
        max(at) AS last_at
    FROM reached
    GROUP BY stream, topic, coalesce("partition", -1), date_trunc('hour', at)
),

spans AS (
    -- Every hour here has an event, so the third event from the end lies in the last three hours.
    SELECT
        stream,
        topic,
        partition_number,
        min(first_at) AS first_at,
        max(last_at) AS last_at,
        coalesce(array_element(array_agg(hour ORDER BY hour DESC), 3), min(hour)) AS third_hour
    FROM hours
    GROUP BY stream, topic, partition_number
),

latest AS (
    SELECT
        reached.stream,
        reached.topic,
        coalesce(reached."partition", -1) AS partition_number,
        reached.event_id,
        min(reached.at) AS at
    FROM reached
    INNER JOIN spans
        ON spans.stream = reached.stream
        AND spans.topic = reached.topic
        AND spans.partition_number = coalesce(reached."partition", -1)
        AND reached.at >= spans.third_hour
    GROUP BY reached.stream, reached.topic, coalesce(reached."partition", -1), reached.event_id
),

thirds AS (
    SELECT
        stream,
        topic,
        partition_number,
        array_element(array_agg(at ORDER BY at DESC), 3) AS third_at
    FROM latest
    GROUP BY stream, topic, partition_number
),

furthest AS (
    SELECT stream, max(third_at) AS at
    FROM thirds
    GROUP BY stream
),

partitions AS (
    SELECT
        spans.stream,
        spans.topic,
        spans.partition_number,
        spans.first_at,
        spans.last_at,
        thirds.third_at,
        coalesce(spans.last_at < furthest.at - INTERVAL '24 hours', false) AS is_idle
    FROM spans
    INNER JOIN thirds
        ON thirds.stream = spans.stream
        AND thirds.topic = spans.topic
        AND thirds.partition_number = spans.partition_number
    INNER JOIN furthest ON furthest.stream = spans.stream
)

SELECT
    'partition' AS scope,
    stream,
    topic,
    CASE WHEN partition_number >= 0 THEN partition_number END AS "partition",
    NULL AS vendor_name,
    NULL AS bucket,
    third_at AS watermark,
    first_at AS low_watermark,
    last_at,
    is_idle
FROM partitions
UNION ALL
SELECT
    'stream' AS scope,
    stream,
    NULL AS topic,
    NULL AS "partition",
    NULL AS vendor_name,
    NULL AS bucket,
    min(CASE WHEN NOT is_idle THEN coalesce(third_at, first_at) END) AS watermark,
    min(first_at) AS low_watermark,
    max(last_at) AS last_at,
    false AS is_idle
FROM partitions
GROUP BY stream
UNION ALL
SELECT
    'bucket' AS scope,
    'storage_events' AS stream,
    NULL AS topic,
    NULL AS "partition",
    vendor_name,
    bucket,
    last_at AS watermark,
    first_at AS low_watermark,
    last_at,
    false AS is_idle
FROM monitored_buckets
