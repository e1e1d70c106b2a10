-- ---
-- name        = "caller_versions"
-- title       = "By release of the calling service"
-- description = """
-- One row per service and version that sent starts in the window, in order of first appearance: which release brought it? A race
-- between two releases counts for both.
-- """
--
-- [params]
-- since = { type = "timestamp", doc = "start of the window, inclusive" }
-- until = { type = "timestamp", doc = "end of the window, exclusive" }
--
-- [columns]
-- caller_service  = { type = "string", doc = "backend service; null where the call does not say" }
-- caller_version  = { type = "string", doc = "its version; null where the call does not say" }
-- first_start_at  = { type = "timestamp", doc = "first start of this version in the lake" }
-- last_start_at   = { type = "timestamp", doc = "last start of this version in the lake" }
-- starts          = { type = "int64", doc = "start attempts in the window" }
-- routing_errors  = { type = "int64", doc = "routing errors that starts of this version had a part in" }
-- per_1000_starts = { type = "float64", doc = "the same per 1,000 starts" }
-- ---
WITH sent AS (
    SELECT
        caller_service,
        caller_version,
        min(requested_at) AS first_start_at,
        max(requested_at) AS last_start_at,
        count(CASE WHEN requested_at >= $since AND requested_at < $until THEN 1 END) AS starts
    FROM starts
    GROUP BY caller_service, caller_version
),

found AS (
    SELECT
        fault_starts.caller_service,
        fault_starts.caller_version,
        count(DISTINCT faults.finding_id) AS routing_errors
    FROM faults
    INNER JOIN fault_starts ON fault_starts.finding_id = faults.finding_id
    WHERE faults.category = 'routing' AND (faults.at IS NULL OR (faults.at >= $since AND faults.at < $until))
    GROUP BY fault_starts.caller_service, fault_starts.caller_version
)

SELECT
    sent.caller_service,
    sent.caller_version,
    sent.first_start_at,
    sent.last_start_at,
    sent.starts,
    coalesce(found.routing_errors, 0) AS routing_errors,
    CASE WHEN sent.starts > 0 THEN round(1000.0 * coalesce(found.routing_errors, 0) / sent.starts, 2) END
        AS per_1000_starts
FROM sent
LEFT JOIN found
    ON (found.caller_service IS NOT DISTINCT FROM sent.caller_service)
    AND (found.caller_version IS NOT DISTINCT FROM sent.caller_version)
WHERE sent.starts > 0 OR found.routing_errors > 0
ORDER BY sent.caller_service, sent.first_start_at, sent.caller_version
