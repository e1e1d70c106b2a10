-- ---
-- name        = "session_paths"
-- title       = "Under which paths the files of sessions are"
-- kept        = true
-- sliced_by   = "sid"
-- description = "One row per session, vendor, bucket and path that holds files of it now; `session_places` has the sums over all paths."
--
-- [columns]
-- sid              = { type = "string", doc = "recording session id" }
-- vendor_name      = { type = "string", doc = "slug of the vendor" }
-- bucket           = { type = "string", doc = "bucket or container" }
-- prefix           = { type = "string", doc = "path before the file names; null without one" }
-- cname            = { type = "string", doc = "channel name, from the keys" }
-- region_code      = { type = "string", doc = "the vendor's region code, where the files' last writes tell one: the least" }
-- last_region_code = { type = "string", doc = "the greatest; equal to the least unless they disagree" }
-- files            = { type = "int64", doc = "files there now" }
-- first_at         = { type = "timestamp", doc = "first write of them" }
-- last_at          = { type = "timestamp", doc = "last write of them" }
-- first_key        = { type = "string", doc = "key of the file that came first" }
-- event_id         = { type = "string", doc = "event id of its last write" }
-- ---
SELECT
    sid,
    vendor_name,
    bucket,
    prefix,
    min(cname) AS cname,
    min(region_code) AS region_code,
    max(region_code) AS last_region_code,
    count(*) AS files,
    min(first_at) AS first_at,
    max(last_at) AS last_at,
    first_value("key" ORDER BY first_at, "key") AS first_key,
    first_value(event_id ORDER BY first_at, "key") AS event_id
FROM session_files
GROUP BY sid, vendor_name, bucket, prefix
