-- ---
-- name        = "accepted_starts"
-- title       = "The start that each session came from"
-- description = """
-- One row per session whose accepted start is in the log, with the life of the session: from the answer to the start to the
-- earliest of webhook 41, 11, 31, 32, the answer to a stop and the expiry of the ticket. The service never re-routes: files go
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
-- vendor_name       = { type = "string", doc = "slug of the vendor asked for" }
-- bucket            = { type = "string", doc = "bucket asked for" }
-- prefix            = { type = "string", doc = "path asked for" }
-- storage_identity  = { type = "string", doc = "all of the storage asked for, to compare" }
-- storage           = { type = "string", doc = "the same for people" }
-- origin            = { type = "string", doc = "environment and region of the caller and its user: environment/region/user environment/user region" }
-- ended_at          = { type = "timestamp", doc = "when the session ended; null while nothing says so" }
-- ended_by          = { type = "string", doc = "what says so: stop, webhook 41, webhook 11, webhook 31, webhook 32, expiry" }
-- stop_requested_at = { type = "timestamp", doc = "when the first stop that took effect was sent" }
-- ---
SELECT
    accepted.sid,
    accepted.start['app_id'] AS app_id,
    accepted.start['cname'] AS cname,
    accepted.start['uid'] AS uid,
    accepted.start['mode'] AS mode,
    accepted.start['resource_id'] AS resource_id,
    accepted.start['start_id'] AS start_id,
    accepted.start['event_ids'] AS event_ids,
    accepted.start['requested_at'] AS requested_at,
    accepted.start['responded_at'] AS responded_at,
    accepted.start['vendor_name'] AS vendor_name,
    accepted.start['bucket'] AS bucket,
    accepted.start['prefix'] AS prefix,
    accepted.start['storage_identity'] AS storage_identity,
    accepted.start['storage'] AS storage,
    accepted.start['origin'] AS origin,
    least(session_ends.ended_at, accepted.start['expires_at']) AS ended_at,
    CASE
        WHEN session_ends.ended_at <= coalesce(accepted.start['expires_at'], session_ends.ended_at)
            THEN session_ends.ended_by
        WHEN accepted.start['expires_at'] IS NOT NULL THEN 'expiry'
    END AS ended_by,
    session_ends.stop_requested_at
FROM (
    SELECT
        sid,
        first_value(
            named_struct(
                'app_id', app_id, 'cname', cname, 'uid', uid, 'mode', mode, 'resource_id', resource_id,
                'start_id', start_id, 'event_ids', event_ids, 'requested_at', requested_at,
                'responded_at', responded_at, 'vendor_name', vendor_name, 'bucket', bucket, 'prefix', prefix,
                'storage_identity', storage_identity, 'storage', storage, 'origin', origin,
                'expires_at', expires_at
            )
            ORDER BY requested_at, start_id
        ) AS start
    FROM starts
    WHERE outcome = 'ok' AND sid IS NOT NULL
    GROUP BY sid
) AS accepted
LEFT JOIN session_ends ON session_ends.sid = accepted.sid
