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
SELECT
    accepted.sid,
    accepted.app_id,
    accepted.cname,
    accepted.uid,
    accepted.mode,
    accepted.resource_id,
    accepted.start_id,
    string_to_array(accepted.event_ids, chr(31)) AS event_ids,
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
FROM (
    SELECT
        sid,
        first_value(app_id ORDER BY requested_at, start_id) AS app_id,
        first_value(cname ORDER BY requested_at, start_id) AS cname,
        first_value(uid ORDER BY requested_at, start_id) AS uid,
        first_value(mode ORDER BY requested_at, start_id) AS mode,
        first_value(resource_id ORDER BY requested_at, start_id) AS resource_id,
        first_value(start_id ORDER BY requested_at, start_id) AS start_id,
        first_value(array_to_string(event_ids, chr(31)) ORDER BY requested_at, start_id) AS event_ids,
        first_value(requested_at ORDER BY requested_at, start_id) AS requested_at,
        first_value(responded_at ORDER BY requested_at, start_id) AS responded_at,
        first_value(vendor ORDER BY requested_at, start_id) AS vendor,
        first_value(vendor_name ORDER BY requested_at, start_id) AS vendor_name,
        first_value(region ORDER BY requested_at, start_id) AS region,
        first_value(region_code ORDER BY requested_at, start_id) AS region_code,
        first_value(bucket ORDER BY requested_at, start_id) AS bucket,
        first_value(endpoint ORDER BY requested_at, start_id) AS endpoint,
        first_value(prefix ORDER BY requested_at, start_id) AS prefix,
        first_value(storage_identity ORDER BY requested_at, start_id) AS storage_identity,
        first_value(storage ORDER BY requested_at, start_id) AS storage,
        first_value(origin ORDER BY requested_at, start_id) AS origin,
        first_value(expires_at ORDER BY requested_at, start_id) AS expires_at
    FROM starts
    WHERE outcome = 'ok' AND sid IS NOT NULL
    GROUP BY sid
) AS accepted
LEFT JOIN session_ends ON session_ends.sid = accepted.sid
