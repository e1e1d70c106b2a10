-- ---
-- name        = "backup_signs"
-- title       = "Signs that files of a session went to the service's backup"
-- kept        = true
-- description = """
-- One row per sign: webhook 32, a stop or query that answers backuped or stranded, a warning that a slice went to the backup
-- (2, module 1, code 32), and an index that came back from there, which is named `<name>_<tick>_<index>.m3u8`. The name of a mixed
-- or web page channel may end in two numbers itself: there the channel of the accepted start decides, with special characters as sent
-- or written as `-`.
-- """
--
-- [columns]
-- sid      = { type = "string", doc = "recording session id" }
-- at       = { type = "timestamp", doc = "when it was said or written" }
-- sign     = { type = "string", doc = "webhook 32, stop, query, warning, index" }
-- event_id = { type = "string", doc = "event id" }
-- ---
SELECT
    sid,
    at,
    CASE WHEN event_type = 32 THEN 'webhook 32' ELSE 'warning' END AS sign,
    event_id
FROM session_notices
WHERE event_type = 32 OR (event_type = 2 AND module = 1 AND warn_code = 32)
UNION ALL
SELECT
    sid,
    coalesce(responded_at, requested_at) AS at,
    operation AS sign,
    event_id
FROM api_calls
WHERE operation IN ('stop', 'query') AND sid IS NOT NULL AND uploading_status IN ('backuped', 'stranded')
UNION ALL
SELECT
    returned.sid,
    min(returned.first_at) AS at,
    'index' AS sign,
    min(returned.event_id) AS event_id
FROM session_writes AS returned
LEFT JOIN started_sessions AS started ON started.sid = returned.sid
WHERE returned.backup_of = ''
    OR returned.backup_of = started.cname
    OR returned.backup_of = regexp_replace(started.cname, '[^A-Za-z0-9]', '-', 'g')
GROUP BY returned.sid
