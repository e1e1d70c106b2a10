-- ---
-- name        = "overview"
-- title       = "The window and the one before it"
-- description = """
-- One row for the window and, where the lake reaches back far enough, one for the equally long window before it. A routing
-- error is a finding of a detection of the category `routing`; it counts at the end of its evidence, a start when it was sent, a
-- session at its earliest sign.
-- """
--
-- [params]
-- since          = { type = "timestamp", doc = "start of the window, inclusive" }
-- until          = { type = "timestamp", doc = "end of the window, exclusive" }
-- previous_since = { type = "timestamp", doc = "start of the window before, which ends where the window starts" }
-- period         = { type = "string", doc = "day or week; the lake must reach back to the period of previous_since" }
--
-- [columns]
-- series                       = { type = "string", doc = "current or previous" }
-- since                        = { type = "timestamp", doc = "start, inclusive" }
-- until                        = { type = "timestamp", doc = "end, exclusive" }
-- starts                       = { type = "int64", doc = "start attempts" }
-- sessions                     = { type = "int64", doc = "sessions" }
-- routing_errors               = { type = "int64", doc = "routing errors" }
-- sessions_with_routing_errors = { type = "int64", doc = "sessions that a routing error is about" }
-- channels_with_routing_errors = { type = "int64", doc = "channels that a routing error is about" }
-- per_1000_starts              = { type = "float64", doc = "routing errors per 1,000 starts" }
-- findings                     = { type = "int64", doc = "findings of all categories" }
-- ---
WITH windows AS (
    SELECT 'current' AS series, $since AS since, $until AS until
    UNION ALL
    SELECT 'previous' AS series, $previous_since AS since, $since AS until
    FROM watermarks
    WHERE scope = 'stream' AND $previous_since < $since
    GROUP BY scope
    HAVING date_trunc($period, min(low_watermark)) <= $previous_since
),

sent AS (
    SELECT windows.series, count(*) AS starts
    FROM windows
    INNER JOIN starts ON starts.requested_at >= windows.since AND starts.requested_at < windows.until
    GROUP BY windows.series
),

seen AS (
    SELECT windows.series, count(*) AS sessions
    FROM windows
    INNER JOIN known_sessions ON known_sessions.at >= windows.since AND known_sessions.at < windows.until
    GROUP BY windows.series
),

found AS (
    SELECT
        windows.series,
        count(*) AS findings,
        count(CASE WHEN faults.category = 'routing' THEN 1 END) AS routing_errors,
        count(DISTINCT CASE WHEN faults.category = 'routing' THEN concat(coalesce(faults.app_id, ''), ' ', faults.cname) END)
            AS channels
    FROM windows
    INNER JOIN faults ON faults.at IS NULL OR (faults.at >= windows.since AND faults.at < windows.until)
    GROUP BY windows.series
),

hit AS (
    SELECT windows.series, count(DISTINCT faults.sid) AS sessions
    FROM windows
    INNER JOIN (
        SELECT at, unnest(sids) AS sid
        FROM faults
        WHERE category = 'routing'
    ) AS faults ON faults.at IS NULL OR (faults.at >= windows.since AND faults.at < windows.until)
    GROUP BY windows.series
)

SELECT
    windows.series,
    windows.since,
    windows.until,
    coalesce(sent.starts, 0) AS starts,
    coalesce(seen.sessions, 0) AS sessions,
    coalesce(found.routing_errors, 0) AS routing_errors,
    coalesce(hit.sessions, 0) AS sessions_with_routing_errors,
    coalesce(found.channels, 0) AS channels_with_routing_errors,
    round(1000.0 * coalesce(found.routing_errors, 0) / sent.starts, 2) AS per_1000_starts,
    coalesce(found.findings, 0) AS findings
FROM windows
LEFT JOIN sent ON sent.series = windows.series
LEFT JOIN seen ON seen.series = windows.series
LEFT JOIN found ON found.series = windows.series
LEFT JOIN hit ON hit.series = windows.series
ORDER BY windows.series
