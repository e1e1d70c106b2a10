-- ---
-- name        = "accepted_starts"
-- title       = "The start that each session came from"
-- kept        = true
-- description = """
-- One row per session whose accepted start is in the log, with the life of the session: from the answer to the start to the
-- earliest of webhook 41, 71, 11, 31, 32, the answer to a stop and the expiry of the ticket. The service never re-routes: files go
-- where this start said.
-- """
--
-- [columns]
-- sid               = { type = "string", doc = "recording session id" }
-- app_id            = { type = "string", doc = "App ID" }
-- cname             = { type = "string", doc = "channel name as sent" }
-- uid               = { type = "string", doc = "the recorder's uid" }
-- mode              = { type = "string", doc = "individual, mix, web, raw" }
-- resource_id       = { type = "string", doc = "the ticket" }
-- start_id          = { type = "string", doc = "event id of the attempt's first call" }
-- event_ids         = { type = "strings", doc = "event ids of all its calls" }
-- requested_at      = { type = "timestamp", doc = "when it was sent" }
-- responded_at      = { type = "timestamp", doc = "when it was answered" }
-- expires_at        = { type = "timestamp", doc = "when its ticket expires; null without an answer" }
-- vendor            = { type = "int64", doc = "Agora's vendor number asked for" }
-- vendor_name       = { type = "string", doc = "slug of the vendor asked for" }
-- region            = { type = "int64", doc = "Agora's region number asked for" }
-- region_code       = { type = "string", doc = "the vendor's own region code" }
-- bucket            = { type = "string", doc = "bucket asked for" }
-- endpoint          = { type = "string", doc = "endpoint asked for, S3-compatible storage only" }
-- prefix            = { type = "string", doc = "path asked for" }
-- storage_identity  = { type = "string", doc = "all of the storage asked for, to compare" }
-- storage           = { type = "string", doc = "the same for people" }
-- origin            = { type = "string", doc = "environment and region of the caller and its user: environment/region/user environment/user region" }
-- ended_at          = { type = "timestamp", doc = "when the session ended; null while nothing says so" }
-- ended_by          = { type = "string", doc = "what says so: stop, webhook 41, webhook 71, webhook 11, webhook 31, webhook 32, expiry" }
-- stop_requested_at = { type = "timestamp", doc = "when the first stop that took effect was sent" }
-- ---
WITH repeated AS (
    SELECT sid
    FROM starts
    WHERE outcome = 'ok'
    GROUP BY sid
    HAVING count(*) > 1
)

SELECT
    accepted.sid,
    accepted.app_id,
    accepted.cname,
    accepted.uid,
    accepted.mode,
    accepted.resource_id,
    accepted.start_id,
    accepted.event_ids,
    accepted.requested_at,
    accepted.responded_at,
    accepted.expires_at,
    accepted.vendor,
    accepted.vendor_name,
    accepted.region,
    accepted.region_code,
    accepted.bucket,
    accepted.endpoint,
    accepted.prefix,
    accepted.storage_identity,
    accepted.storage,
    accepted.origin,
    least(session_ends.ended_at, accepted.expires_at) AS ended_at,
    CASE
        WHEN session_ends.ended_at <= coalesce(accepted.expires_at, session_ends.ended_at)
            THEN session_ends.ended_by
        WHEN accepted.expires_at IS NOT NULL THEN 'expiry'
    END AS ended_by,
    session_ends.stop_requested_at
FROM starts AS accepted
-- Of several starts that were answered with one session the first made it.
LEFT ANTI JOIN (
    SELECT starts.sid, starts.requested_at, starts.start_id
    FROM starts
    LEFT SEMI JOIN repeated ON repeated.sid = starts.sid
    WHERE starts.outcome = 'ok'
) AS earlier
    ON earlier.sid = accepted.sid
    AND (
        earlier.requested_at < accepted.requested_at
        OR (earlier.requested_at = accepted.requested_at AND earlier.start_id < accepted.start_id)
    )
LEFT JOIN session_ends ON session_ends.sid = accepted.sid
WHERE accepted.outcome = 'ok' AND accepted.sid IS NOT NULL
