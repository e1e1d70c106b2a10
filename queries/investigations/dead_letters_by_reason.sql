-- ---
-- name        = "dead_letters_by_reason"
-- title       = "What could not be read, by stream and reason"
-- status      = "stable"
-- description = "One row per stream, topic and reason, the most frequent first, with one position to look at. `replay` reads them again after a fix."
--
-- [columns]
-- stream   = { type = "string", doc = "stream whose topic it came by" }
-- topic    = { type = "string", doc = "topic, or import" }
-- reason   = { type = "string", doc = "code of the reason" }
-- letters  = { type = "int64", doc = "dead letters that nothing has resolved" }
-- first_at = { type = "timestamp", doc = "when the first was received; null for imports" }
-- last_at  = { type = "timestamp", doc = "when the last was received" }
-- example  = { type = "string", doc = "position of one of them" }
-- says     = { type = "string", doc = "what was said of one of them" }
-- ---
SELECT
    stream,
    topic,
    reason,
    count(*)         AS letters,
    min(received_at) AS first_at,
    max(received_at) AS last_at,
    min(position)    AS example,
    min(detail)      AS says
FROM dead_letters
GROUP BY stream, topic, reason
ORDER BY letters DESC, stream, topic, reason
