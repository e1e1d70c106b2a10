-- ---
-- name        = "timeline"
-- title       = "What happened in a case"
-- description = """
-- Every event of the case in order, one line each; also every change of the customer's rows that are about its sessions, whatever the
-- change itself names.
-- """
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
WITH changes AS (
    -- Of rows that say, or said before they were deleted, what they are about.
    SELECT DISTINCT record_versions.event_id
    FROM record_versions
    INNER JOIN (
        SELECT record_id, sid
        FROM session_beliefs
        UNION
        SELECT record_id, sid
        FROM record_versions
    ) AS known
        ON known.record_id = record_versions.record_id
    WHERE array_contains(string_to_array($sids, ','), CAST(known.sid AS STRING))
)

SELECT
    session_timeline.at,
    session_timeline.stream,
    session_timeline.what,
    session_timeline.detail,
    session_timeline.sid,
    session_timeline.event_id
FROM session_timeline
LEFT JOIN changes ON changes.event_id = session_timeline.event_id AND session_timeline.stream = 'session_records'
WHERE (session_timeline.sid IS NULL AND session_timeline.at >= $from AND session_timeline.at < $until)
    OR array_contains(string_to_array($sids, ','), CAST(session_timeline.sid AS STRING))
    OR changes.event_id IS NOT NULL
ORDER BY session_timeline.at, session_timeline.stream, session_timeline.event_id
