-- ---
-- name        = "starts_close_together"
-- title       = "Starts for one channel within a short time of each other"
-- status      = "stable"
-- description = "One row per pair of start attempts: who sent them, what came of them, and whether they ask for the same storage. Races show here before any file is missing."
--
-- [params]
-- within         = { type = "duration", default = "5s", doc = "greatest gap between the two" }
-- only_different = { type = "bool", default = false, doc = "only pairs that ask for different storage" }
--
-- [columns]
-- first_at       = { type = "timestamp", doc = "when the earlier one was sent" }
-- gap_ms         = { type = "int64", doc = "how much later the other came, in milliseconds" }
-- app_id         = { type = "string", doc = "App ID" }
-- cname          = { type = "string", doc = "channel name" }
-- storage        = { type = "string", doc = "storage that the earlier one asks for" }
-- next_storage   = { type = "string", doc = "storage that the later one asks for" }
-- outcome        = { type = "string", doc = "outcome of the earlier one" }
-- next_outcome   = { type = "string", doc = "outcome of the later one" }
-- sid            = { type = "string", doc = "session of the earlier one" }
-- next_sid       = { type = "string", doc = "session of the later one" }
-- caller         = { type = "string", doc = "service and host that sent the earlier one" }
-- next_caller    = { type = "string", doc = "service and host that sent the later one" }
-- ---
SELECT
    first.requested_at                                                       AS first_at,
    CAST(date_part('epoch', next.requested_at) * 1000 - date_part('epoch', first.requested_at) * 1000 AS BIGINT)
                                                                             AS gap_ms,
    first.app_id,
    first.cname,
    first.storage,
    next.storage                                                             AS next_storage,
    first.outcome,
    next.outcome                                                             AS next_outcome,
    first.sid,
    next.sid                                                                 AS next_sid,
    concat_ws('@', first.caller_service, first.caller_host)                  AS caller,
    concat_ws('@', next.caller_service, next.caller_host)                    AS next_caller
FROM starts AS first
JOIN starts AS next
    ON first.app_id = next.app_id
    AND first.cname = next.cname
    AND first.start_id <> next.start_id
    AND next.requested_at - first.requested_at <= $within
    AND (next.requested_at > first.requested_at
        OR (next.requested_at = first.requested_at AND next.start_id > first.start_id))
WHERE NOT $only_different OR first.storage_identity IS DISTINCT FROM next.storage_identity
ORDER BY first.requested_at, first.start_id, next.requested_at, next.start_id
