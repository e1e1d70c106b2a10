-- ---
-- name        = "session_beliefs"
-- title       = "What the customer's database says about sessions"
-- kept        = true
-- description = """
-- One row per session that a row of the customer's database is about, with what that row says last. A row that names the
-- session counts first. A row without a session id is about the accepted start of its channel (and app, where it says one) from
-- 10 minutes before the start to 1 hour after the end; of several the one with its ticket, then its vendor, then nearest in time.
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
-- prefix      = { type = "string", doc = "path believed" }
-- url         = { type = "string", doc = "where the file is expected" }
-- status      = { type = "string", doc = "the customer's own status" }
-- first_at    = { type = "timestamp", doc = "first version of the row" }
-- last_at     = { type = "timestamp", doc = "last version of the row" }
-- vendor_at   = { type = "timestamp", doc = "last version that names a vendor" }
-- event_id    = { type = "string", doc = "event id of the version that counts" }
-- ---
WITH fitting AS (
    -- Rows that name no session, and the accepted starts that they fit.
    SELECT
        believed.record_id,
        first_value(
            accepted_starts.sid
            ORDER BY
                coalesce(accepted_starts.resource_id = believed.resource_id, false) DESC,
                coalesce(accepted_starts.vendor_name = believed.vendor_name, false) DESC,
                abs(arrow_cast(accepted_starts.requested_at, 'Int64') - arrow_cast(believed.first_at, 'Int64')),
                accepted_starts.sid
        ) AS sid,
        CASE
            WHEN bool_or(accepted_starts.resource_id = believed.resource_id) THEN 'resource_id'
            ELSE 'channel'
        END AS matched_by
    FROM believed
    INNER JOIN accepted_starts
        ON accepted_starts.cname = believed.cname
        AND accepted_starts.app_id = coalesce(believed.app_id, accepted_starts.app_id)
        AND believed.first_at >= accepted_starts.requested_at - INTERVAL '10 minutes'
        AND believed.first_at <= coalesce(
            accepted_starts.ended_at + INTERVAL '1 hour', accepted_starts.requested_at + INTERVAL '24 hours'
        )
    WHERE believed.sid IS NULL
    GROUP BY believed.record_id
),

matched AS (
    -- The session of each row: the one it names, else the best of those it fits.
    SELECT
        record_id, sid, 'sid' AS matched_by, app_id, cname, uid, vendor_name, bucket, prefix, url, status, first_at,
        last_at, vendor_at, event_id
    FROM believed
    WHERE sid IS NOT NULL
    UNION ALL
    SELECT
        believed.record_id, fitting.sid, fitting.matched_by, believed.app_id, believed.cname, believed.uid,
        believed.vendor_name, believed.bucket, believed.prefix, believed.url, believed.status, believed.first_at,
        believed.last_at, believed.vendor_at, believed.event_id
    FROM fitting
    INNER JOIN believed ON believed.record_id = fitting.record_id
),

ranked AS (
    -- A row that names the session before one that fits it, one that names a vendor before one that does not.
    SELECT
        *,
        CASE WHEN matched_by = 'sid' THEN 0 ELSE 2 END + CASE WHEN vendor_name IS NOT NULL THEN 0 ELSE 1 END AS rank
    FROM matched
    WHERE sid IS NOT NULL
)

SELECT
    ranked.sid,
    ranked.matched_by,
    ranked.record_id,
    ranked.app_id,
    ranked.cname,
    ranked.uid,
    ranked.vendor_name,
    ranked.bucket,
    ranked.prefix,
    ranked.url,
    ranked.status,
    ranked.first_at,
    ranked.last_at,
    ranked.vendor_at,
    ranked.event_id
FROM ranked
LEFT ANTI JOIN (
    SELECT sid, rank, last_at, record_id
    FROM ranked
) AS better
    ON better.sid = ranked.sid
    AND (
        better.rank < ranked.rank
        OR (better.rank = ranked.rank AND better.last_at > ranked.last_at)
        OR (
            better.rank = ranked.rank
            AND (better.last_at IS NOT DISTINCT FROM ranked.last_at)
            AND better.record_id < ranked.record_id
        )
    )
