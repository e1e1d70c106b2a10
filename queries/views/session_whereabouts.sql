-- ---
-- name        = "session_whereabouts"
-- title       = "Where the files of each session are, by the best witness"
-- kept        = true
-- description = """
-- `session_landings`; for sessions without files now the place that the service's own upload status names, unless a look into that
-- bucket found nothing there; and for the others of them where files had arrived that were removed since.
-- """
--
-- [columns]
-- sid         = { type = "string", doc = "recording session id" }
-- cname       = { type = "string", doc = "channel name, from the keys" }
-- vendor_name = { type = "string", doc = "slug of the vendor that holds most files" }
-- bucket      = { type = "string", doc = "bucket that holds most files" }
-- event_id    = { type = "string", doc = "event id of what says so" }
-- event_at    = { type = "timestamp", doc = "first write there; by the upload status: since when" }
-- vendors     = { type = "strings", doc = "slugs of all vendors that hold files of it" }
-- files       = { type = "int64", doc = "files in all of them; of removed ones their writes" }
-- witness     = { type = "string", doc = "files: they were seen; upload_status: only the service says so; removed: they had been seen" }
-- ---
WITH told AS (
    SELECT
        statuses.sid,
        statuses.vendor_name,
        statuses.bucket,
        count(*) AS files,
        min(statuses.at) AS at,
        min(statuses.event_id) AS event_id
    FROM file_upload_statuses AS statuses
    LEFT ANTI JOIN session_landings ON session_landings.sid = statuses.sid
    LEFT ANTI JOIN (
        SELECT sid, vendor_name, bucket
        FROM session_audits
        WHERE result = 'missing' AND "key" IS NULL
    ) AS empty
        ON empty.sid = statuses.sid
        AND empty.vendor_name = statuses.vendor_name
        AND empty.bucket = statuses.bucket
    WHERE statuses.status = 'uploaded' AND statuses.vendor_name IS NOT NULL AND statuses.bucket IS NOT NULL
    GROUP BY statuses.sid, statuses.vendor_name, statuses.bucket
)

SELECT sid, cname, vendor_name, bucket, event_id, event_at, vendors, files, 'files' AS witness
FROM session_landings
UNION ALL
SELECT
    sid,
    NULL AS cname,
    first_value(vendor_name ORDER BY files DESC, vendor_name, bucket) AS vendor_name,
    first_value(bucket ORDER BY files DESC, vendor_name, bucket) AS bucket,
    first_value(event_id ORDER BY files DESC, vendor_name, bucket) AS event_id,
    first_value(at ORDER BY files DESC, vendor_name, bucket) AS event_at,
    array_agg(arrow_cast(vendor_name, 'Utf8') ORDER BY files DESC, vendor_name, bucket) AS vendors,
    sum(files) AS files,
    'upload_status' AS witness
FROM told
GROUP BY sid
UNION ALL
SELECT
    removed.sid,
    min(removed.cname) AS cname,
    first_value(removed.vendor_name ORDER BY removed.writes DESC, removed.vendor_name, removed.bucket) AS vendor_name,
    first_value(removed.bucket ORDER BY removed.writes DESC, removed.vendor_name, removed.bucket) AS bucket,
    first_value(removed.event_id ORDER BY removed.writes DESC, removed.vendor_name, removed.bucket) AS event_id,
    first_value(removed.first_at ORDER BY removed.writes DESC, removed.vendor_name, removed.bucket) AS event_at,
    array_agg(
        arrow_cast(removed.vendor_name, 'Utf8') ORDER BY removed.writes DESC, removed.vendor_name, removed.bucket
    ) AS vendors,
    sum(removed.writes) AS files,
    'removed' AS witness
FROM session_arrivals AS removed
LEFT ANTI JOIN session_landings ON session_landings.sid = removed.sid
LEFT ANTI JOIN told ON told.sid = removed.sid
GROUP BY removed.sid
