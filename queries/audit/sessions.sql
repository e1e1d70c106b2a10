-- ---
-- name        = "sessions"
-- title       = "Sessions that can be looked for"
-- description = """
-- One row per session: where its files were sent and are believed to be, and when it ended. Of one session, or of all that ended
-- since some time, the first that ended first.
-- """
--
-- [params]
-- sid   = { type = "string", doc = "the only session; null for all" }
-- since = { type = "timestamp", doc = "sessions that ended from then on; null for all, open ones as well" }
--
-- [columns]
-- sid           = { type = "string", doc = "recording session id" }
-- app_id        = { type = "string", doc = "App ID" }
-- cname         = { type = "string", doc = "channel name" }
-- prefix        = { type = "string", doc = "path that the accepted start asked for" }
-- record_prefix = { type = "string", doc = "path that the customer's database names" }
-- vendor_name   = { type = "string", doc = "slug of the vendor that the accepted start asked for" }
-- bucket        = { type = "string", doc = "bucket that it asked for" }
-- ended         = { type = "int64", doc = "microseconds from 1970 to its end; null while it is open or unknown" }
-- announced     = { type = "int64", doc = "microseconds from 1970 until the upload was announced as complete" }
-- ---
SELECT
    sid,
    app_id,
    cname,
    prefix,
    record_prefix,
    vendor_name,
    bucket,
    arrow_cast(ended_at, 'Int64') AS ended,
    arrow_cast(announced_at, 'Int64') AS announced
FROM sessions
WHERE ($sid IS NULL OR sid = $sid)
    AND ($since IS NULL OR ended_at >= $since)
ORDER BY ended_at, sid
