-- ---
-- name        = "sessions_of_channel"
-- title       = "All sessions of a channel: where they were sent, where the files are, where they are believed to be"
-- status      = "stable"
-- description = "One row per session of the channel, in order of time. Start here with a channel name; `investigate --sid` tells one of them in full."
--
-- [params]
-- cname  = { type = "string", doc = "channel name" }
-- app_id = { type = "string", default = "", doc = "App ID, where several apps use the name; empty: all" }
--
-- [columns]
-- requested_at   = { type = "timestamp", doc = "when the accepted start was sent; null when none is known" }
-- app_id         = { type = "string", doc = "App ID" }
-- uid            = { type = "string", doc = "the recorder's uid" }
-- mode           = { type = "string", doc = "individual, mix, web, raw" }
-- sid            = { type = "string", doc = "recording session id" }
-- asked_for      = { type = "string", doc = "storage that the accepted start asked for" }
-- ended_at       = { type = "timestamp", doc = "when it ended; null while open or unknown" }
-- upload_verdict = { type = "string", doc = "uploaded, backuped, unknown; null when nothing was said" }
-- files          = { type = "int64", doc = "files in buckets now" }
-- places         = { type = "strings", doc = "buckets that hold files of it" }
-- believed       = { type = "string", doc = "vendor and bucket that the customer's database names last" }
-- ---
SELECT
    requested_at,
    app_id,
    uid,
    mode,
    sid,
    storage AS asked_for,
    ended_at,
    upload_verdict,
    files,
    places,
    CASE
        WHEN record_bucket IS NOT NULL THEN concat(coalesce(record_vendor_name, '?'), ':', record_bucket)
        ELSE record_vendor_name
    END AS believed
FROM sessions
WHERE cname = $cname AND ($app_id = '' OR app_id = $app_id)
ORDER BY coalesce(requested_at, first_seen_at), sid
