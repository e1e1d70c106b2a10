-- ---
-- name        = "incomplete_arrivals"
-- title       = "Sessions of which a kind of file is missing"
-- kept        = true
-- description = """
-- One row per accepted session that has slices without an index, an index without slices, or no mp4 though its start asked for one. In
-- modes that record each user apart, index and slices must belong to one user; and to one track (audio, video), unless the session has an
-- index of more than one. An object that was there and was removed later is not missing. Beside it, what is needed to judge: whether the
-- bucket ever reports that kind of file of such sessions, and from when to when it was watched.
-- """
--
-- [columns]
-- sid            = { type = "string", doc = "recording session id" }
-- app_id         = { type = "string", doc = "App ID" }
-- cname          = { type = "string", doc = "channel name" }
-- uid            = { type = "string", doc = "the recorder's uid" }
-- mode           = { type = "string", doc = "individual, mix, web, raw" }
-- start_id       = { type = "string", doc = "the accepted start" }
-- requested_at   = { type = "timestamp", doc = "when it was sent" }
-- vendor_name    = { type = "string", doc = "slug of the vendor it asked for" }
-- bucket         = { type = "string", doc = "bucket it asked for" }
-- file_event_id  = { type = "string", doc = "event id of a write" }
-- lacks_index    = { type = "bool", doc = "slices of the session, of one user, or of one track of a user, have no index" }
-- lacks_slices   = { type = "bool", doc = "an index of the session, or of one user, has no slices" }
-- lacks_mp4      = { type = "bool", doc = "asked for and absent" }
-- first_at       = { type = "timestamp", doc = "first write" }
-- last_at        = { type = "timestamp", doc = "last write" }
-- ended_at       = { type = "timestamp", doc = "when the recording ended; null when nothing says so" }
-- ended_event_id = { type = "string", doc = "event id of that" }
-- is_backuped    = { type = "bool", doc = "files of it may wait in the service's backup" }
-- is_moved       = { type = "bool", doc = "an update sent later files to another bucket" }
-- shows_indexes  = { type = "bool", doc = "the bucket reported an index of other sessions" }
-- shows_slices   = { type = "bool", doc = "the bucket reported slices of other sessions of that app and mode" }
-- shows_mp4s     = { type = "bool", doc = "the bucket reported an mp4, or another did and this one reports indexes and slices alike" }
-- watched_since  = { type = "timestamp", doc = "first event of the bucket" }
-- watched_until  = { type = "timestamp", doc = "the lesser of the bucket's and the stream's watermark" }
-- ---
WITH arrived AS (
    -- A copy elsewhere completes a session, too: what counts is that a file was seen at all. What belongs to no user in a
    -- mode that records users apart is a merged file, which has no counterpart of its own.
    SELECT
        sid,
        min(event_id) AS event_id,
        sum(indexes) AS indexes,
        sum(slices) AS slices,
        sum(mp4s) AS mp4s,
        bool_or(slices > 0 AND indexes = 0 AND recorded_uid <> '')
            OR (sum(slices) > 0 AND sum(indexes) = 0)
            -- An index of both tracks is named as nobody documents.
            OR (
                bool_or(
                    recorded_uid <> ''
                    AND ((audio_slices > 0 AND audio_indexes = 0) OR (video_slices > 0 AND video_indexes = 0))
                )
                AND sum(other_indexes) = 0
            ) AS lacks_index,
        bool_or(indexes > 0 AND slices = 0 AND recorded_uid <> '') OR (sum(indexes) > 0 AND sum(slices) = 0)
            AS lacks_slices,
        min(first_at) AS first_at,
        max(last_at) AS last_at
    FROM (
        SELECT
            sid,
            recorded_uid,
            sum(indexes) AS indexes,
            sum(slices) AS slices,
            sum(mp4s) AS mp4s,
            sum(audio_indexes) AS audio_indexes,
            sum(audio_slices) AS audio_slices,
            sum(video_indexes) AS video_indexes,
            sum(video_slices) AS video_slices,
            sum(other_indexes) AS other_indexes,
            min(first_at) AS first_at,
            max(last_at) AS last_at,
            min(event_id) AS event_id
        FROM user_arrivals
        GROUP BY sid, recorded_uid
    )
    GROUP BY sid
),

