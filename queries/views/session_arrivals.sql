-- ---
-- name        = "session_arrivals"
-- title       = "What arrived in the buckets of sessions"
-- kept        = true
-- description = """
-- One row per session and bucket that ever had a file of it, whether it is there still or not: an object that was removed later
-- had arrived. Only files as the service names them count. `session_files` has what is there now.
-- """
--
-- [columns]
-- sid           = { type = "string", doc = "recording session id" }
-- vendor_name   = { type = "string", doc = "slug of the vendor" }
-- bucket        = { type = "string", doc = "bucket or container" }
-- cname         = { type = "string", doc = "channel name, from the keys" }
-- prefix        = { type = "string", doc = "path before the file names" }
-- writes        = { type = "int64", doc = "writes, redeliveries included" }
-- indexes       = { type = "int64", doc = "writes of an index (m3u8, mpd)" }
-- slices        = { type = "int64", doc = "writes of a slice (ts, webm)" }
-- mp4s          = { type = "int64", doc = "writes of an mp4" }
-- user_files    = { type = "int64", doc = "writes of an mp4 or a screenshot of a single user" }
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
    min(cname) AS cname,
    min(prefix) AS prefix,
    sum(writes) AS writes,
    sum(indexes) AS indexes,
    sum(slices) AS slices,
    sum(mp4s) AS mp4s,
    sum(CASE WHEN recorded_uid <> '' THEN mp4s + jpgs ELSE 0 END) AS user_files,
    max(failover) AS failover,
    min(first_at) AS first_at,
    max(last_at) AS last_at,
    max(last_slice_at) AS last_slice_at,
    max(last_mp4_at) AS last_mp4_at,
    max(last_jpg_at) AS last_jpg_at,
    min(event_id) AS event_id
FROM user_arrivals
GROUP BY sid, vendor_name, bucket
