-- ---
-- name        = "started_sessions"
-- title       = "Sessions that a start was answered with"
-- kept        = true
-- description = """
-- One row per session: what the calls that were answered with it say themselves, for questions that need neither the storage nor the
-- life of the session; `accepted_starts` has those. A call mirrored to another host says the same, so the least value of each
-- column is as good as any.
-- """
--
-- [columns]
-- sid                 = { type = "string", doc = "recording session id" }
-- app_id              = { type = "string", doc = "App ID" }
-- cname               = { type = "string", doc = "channel name as sent" }
-- uid                 = { type = "string", doc = "the recorder's uid" }
-- mode                = { type = "string", doc = "individual, mix, web, raw" }
-- resource_id         = { type = "string", doc = "the ticket" }
-- requested_at        = { type = "timestamp", doc = "when the first call was sent" }
-- responded_at        = { type = "timestamp", doc = "when it was answered" }
-- region_code         = { type = "string", doc = "the vendor's own region code of the storage asked for" }
-- vendor_name         = { type = "string", doc = "slug of the vendor asked for, where the start says it" }
-- bucket              = { type = "string", doc = "bucket asked for, where the start says it" }
-- caller_environment  = { type = "string", doc = "the caller's environment" }
-- caller_region       = { type = "string", doc = "the caller's region" }
-- caller_host         = { type = "string", doc = "the caller's host" }
-- caller_ip           = { type = "string", doc = "the caller's address" }
-- context_environment = { type = "string", doc = "environment of the user's request, as the caller notes it" }
-- context_user_region = { type = "string", doc = "region of the user, likewise" }
-- wants_mp4           = { type = "bool", doc = "an mp4 was asked for" }
-- event_id            = { type = "string", doc = "event id of the call" }
-- ---
WITH answered AS (
    SELECT
        sid,
        app_id,
        cname,
        uid,
        mode,
        resource_id,
        requested_at,
        responded_at,
        region_code,
        vendor_name,
        bucket,
        caller_environment,
        caller_region,
        caller_host,
        caller_ip,
        context_environment,
        context_user_region,
        coalesce(array_contains(av_file_types, 'mp4'), false) AS wants_mp4,
        event_id
    FROM api_calls
    WHERE operation = 'start' AND outcome = 'ok' AND sid IS NOT NULL
),

repeated AS (
    SELECT sid
    FROM answered
    GROUP BY sid
    HAVING count(*) > 1
)

-- Nearly every session is the answer to one call.
SELECT answered.*
FROM answered
LEFT ANTI JOIN repeated ON repeated.sid = answered.sid
UNION ALL
SELECT
    answered.sid,
    min(answered.app_id) AS app_id,
    min(answered.cname) AS cname,
    min(answered.uid) AS uid,
    min(answered.mode) AS mode,
    min(answered.resource_id) AS resource_id,
    min(answered.requested_at) AS requested_at,
    min(answered.responded_at) AS responded_at,
    min(answered.region_code) AS region_code,
    min(answered.vendor_name) AS vendor_name,
    min(answered.bucket) AS bucket,
    min(answered.caller_environment) AS caller_environment,
    min(answered.caller_region) AS caller_region,
    min(answered.caller_host) AS caller_host,
    min(answered.caller_ip) AS caller_ip,
    min(answered.context_environment) AS context_environment,
    min(answered.context_user_region) AS context_user_region,
    bool_or(answered.wants_mp4) AS wants_mp4,
    min(answered.event_id) AS event_id
FROM answered
LEFT SEMI JOIN repeated ON repeated.sid = answered.sid
GROUP BY answered.sid
