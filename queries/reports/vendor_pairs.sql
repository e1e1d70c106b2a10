-- ---
-- name        = "vendor_pairs"
-- title       = "Believed vendor and actual vendor"
-- description = """
-- One row per pair of vendors that routing errors name: where the customer's record (else the accepted start) has the files, and
-- where they are (else where the accepted start sent them). One vendor twice is the right vendor with another bucket or path.
-- Null where nothing is known of that side. A session can count for several pairs.
-- """
--
-- [params]
-- since = { type = "timestamp", doc = "start of the window, inclusive" }
-- until = { type = "timestamp", doc = "end of the window, exclusive" }
--
-- [columns]
-- expected_vendor = { type = "string", doc = "slug of the vendor believed" }
-- actual_vendor   = { type = "string", doc = "slug of the vendor that has the files" }
-- routing_errors  = { type = "int64", doc = "routing errors" }
-- sessions        = { type = "int64", doc = "sessions that they are about" }
-- ---
SELECT
    counted.expected_vendor,
    counted.actual_vendor,
    counted.routing_errors,
    coalesce(hit.sessions, 0) AS sessions
FROM (
    SELECT expected_vendor, actual_vendor, count(*) AS routing_errors
    FROM faults
    WHERE category = 'routing' AND (at IS NULL OR (at >= $since AND at < $until))
    GROUP BY expected_vendor, actual_vendor
) AS counted
LEFT JOIN (
    SELECT expected_vendor, actual_vendor, count(DISTINCT sid) AS sessions
    FROM (
        SELECT expected_vendor, actual_vendor, unnest(sids) AS sid
        FROM faults
        WHERE category = 'routing' AND (at IS NULL OR (at >= $since AND at < $until))
    )
    GROUP BY expected_vendor, actual_vendor
) AS hit
    ON (hit.expected_vendor IS NOT DISTINCT FROM counted.expected_vendor)
    AND (hit.actual_vendor IS NOT DISTINCT FROM counted.actual_vendor)
ORDER BY counted.routing_errors DESC, counted.expected_vendor, counted.actual_vendor
