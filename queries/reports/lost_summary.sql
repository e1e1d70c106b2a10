-- ---
-- name        = "lost_summary"
-- title       = "Lost and found"
-- description = "One row per way to be lost: how many sessions of the window were, how many still are, and how long it took to find the others. See `lost_sessions`."
--
-- [params]
-- since = { type = "timestamp", doc = "start of the window, inclusive" }
-- until = { type = "timestamp", doc = "end of the window, exclusive" }
--
-- [columns]
-- way            = { type = "string", doc = "elsewhere, in_backup, unseen" }
-- sessions       = { type = "int64", doc = "sessions that became lost in the window" }
-- still_lost     = { type = "int64", doc = "those that are still" }
-- median_seconds = { type = "float64", doc = "median time until the others were found; null without any" }
-- max_seconds    = { type = "float64", doc = "longest of these times" }
-- ---
SELECT
    way,
    count(*) AS sessions,
    count(CASE WHEN found_at IS NULL THEN 1 END) AS still_lost,
    round(median(CAST(arrow_cast(found_at, 'Int64') - arrow_cast(lost_at, 'Int64') AS DOUBLE)) / 1000000.0, 1)
        AS median_seconds,
    round(max(CAST(arrow_cast(found_at, 'Int64') - arrow_cast(lost_at, 'Int64') AS DOUBLE)) / 1000000.0, 1)
        AS max_seconds
FROM lost_sessions
WHERE lost_at >= $since AND lost_at < $until
GROUP BY way
ORDER BY way
