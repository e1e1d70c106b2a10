-- ---
-- name        = "lost_durations"
-- title       = "How long assets stayed lost"
-- description = """
-- Sessions that became lost in the window, by how long it lasted: until the record was corrected or the files came home, else up to
-- where the streams are complete. One row per class of time; classes without any are here, too. See `lost_sessions`.
-- """
--
-- [params]
-- since = { type = "timestamp", doc = "start of the window, inclusive" }
-- until = { type = "timestamp", doc = "end of the window, exclusive" }
--
-- [columns]
-- class              = { type = "string", doc = "the class, for people" }
-- from_ms            = { type = "int64", doc = "its lower bound in milliseconds, inclusive" }
-- to_ms              = { type = "int64", doc = "its upper bound, exclusive; null for the last" }
-- elsewhere          = { type = "int64", doc = "at another vendor than the record named, and found again" }
-- in_backup          = { type = "int64", doc = "in the service's backup cloud, and come home" }
-- still_elsewhere    = { type = "int64", doc = "at another vendor than the record names, still" }
-- still_in_backup    = { type = "int64", doc = "in the service's backup cloud, still" }
-- still_unseen       = { type = "int64", doc = "announced as uploaded, not seen so far" }
-- ---
WITH classes AS (
    SELECT class, from_ms, to_ms
    FROM (
        VALUES
            ('under 1 min', 0, 60000),
            ('1-10 min', 60000, 600000),
            ('10-60 min', 600000, 3600000),
            ('1-6 h', 3600000, 21600000),
            ('6-24 h', 21600000, 86400000),
            ('1-3 days', 86400000, 259200000),
            ('3-7 days', 259200000, 604800000),
            ('1-4 weeks', 604800000, 2419200000),
            ('over 4 weeks', 2419200000, NULL)
    ) AS bounds (class, from_ms, to_ms)
),

spans AS (
    SELECT
        concat(CASE WHEN found_at IS NULL THEN 'still_' ELSE '' END, way) AS way,
        greatest(
            arrow_cast(coalesce(found_at, measured_to), 'Int64') - arrow_cast(lost_at, 'Int64'), 0
        ) / 1000 AS lost_ms
    FROM lost_sessions
    WHERE lost_at >= $since AND lost_at < $until
)

SELECT
    classes.class,
    classes.from_ms,
    classes.to_ms,
    count(CASE WHEN spans.way = 'elsewhere' THEN 1 END) AS elsewhere,
    count(CASE WHEN spans.way = 'in_backup' THEN 1 END) AS in_backup,
    count(CASE WHEN spans.way = 'still_elsewhere' THEN 1 END) AS still_elsewhere,
    count(CASE WHEN spans.way = 'still_in_backup' THEN 1 END) AS still_in_backup,
    count(CASE WHEN spans.way = 'still_unseen' THEN 1 END) AS still_unseen
FROM classes
LEFT JOIN spans
    ON spans.lost_ms >= classes.from_ms AND spans.lost_ms < coalesce(classes.to_ms, 9223372036854775807)
GROUP BY classes.class, classes.from_ms, classes.to_ms
ORDER BY classes.from_ms
