-- ---
-- name        = "caller_regions"
-- title       = "By region of the caller"
-- description = "One row per region that calls come from. A race between two regions counts for both."
--
-- [params]
-- since = { type = "timestamp", doc = "start of the window, inclusive" }
-- until = { type = "timestamp", doc = "end of the window, exclusive" }
--
-- [columns]
-- caller_region   = { type = "string", doc = "region of the backend that made the call; null where it does not say" }
-- starts          = { type = "int64", doc = "start attempts" }
-- routing_errors  = { type = "int64", doc = "routing errors that starts of this region had a part in" }
-- per_1000_starts = { type = "float64", doc = "the same per 1,000 starts" }
-- ---
SELECT
    caller_region,
    starts,
    routing_errors,
    CASE WHEN starts > 0 THEN round(1000.0 * routing_errors / starts, 2) END AS per_1000_starts
FROM (
    SELECT caller_region, sum(starts) AS starts, sum(routing_errors) AS routing_errors
    FROM (
        SELECT caller_region, count(*) AS starts, 0 AS routing_errors
        FROM starts
        WHERE requested_at >= $since AND requested_at < $until
        GROUP BY caller_region
        UNION ALL
        SELECT fault_starts.caller_region, 0 AS starts, count(DISTINCT faults.finding_id) AS routing_errors
        FROM faults
        INNER JOIN fault_starts ON fault_starts.finding_id = faults.finding_id
        WHERE faults.category = 'routing' AND (faults.at IS NULL OR (faults.at >= $since AND faults.at < $until))
        GROUP BY fault_starts.caller_region
    )
    GROUP BY caller_region
)
ORDER BY routing_errors DESC, starts DESC, caller_region
