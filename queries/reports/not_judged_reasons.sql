-- ---
-- name        = "not_judged_reasons"
-- title       = "What could not be judged, and why"
-- description = """
-- One row per detection and reason: where watermark, coverage or monitoring allow no judgement there is no finding, and a low number
-- above may only mean that nobody could see. Counted are sessions of the window, and those of unknown time.
-- """
--
-- [params]
-- since = { type = "timestamp", doc = "start of the window, inclusive" }
-- until = { type = "timestamp", doc = "end of the window, exclusive" }
--
-- [columns]
-- detection = { type = "string", doc = "what could not judge" }
-- why       = { type = "string", doc = "the reason" }
-- rows      = { type = "int64", doc = "cases" }
-- sessions  = { type = "int64", doc = "sessions among them" }
-- ---
SELECT
    not_judged.detection,
    not_judged.why,
    count(*) AS rows,
    count(DISTINCT not_judged.sid) AS sessions
FROM not_judged
LEFT JOIN known_sessions ON known_sessions.sid = not_judged.sid
WHERE known_sessions.at IS NULL OR (known_sessions.at >= $since AND known_sessions.at < $until)
GROUP BY not_judged.detection, not_judged.why
ORDER BY rows DESC, not_judged.detection, not_judged.why
