-- ---
-- name        = "session_diagnoses"
-- title       = "All that tells why a session failed, side by side"
-- kept        = true
-- description = """
-- One row per session with a sign of failure: a call that did not find it, an idle or early end, an error, a fail-over, trouble with
-- its web page, or no notification at all; with what else is known of it. `session_failures` judges these.
-- """
--
-- [columns]
-- sid              = { type = "string", doc = "recording session id" }
-- app_id           = { type = "string", doc = "App ID" }
-- cname            = { type = "string", doc = "channel name" }
-- uid              = { type = "string", doc = "the recorder's uid" }
-- mode             = { type = "string", doc = "individual, mix, web, raw; null when the start is not in the log" }
-- start_id         = { type = "string", doc = "event id of the accepted start" }
-- requested_at     = { type = "timestamp", doc = "when it was sent" }
-- responded_at     = { type = "timestamp", doc = "when it was answered" }
-- begun_at         = { type = "timestamp", doc = "when it was sent, else the first notification" }
-- started_at       = { type = "timestamp", doc = "recorder started (40, 70)" }
-- recorded_at      = { type = "timestamp", doc = "first sign of something recorded (42, 4, 45)" }
-- left_at          = { type = "timestamp", doc = "recorder left (41, 71)" }
-- last_left_at     = { type = "timestamp", doc = "last of these" }
-- left_idle        = { type = "bool", doc = "41 with bit 4" }
-- left_unready     = { type = "bool", doc = "41 with code 0" }
-- last_alive_at    = { type = "timestamp", doc = "latest notification that only a running recorder sends" }
-- last_alive_id    = { type = "string", doc = "event id of it" }
-- is_complete      = { type = "bool", doc = "no notification up to the last is lost" }
-- notified_until   = { type = "timestamp", doc = "latest notification" }
-- left_id          = { type = "string", doc = "event id of 41 or 71" }
-- uids             = { type = "int64", doc = "1, or 2 when the recorder's uid changed" }
-- other_uid        = { type = "string", doc = "another uid of the recorder" }
-- failovers        = { type = "int64", doc = "fail-overs (12) told" }
-- failed_over_at   = { type = "timestamp", doc = "first fail-over told" }
-- failover_id      = { type = "string", doc = "event id of it" }
-- own_stream_at    = { type = "timestamp", doc = "the recorder's uid was seen as that of a participant" }
-- own_stream_id    = { type = "string", doc = "event id of that" }
-- token_at         = { type = "timestamp", doc = "recorder's error 109 or 110" }
-- token_code       = { type = "int64", doc = "which" }
-- token_id         = { type = "string", doc = "event id of it" }
-- fatal_errors     = { type = "int64", doc = "errors of level 4 and 5, or of no level" }
-- page_code        = { type = "int64", doc = "71: why the web page recorder stopped, where not 0" }
-- page_limits      = { type = "int64", doc = "72: limits that the page hit" }
-- page_reloads     = { type = "int64", doc = "73: reloads of the page" }
-- page_result      = { type = "string", doc = "what 72 or 73 named" }
-- page_from        = { type = "timestamp", doc = "first of these" }
-- page_to          = { type = "timestamp", doc = "last of these" }
-- page_id          = { type = "string", doc = "event id of one of these" }
-- writes           = { type = "int64", doc = "writes of files; null when none came" }
-- last_slice_at    = { type = "timestamp", doc = "last slice" }
-- backup_index     = { type = "int64", doc = "highest n of a `bak<n>_` file" }
-- first_file_at    = { type = "timestamp", doc = "first file" }
-- file_id          = { type = "string", doc = "event id of a write" }
-- queried_404_at   = { type = "timestamp", doc = "first query answered 404 that should have found it" }
-- queried_404_id   = { type = "string", doc = "event id of it" }
-- missed_at        = { type = "timestamp", doc = "first query or stop answered 404, or stop answered 49" }
-- last_missed_at   = { type = "timestamp", doc = "the last of those" }
-- last_missed_id   = { type = "string", doc = "event id of it" }
-- nothing_at       = { type = "timestamp", doc = "first stop answered 435" }
-- nothing_id       = { type = "string", doc = "event id of it" }
-- app_started_from = { type = "timestamp", doc = "first notification of any session of its app, web pages apart, that a recorder started (40)" }
-- stopped_at       = { type = "timestamp", doc = "when the first stop was sent that was answered with success" }
-- ---
WITH own_streams AS (
    -- A participant with the recorder's uid, seen by any session of the channel while that recorder may have been there.
    SELECT
        started.sid,
        min(streams.at) AS at,
        min(streams.event_id) AS event_id
    FROM started_sessions AS started
    INNER JOIN (
        SELECT sid, app_id, cname, stream_uid, at, event_id
        FROM session_notices
        WHERE event_type IN (42, 43, 44) AND stream_uid <> '0'
    ) AS streams
        ON streams.cname = started.cname
        AND streams.stream_uid = started.uid
        AND streams.at >= started.requested_at - INTERVAL '1 hour'
    LEFT JOIN started_sessions AS hearing ON hearing.sid = streams.sid
    LEFT JOIN session_lifecycles ON session_lifecycles.sid = started.sid
    -- The same channel name in another app is another channel.
    WHERE coalesce(hearing.app_id, streams.app_id, started.app_id) = started.app_id
        AND streams.at <= greatest(
            started.requested_at + INTERVAL '1 hour', session_lifecycles.last_left_at + INTERVAL '2 seconds'
        )
    GROUP BY started.sid
),

