-- ---
-- name        = "promises"
-- title       = "Files that the service said there would be"
-- description = "One row per session, file and witness."
--
-- [params]
-- sids = { type = "string", doc = "the sessions, separated by commas; null for all" }
--
-- [columns]
-- sid         = { type = "string", doc = "recording session id" }
-- file_name   = { type = "string", doc = "last segment of the key" }
-- promised_by = { type = "string", doc = "webhook, answer, upload_status" }
-- ---
SELECT sid, file_name, promised_by
FROM session_promises
WHERE $sids IS NULL OR array_contains(string_to_array($sids, ','), sid)
ORDER BY sid, file_name, promised_by
