-- ---
-- name        = "user_arrivals"
-- title       = "What arrived in the buckets of sessions, by recorded user"
-- kept        = true
-- description = """
-- One row per session, bucket and recorded user that ever had a file there, by notifications or looks into the bucket; a merged file
-- belongs to no user. `session_arrivals` has the sums over all users.
-- """
--
-- [columns]
-- sid           = { type = "string", doc = "recording session id" }
-- vendor_name   = { type = "string", doc = "slug of the vendor" }
-- bucket        = { type = "string", doc = "bucket or container" }
-- recorded_uid  = { type = "string", doc = "uid of the recorded user; empty where the name has none" }
-- cname         = { type = "string", doc = "channel name, from the keys" }
-- prefix        = { type = "string", doc = "path before the file names" }
-- writes        = { type = "int64", doc = "writes, redeliveries and looks included" }
-- indexes       = { type = "int64", doc = "writes of an index (m3u8, mpd)" }
-- slices        = { type = "int64", doc = "writes of a slice (ts, webm)" }
-- mp4s          = { type = "int64", doc = "writes of an mp4" }
-- jpgs          = { type = "int64", doc = "writes of a screenshot" }
-- audio_indexes = { type = "int64", doc = "files that are an index of the user's audio track alone" }
-- audio_slices  = { type = "int64", doc = "files that are a slice of it" }
-- video_indexes = { type = "int64", doc = "likewise of the video track" }
-- video_slices  = { type = "int64", doc = "likewise" }
-- other_indexes = { type = "int64", doc = "files that are an index of no single track" }
-- failover      = { type = "int64", doc = "highest n of a `bak<n>_` name; null without one" }
-- first_at      = { type = "timestamp", doc = "first write" }
-- last_at       = { type = "timestamp", doc = "last write" }
-- last_slice_at = { type = "timestamp", doc = "first write of the slice that came last: written anew it is a copy" }
-- last_mp4_at   = { type = "timestamp", doc = "likewise of the mp4s" }
-- last_jpg_at   = { type = "timestamp", doc = "likewise of the screenshots" }
-- event_id      = { type = "string", doc = "event id of one of the writes" }
-- ---
SELECT
    sid,
    vendor_name,
    bucket,
    recorded_uid,
    min(cname) AS cname,
    min(prefix) AS prefix,
    sum(writes) AS writes,
    sum(CASE WHEN file_type IN ('m3u8', 'mpd') THEN writes ELSE 0 END) AS indexes,
    sum(CASE WHEN file_type IN ('ts', 'webm') THEN writes ELSE 0 END) AS slices,
    sum(CASE WHEN file_type = 'mp4' THEN writes ELSE 0 END) AS mp4s,
    sum(CASE WHEN file_type = 'jpg' THEN writes ELSE 0 END) AS jpgs,
    sum(CASE WHEN file_type IN ('m3u8', 'mpd') THEN audio_files ELSE 0 END) AS audio_indexes,
    sum(CASE WHEN file_type IN ('ts', 'webm') THEN audio_files ELSE 0 END) AS audio_slices,
    sum(CASE WHEN file_type IN ('m3u8', 'mpd') THEN video_files ELSE 0 END) AS video_indexes,
    sum(CASE WHEN file_type IN ('ts', 'webm') THEN video_files ELSE 0 END) AS video_slices,
    sum(CASE WHEN file_type IN ('m3u8', 'mpd') THEN files - audio_files - video_files ELSE 0 END) AS other_indexes,
    max(failover) AS failover,
    min(first_at) AS first_at,
    -- A copy or a move writes a file anew, so a look tells of the last write only where no notification does.
    coalesce(max(CASE WHEN is_notified THEN last_at END), max(last_at)) AS last_at,
    coalesce(
        max(CASE WHEN file_type IN ('ts', 'webm') AND is_notified THEN last_new_at END),
        max(CASE WHEN file_type IN ('ts', 'webm') THEN last_new_at END)
    ) AS last_slice_at,
    coalesce(
        max(CASE WHEN file_type = 'mp4' AND is_notified THEN last_new_at END),
        max(CASE WHEN file_type = 'mp4' THEN last_new_at END)
    ) AS last_mp4_at,
    coalesce(
        max(CASE WHEN file_type = 'jpg' AND is_notified THEN last_new_at END),
        max(CASE WHEN file_type = 'jpg' THEN last_new_at END)
    ) AS last_jpg_at,
    min(event_id) AS event_id
FROM (
    SELECT
        sid,
        vendor_name,
        bucket,
        coalesce(recorded_uid, '') AS recorded_uid,
        cname,
        prefix,
        file_type,
        files,
        audio_files,
        video_files,
        writes,
        failover,
        first_at,
        last_at,
        last_new_at,
        event_id,
        true AS is_notified
    FROM session_writes
    WHERE file_type IS NOT NULL
    UNION ALL
    SELECT
        sid,
        vendor_name,
        bucket,
        coalesce(recorded_uid, '') AS recorded_uid,
        cname,
        prefix,
        file_type,
        1 AS files,
        CASE WHEN recorded_uid IS NOT NULL AND split_part("key", '__uid_e_', -1) LIKE 'audio%' THEN 1 ELSE 0 END AS audio_files,
        CASE WHEN recorded_uid IS NOT NULL AND split_part("key", '__uid_e_', -1) LIKE 'video%' THEN 1 ELSE 0 END AS video_files,
        1 AS writes,
        failover_index AS failover,
        coalesce(written_at, occurred_at) AS first_at,
        coalesce(written_at, occurred_at) AS last_at,
        coalesce(written_at, occurred_at) AS last_new_at,
        event_id,
        false AS is_notified
    FROM audits
    WHERE result = 'found' AND time_trusted AND sid IS NOT NULL AND file_type IS NOT NULL
)
GROUP BY sid, vendor_name, bucket, recorded_uid
