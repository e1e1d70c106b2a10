-- ---
-- name        = "session_landings"
-- title       = "Where most files of each session are"
-- kept        = true
-- description = "One row per session that has files now: the vendor and bucket that hold most of them, and whether there are others."
--
-- [columns]
-- sid         = { type = "string", doc = "recording session id" }
-- cname       = { type = "string", doc = "channel name, from the keys" }
-- vendor_name = { type = "string", doc = "slug of the vendor that holds most files" }
-- bucket      = { type = "string", doc = "bucket that holds most files" }
-- event_id    = { type = "string", doc = "event id of a write there" }
-- event_at    = { type = "timestamp", doc = "first write there" }
-- vendors     = { type = "strings", doc = "slugs of all vendors that hold files of it" }
-- buckets     = { type = "strings", doc = "all buckets that hold files of it, as vendor:bucket" }
-- files       = { type = "int64", doc = "files in all of them" }
-- first_at    = { type = "timestamp", doc = "first write of them" }
-- last_at     = { type = "timestamp", doc = "last write of them" }
-- ---
WITH spread AS (
    SELECT sid
    FROM session_places
    GROUP BY sid
    HAVING count(*) > 1
)

-- Nearly all sessions have their files in one place: nothing is to be put in order.
SELECT
    session_places.sid,
    session_places.cname,
    session_places.vendor_name,
    session_places.bucket,
    session_places.event_id,
    session_places.first_at AS event_at,
    make_array(arrow_cast(session_places.vendor_name, 'Utf8')) AS vendors,
    make_array(arrow_cast(concat(session_places.vendor_name, ':', session_places.bucket), 'Utf8')) AS buckets,
    session_places.files,
    session_places.first_at,
    session_places.last_at
FROM session_places
LEFT ANTI JOIN spread ON spread.sid = session_places.sid
UNION ALL
SELECT
    sid,
    min(cname) AS cname,
    first_value(vendor_name ORDER BY files DESC, vendor_name, bucket) AS vendor_name,
    first_value(bucket ORDER BY files DESC, vendor_name, bucket) AS bucket,
    first_value(event_id ORDER BY files DESC, vendor_name, bucket) AS event_id,
    first_value(first_at ORDER BY files DESC, vendor_name, bucket) AS event_at,
    array_agg(arrow_cast(vendor_name, 'Utf8') ORDER BY files DESC, vendor_name, bucket) AS vendors,
    array_agg(arrow_cast(concat(vendor_name, ':', bucket), 'Utf8') ORDER BY files DESC, vendor_name, bucket) AS buckets,
    sum(files) AS files,
    min(first_at) AS first_at,
    max(last_at) AS last_at
FROM session_places
LEFT SEMI JOIN spread ON spread.sid = session_places.sid
GROUP BY sid
