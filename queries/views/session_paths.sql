-- ---
-- name        = "session_paths"
-- title       = "Under which paths the files of sessions are"
-- kept        = true
-- sliced_by   = "sid"
-- description = "One row per session, vendor, bucket and path that holds files of it now; `session_places` has the sums over all paths."
--
-- [columns]
-- sid              = { type = "string", doc = "recording session id" }
-- vendor_name      = { type = "string", doc = "slug of the vendor" }
-- bucket           = { type = "string", doc = "bucket or container" }
-- prefix           = { type = "string", doc = "path before the file names; null without one" }
-- cname            = { type = "string", doc = "channel name, from the keys" }
-- region_code      = { type = "string", doc = "the vendor's region code, where the files' last writes tell one: the least" }
-- last_region_code = { type = "string", doc = "the greatest; equal to the least unless they disagree" }
-- files            = { type = "int64", doc = "files there now" }
-- first_at         = { type = "timestamp", doc = "first write of them" }
-- last_at          = { type = "timestamp", doc = "last write of them" }
-- first_key        = { type = "string", doc = "key of the file that came first" }
-- event_id         = { type = "string", doc = "event id of one of its writes" }
-- ---
WITH places AS (
    SELECT
        sid,
        vendor_name,
        bucket,
        prefix,
        min(cname) AS cname,
        min(region_code) AS region_code,
        max(last_region_code) AS last_region_code,
        sum(regionless) AS regionless,
        sum(files) AS files,
        min(first_written_at) AS first_at,
        max(last_written_at) AS last_at,
        first_value(first_key ORDER BY first_written_at, first_key) AS first_key,
        first_value(first_event_id ORDER BY first_written_at, first_key) AS event_id
    FROM session_writes
    GROUP BY sid, vendor_name, bucket, prefix
),

doubtful AS (
    -- Sessions of which sums do not tell: something was removed, somebody looked, or the events disagree about the region.
    SELECT sid
    FROM storage_events
    WHERE kind = 'removed' AND sid IS NOT NULL
    UNION
    SELECT sid
    FROM session_audits
    WHERE result IN ('found', 'missing')
    UNION
    SELECT sid
    FROM places
    WHERE region_code <> last_region_code
        OR (regionless > 0 AND regionless < files)
)

-- Nearly all sessions are as they were written.
SELECT
    places.sid,
    places.vendor_name,
    places.bucket,
    places.prefix,
    places.cname,
    places.region_code,
    places.last_region_code,
    places.files,
    places.first_at,
    places.last_at,
    places.first_key,
    places.event_id
FROM places
LEFT ANTI JOIN doubtful ON doubtful.sid = places.sid
UNION ALL
SELECT
    session_files.sid,
    session_files.vendor_name,
    session_files.bucket,
    session_files.prefix,
    min(session_files.cname) AS cname,
    min(session_files.region_code) AS region_code,
    max(session_files.region_code) AS last_region_code,
    count(*) AS files,
    min(session_files.first_at) AS first_at,
    max(session_files.last_at) AS last_at,
    first_value(session_files."key" ORDER BY session_files.first_at, session_files."key") AS first_key,
    first_value(session_files.event_id ORDER BY session_files.first_at, session_files."key") AS event_id
FROM doubtful
INNER JOIN session_files ON session_files.sid = doubtful.sid
GROUP BY session_files.sid, session_files.vendor_name, session_files.bucket, session_files.prefix
