-- ---
-- name        = "worst_channels"
-- title       = "Channels with the most routing errors"
-- description = "One row per channel, the most routing errors first, then the worst severity, then the latest."
--
-- [params]
-- since = { type = "timestamp", doc = "start of the window, inclusive" }
-- until = { type = "timestamp", doc = "end of the window, exclusive" }
-- channels_max = { type = "int64", default = 20, doc = "how many channels" }
--
-- [columns]
-- app_id         = { type = "string", doc = "App ID" }
-- cname          = { type = "string", doc = "channel name" }
-- routing_errors = { type = "int64", doc = "routing errors" }
-- findings       = { type = "int64", doc = "findings of all categories" }
-- worst          = { type = "string", doc = "highest severity among the routing errors" }
-- kinds          = { type = "string", doc = "the detections that found routing errors" }
-- last_at        = { type = "timestamp", doc = "latest evidence of a routing error" }
-- ---
SELECT
    app_id,
    cname,
    count(CASE WHEN category = 'routing' THEN 1 END) AS routing_errors,
    count(*) AS findings,
    CASE max(CASE WHEN category = 'routing' THEN severity_rank END)
        WHEN 4 THEN 'critical'
        WHEN 3 THEN 'high'
        WHEN 2 THEN 'medium'
        WHEN 1 THEN 'low'
        ELSE 'info'
    END AS worst,
    array_to_string(
        array_sort(array_agg(DISTINCT CASE WHEN category = 'routing' THEN detection END)), ', '
    ) AS kinds,
    max(CASE WHEN category = 'routing' THEN at END) AS last_at
FROM faults
WHERE cname IS NOT NULL AND (at IS NULL OR (at >= $since AND at < $until))
GROUP BY app_id, cname
HAVING count(CASE WHEN category = 'routing' THEN 1 END) > 0
ORDER BY
    routing_errors DESC,
    max(CASE WHEN category = 'routing' THEN severity_rank END) DESC,
    last_at DESC,
    app_id,
    cname
LIMIT $channels_max
