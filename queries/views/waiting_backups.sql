-- ---
-- name        = "waiting_backups"
-- title       = "Sessions whose files may still be in the service's backup"
-- description = """
-- One row per session that went to the backup and of which neither a returned index nor webhook 31 tells that it came home.
-- Beside it the newest file, and from when to when its bucket was watched: that no file came means something only there.
-- """
--
-- [columns]
-- sid           = { type = "string", doc = "recording session id" }
-- app_id        = { type = "string", doc = "App ID" }
-- cname         = { type = "string", doc = "channel name" }
-- uid           = { type = "string", doc = "the recorder's uid" }
-- start_id      = { type = "string", doc = "the accepted start; null when it is not in the log" }
-- requested_at  = { type = "timestamp", doc = "when it was sent" }
-- vendor_name   = { type = "string", doc = "slug of the vendor it asked for" }
-- bucket        = { type = "string", doc = "bucket it asked for" }
-- storage       = { type = "string", doc = "its storage for people" }
-- said_by       = { type = "string", doc = "the first sign: webhook 32, stop, query, warning" }
-- said_id       = { type = "string", doc = "event id of the first sign" }
-- first_said_at = { type = "timestamp", doc = "when the first sign came" }
-- last_said_at  = { type = "timestamp", doc = "when it was last said that files wait there" }
-- last_said_id  = { type = "string", doc = "event id of that" }
-- last_new_at   = { type = "timestamp", doc = "first write of the newest file of the session; null without files" }
-- watched_since = { type = "timestamp", doc = "first event of the bucket; null when it never sent one" }
-- watched_until = { type = "timestamp", doc = "the lesser of the bucket's and the stream's watermark" }
-- ---
SELECT
    session_backups.sid,
    coalesce(accepted_starts.app_id, session_lifecycles.app_id) AS app_id,
    coalesce(accepted_starts.cname, session_lifecycles.cname) AS cname,
    coalesce(accepted_starts.uid, session_lifecycles.uid) AS uid,
    accepted_starts.start_id,
    accepted_starts.requested_at,
    accepted_starts.vendor_name,
    accepted_starts.bucket,
    accepted_starts.storage,
    session_backups.said_by,
    session_backups.said_id,
    session_backups.first_said_at,
    session_backups.last_said_at,
    session_backups.last_said_id,
    session_backups.last_new_at,
    monitored_buckets.first_at AS watched_since,
    CASE
        WHEN monitored_buckets.last_at IS NOT NULL AND stream_watermarks.storage_events_to IS NOT NULL
            THEN least(monitored_buckets.last_at, stream_watermarks.storage_events_to)
    END AS watched_until
FROM session_backups
CROSS JOIN stream_watermarks
LEFT JOIN accepted_starts ON accepted_starts.sid = session_backups.sid
LEFT JOIN session_lifecycles ON session_lifecycles.sid = session_backups.sid
LEFT JOIN monitored_buckets
    ON monitored_buckets.vendor_name = accepted_starts.vendor_name
    AND monitored_buckets.bucket = accepted_starts.bucket
WHERE session_backups.index_at IS NULL
    AND session_backups.uploaded_at IS NULL
