-- ---
-- name        = "monitored_buckets"
-- title       = "Buckets whose events arrive"
-- kept        = true
-- description = """
-- One row per vendor and bucket that ever sent an event. Absence of a file means something only in these, between the first
-- and the last event.
-- """
--
-- [columns]
-- vendor_name = { type = "string", doc = "slug of the vendor" }
-- bucket      = { type = "string", doc = "bucket or container" }
-- first_at    = { type = "timestamp", doc = "first trusted event: watched since" }
-- last_at     = { type = "timestamp", doc = "last trusted event, not later than its arrival: watched up to" }
-- events      = { type = "int64", doc = "events so far, redeliveries included" }
-- ---
SELECT
    vendor_name,
    bucket,
    min(least(occurred_at, coalesce(received_at, occurred_at))) AS first_at,
    max(least(occurred_at, coalesce(received_at, occurred_at))) AS last_at,
    count(*) AS events
FROM storage_events
WHERE time_trusted AND bucket IS NOT NULL
GROUP BY vendor_name, bucket
