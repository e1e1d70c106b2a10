-- ---
-- name        = "buckets"
-- title       = "By bucket"
-- description = """
-- One row per bucket that an accepted start of the window asked for or that a routing error names. A bucket that never sent a
-- storage event proves nothing about files that are not seen.
-- """
--
-- [params]
-- since = { type = "timestamp", doc = "start of the window, inclusive" }
-- until = { type = "timestamp", doc = "end of the window, exclusive" }
--
-- [columns]
-- vendor_name     = { type = "string", doc = "slug of the vendor" }
-- bucket          = { type = "string", doc = "bucket or container" }
-- sessions        = { type = "int64", doc = "sessions whose accepted start asked for it" }
-- believed_here   = { type = "int64", doc = "routing errors about files believed here" }
-- actually_here   = { type = "int64", doc = "routing errors about files that are here" }
-- is_monitored    = { type = "bool", doc = "it ever sent a storage event" }
-- last_event_at   = { type = "timestamp", doc = "its last storage event" }
-- ---
WITH counted AS (
    SELECT
        vendor_name,
        bucket,
        sum(sessions) AS sessions,
        sum(believed_here) AS believed_here,
        sum(actually_here) AS actually_here
    FROM (
        SELECT vendor_name, bucket, count(*) AS sessions, 0 AS believed_here, 0 AS actually_here
        FROM accepted_starts
        WHERE requested_at >= $since AND requested_at < $until
        GROUP BY vendor_name, bucket
        UNION ALL
        SELECT expected_vendor AS vendor_name, expected_bucket AS bucket, 0 AS sessions, count(*) AS believed_here, 0 AS actually_here
        FROM faults
        WHERE category = 'routing' AND (at IS NULL OR (at >= $since AND at < $until))
        GROUP BY expected_vendor, expected_bucket
        UNION ALL
        SELECT actual_vendor AS vendor_name, actual_bucket AS bucket, 0 AS sessions, 0 AS believed_here, count(*) AS actually_here
        FROM faults
        WHERE category = 'routing' AND (at IS NULL OR (at >= $since AND at < $until))
        GROUP BY actual_vendor, actual_bucket
    )
    WHERE vendor_name IS NOT NULL OR bucket IS NOT NULL
    GROUP BY vendor_name, bucket
)

SELECT
    counted.vendor_name,
    counted.bucket,
    counted.sessions,
    counted.believed_here,
    counted.actually_here,
    monitored_buckets.bucket IS NOT NULL AS is_monitored,
    monitored_buckets.last_at AS last_event_at
FROM counted
LEFT JOIN monitored_buckets
    ON monitored_buckets.vendor_name = counted.vendor_name AND monitored_buckets.bucket = counted.bucket
ORDER BY counted.believed_here + counted.actually_here DESC, counted.sessions DESC, counted.vendor_name, counted.bucket
