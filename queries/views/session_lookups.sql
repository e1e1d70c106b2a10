-- ---
-- name        = "session_lookups"
-- title       = "Calls that did not find a running session"
-- description = """
-- One row per session that a query or stop was told is not there (404), has ended (49) or has recorded nothing (435). A query right after
-- the start may find nothing yet.
-- """
--
-- [columns]
-- sid            = { type = "string", doc = "recording session id" }
-- queried_404_at = { type = "timestamp", doc = "first query answered 404 that should have found it: 5 s after the start was answered, 2 s after the recorder came" }
-- queried_404_id = { type = "string", doc = "event id of it" }
-- missed_at      = { type = "timestamp", doc = "first query or stop answered 404, or stop answered 49" }
-- missed_id      = { type = "string", doc = "event id of it" }
-- last_missed_at = { type = "timestamp", doc = "the last of those" }
-- last_missed_id = { type = "string", doc = "event id of it" }
-- nothing_at     = { type = "timestamp", doc = "first stop answered 435" }
-- nothing_id     = { type = "string", doc = "event id of it" }
-- ---
SELECT
    sid,
    min(CASE WHEN operation = 'query' AND http_status = 404 AND is_due THEN at END) AS queried_404_at,
    first_value(event_id ORDER BY at, event_id) FILTER (WHERE operation = 'query' AND http_status = 404 AND is_due)
        AS queried_404_id,
    min(CASE WHEN http_status = 404 OR code = 49 THEN at END) AS missed_at,
    first_value(event_id ORDER BY at, event_id) FILTER (WHERE http_status = 404 OR code = 49) AS missed_id,
    max(CASE WHEN http_status = 404 OR code = 49 THEN at END) AS last_missed_at,
    last_value(event_id ORDER BY at, event_id) FILTER (WHERE http_status = 404 OR code = 49) AS last_missed_id,
    min(CASE WHEN code = 435 THEN at END) AS nothing_at,
    first_value(event_id ORDER BY at, event_id) FILTER (WHERE code = 435) AS nothing_id
FROM (
    SELECT
        calls.sid,
        calls.operation,
        calls.http_status,
        calls.code,
        calls.event_id,
        calls.at,
        calls.at >= greatest(
            started.responded_at + INTERVAL '5 seconds', session_lifecycles.started_at + INTERVAL '2 seconds'
        ) AS is_due
    FROM (
        SELECT
            sid,
            operation,
            http_status,
            code,
            event_id,
            coalesce(responded_at, requested_at) AS at
        FROM api_calls
        WHERE sid IS NOT NULL
            AND (
                (operation IN ('query', 'stop') AND http_status = 404)
                OR (operation = 'stop' AND code IN (49, 435))
            )
    ) AS calls
    LEFT JOIN started_sessions AS started ON started.sid = calls.sid
    LEFT JOIN session_lifecycles ON session_lifecycles.sid = calls.sid
)
GROUP BY sid
