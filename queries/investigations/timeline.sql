-- ---
-- name        = "timeline"
-- title       = "What happened in a case"
-- description = "Every event of the case in order, one line each."
--
-- [params]
-- from  = { type = "timestamp", doc = "first instant of the case, for events without a session" }
-- until = { type = "timestamp", doc = "end of the case for them, exclusive" }
-- sids  = { type = "string", doc = "the sessions of the case, separated by commas" }
--
-- [columns]
-- at       = { type = "timestamp", doc = "event time by its producer's clock" }
-- stream   = { type = "string", doc = "api_calls, webhooks, storage_events, session_records, audits, upload_status" }
-- what     = { type = "string", doc = "what happened, in a few words" }
-- detail   = { type = "string", doc = "the particulars" }
-- sid      = { type = "string", doc = "recording session id; null where the event names none" }
-- event_id = { type = "string", doc = "event id, the evidence" }
-- ---
SELECT
    at,
    stream,
    what,
    detail,
    sid,
    event_id
FROM session_timeline
WHERE (sid IS NULL AND at >= $from AND at < $until)
    OR array_contains(string_to_array($sids, ','), CAST(sid AS STRING))
ORDER BY at, stream, event_id
