-- ---
-- name        = "looks"
-- title       = "When each store was asked for sessions"
-- description = "One row per session and store that was ever asked: whoever answered is not asked again."
--
-- [columns]
-- sid         = { type = "string", doc = "recording session id" }
-- store       = { type = "string", doc = "name of the store in the configuration" }
-- answered_at = { type = "int64", doc = "microseconds from 1970 to the last look that was answered" }
-- refused_at  = { type = "int64", doc = "microseconds from 1970 to the last one since then that was not" }
-- ---
SELECT
    sid,
    store,
    arrow_cast(max(CASE WHEN result IN ('found', 'missing') THEN audited_at END), 'Int64') AS answered_at,
    arrow_cast(max(CASE WHEN result IN ('denied', 'failed') THEN audited_at END), 'Int64') AS refused_at
FROM session_audits
WHERE store IS NOT NULL
GROUP BY sid, store
ORDER BY sid, store
