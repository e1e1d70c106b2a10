-- ---
-- name        = "apps"
-- title       = "By app"
-- description = "One row per app that sent a start in the window or that a routing error is about."
--
-- [params]
-- since = { type = "timestamp", doc = "start of the window, inclusive" }
-- until = { type = "timestamp", doc = "end of the window, exclusive" }
--
-- [columns]
-- app_id          = { type = "string", doc = "App ID; null where nothing says it" }
-- starts          = { type = "int64", doc = "start attempts" }
-- sessions        = { type = "int64", doc = "sessions" }
-- routing_errors  = { type = "int64", doc = "routing errors" }
-- channels        = { type = "int64", doc = "channels that they are about" }
-- per_1000_starts = { type = "float64", doc = "routing errors per 1,000 starts; null without starts" }
-- ---
SELECT
    app_id,
    starts,
    sessions,
    routing_errors,
    channels,
    CASE WHEN starts > 0 THEN round(1000.0 * routing_errors / starts, 2) END AS per_1000_starts
FROM (
    SELECT
        app_id,
        sum(starts) AS starts,
        sum(sessions) AS sessions,
        sum(routing_errors) AS routing_errors,
        sum(channels) AS channels
    FROM (
        SELECT app_id, count(*) AS starts, 0 AS sessions, 0 AS routing_errors, 0 AS channels
        FROM starts
        WHERE requested_at >= $since AND requested_at < $until
        GROUP BY app_id
        UNION ALL
        SELECT app_id, 0 AS starts, count(*) AS sessions, 0 AS routing_errors, 0 AS channels
        FROM known_sessions
        WHERE at >= $since AND at < $until
        GROUP BY app_id
        UNION ALL
        SELECT app_id, 0 AS starts, 0 AS sessions, count(*) AS routing_errors, count(DISTINCT cname) AS channels
        FROM faults
        WHERE category = 'routing' AND (at IS NULL OR (at >= $since AND at < $until))
        GROUP BY app_id
    )
    GROUP BY app_id
)
ORDER BY routing_errors DESC, starts DESC, app_id