shown AS (
    SELECT
        started_sessions.app_id,
        started_sessions.mode,
        session_arrivals.vendor_name,
        session_arrivals.bucket,
        sum(session_arrivals.slices) AS slices
    FROM session_arrivals
    INNER JOIN started_sessions ON started_sessions.sid = session_arrivals.sid
    GROUP BY
        started_sessions.app_id, started_sessions.mode, session_arrivals.vendor_name, session_arrivals.bucket
),

reported AS (
    SELECT vendor_name, bucket, sum(indexes) AS indexes, sum(slices) AS slices, sum(mp4s) AS mp4s
    FROM session_arrivals
    GROUP BY vendor_name, bucket
)

SELECT
    arrived.sid,
    accepted_starts.app_id,
    accepted_starts.cname,
    accepted_starts.uid,
    accepted_starts.mode,
    accepted_starts.start_id,
    accepted_starts.requested_at,
    accepted_starts.vendor_name,
    accepted_starts.bucket,
    arrived.event_id AS file_event_id,
    arrived.lacks_index,
    arrived.lacks_slices,
    arrived.mp4s = 0 AND started.wants_mp4 AS lacks_mp4,
    arrived.first_at,
    arrived.last_at,
    least(session_lifecycles.left_at, session_ends.ended_at) AS ended_at,
    session_ends.ended_event_id,
    session_lifecycles.uploaded_at IS NULL AND backuped.sid IS NOT NULL AS is_backuped,
    moved.sid IS NOT NULL AS is_moved,
    coalesce(reported.indexes > 0, false) AS shows_indexes,
    coalesce(shown.slices > 0, false) AS shows_slices,
    coalesce(reported.mp4s > 0 OR (anywhere.mp4s > 0 AND reported.indexes > 0 AND reported.slices > 0), false)
        AS shows_mp4s,
    monitored_buckets.first_at AS watched_since,
    least(monitored_buckets.last_at, stream_watermarks.storage_events_to) AS watched_until
FROM arrived
CROSS JOIN stream_watermarks
CROSS JOIN (SELECT sum(mp4s) AS mp4s FROM session_arrivals) AS anywhere
INNER JOIN started_sessions AS started ON started.sid = arrived.sid
INNER JOIN accepted_starts ON accepted_starts.sid = arrived.sid
LEFT JOIN session_lifecycles ON session_lifecycles.sid = arrived.sid
LEFT JOIN session_ends ON session_ends.sid = arrived.sid
LEFT JOIN (SELECT DISTINCT sid FROM backup_signs) AS backuped ON backuped.sid = arrived.sid
LEFT JOIN (
    SELECT DISTINCT sid, vendor_name, bucket
    FROM api_calls
    WHERE operation = 'update' AND outcome <> 'rejected' AND bucket IS NOT NULL AND sid IS NOT NULL
) AS moved
    ON moved.sid = arrived.sid
    AND (moved.vendor_name <> accepted_starts.vendor_name OR moved.bucket <> accepted_starts.bucket)
LEFT JOIN reported
    ON reported.vendor_name = accepted_starts.vendor_name
    AND reported.bucket = accepted_starts.bucket
LEFT JOIN shown
    ON shown.app_id = accepted_starts.app_id
    AND shown.mode = accepted_starts.mode
    AND shown.vendor_name = accepted_starts.vendor_name
    AND shown.bucket = accepted_starts.bucket
LEFT JOIN monitored_buckets
    ON monitored_buckets.vendor_name = accepted_starts.vendor_name
    AND monitored_buckets.bucket = accepted_starts.bucket
WHERE arrived.lacks_index
    OR arrived.lacks_slices
    OR (arrived.mp4s = 0 AND started.wants_mp4)
