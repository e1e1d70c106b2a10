-- ---
-- name        = "mismatches_by_bucket"
-- title       = "Sessions whose files are in another bucket than the customer's record says, by pair of buckets"
-- status      = "stable"
-- description = "One row per believed and actual place, the most sessions first. Raw counts; `detect --only vendor_mismatch,destination_mismatch` leaves out what is none."
--
-- [columns]
-- believed = { type = "string", doc = "vendor and bucket of the customer's record" }
-- actual   = { type = "string", doc = "vendor and bucket that hold most of the files" }
-- sessions = { type = "int64", doc = "sessions" }
-- channels = { type = "int64", doc = "channels they are of" }
-- first_at = { type = "timestamp", doc = "first start among them" }
-- last_at  = { type = "timestamp", doc = "last start among them" }
-- example  = { type = "string", doc = "sid of one of them" }
-- ---
SELECT
    concat(coalesce(record_vendor_name, '?'), ':', coalesce(record_bucket, '?')) AS believed,
    concat(coalesce(file_vendor_name, '?'), ':', file_bucket)                    AS actual,
    count(*)                                                                     AS sessions,
    count(DISTINCT concat(app_id, '/', cname))                                   AS channels,
    min(coalesce(requested_at, first_seen_at))                                   AS first_at,
    max(coalesce(requested_at, first_seen_at))                                   AS last_at,
    min(sid)                                                                     AS example
FROM sessions
WHERE file_bucket IS NOT NULL
    AND (record_vendor_name <> file_vendor_name OR record_bucket <> file_bucket)
GROUP BY 1, 2
ORDER BY sessions DESC, believed, actual
