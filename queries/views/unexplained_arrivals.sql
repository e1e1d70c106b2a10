-- ---
-- name        = "unexplained_arrivals"
-- title       = "Sessions with files that no accepted start explains"
-- kept        = true
-- description = """
-- One row per session id found in the names of recorded files that no accepted start answered with. A name counts only where it has the
-- whole form of an index, a slice, or a screenshot or mp4 of a single user: other tools, too, begin names with 32 hexadecimal digits. A
-- mixed mp4, whose form says little, counts where some start names its channel or its path. Beside it what else knows the id, whose it
-- may be (the one app that starts that channel, else the one that stores under that path or in that bucket), and since when and how far
-- the witnesses, API calls and webhooks, are logged.
-- """
--
-- [columns]
-- sid           = { type = "string", doc = "recording session id" }
-- cname         = { type = "string", doc = "channel name, from the keys; as sent, where only one that was started can be written so" }
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
        min(arrived.event_id) AS event_id,
        bool_or(arrived.indexes + arrived.slices + arrived.user_files > 0) AS is_recorded
    FROM session_arrivals AS arrived
    LEFT ANTI JOIN started_sessions AS started ON started.sid = arrived.sid
    WHERE arrived.cname IS NOT NULL AND arrived.indexes + arrived.slices + arrived.mp4s + arrived.user_files > 0
    GROUP BY arrived.sid
),

asked AS (
    -- Keys may hold the channel as it was sent, or with its special characters rewritten.
    SELECT cname AS written, cname, app_id, is_unanswered, requested_at, vendor_name, bucket
    FROM starts
    WHERE cname IS NOT NULL
    UNION ALL
    SELECT
        regexp_replace(cname, '[^0-9A-Za-z-]', '-', 'g') AS written, cname, app_id, is_unanswered, requested_at, vendor_name, bucket
    FROM starts
    WHERE cname IS NOT NULL
),

channels AS (
    SELECT
        written,
        min(cname) AS cname,
        max(cname) AS other_cname,
        min(app_id) AS app_id,
        max(app_id) AS other_app_id
    FROM asked
    GROUP BY written
),

paths AS (
    SELECT
        vendor_name,
        bucket,
        coalesce(prefix, '') AS prefix,
        min(app_id) AS app_id,
        max(app_id) AS other_app_id
    FROM starts
    WHERE bucket IS NOT NULL
    GROUP BY vendor_name, bucket, coalesce(prefix, '')
),

places AS (
    SELECT
        vendor_name,
        bucket,
        min(app_id) AS app_id,
        max(app_id) AS other_app_id
    FROM starts
    WHERE bucket IS NOT NULL
    GROUP BY vendor_name, bucket
),

ghosts AS (
    -- Starts of the channel whose session nobody knows: without an answer, timed out, broken off.
    SELECT unknown.sid
    FROM unknown
    INNER JOIN asked
        ON asked.written = unknown.cname
        AND asked.requested_at <= unknown.first_at + INTERVAL '2 seconds'
        AND asked.requested_at >= unknown.first_at - INTERVAL '10 minutes'
    WHERE asked.is_unanswered
        -- The service never re-routes: files elsewhere are of another app's channel of that name.
        AND coalesce(asked.vendor_name = unknown.vendor_name AND asked.bucket = unknown.bucket, true)
    GROUP BY unknown.sid
)

SELECT
    unknown.sid,
    CASE WHEN channels.cname = channels.other_cname THEN channels.cname ELSE unknown.cname END AS cname,
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
LEFT JOIN channels ON channels.written = unknown.cname
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
WHERE unknown.is_recorded OR channels.written IS NOT NULL OR paths.bucket IS NOT NULL
