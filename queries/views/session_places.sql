-- ---
-- name        = "session_places"
-- title       = "Where the files of sessions are"
-- kept        = true
-- description = "One row per session, vendor and bucket that holds files of it now."
--
-- [columns]
-- sid         = { type = "string", doc = "recording session id" }
-- vendor_name = { type = "string", doc = "slug of the vendor" }
-- bucket      = { type = "string", doc = "bucket or container" }
-- cname       = { type = "string", doc = "channel name, from the keys" }
-- files       = { type = "int64", doc = "files there now" }
-- first_at    = { type = "timestamp", doc = "first write of them" }
-- last_at     = { type = "timestamp", doc = "last write of them" }
-- event_id    = { type = "string", doc = "event id of the last write of the file that came first" }
-- ---
SELECT
    sid,
    vendor_name,
    bucket,
    min(cname) AS cname,
    sum(files) AS files,
    min(first_at) AS first_at,
    max(last_at) AS last_at,
    first_value(event_id ORDER BY first_at, first_key) AS event_id
FROM session_paths
GROUP BY sid, vendor_name, bucket
