-- ---
-- name        = "session_uploads"
-- title       = "What the service said about the upload of sessions"
-- kept        = true
-- description = """
-- One row per session of which a notification (31, 32), the answer to a stop or query, or the imported upload status of its files
-- says how the upload went. `uploaded`
-- means all files are in the storage of the accepted start; `backuped` (also stranded) means some wait in the service's backup.
-- """
--
-- [columns]
-- sid          = { type = "string", doc = "recording session id" }
-- app_id       = { type = "string", doc = "App ID, where the messages say it" }
-- cname        = { type = "string", doc = "channel name" }
-- uid          = { type = "string", doc = "the recorder's uid" }
-- verdict      = { type = "string", doc = "uploaded, backuped or unknown; uploaded wins, as the backup comes home later" }
-- announced_at = { type = "timestamp", doc = "when the upload was first announced as complete; null while it was not" }
-- announced_by = { type = "string", doc = "what announced it: webhook 31, stop, query, upload_status" }
-- announced_id = { type = "string", doc = "its event id" }
-- backuped_at  = { type = "timestamp", doc = "when the service first said that files wait in its backup" }
-- ---
SELECT
    sid,
    min(app_id) AS app_id,
    min(cname) AS cname,
    min(uid) AS uid,
    CASE
        WHEN bool_or(verdict = 'uploaded') THEN 'uploaded'
        WHEN bool_or(verdict = 'backuped') THEN 'backuped'
        ELSE 'unknown'
    END AS verdict,
    min(CASE WHEN verdict = 'uploaded' THEN at END) AS announced_at,
    first_value(said_by ORDER BY at, event_id) FILTER (WHERE verdict = 'uploaded') AS announced_by,
    first_value(event_id ORDER BY at, event_id) FILTER (WHERE verdict = 'uploaded') AS announced_id,
    min(CASE WHEN verdict = 'backuped' THEN at END) AS backuped_at
FROM (
    SELECT
        sid,
        app_id,
        cname,
        uid,
        coalesce(sent_at, occurred_at) AS at,
        concat('webhook ', event_type) AS said_by,
        event_id,
        CASE
            WHEN event_type = 31 AND coalesce(status, 0) = 0 THEN 'uploaded'
            WHEN event_type = 32 THEN 'backuped'
            ELSE 'unknown'
        END AS verdict
    FROM webhooks
    WHERE event_type IN (31, 32)
        AND coalesce(product_id, 3) = 3
        AND coalesce(is_test, false) = false
    UNION ALL
    SELECT
        sid,
        app_id,
        cname,
        uid,
        coalesce(responded_at, requested_at) AS at,
        operation AS said_by,
        event_id,
        CASE
            WHEN uploading_status = 'uploaded' THEN 'uploaded'
            WHEN uploading_status IN ('backuped', 'stranded') THEN 'backuped'
            ELSE 'unknown'
        END AS verdict
    FROM api_calls
    WHERE operation IN ('stop', 'query') AND uploading_status IS NOT NULL
    UNION ALL
    -- Complete is what has no file that is anywhere else.
    SELECT
        sid,
        NULL AS app_id,
        NULL AS cname,
        NULL AS uid,
        max(at) AS at,
        'upload_status' AS said_by,
        last_value(event_id ORDER BY at, event_id) AS event_id,
        CASE
            WHEN bool_and(status = 'uploaded') THEN 'uploaded'
            WHEN bool_or(status IN ('backuped', 'stranded')) THEN 'backuped'
            ELSE 'unknown'
        END AS verdict
    FROM file_upload_statuses
    GROUP BY sid
)
WHERE sid IS NOT NULL
GROUP BY sid
