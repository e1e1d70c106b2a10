-- ---
-- name        = "unannounced_arrivals"
-- title       = "Sessions whose files arrived while no notification spoke of the upload"
-- kept        = true
-- description = """
-- One row per known session that has files and of which neither webhook 31 nor 32 nor 11 came. Beside it, whether and since when
-- notifications of its app come at all, and how far the streams have come: absence means something only where they were watched.
-- """
--
-- [columns]
-- sid           = { type = "string", doc = "recording session id" }
-- app_id        = { type = "string", doc = "App ID" }
-- cname         = { type = "string", doc = "channel name" }
-- uid           = { type = "string", doc = "the recorder's uid" }
-- start_id      = { type = "string", doc = "the accepted start; null when it is not in the log" }
-- begun_at      = { type = "timestamp", doc = "when the start was sent, else the first sign" }
-- vendor_name   = { type = "string", doc = "slug of the vendor that the start asked for" }
-- bucket        = { type = "string", doc = "bucket that it asked for" }
-- file_vendor_name = { type = "string", doc = "slug of the vendor where the first files came" }
-- file_bucket   = { type = "string", doc = "bucket where they came" }
-- file_event_id = { type = "string", doc = "event id of a write" }
-- first_file_at = { type = "timestamp", doc = "first of them" }
-- last_file_at  = { type = "timestamp", doc = "last of them" }
-- ended_at      = { type = "timestamp", doc = "when the recording ended, by a stop or by the recorder's leaving; null when nothing says so" }
-- ended_id      = { type = "string", doc = "event id of that" }
-- files_watched_until = { type = "timestamp", doc = "the lesser of the buckets' and the stream's watermark of storage events" }
-- is_notified   = { type = "bool", doc = "other notifications of the session came" }
-- app_notified_from = { type = "timestamp", doc = "first notification of any session of its app" }
-- app_announces = { type = "bool", doc = "some session of its app got a 31, 32 or 11" }
-- webhooks_from = { type = "timestamp", doc = "low watermark of webhooks" }
-- webhooks_to   = { type = "timestamp", doc = "watermark of webhooks" }
-- ---
WITH arrived AS (
    SELECT
        session_arrivals.sid,
        min(session_arrivals.cname) AS cname,
        first_value(session_arrivals.vendor_name ORDER BY session_arrivals.first_at, session_arrivals.bucket)
            AS vendor_name,
        first_value(session_arrivals.bucket ORDER BY session_arrivals.first_at, session_arrivals.bucket) AS bucket,
        min(session_arrivals.event_id) AS event_id,
        min(session_arrivals.first_at) AS first_file_at,
        max(session_arrivals.last_at) AS last_file_at,
        max(monitored_buckets.last_at) AS bucket_watermark
    FROM session_arrivals
    LEFT JOIN monitored_buckets
        ON monitored_buckets.vendor_name = session_arrivals.vendor_name
        AND monitored_buckets.bucket = session_arrivals.bucket
    GROUP BY session_arrivals.sid
),

apps AS (
    SELECT
        started_sessions.app_id,
        min(session_lifecycles.first_at) AS notified_from,
        bool_or(session_lifecycles.has_verdict) AS announces
    FROM started_sessions
    INNER JOIN session_lifecycles ON session_lifecycles.sid = started_sessions.sid
    GROUP BY started_sessions.app_id
)

SELECT
    arrived.sid,
    coalesce(accepted_starts.app_id, session_lifecycles.app_id) AS app_id,
    coalesce(accepted_starts.cname, session_lifecycles.cname, arrived.cname) AS cname,
    coalesce(accepted_starts.uid, session_lifecycles.uid) AS uid,
    accepted_starts.start_id,
    coalesce(accepted_starts.requested_at, least(session_lifecycles.first_at, arrived.first_file_at)) AS begun_at,
    accepted_starts.vendor_name,
    accepted_starts.bucket,
    arrived.vendor_name AS file_vendor_name,
    arrived.bucket AS file_bucket,
    arrived.event_id AS file_event_id,
    arrived.first_file_at,
    arrived.last_file_at,
    least(session_ends.ended_at, session_lifecycles.left_at) AS ended_at,
    session_ends.ended_event_id AS ended_id,
    least(arrived.bucket_watermark, stream_watermarks.storage_events_to) AS files_watched_until,
    session_lifecycles.sid IS NOT NULL AS is_notified,
    apps.notified_from AS app_notified_from,
    coalesce(apps.announces, false) AS app_announces,
    stream_watermarks.webhooks_from,
    stream_watermarks.webhooks_to
FROM arrived
CROSS JOIN stream_watermarks
LEFT JOIN session_lifecycles ON session_lifecycles.sid = arrived.sid
LEFT JOIN accepted_starts ON accepted_starts.sid = arrived.sid
LEFT JOIN session_ends ON session_ends.sid = arrived.sid
LEFT JOIN apps ON apps.app_id = accepted_starts.app_id
WHERE NOT coalesce(session_lifecycles.has_verdict, false)
    AND (accepted_starts.sid IS NOT NULL OR session_lifecycles.sid IS NOT NULL)
