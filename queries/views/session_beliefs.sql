-- ---
-- name        = "session_beliefs"
-- title       = "What the customer's database says about sessions"
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
WITH matched AS (
    -- The session of each row: the one it names, else the best of those it fits.
    SELECT
        believed.record_id,
        coalesce(
            first_value(believed.sid),
            first_value(
                accepted_starts.sid
                ORDER BY
                    coalesce(accepted_starts.resource_id = believed.resource_id, false) DESC,
                    coalesce(accepted_starts.vendor_name = believed.vendor_name, false) DESC,
                    abs(arrow_cast(accepted_starts.requested_at, 'Int64') - arrow_cast(believed.first_at, 'Int64')),
                    accepted_starts.sid
            )
        ) AS sid,
        CASE
            WHEN first_value(believed.sid) IS NOT NULL THEN 'sid'
            WHEN bool_or(accepted_starts.resource_id = believed.resource_id) THEN 'resource_id'
            ELSE 'channel'
        END AS matched_by,
        first_value(
            named_struct(
                'app_id', believed.app_id, 'cname', believed.cname, 'uid', believed.uid,
                'vendor_name', believed.vendor_name, 'bucket', believed.bucket, 'prefix', believed.prefix,
                'url', believed.url, 'status', believed.status, 'first_at', believed.first_at,
                'last_at', believed.last_at, 'vendor_at', believed.vendor_at, 'event_id', believed.event_id
            )
        ) AS belief
    FROM believed
    LEFT JOIN accepted_starts
        ON accepted_starts.cname = CASE WHEN believed.sid IS NULL THEN believed.cname END
        AND accepted_starts.app_id = coalesce(believed.app_id, accepted_starts.app_id)
        AND believed.first_at >= accepted_starts.requested_at - INTERVAL '10 minutes'
        AND believed.first_at <= coalesce(
            accepted_starts.ended_at + INTERVAL '1 hour', accepted_starts.requested_at + INTERVAL '24 hours'
        )
    GROUP BY believed.record_id
)

SELECT
    sid,
    best['matched_by'] AS matched_by,
    best['record_id'] AS record_id,
    best['belief']['app_id'] AS app_id,
    best['belief']['cname'] AS cname,
    best['belief']['uid'] AS uid,
    best['belief']['vendor_name'] AS vendor_name,
    best['belief']['bucket'] AS bucket,
    best['belief']['prefix'] AS prefix,
    best['belief']['url'] AS url,
    best['belief']['status'] AS status,
    best['belief']['first_at'] AS first_at,
    best['belief']['last_at'] AS last_at,
    best['belief']['vendor_at'] AS vendor_at,
    best['belief']['event_id'] AS event_id
FROM (
    SELECT
        sid,
        first_value(
            named_struct('matched_by', matched_by, 'record_id', record_id, 'belief', belief)
            ORDER BY
                matched_by = 'sid' DESC,
                belief['vendor_name'] IS NOT NULL DESC,
                belief['last_at'] DESC,
                record_id
        ) AS best
    FROM matched
    WHERE sid IS NOT NULL
    GROUP BY sid
)