suspects AS (
    -- Notifications of other sessions tell nothing that is asked for here.
    SELECT sid FROM session_lookups
    UNION
    SELECT sid FROM own_streams
    UNION
    SELECT sid FROM session_arrivals
    WHERE failover IS NOT NULL
    UNION
    SELECT session_lifecycles.sid
    FROM session_lifecycles
    LEFT JOIN started_sessions ON started_sessions.sid = session_lifecycles.sid
    WHERE session_lifecycles.left_idle
        OR session_lifecycles.is_troubled
        OR session_lifecycles.uid <> session_lifecycles.other_uid
        OR session_lifecycles.uid <> started_sessions.uid
),

notices AS (
    SELECT
        sid,
        min(app_id) AS app_id,
        max(CASE WHEN event_type IN (12, 40, 42, 43, 44, 4, 45, 70, 72, 73) THEN at END) AS last_alive_at,
        last_value(event_id ORDER BY at, event_id) FILTER (WHERE event_type IN (12, 40, 42, 43, 44, 4, 45, 70, 72, 73))
            AS last_alive_id,
        max(CASE WHEN event_type IN (41, 71) THEN event_id END) AS left_id,
        max(at) AS notified_until,
        count(CASE WHEN event_type = 12 THEN 1 END) AS failovers,
        min(CASE WHEN event_type = 12 THEN at END) AS failed_over_at,
        min(CASE WHEN event_type = 12 THEN event_id END) AS failover_id,
        min(CASE WHEN event_type = 1 AND module IN (0, 6) AND error_code IN (109, 110) THEN at END) AS token_at,
        min(CASE WHEN event_type = 1 AND module IN (0, 6) AND error_code IN (109, 110) THEN error_code END) AS token_code,
        min(CASE WHEN event_type = 1 AND module IN (0, 6) AND error_code IN (109, 110) THEN event_id END) AS token_id,
        count(CASE WHEN event_type = 1 AND coalesce(error_level, 5) >= 4 THEN 1 END) AS fatal_errors,
        min(CASE WHEN event_type = 71 AND stop_code BETWEEN 1 AND 6 THEN stop_code END) AS page_code,
        count(CASE WHEN event_type = 72 THEN 1 END) AS page_limits,
        count(CASE WHEN event_type = 73 THEN 1 END) AS page_reloads,
        min(CASE WHEN event_type IN (72, 73) THEN result END) AS page_result,
        min(CASE WHEN event_type IN (72, 73) OR (event_type = 71 AND stop_code BETWEEN 1 AND 6) THEN at END) AS page_from,
        max(CASE WHEN event_type IN (72, 73) OR (event_type = 71 AND stop_code BETWEEN 1 AND 6) THEN at END) AS page_to,
        min(CASE WHEN event_type IN (72, 73) OR (event_type = 71 AND stop_code BETWEEN 1 AND 6) THEN event_id END)
            AS page_id
    FROM (
        -- Each notification once; a twin under another id has the same number.
        SELECT
            sid,
            event_type,
            sequence,
            min(app_id) AS app_id,
            min(at) AS at,
            min(event_id) AS event_id,
            min(module) AS module,
            min(error_code) AS error_code,
            min(error_level) AS error_level,
            min(stop_code) AS stop_code,
            min(result) AS result
        FROM session_notices
        LEFT SEMI JOIN suspects ON suspects.sid = session_notices.sid
        GROUP BY sid, event_type, sequence, CASE WHEN sequence IS NULL THEN event_id END
    )
    GROUP BY sid
),

