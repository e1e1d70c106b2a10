-- ---
-- name        = "timeline_of_session"
-- title       = "Everything that any stream says of a session, in order"
-- status      = "stable"
-- description = "One line per event: calls, callbacks, files and the customer's record."
--
-- [params]
-- sid = { type = "string", doc = "recording session id" }
--
-- [columns]
-- at       = { type = "timestamp", doc = "when it happened, by its producer's clock" }
-- stream   = { type = "string", doc = "stream that says so" }
-- what     = { type = "string", doc = "what happened" }
-- detail   = { type = "string", doc = "its particulars" }
-- event_id = { type = "string", doc = "id of the event" }
-- ---
SELECT at, stream, what, detail, event_id
FROM session_timeline
WHERE sid = $sid
ORDER BY at, stream, event_id, what, detail
