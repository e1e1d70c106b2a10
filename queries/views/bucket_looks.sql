-- ---
-- name        = "bucket_looks"
-- title       = "What the last look into each bucket said of sessions, in one row"
-- kept        = true
-- description = "One row per session, vendor and bucket that somebody looked into; `session_audits` has the files one by one."
--
-- [columns]
-- sid         = { type = "string", doc = "recording session id" }
-- vendor_name = { type = "string", doc = "slug of the vendor" }
-- bucket      = { type = "string", doc = "bucket or container" }
-- at          = { type = "timestamp", doc = "the last look, refused ones included" }
-- files       = { type = "int64", doc = "files found" }
-- missing     = { type = "int64", doc = "files that had been promised and were not found" }
-- empty_at    = { type = "timestamp", doc = "the look that found nothing at all; null when something was found or nobody let us look" }
-- empty_id    = { type = "string", doc = "its event id" }
-- answer      = { type = "string", doc = "what the bucket answered to a look that it refused" }
-- ---
SELECT
    sid,
    vendor_name,
    bucket,
    max(audited_at) AS at,
    count(DISTINCT CASE WHEN result = 'found' THEN "key" END) AS files,
    count(DISTINCT CASE WHEN result = 'missing' THEN "key" END) AS missing,
    max(CASE WHEN result = 'missing' AND "key" IS NULL THEN audited_at END) AS empty_at,
    max(CASE WHEN result = 'missing' AND "key" IS NULL THEN event_id END) AS empty_id,
    max(answer) AS answer
FROM session_audits
GROUP BY sid, vendor_name, bucket
