-- ---
-- name        = "session_ends"
-- title       = "When sessions ended"
-- kept        = true
-- description = """
-- One row per session of which an end is known: the earliest of the ending notifications (41, in web page recording
-- 71, 11, 31, 32) and the answer to a stop. A session that is not here has no known end.
-- """
--
-- [columns]
-- sid               = { type = "string", doc = "recording session id" }
-- ended_at          = { type = "timestamp", doc = "the earliest sign of the end" }
-- ended_by          = { type = "string", doc = "what that was: stop, webhook 41, webhook 71, webhook 11, webhook 31, webhook 32" }
-- ended_event_id    = { type = "string", doc = "its event id" }
-- stop_requested_at = { type = "timestamp", doc = "when the first stop that took effect was sent; null without one" }
-- last_sign_at      = { type = "timestamp", doc = "the latest of these signs" }
-- ---
SELECT
    sid,
    min(at) AS ended_at,
    first_value(ended_by ORDER BY at, event_id) AS ended_by,
    first_value(event_id ORDER BY at, event_id) AS ended_event_id,
    min(stop_requested_at) AS stop_requested_at,
    max(at) AS last_sign_at
FROM (
    SELECT
        sid,
        coalesce(sent_at, occurred_at) AS at,
        concat('webhook ', event_type) AS ended_by,
        event_id,
        NULL AS stop_requested_at
    FROM webhooks
    WHERE event_type IN (11, 31, 32, 41, 71)
        AND coalesce(product_id, 3) = 3
        AND coalesce(is_test, false) = false
    UNION ALL
    -- 435: nothing was recorded, 49: exiting already, 50: upload goes on; in each the recording has ended.
    SELECT
        sid,
        responded_at AS at,
        'stop' AS ended_by,
        event_id,
        requested_at AS stop_requested_at
    FROM api_calls
    WHERE operation = 'stop'
        AND responded_at IS NOT NULL
        AND (outcome = 'ok' OR code IN (435, 49, 50))
)
WHERE sid IS NOT NULL AND at IS NOT NULL
GROUP BY sid
