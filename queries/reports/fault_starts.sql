-- ---
-- name        = "fault_starts"
-- title       = "The starts that findings are about"
-- kept        = true
-- description = """
-- One row per finding and start attempt: the attempts among its evidence, else the accepted starts of its sessions. Says which
-- caller, region and release had a part in it. A race has at least two, so a finding can count for several callers.
-- """
--
-- [columns]
-- finding_id     = { type = "string", doc = "id of the finding" }
-- start_id       = { type = "string", doc = "event id of the attempt's first call" }
-- requested_at   = { type = "timestamp", doc = "when it was sent" }
-- app_id         = { type = "string", doc = "App ID" }
-- caller_service = { type = "string", doc = "backend service that made the call" }
-- caller_version = { type = "string", doc = "its version" }
-- caller_region  = { type = "string", doc = "its region" }
-- ---
WITH proven AS (
    SELECT DISTINCT
        evidence.finding_id,
        calls.start_id
    FROM (
        SELECT finding_id, unnest(evidence) AS event_id
        FROM faults
    ) AS evidence
    INNER JOIN (
        SELECT start_id, unnest(event_ids) AS event_id
        FROM starts
    ) AS calls ON calls.event_id = evidence.event_id
),

followed AS (
    SELECT DISTINCT
        named.finding_id,
        accepted_starts.start_id
    FROM (
        SELECT finding_id, unnest(sids) AS sid
        FROM faults
    ) AS named
    INNER JOIN accepted_starts ON accepted_starts.sid = named.sid
    LEFT ANTI JOIN proven ON proven.finding_id = named.finding_id
)

SELECT
    involved.finding_id,
    starts.start_id,
    starts.requested_at,
    starts.app_id,
    starts.caller_service,
    starts.caller_version,
    starts.caller_region
FROM (
    SELECT finding_id, start_id FROM proven
    UNION ALL
    SELECT finding_id, start_id FROM followed
) AS involved
INNER JOIN starts ON starts.start_id = involved.start_id
ORDER BY finding_id, requested_at, start_id
