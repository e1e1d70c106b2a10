-- ---
-- name        = "session_backups"
-- title       = "Sessions whose files went to the service's backup"
-- kept        = true
-- description = """
-- One row per session of which files went to the service's backup cloud before they came to the storage of the accepted start. A
-- warning about a slice alone counts only while no webhook 31 says that everything is in its place.
-- """
--
-- [columns]
-- sid          = { type = "string", doc = "recording session id" }
-- said_by      = { type = "string", doc = "the first sign: webhook 32, stop, query, warning, index" }
-- said_id      = { type = "string", doc = "event id of the first sign" }
-- first_said_at = { type = "timestamp", doc = "when the first sign came" }
-- last_said_at = { type = "timestamp", doc = "when it was last said that files wait there, or the last notification of a session of which only a warning tells; null where only a returned index does" }
-- last_said_id = { type = "string", doc = "event id of that" }
-- uploaded_at  = { type = "timestamp", doc = "webhook 31 said that everything is in the configured storage" }
-- index_at     = { type = "timestamp", doc = "an index came back from the backup" }
-- index_id     = { type = "string", doc = "event id of that" }
-- last_new_at  = { type = "timestamp", doc = "first write of the newest file of the session, in any bucket" }
-- last_new_id  = { type = "string", doc = "event id of that" }
-- ---
WITH said AS (
    SELECT
        sid,
        first_value(sign ORDER BY at, event_id) AS said_by,
        first_value(event_id ORDER BY at, event_id) AS said_id,
        min(at) AS first_said_at,
        max(CASE WHEN sign <> 'index' THEN at END) AS last_said_at,
        last_value(event_id ORDER BY at, event_id) FILTER (WHERE sign <> 'index') AS last_said_id,
        min(CASE WHEN sign = 'index' THEN at END) AS index_at,
        min(CASE WHEN sign = 'index' THEN event_id END) AS index_id,
        bool_or(sign <> 'warning') AS is_certain
    FROM backup_signs
    GROUP BY sid
),

arrived AS (
    SELECT
        sid,
        max(first_at) AS last_new_at,
        last_value(event_id ORDER BY first_at, event_id) AS last_new_id
    FROM (
        SELECT
            files.sid,
            files."key",
            min(CASE WHEN files.time_trusted THEN files.occurred_at ELSE coalesce(files.received_at, files.occurred_at) END)
                AS first_at,
            min(files.event_id) AS event_id
        FROM storage_events AS files
        INNER JOIN (SELECT DISTINCT sid FROM backup_signs) AS backuped ON backuped.sid = files.sid
        WHERE files.kind = 'created' AND files.file_type IS NOT NULL
        GROUP BY files.sid, files.vendor_name, files.bucket, files."key"
    )
    GROUP BY sid
)

SELECT
    said.sid,
    said.said_by,
    said.said_id,
    said.first_said_at,
    -- A warning comes while the recording goes on: what is written until its end is no return.
    CASE
        WHEN said.is_certain THEN said.last_said_at
        ELSE greatest(said.last_said_at, session_lifecycles.last_at)
    END AS last_said_at,
    said.last_said_id,
    session_lifecycles.uploaded_at,
    said.index_at,
    said.index_id,
    arrived.last_new_at,
    arrived.last_new_id
FROM said
LEFT JOIN session_lifecycles ON session_lifecycles.sid = said.sid
LEFT JOIN arrived ON arrived.sid = said.sid
WHERE said.is_certain OR session_lifecycles.uploaded_at IS NULL
