-- ---
-- name        = "session_lifecycles"
-- title       = "What notifications say about the life of sessions"
-- kept        = true
-- sliced_by   = "sid"
-- description = """
-- One row per session that a notification names: when its recorder came and went, when something was first recorded, when the
-- upload ended. Null where no notification said so; they may be lost, so a null proves nothing by itself: see `is_complete`.
-- """
--
-- [columns]
-- sid            = { type = "string", doc = "recording session id" }
-- app_id         = { type = "string", doc = "App ID, when the deliverer says it" }
-- cname          = { type = "string", doc = "channel name" }
-- uid            = { type = "string", doc = "a uid of its recorder: the same one each time, not always the first" }
-- other_uid      = { type = "string", doc = "another uid of its recorder, the same one each time; equal to uid unless it changed" }
-- first_at       = { type = "timestamp", doc = "earliest notification" }
-- last_at        = { type = "timestamp", doc = "latest notification" }
-- started_at     = { type = "timestamp", doc = "recorder started (40, 70)" }
-- recorded_at    = { type = "timestamp", doc = "first sign of something recorded (42, 4, 45)" }
-- failed_over_at = { type = "timestamp", doc = "first fail-over (12)" }
-- left_at        = { type = "timestamp", doc = "recorder left (41, 71)" }
-- last_left_at   = { type = "timestamp", doc = "last of these: a recorder that fails over may leave more than once" }
-- left_idle      = { type = "bool", doc = "it left because nobody was there (41, bit 4)" }
-- left_unready   = { type = "bool", doc = "it left because it could not begin (41, code 0)" }
-- left_by_client = { type = "bool", doc = "it left because it was stopped (41, bit 16)" }
-- uploaded_at    = { type = "timestamp", doc = "everything is in the configured storage (31, status 0)" }
-- backuped_at    = { type = "timestamp", doc = "everything is uploaded, some of it to the service's backup (32)" }
-- exited_at      = { type = "timestamp", doc = "session exited (11)" }
-- exited_badly   = { type = "bool", doc = "with exitStatus 1" }
-- has_verdict    = { type = "bool", doc = "any of 31, 32, 11 came" }
-- last_alive_at  = { type = "timestamp", doc = "latest sign that the recorder was there (3, 4, 12, 13, 40, 42, 43, 44, 45, 70, 73, 100)" }
-- is_troubled    = { type = "bool", doc = "a fail-over (12), an error about its token (1), trouble with the page (71, 72, 73)" }
-- least          = { type = "int64", doc = "least sequence number that came" }
-- greatest       = { type = "int64", doc = "greatest sequence number that came" }
-- numbers        = { type = "int64", doc = "how many sequence numbers came" }
-- repeats        = { type = "int64", doc = "how many numbered notifications came beyond the first of each number" }
-- is_complete    = { type = "bool", doc = "no notification up to the last that came is lost: sequence numbers run from 0 without a gap" }
-- ---
SELECT
    sid,
    min(app_id) AS app_id,
    min(cname) AS cname,
    min(CASE WHEN uid <> '0' THEN uid END) AS uid,
    max(CASE WHEN uid <> '0' THEN uid END) AS other_uid,
    min(at) AS first_at,
    max(at) AS last_at,
    min(CASE WHEN event_type IN (40, 70) THEN at END) AS started_at,
    min(CASE WHEN event_type IN (42, 4, 45) THEN at END) AS recorded_at,
    min(CASE WHEN event_type = 12 THEN at END) AS failed_over_at,
    min(CASE WHEN event_type IN (41, 71) THEN at END) AS left_at,
    max(CASE WHEN event_type IN (41, 71) THEN at END) AS last_left_at,
    coalesce(bool_or(event_type = 41 AND (leave_code & 4) > 0), false) AS left_idle,
    coalesce(bool_or(event_type = 41 AND leave_code = 0), false) AS left_unready,
    coalesce(bool_or(event_type = 41 AND (leave_code & 16) > 0), false) AS left_by_client,
    min(CASE WHEN event_type = 31 AND coalesce(status, 0) = 0 THEN at END) AS uploaded_at,
    min(CASE WHEN event_type = 32 THEN at END) AS backuped_at,
    min(CASE WHEN event_type = 11 THEN at END) AS exited_at,
    coalesce(bool_or(event_type = 11 AND exit_status = 1), false) AS exited_badly,
    coalesce(bool_or(event_type IN (31, 32, 11)), false) AS has_verdict,
    max(CASE WHEN event_type IN (3, 4, 12, 13, 40, 42, 43, 44, 45, 70, 73, 100) THEN at END) AS last_alive_at,
    coalesce(
        bool_or(
            event_type IN (12, 72, 73)
            OR (event_type = 1 AND module IN (0, 6) AND error_code IN (109, 110))
            OR (event_type = 71 AND stop_code BETWEEN 1 AND 6)
        ),
        false
    ) AS is_troubled,
    min(sequence) AS least,
    max(sequence) AS greatest,
    count(DISTINCT sequence) AS numbers,
    count(sequence) - count(DISTINCT sequence) AS repeats,
    coalesce(min(sequence) = 0 AND count(DISTINCT sequence) = max(sequence) + 1, false) AS is_complete
FROM session_notices
GROUP BY sid