arrived AS (
    SELECT
        sid,
        sum(writes) AS writes,
        max(last_slice_at) AS last_slice_at,
        max(failover) AS failover,
        min(first_at) AS first_at,
        min(event_id) AS event_id
    FROM session_arrivals
    GROUP BY sid
),

apps AS (
    SELECT started_sessions.app_id, min(session_lifecycles.started_at) AS started_from
    FROM started_sessions
    INNER JOIN session_lifecycles ON session_lifecycles.sid = started_sessions.sid
    WHERE started_sessions.mode <> 'web'
    GROUP BY started_sessions.app_id
),

stops AS (
    SELECT sid, min(requested_at) AS requested_at
    FROM api_calls
    WHERE operation = 'stop' AND outcome <> 'rejected' AND sid IS NOT NULL
    GROUP BY sid
)

SELECT
    coalesce(started.sid, session_lifecycles.sid) AS sid,
    coalesce(started.app_id, notices.app_id) AS app_id,
    coalesce(started.cname, session_lifecycles.cname) AS cname,
    coalesce(started.uid, session_lifecycles.uid) AS uid,
    started.mode,
    started.event_id AS start_id,
    started.requested_at,
    started.responded_at,
    coalesce(started.requested_at, session_lifecycles.first_at) AS begun_at,
    session_lifecycles.started_at,
    session_lifecycles.recorded_at,
    session_lifecycles.left_at,
    session_lifecycles.last_left_at,
    coalesce(session_lifecycles.left_idle, false) AS left_idle,
    coalesce(session_lifecycles.left_unready, false) AS left_unready,
    notices.last_alive_at,
    notices.last_alive_id,
    coalesce(session_lifecycles.is_complete, false) AS is_complete,
    notices.notified_until,
    notices.left_id,
    CASE
        WHEN session_lifecycles.uid <> session_lifecycles.other_uid
            OR session_lifecycles.uid <> started.uid
            THEN 2
        ELSE 1
    END AS uids,
    CASE WHEN session_lifecycles.uid <> started.uid THEN session_lifecycles.uid ELSE session_lifecycles.other_uid END
        AS other_uid,
    coalesce(notices.failovers, 0) AS failovers,
    notices.failed_over_at,
    notices.failover_id,
    own_streams.at AS own_stream_at,
    own_streams.event_id AS own_stream_id,
    notices.token_at,
    notices.token_code,
    notices.token_id,
    coalesce(notices.fatal_errors, 0) AS fatal_errors,
    notices.page_code,
    coalesce(notices.page_limits, 0) AS page_limits,
    coalesce(notices.page_reloads, 0) AS page_reloads,
    notices.page_result,
    notices.page_from,
    notices.page_to,
    notices.page_id,
    arrived.writes,
    arrived.last_slice_at,
    arrived.failover AS backup_index,
    arrived.first_at AS first_file_at,
    arrived.event_id AS file_id,
    lookups.queried_404_at,
    lookups.queried_404_id,
    lookups.missed_at,
    lookups.last_missed_at,
    lookups.last_missed_id,
    lookups.nothing_at,
    lookups.nothing_id,
    apps.started_from AS app_started_from,
    stops.requested_at AS stopped_at
FROM started_sessions AS started
FULL JOIN session_lifecycles ON session_lifecycles.sid = started.sid
LEFT JOIN notices ON notices.sid = coalesce(started.sid, session_lifecycles.sid)
LEFT JOIN own_streams ON own_streams.sid = coalesce(started.sid, session_lifecycles.sid)
LEFT JOIN arrived ON arrived.sid = coalesce(started.sid, session_lifecycles.sid)
LEFT JOIN session_lookups AS lookups ON lookups.sid = coalesce(started.sid, session_lifecycles.sid)
LEFT JOIN apps ON apps.app_id = started.app_id
LEFT JOIN stops ON stops.sid = coalesce(started.sid, session_lifecycles.sid)
WHERE lookups.sid IS NOT NULL
    OR own_streams.sid IS NOT NULL
    OR session_lifecycles.left_idle
    OR notices.failovers > 0
    OR notices.token_at IS NOT NULL
    OR notices.page_from IS NOT NULL
    OR arrived.failover IS NOT NULL
    OR session_lifecycles.uid <> session_lifecycles.other_uid
    OR session_lifecycles.uid <> started.uid
