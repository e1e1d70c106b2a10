-- ---
-- name        = "files_of_session"
-- title       = "The files of a session, wherever they are"
-- status      = "stable"
-- description = "One row per bucket and key that a bucket's notifications name and that was not removed since."
--
-- [params]
-- sid = { type = "string", doc = "recording session id" }
--
-- [columns]
-- vendor_name = { type = "string", doc = "slug of the vendor" }
-- bucket      = { type = "string", doc = "bucket" }
-- key         = { type = "string", doc = "key of the object" }
-- file_type   = { type = "string", doc = "m3u8, ts, mp4, ..." }
-- size        = { type = "int64", doc = "bytes at the last write" }
-- first_at    = { type = "timestamp", doc = "first write" }
-- last_at     = { type = "timestamp", doc = "last write" }
-- ---
SELECT vendor_name, bucket, key, file_type, size, first_at, last_at
FROM session_files
WHERE sid = $sid
ORDER BY vendor_name, bucket, key
