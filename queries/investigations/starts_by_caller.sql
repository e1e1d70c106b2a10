-- ---
-- name        = "starts_by_caller"
-- title       = "Starts and how they ended, by calling service and version"
-- status      = "stable"
-- description = "One row per service, version, outcome and code. A release that brought a fault shows as a version."
--
-- [columns]
-- caller_service = { type = "string", doc = "service that sent the start" }
-- caller_version = { type = "string", doc = "its version" }
-- outcome        = { type = "string", doc = "ok, already_running, conflict, indeterminate, rejected" }
-- code           = { type = "int64", doc = "code in the answer" }
-- starts         = { type = "int64", doc = "start attempts" }
-- first_at       = { type = "timestamp", doc = "the first of them" }
-- last_at        = { type = "timestamp", doc = "the last of them" }
-- ---
SELECT
    caller_service,
    caller_version,
    outcome,
    CAST(code AS BIGINT) AS code,
    count(*)             AS starts,
    min(requested_at)    AS first_at,
    max(requested_at)    AS last_at
FROM starts
GROUP BY caller_service, caller_version, outcome, code
ORDER BY caller_service, caller_version, outcome, code
