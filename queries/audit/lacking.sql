-- ---
-- name        = "lacking"
-- title       = "Sessions whose files were not all there"
-- description = "One row per session of which the last looks found no file, or not all that were promised: these are looked for once more."
--
-- [columns]
-- sid = { type = "string", doc = "recording session id" }
-- ---
SELECT sid
FROM session_audits
GROUP BY sid
HAVING bool_and(result <> 'found') OR bool_or(result = 'missing' AND "key" IS NOT NULL)
ORDER BY sid
