-- ---
-- name        = "causes"
-- title       = "Root causes of the routing errors"
-- description = "One row per root cause: race (two starts competed), fallback (a start failed and the next one went elsewhere), state_mismatch (the database kept what was never applied), environment_switching, credentials, service, unknown."
--
-- [params]
-- since = { type = "timestamp", doc = "start of the window, inclusive" }
-- until = { type = "timestamp", doc = "end of the window, exclusive" }
--
-- [columns]
-- root_cause     = { type = "string", doc = "the cause" }
-- routing_errors = { type = "int64", doc = "routing errors of that cause" }
-- channels       = { type = "int64", doc = "channels that they are about" }
-- percent        = { type = "float64", doc = "share of all routing errors" }
-- ---
WITH counted AS (
    SELECT
        root_cause,
        count(*) AS routing_errors,
        count(DISTINCT concat(coalesce(app_id, ''), ' ', cname)) AS channels
    FROM faults
    WHERE category = 'routing' AND (at IS NULL OR (at >= $since AND at < $until))
    GROUP BY root_cause
)

SELECT
    counted.root_cause,
    counted.routing_errors,
    counted.channels,
    round(100.0 * counted.routing_errors / total.routing_errors, 1) AS percent
FROM counted
CROSS JOIN (SELECT sum(routing_errors) AS routing_errors FROM counted) AS total
ORDER BY counted.routing_errors DESC, counted.root_cause
