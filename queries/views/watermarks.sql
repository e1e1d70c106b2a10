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
WITH spans AS (
    -- Every hour here has an event, so the third event from the end lies in the last three hours.
    SELECT
        stream,
        topic,
        partition_number,
        min(first_at) AS first_at,
        max(last_at) AS last_at,
        coalesce(array_element(array_agg(hour ORDER BY hour DESC), 3), min(hour)) AS third_hour
    FROM partition_hours
    GROUP BY stream, topic, partition_number
),

last_hours AS (
    SELECT hours.stream, hours.topic, hours.partition_number, hours.hour
    FROM partition_hours AS hours
    INNER JOIN spans
        ON spans.stream = hours.stream
        AND spans.topic = hours.topic
        AND spans.partition_number = hours.partition_number
    WHERE hours.hour >= spans.third_hour
),

latest AS (
    SELECT
        last_hours.stream,
        last_hours.topic,
        last_hours.partition_number,
        events.event_id,
        max(events.at) AS at
    FROM last_hours
    -- The filter says nothing new, but it reaches the files: ids of earlier hours are not read.
    INNER JOIN event_times AS events
        ON events.stream = last_hours.stream
        AND events.topic = last_hours.topic
        AND coalesce(events."partition", -1) = last_hours.partition_number
        AND arrow_cast(events.at, 'Int64') / 3600000000 = last_hours.hour
    WHERE arrow_cast(events.at, 'Int64') / 3600000000 >= (SELECT min(third_hour) FROM spans)
    GROUP BY last_hours.stream, last_hours.topic, last_hours.partition_number, events.event_id
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
