-- ---
-- name        = "known_sessions"
-- title       = "Sessions as reports count them"
-- kept        = true
-- description = """
-- One row per session that an accepted start, a notification or a file tells of, at the earliest of these signs.
-- """
--
-- [columns]
-- sid    = { type = "string", doc = "recording session id" }
-- app_id = { type = "string", doc = "App ID, where a start or a notification says it" }
-- at     = { type = "timestamp", doc = "its earliest sign" }
-- ---
SELECT
    sid,
    min(app_id) AS app_id,
    min(at) AS at
FROM (
    SELECT sid, app_id, coalesce(responded_at, requested_at) AS at
    FROM started_sessions
    UNION ALL
    SELECT sid, app_id, first_at AS at
    FROM session_lifecycles
    UNION ALL
    SELECT sid, NULL AS app_id, first_at AS at
    FROM session_landings
)
GROUP BY sid
ORDER BY at, sid
