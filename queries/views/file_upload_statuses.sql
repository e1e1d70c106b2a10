-- ---
-- name        = "file_upload_statuses"
-- title       = "What the service says last of the upload of each file"
-- description = "One row per session and file in the imported upload status; of several states the last."
--
-- [columns]
-- sid         = { type = "string", doc = "recording session id" }
-- file_name   = { type = "string", doc = "last segment of the file; empty where only the session is named" }
-- status      = { type = "string", doc = "uploaded, backuped, or any other word of the service's" }
-- vendor_name = { type = "string", doc = "slug of the vendor" }
-- bucket      = { type = "string", doc = "bucket or container" }
-- at          = { type = "timestamp", doc = "since when" }
-- event_id    = { type = "string", doc = "its event id" }
-- ---
SELECT
    sid,
    coalesce(file_name, '') AS file_name,
    last_value(status ORDER BY occurred_at, event_id) AS status,
    last_value(vendor_name ORDER BY occurred_at, event_id) AS vendor_name,
    last_value(bucket ORDER BY occurred_at, event_id) AS bucket,
    max(occurred_at) AS at,
    last_value(event_id ORDER BY occurred_at, event_id) AS event_id
FROM upload_status
WHERE sid IS NOT NULL
GROUP BY sid, coalesce(file_name, '')
