-- ---
-- name        = "periods"
-- title       = "Day by day or week by week"
-- description = """
-- One row per day or week (from Monday, UTC) of the window and, where the lake reaches back far enough, of the equally long window
-- before it. Beside each the period directly before it. A period is complete when the window has all of it and every stream that
-- has events has passed its end.
-- """
--
-- [params]
-- since          = { type = "timestamp", doc = "start of the window, inclusive" }
-- until          = { type = "timestamp", doc = "end of the window, exclusive" }
-- previous_since = { type = "timestamp", doc = "start of the window before, which ends where the window starts" }
-- period         = { type = "string", doc = "day or week" }
--
-- [columns]
-- series                       = { type = "string", doc = "current, or previous for the window before" }
-- position                     = { type = "int64", doc = "which period of its window, from 0" }
-- period_start                 = { type = "timestamp", doc = "start, inclusive" }
-- is_complete                  = { type = "bool", doc = "nothing can be added to it" }
-- starts                       = { type = "int64", doc = "start attempts" }
-- sessions                     = { type = "int64", doc = "sessions" }
-- routing_errors               = { type = "int64", doc = "routing errors" }
-- sessions_with_routing_errors = { type = "int64", doc = "sessions that a routing error is about" }
-- per_1000_starts              = { type = "float64", doc = "routing errors per 1,000 starts" }
-- previous_routing_errors      = { type = "int64", doc = "routing errors of the period before; null where the lake does not have it" }
-- previous_per_1000_starts     = { type = "float64", doc = "the same per 1,000 starts" }
-- change_percent               = { type = "float64", doc = "change of the rate per 1,000 starts against the period before" }
-- ---
WITH reach AS (
    SELECT min(low_watermark) AS begins_at, min(watermark) AS complete_to
    FROM watermarks
    WHERE scope = 'stream'
),

windows AS (
    SELECT 'current' AS series, $since AS since, $until AS until, begins_at, complete_to
    FROM reach
    UNION ALL
    SELECT 'previous' AS series, $previous_since AS since, $since AS until, begins_at, complete_to
    FROM reach
    WHERE $previous_since < $since AND date_trunc($period, begins_at) <= $previous_since
),

numbered AS (
    -- Periods are numbered rather than listed, so that one without events is there, too.
    SELECT
        series,
        since,
        until,
        begins_at,
        complete_to,
        unnest(
            range(
                0,
                1 + (
                    arrow_cast(date_trunc($period, until - INTERVAL '1 millisecond'), 'Int64')
                    - arrow_cast(date_trunc($period, since), 'Int64')
                ) / CASE $period WHEN 'week' THEN 604800000000 ELSE 86400000000 END
            )
        ) AS position
    FROM windows
),

periods AS (
    SELECT
        series,
        position,
        since,
        until,
        begins_at,
        complete_to,
        date_trunc($period, since) + arrow_cast(
            position * CASE $period WHEN 'week' THEN 604800000000 ELSE 86400000000 END, 'Duration(Microsecond)'
        ) AS period_start
    FROM numbered
),

events AS (
    SELECT requested_at AS at, 1 AS starts, 0 AS sessions, 0 AS routing_errors
    FROM starts
    UNION ALL
    SELECT at, 0 AS starts, 1 AS sessions, 0 AS routing_errors
    FROM known_sessions
    UNION ALL
    SELECT at, 0 AS starts, 0 AS sessions, 1 AS routing_errors
    FROM faults
    WHERE category = 'routing'
),

counted AS (
    SELECT
        windows.series,
        date_trunc($period, events.at) AS period_start,
        sum(events.starts) AS starts,
        sum(events.sessions) AS sessions,
        sum(events.routing_errors) AS routing_errors
    FROM windows
    INNER JOIN events ON events.at >= windows.since AND events.at < windows.until
    GROUP BY windows.series, date_trunc($period, events.at)
),

hit AS (
    SELECT
        windows.series,
        date_trunc($period, faults.at) AS period_start,
        count(DISTINCT faults.sid) AS sessions
    FROM windows
    INNER JOIN (
        SELECT at, unnest(sids) AS sid
        FROM faults
        WHERE category = 'routing'
    ) AS faults ON faults.at >= windows.since AND faults.at < windows.until
    GROUP BY windows.series, date_trunc($period, faults.at)
),

calendar AS (
    -- A period that the two windows share counts once.
    SELECT
        periods.period_start,
        sum(coalesce(counted.starts, 0)) AS starts,
        sum(coalesce(counted.routing_errors, 0)) AS routing_errors
    FROM periods
    LEFT JOIN counted ON counted.series = periods.series AND counted.period_start = periods.period_start
    GROUP BY periods.period_start
),

compared AS (
    SELECT
        periods.series,
        periods.position,
        periods.period_start,
        CASE $period
            WHEN 'week' THEN periods.period_start + INTERVAL '7 days'
            ELSE periods.period_start + INTERVAL '1 day'
        END AS period_end,
        periods.since,
        periods.until,
        periods.begins_at,
        periods.complete_to,
        coalesce(counted.starts, 0) AS starts,
        coalesce(counted.sessions, 0) AS sessions,
        coalesce(counted.routing_errors, 0) AS routing_errors,
        coalesce(hit.sessions, 0) AS sessions_with_routing_errors,
        CASE WHEN counted.starts > 0 THEN 1000.0 * counted.routing_errors / counted.starts END AS rate,
        calendar.routing_errors AS previous_routing_errors,
        CASE WHEN calendar.starts > 0 THEN 1000.0 * calendar.routing_errors / calendar.starts END AS previous_rate
    FROM periods
    LEFT JOIN counted ON counted.series = periods.series AND counted.period_start = periods.period_start
    LEFT JOIN hit ON hit.series = periods.series AND hit.period_start = periods.period_start
    LEFT JOIN calendar
        ON calendar.period_start = CASE $period
            WHEN 'week' THEN periods.period_start - INTERVAL '7 days'
            ELSE periods.period_start - INTERVAL '1 day'
        END
)

SELECT
    series,
    position,
    period_start,
    coalesce(
        period_start >= since AND period_start >= date_trunc($period, begins_at)
        AND period_end <= until AND period_end <= complete_to,
        false
    ) AS is_complete,
    starts,
    sessions,
    routing_errors,
    sessions_with_routing_errors,
    round(rate, 2) AS per_1000_starts,
    previous_routing_errors,
    round(previous_rate, 2) AS previous_per_1000_starts,
    CASE WHEN previous_rate > 0 THEN round(100.0 * (rate - previous_rate) / previous_rate, 1) END AS change_percent
FROM compared
ORDER BY series, position
