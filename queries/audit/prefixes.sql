-- ---
-- name        = "prefixes"
-- title       = "Paths that the starts of channels ask for"
-- description = "One row per channel and path, of every start, accepted or not: one of them may have sent the files of a session elsewhere."
--
-- [params]
-- cnames = { type = "string", doc = "names of the channels, one a line; null for all" }
--
-- [columns]
-- app_id = { type = "string", doc = "App ID" }
-- cname  = { type = "string", doc = "channel name" }
-- prefix = { type = "string", doc = "path asked for" }
-- ---
SELECT DISTINCT app_id, cname, prefix
FROM starts
WHERE prefix IS NOT NULL
    AND cname IS NOT NULL
    AND ($cnames IS NULL OR array_contains(string_to_array($cnames, chr(10)), cname))
ORDER BY app_id, cname, prefix
