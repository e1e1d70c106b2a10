-- ---
-- name        = "idle_chains"
-- title       = "Sessions that ended idle and were started again at once"
-- kept        = true
-- description = """
-- One row per session that its recorder left within ten minutes because nobody was there (41, bit 4), with the run that it belongs to:
-- sessions of one channel, each started within ten minutes after the one before it had ended so. Most runs have one session.
-- """
--
-- [columns]
-- sid      = { type = "string", doc = "recording session id" }
-- app_id   = { type = "string", doc = "App ID" }
-- cname    = { type = "string", doc = "channel name" }
-- uid      = { type = "string", doc = "the recorder's uid" }
-- start_id = { type = "string", doc = "event id of its start" }
-- begun_at = { type = "timestamp", doc = "when its start was sent" }
-- left_at  = { type = "timestamp", doc = "when its recorder left" }
-- run_at   = { type = "timestamp", doc = "when the first session of the run was started" }
-- ---
WITH idle AS (
    SELECT
        started_sessions.sid,
        started_sessions.app_id,
        started_sessions.cname,
        started_sessions.uid,
        started_sessions.event_id AS start_id,
        started_sessions.requested_at AS begun_at,
        session_lifecycles.left_at
    FROM session_lifecycles
    INNER JOIN started_sessions ON started_sessions.sid = session_lifecycles.sid
    WHERE session_lifecycles.left_idle
        -- A meeting may well end idle.
        AND session_lifecycles.left_at <= started_sessions.requested_at + INTERVAL '10 minutes'
        AND started_sessions.cname IS NOT NULL
)

SELECT
    idle.sid,
    idle.app_id,
    idle.cname,
    idle.uid,
    idle.start_id,
    idle.begun_at,
    idle.left_at,
    max(heads.begun_at) AS run_at
FROM idle
INNER JOIN (
    SELECT later.app_id, later.cname, later.begun_at
    FROM idle AS later
    LEFT JOIN idle AS earlier
        ON earlier.app_id = later.app_id
        AND earlier.cname = later.cname
        AND earlier.begun_at < later.begun_at
        AND earlier.left_at >= later.begun_at - INTERVAL '10 minutes'
    GROUP BY later.app_id, later.cname, later.begun_at
    HAVING count(earlier.sid) = 0
) AS heads
    ON heads.app_id = idle.app_id
    AND heads.cname = idle.cname
    AND heads.begun_at <= idle.begun_at
GROUP BY idle.sid, idle.app_id, idle.cname, idle.uid, idle.start_id, idle.begun_at, idle.left_at
