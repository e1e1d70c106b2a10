-- ---
-- name        = "session_promises"
-- title       = "Files that the service said there would be"
-- description = """
-- One row per session, file and witness: notifications of files and of the end of an upload (4, 31), answers to stop and query,
-- and the service's own upload status where it was imported. Names come without their path, which some of these leave out.
-- """
--
-- [columns]
-- sid         = { type = "string", doc = "recording session id" }
-- file_name   = { type = "string", doc = "last segment of the key" }
-- promised_by = { type = "string", doc = "webhook, answer, upload_status" }
-- at          = { type = "timestamp", doc = "when it was first said" }
-- event_id    = { type = "string", doc = "event id of that" }
-- ---
SELECT
    sid,
    regexp_replace(file, '^.*/', '') AS file_name,
    promised_by,
    min(at) AS at,
    first_value(event_id ORDER BY at, event_id) AS event_id
FROM (
    SELECT sid, 'webhook' AS promised_by, coalesce(sent_at, occurred_at) AS at, event_id, unnest(files) AS file
    FROM webhooks
    WHERE event_type IN (4, 31)
        AND coalesce(product_id, 3) = 3
        AND coalesce(is_test, false) = false
    UNION ALL
    SELECT sid, 'answer' AS promised_by, coalesce(responded_at, requested_at) AS at, event_id, unnest(files) AS file
    FROM api_calls
    WHERE operation IN ('stop', 'query')
    UNION ALL
    SELECT sid, 'upload_status' AS promised_by, at, event_id, file_name AS file
    FROM file_upload_statuses
    WHERE status = 'uploaded'
)
WHERE sid IS NOT NULL AND file IS NOT NULL AND file <> ''
GROUP BY sid, regexp_replace(file, '^.*/', ''), promised_by
