-- ---
-- name        = "upload_status"
-- title       = "What the service says of the upload of files"
-- description = "One row per file and state in the exports of the service's own upload status that were imported. `session_uploads` says what follows."
--
-- [columns]
-- topic        = { type = "string", doc = "`import`" }
-- partition    = { type = "int64", doc = "null" }
-- offset       = { type = "int64", doc = "the line, from 1" }
-- record_index = { type = "int64", doc = "which event of the line" }
-- source_id    = { type = "string", doc = "SHA-256 of the decompressed content" }
-- event_id     = { type = "string", doc = "derived from the content" }
-- occurred_at  = { type = "timestamp", doc = "since when the file is in this state" }
-- time_trusted = { type = "bool", doc = "whether that can be believed" }
-- event_date   = { type = "date", doc = "UTC date, the partition column" }
-- payload      = { type = "string", doc = "the redacted original as JSON" }
-- sid          = { type = "string", doc = "recording session id" }
-- file         = { type = "string", doc = "file as written" }
-- file_name    = { type = "string", doc = "last segment of it" }
-- vendor       = { type = "int64", doc = "Agora's vendor number" }
-- vendor_name  = { type = "string", doc = "its slug" }
-- bucket       = { type = "string", doc = "bucket or container" }
-- status       = { type = "string", doc = "uploaded, backuped, or any other word of the service's" }
-- ---
SELECT
    topic,
    "partition",
    "offset",
    record_index,
    source_id,
    event_id,
    occurred_at,
    time_trusted,
    event_date,
    payload,
    sid,
    file,
    file_name,
    vendor,
    vendor_name,
    bucket,
    status
FROM log_upload_status
WHERE disposition = 'event'
