-- ---
-- name        = "start_gaps"
-- title       = "Time between competing starts"
-- description = """
-- How long after each other two starts of one channel were sent that `conflicting_starts` or `redundant_starts` found alive
-- together. One row per class of time; classes without any are here, too. Milliseconds point at two workers or a double click,
-- seconds at a retry, minutes at a second service.
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
-- conflicting_starts = { type = "int64", doc = "pairs that disagree on the storage" }
-- redundant_starts   = { type = "int64", doc = "pairs that agree on it" }
-- ---
WITH classes AS (
    SELECT class, from_ms, to_ms
    FROM (
        VALUES
            ('under 100 ms', 0, 100),
            ('100-250 ms', 100, 250),
            ('250-500 ms', 250, 500),
            ('0.5-1 s', 500, 1000),
            ('1-2 s', 1000, 2000),
            ('2-5 s', 2000, 5000),
            ('5-15 s', 5000, 15000),
            ('15-60 s', 15000, 60000),
            ('1-5 min', 60000, 300000),
            ('5-60 min', 300000, 3600000),
            ('over 1 h', 3600000, NULL)
    ) AS bounds (class, from_ms, to_ms)
),

gaps AS (
    SELECT
        faults.finding_id,
        faults.detection,
        (
            arrow_cast(max(fault_starts.requested_at), 'Int64') - arrow_cast(min(fault_starts.requested_at), 'Int64')
        ) / 1000 AS gap_ms
    FROM faults
    INNER JOIN fault_starts ON fault_starts.finding_id = faults.finding_id
    WHERE faults.detection IN ('conflicting_starts', 'redundant_starts')
        AND (faults.at IS NULL OR (faults.at >= $since AND faults.at < $until))
    GROUP BY faults.finding_id, faults.detection
    HAVING count(*) > 1
)

SELECT
    classes.class,
    classes.from_ms,
    classes.to_ms,
    count(CASE WHEN gaps.detection = 'conflicting_starts' THEN 1 END) AS conflicting_starts,
    count(CASE WHEN gaps.detection = 'redundant_starts' THEN 1 END) AS redundant_starts
FROM classes
LEFT JOIN gaps ON gaps.gap_ms >= classes.from_ms AND gaps.gap_ms < coalesce(classes.to_ms, 9223372036854775807)
GROUP BY classes.class, classes.from_ms, classes.to_ms
ORDER BY classes.from_ms
