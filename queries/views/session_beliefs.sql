-- ---
-- name        = "session_beliefs"
-- title       = "What the customer's database says about sessions"
-- kept        = true
-- description = """
-- One row per session that a row of the customer's database is about, with what that row says last. A row that names the
-- session counts first. A row without a session id is about the accepted start with its ticket (and app, where it says one); where there
-- is none, about that of its channel from 10 minutes before the start to 1 hour after the end; of several the one with its uid, then its
-- vendor, then nearest in time.
-- """
--
-- [columns]
-- sid         = { type = "string", doc = "recording session id" }
-- matched_by  = { type = "string", doc = "sid, resource_id or channel" }
-- record_id   = { type = "string", doc = "which row: table and key" }
-- app_id      = { type = "string", doc = "App ID as the row says" }
-- cname       = { type = "string", doc = "channel name as the row says" }
-- uid         = { type = "string", doc = "the recorder's uid as the row says" }
-- vendor_name = { type = "string", doc = "slug of the vendor believed" }
-- bucket      = { type = "string", doc = "bucket believed" }
-- region      = { type = "string", doc = "region as the customer wrote it" }
-- prefix      = { type = "string", doc = "path believed" }
-- url         = { type = "string", doc = "where the file is expected" }
-- status      = { type = "string", doc = "the customer's own status" }
-- first_at    = { type = "timestamp", doc = "first version of the row" }
-- last_at     = { type = "timestamp", doc = "last version of the row" }
-- vendor_at   = { type = "timestamp", doc = "last version that names a vendor" }
-- event_id    = { type = "string", doc = "event id of the version that counts" }
-- ---
WITH unnamed AS (
    -- Rows that name no session.
    SELECT record_id, app_id, cname, uid, resource_id, vendor_name, first_at
    FROM believed
    WHERE sid IS NULL
),

ticketed AS (
    -- A ticket makes one session: a row that has it needs neither channel nor time.
    SELECT
        unnamed.record_id,
        accepted_starts.sid,
        accepted_starts.uid = unnamed.uid AS is_its_uid,
        accepted_starts.vendor_name = unnamed.vendor_name AS is_its_vendor,
        accepted_starts.requested_at,
        unnamed.first_at
    FROM unnamed
    INNER JOIN accepted_starts
        ON accepted_starts.resource_id = unnamed.resource_id
        AND accepted_starts.app_id = coalesce(unnamed.app_id, accepted_starts.app_id)
),

fitting AS (
    -- The session of each: by its ticket, else the best of those that its channel had at the time.
    SELECT
        record_id,
        first_value(
            sid
            ORDER BY
                coalesce(is_its_uid, false) DESC,
                coalesce(is_its_vendor, false) DESC,
                abs(arrow_cast(requested_at, 'Int64') - arrow_cast(first_at, 'Int64')),
                sid
        ) AS sid,
        matched_by
    FROM (
        SELECT ticketed.*, 'resource_id' AS matched_by
        FROM ticketed
        UNION ALL
        SELECT
            unnamed.record_id,
            accepted_starts.sid,
            accepted_starts.uid = unnamed.uid AS is_its_uid,
            accepted_starts.vendor_name = unnamed.vendor_name AS is_its_vendor,
            accepted_starts.requested_at,
            unnamed.first_at,
            'channel' AS matched_by
        FROM unnamed
        LEFT ANTI JOIN ticketed ON ticketed.record_id = unnamed.record_id
        INNER JOIN accepted_starts
            ON accepted_starts.cname = unnamed.cname
            AND accepted_starts.app_id = coalesce(unnamed.app_id, accepted_starts.app_id)
            AND unnamed.first_at >= accepted_starts.requested_at - INTERVAL '10 minutes'
            AND unnamed.first_at <= coalesce(
                accepted_starts.ended_at + INTERVAL '1 hour', accepted_starts.requested_at + INTERVAL '24 hours'
            )
    )
    GROUP BY record_id, matched_by
),

matched AS (
    -- The session of each row: the one it names, else the best of those it fits.
    SELECT
        record_id, sid, 'sid' AS matched_by, app_id, cname, uid, vendor_name, bucket, region, prefix, url, status,
        first_at, last_at, vendor_at, event_id
    FROM believed
    WHERE sid IS NOT NULL
    UNION ALL
    SELECT
        believed.record_id, fitting.sid, fitting.matched_by, believed.app_id, believed.cname, believed.uid,
        believed.vendor_name, believed.bucket, believed.region, believed.prefix, believed.url, believed.status,
        believed.first_at, believed.last_at, believed.vendor_at, believed.event_id
    FROM fitting
    INNER JOIN believed ON believed.record_id = fitting.record_id
),

shared AS (
    -- Nearly all sessions have one row: nothing is to be chosen.
    SELECT sid
    FROM matched
    GROUP BY sid
    HAVING count(*) > 1
)

SELECT
    matched.sid,
    matched.matched_by,
    matched.record_id,
    matched.app_id,
    matched.cname,
    matched.uid,
    matched.vendor_name,
    matched.bucket,
    matched.region,
    matched.prefix,
    matched.url,
    matched.status,
    matched.first_at,
    matched.last_at,
    matched.vendor_at,
    matched.event_id
FROM matched
LEFT ANTI JOIN shared ON shared.sid = matched.sid
WHERE matched.sid IS NOT NULL
UNION ALL
SELECT
    sid,
    first_value(matched_by ORDER BY rank, last_at DESC, record_id) AS matched_by,
    first_value(record_id ORDER BY rank, last_at DESC, record_id) AS record_id,
    first_value(app_id ORDER BY rank, last_at DESC, record_id) AS app_id,
    first_value(cname ORDER BY rank, last_at DESC, record_id) AS cname,
    first_value(uid ORDER BY rank, last_at DESC, record_id) AS uid,
    first_value(vendor_name ORDER BY rank, last_at DESC, record_id) AS vendor_name,
    first_value(bucket ORDER BY rank, last_at DESC, record_id) AS bucket,
    first_value(region ORDER BY rank, last_at DESC, record_id) AS region,
    first_value(prefix ORDER BY rank, last_at DESC, record_id) AS prefix,
    first_value(url ORDER BY rank, last_at DESC, record_id) AS url,
    first_value(status ORDER BY rank, last_at DESC, record_id) AS status,
    first_value(first_at ORDER BY rank, last_at DESC, record_id) AS first_at,
    first_value(last_at ORDER BY rank, last_at DESC, record_id) AS last_at,
    first_value(vendor_at ORDER BY rank, last_at DESC, record_id) AS vendor_at,
    first_value(event_id ORDER BY rank, last_at DESC, record_id) AS event_id
FROM (
    -- A row that names the session before one that fits it, one that names a vendor before one that does not.
    SELECT
        matched.*,
        CASE WHEN matched_by = 'sid' THEN 0 ELSE 2 END + CASE WHEN vendor_name IS NOT NULL THEN 0 ELSE 1 END AS rank
    FROM matched
    LEFT SEMI JOIN shared ON shared.sid = matched.sid
)
GROUP BY sid
