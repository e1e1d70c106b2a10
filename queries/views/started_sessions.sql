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
-- sid           = { type = "string", doc = "recording session id" }
-- app_id        = { type = "string", doc = "App ID" }
-- cname         = { type = "string", doc = "channel name as sent" }
-- uid           = { type = "string", doc = "the recorder's uid" }
-- mode          = { type = "string", doc = "individual, mix, web, raw" }
-- resource_id   = { type = "string", doc = "the ticket" }
-- requested_at  = { type = "timestamp", doc = "when the first call was sent" }
-- responded_at  = { type = "timestamp", doc = "when it was answered" }
-- region_code   = { type = "string", doc = "the vendor's own region code of the storage asked for" }
-- vendor_name   = { type = "string", doc = "slug of the vendor asked for, where the start says it" }
-- caller_region = { type = "string", doc = "the caller's region" }
-- wants_mp4     = { type = "bool", doc = "an mp4 was asked for" }
-- event_id      = { type = "string", doc = "event id of the call" }
-- ---
SELECT
    sid,
    min(app_id) AS app_id,
    min(cname) AS cname,
    min(uid) AS uid,
    min(mode) AS mode,
    min(resource_id) AS resource_id,
    min(requested_at) AS requested_at,
    min(responded_at) AS responded_at,
    min(region_code) AS region_code,
    min(vendor_name) AS vendor_name,
    min(caller_region) AS caller_region,
    coalesce(bool_or(array_contains(av_file_types, 'mp4')), false) AS wants_mp4,
    min(event_id) AS event_id
FROM api_calls
WHERE operation = 'start' AND outcome = 'ok' AND sid IS NOT NULL
GROUP BY sid
