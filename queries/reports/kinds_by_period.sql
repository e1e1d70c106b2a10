-- ---
-- name        = "kinds_by_period"
-- title       = "Routing errors by kind, day by day or week by week"
-- description = "One row per period and detection of the category `routing` that found something in it. A detection without a row found nothing then."
--
-- [params]
-- since = { type = "timestamp", doc = "start of the window, inclusive" }
-- until = { type = "timestamp", doc = "end of the window, exclusive" }
-- period = { type = "string", doc = "day or week" }
--
-- [columns]
-- period_start = { type = "timestamp", doc = "start of the day or week (from Monday, UTC)" }
-- detection    = { type = "string", doc = "what found them" }
-- findings     = { type = "int64", doc = "how many" }
-- ---
SELECT
    date_trunc($period, at) AS period_start,
    detection,
    count(*) AS findings
FROM faults
WHERE category = 'routing' AND at >= $since AND at < $until
GROUP BY date_trunc($period, at), detection
ORDER BY period_start, detection
