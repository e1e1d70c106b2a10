-- ---
-- name        = "unexplained_arrivals"
-- title       = "Sessions with files that no accepted start explains"
-- kept        = true
-- description = """
-- One row per session id found in the names of recorded files that no accepted start answered with. A name counts only where it has the
-- whole form of an index or a slice: other tools, too, begin names with 32 hexadecimal digits. Beside it what else knows the id, whose
-- it may be (the one app that starts that channel, else the one that stores under that path or in that bucket), and since when and how far
-- the witnesses, API calls and webhooks, are logged.
-- """
--
-- [columns]
-- sid           = { type = "string", doc = "recording session id" }
-- cname         = { type = "string", doc = "channel name, from the keys" }
-- app_id        = { type = "string", doc = "App ID, where only one can be meant" }
-- vendor_name   = { type = "string", doc = "slug of the vendor where the first files came" }
-- bucket        = { type = "string", doc = "bucket where they came" }
-- prefix        = { type = "string", doc = "path before the file names" }
-- writes        = { type = "int64", doc = "writes of its files" }
-- first_at      = { type = "timestamp", doc = "first of them" }
-- last_at       = { type = "timestamp", doc = "last of them" }
-- event_id      = { type = "string", doc = "event id of one of them" }
-- is_called     = { type = "bool", doc = "some API call names the id, though no start answered with it" }
-- is_notified   = { type = "bool", doc = "notifications name the id" }
-- is_ghost      = { type = "bool", doc = "a start of the channel without a known outcome, or the only one, may have left it behind" }
-- is_recorded_in = { type = "bool", doc = "some start in the log asked for that bucket" }
-- watched_since = { type = "timestamp", doc = "first event of the bucket" }
-- calls_from    = { type = "timestamp", doc = "low watermark of API calls" }
-- calls_to      = { type = "timestamp", doc = "watermark of API calls" }
-- webhooks_from = { type = "timestamp", doc = "low watermark of webhooks" }
-- webhooks_to   = { type = "timestamp", doc = "watermark of webhooks" }
-- ---
WITH unknown AS (
    SELECT
        arrived.sid,
        min(arrived.cname) AS cname,
        first_value(arrived.vendor_name ORDER BY arrived.first_at, arrived.bucket) AS vendor_name,
        first_value(arrived.bucket ORDER BY arrived.first_at, arrived.bucket) AS bucket,
        first_value(arrived.prefix ORDER BY arrived.first_at, arrived.bucket) AS prefix,
        sum(arrived.writes) AS writes,
        min(arrived.first_at) AS first_at,
        max(arrived.last_at) AS last_at,
        min(arrived.event_id) AS event_id
    FROM session_arrivals AS arrived
    LEFT ANTI JOIN started_sessions AS started ON started.sid = arrived.sid
    WHERE arrived.cname IS NOT NULL AND arrived.indexes + arrived.slices > 0
    GROUP BY arrived.sid
),

channels AS (
    SELECT
        cname,
        min(app_id) AS app_id,
        max(app_id) AS other_app_id
    FROM api_calls
    WHERE operation = 'start' AND cname IS NOT NULL
    GROUP BY cname
),

paths AS (
    SELECT
        vendor_name,
        bucket,
        coalesce(prefix, '') AS prefix,
        min(app_id) AS app_id,
        max(app_id) AS other_app_id
    FROM api_calls
    WHERE operation = 'start' AND bucket IS NOT NULL
    GROUP BY vendor_name, bucket, coalesce(prefix, '')
),

places AS (
    SELECT
        vendor_name,
        bucket,
        min(app_id) AS app_id,
        max(app_id) AS other_app_id
    FROM api_calls
    WHERE operation = 'start' AND bucket IS NOT NULL
    GROUP BY vendor_name, bucket
),

ghosts AS (
    -- Starts of the channel whose session nobody knows: without an answer, timed out, broken off.
    SELECT unknown.sid
    FROM unknown
    INNER JOIN (
        SELECT cname, requested_at
        FROM api_calls
        WHERE operation = 'start' AND outcome = 'indeterminate'
        UNION ALL
        -- Keys may hold the channel with its special characters rewritten.
        SELECT regexp_replace(cname, '[^0-9A-Za-z-]', '-', 'g') AS cname, requested_at
        FROM api_calls
        WHERE operation = 'start' AND outcome = 'indeterminate'
    ) AS starts
        ON starts.cname = unknown.cname
        AND starts.requested_at <= unknown.first_at + INTERVAL '2 seconds'
        AND starts.requested_at >= unknown.first_at - INTERVAL '10 minutes'
    GROUP BY unknown.sid
)

SELECT
    unknown.sid,
    unknown.cname,
    CASE
        WHEN channels.app_id = channels.other_app_id THEN channels.app_id
        WHEN paths.app_id = paths.other_app_id THEN paths.app_id
        WHEN places.app_id = places.other_app_id THEN places.app_id
    END AS app_id,
    unknown.vendor_name,
    unknown.bucket,
    unknown.prefix,
    unknown.writes,
    unknown.first_at,
    unknown.last_at,
    unknown.event_id,
    called.sid IS NOT NULL AS is_called,
    session_lifecycles.sid IS NOT NULL AS is_notified,
    ghosts.sid IS NOT NULL AS is_ghost,
    places.bucket IS NOT NULL AS is_recorded_in,
    monitored_buckets.first_at AS watched_since,
    stream_watermarks.api_calls_from AS calls_from,
    stream_watermarks.api_calls_to AS calls_to,
    stream_watermarks.webhooks_from,
    stream_watermarks.webhooks_to
FROM unknown
CROSS JOIN stream_watermarks
LEFT JOIN channels ON channels.cname = unknown.cname
LEFT JOIN paths
    ON paths.vendor_name = unknown.vendor_name
    AND paths.bucket = unknown.bucket
    AND paths.prefix = coalesce(unknown.prefix, '')
LEFT JOIN places
    ON places.vendor_name = unknown.vendor_name
    AND places.bucket = unknown.bucket
LEFT JOIN ghosts ON ghosts.sid = unknown.sid
LEFT JOIN session_lifecycles ON session_lifecycles.sid = unknown.sid
LEFT JOIN (
    SELECT DISTINCT sid
    FROM api_calls
    WHERE sid IS NOT NULL
) AS called ON called.sid = unknown.sid
LEFT JOIN monitored_buckets
    ON monitored_buckets.vendor_name = unknown.vendor_name
    AND monitored_buckets.bucket = unknown.bucket
