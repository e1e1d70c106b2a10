-- ---
-- name        = "believed"
-- title       = "What the customer's database says last"
-- kept        = true
-- description = """
-- One row per row of the customer's database: its last version; `record_versions` has all of them. A column that a later version
-- leaves out keeps its last value, as an update may hold only what changed; one that it names as null has none any more. An
-- insert and a snapshot hold the whole row. Deleted rows are not here.
-- """
--
-- [columns]
-- record_id   = { type = "string", doc = "which row: table and key" }
-- app_id      = { type = "string", doc = "App ID" }
-- cname       = { type = "string", doc = "channel name" }
-- uid         = { type = "string", doc = "the recorder's uid" }
-- resource_id = { type = "string", doc = "the ticket" }
-- sid         = { type = "string", doc = "recording session id" }
-- vendor_name = { type = "string", doc = "slug of the vendor believed" }
-- bucket      = { type = "string", doc = "bucket believed" }
-- region      = { type = "string", doc = "region as the customer wrote it" }
-- prefix      = { type = "string", doc = "path believed" }
-- url         = { type = "string", doc = "where the file is expected" }
-- status      = { type = "string", doc = "the customer's own status" }
-- first_at    = { type = "timestamp", doc = "first version" }
-- last_at     = { type = "timestamp", doc = "last version" }
-- vendor_at   = { type = "timestamp", doc = "last version that names a vendor" }
-- event_id    = { type = "string", doc = "event id of the last version that names a vendor, else of the last" }
-- ---
WITH versions AS (
    SELECT
        *,
        coalesce(change, '') IN ('insert', 'snapshot') AS is_whole,
        string_to_array(emptied, ',') AS nulls
    FROM record_versions
),

histories AS (
    SELECT
        record_id,
        count(*) AS versions,
        count(changed_at) AS changes,
        count(received_at) AS receipts,
        min(version_at) AS first_at,
        max(version_at) AS last_at,
        max(CASE WHEN vendor_name IS NOT NULL THEN version_at END) AS vendor_at,
        count(app_id) AS app_ids,
        count(cname) AS cnames,
        count(uid) AS uids,
        count(resource_id) AS resource_ids,
        count(sid) AS sids,
        count(vendor_name) AS vendors,
        count(bucket) AS buckets,
        count(region) AS regions,
        count(prefix) AS prefixes,
        count(url) AS urls,
        count(status) AS statuses
    FROM versions
    GROUP BY record_id
),

latest AS (
    SELECT versions.*
    FROM versions
    LEFT ANTI JOIN versions AS later
        ON later.record_id = versions.record_id
        AND (
            later.changed_at > versions.changed_at
            OR (
                later.changed_at = versions.changed_at
                AND (
                    later.received_at > versions.received_at
                    OR (
                        (later.received_at IS NOT DISTINCT FROM versions.received_at)
                        AND later.position > versions.position
                    )
                )
            )
        )
),

tied AS (
    SELECT record_id
    FROM latest
    GROUP BY record_id
    HAVING count(*) > 1
),

settled AS (
    -- Nearly all: the last version says all that any version does, and is all that has to be read.
    SELECT
        latest.record_id,
        latest.app_id,
        latest.cname,
        latest.uid,
        latest.resource_id,
        latest.sid,
        latest.vendor_name,
        latest.bucket,
        latest.region,
        latest.prefix,
        latest.url,
        latest.status,
        histories.first_at,
        histories.last_at,
        histories.vendor_at,
        latest.event_id,
        coalesce(latest.change, '') AS last_change
    FROM latest
    INNER JOIN histories ON histories.record_id = latest.record_id
    LEFT ANTI JOIN tied ON tied.record_id = latest.record_id
    WHERE histories.changes = histories.versions
        AND histories.receipts IN (0, histories.versions)
        AND (latest.vendor_name IS NOT NULL OR histories.vendors = 0)
        AND (
            latest.is_whole
            OR (
                (latest.app_id IS NOT NULL OR histories.app_ids = 0 OR array_contains(latest.nulls, 'app_id'))
                AND (latest.cname IS NOT NULL OR histories.cnames = 0 OR array_contains(latest.nulls, 'cname'))
                AND (latest.uid IS NOT NULL OR histories.uids = 0 OR array_contains(latest.nulls, 'uid'))
                AND (latest.resource_id IS NOT NULL OR histories.resource_ids = 0 OR array_contains(latest.nulls, 'resource_id'))
                AND (latest.sid IS NOT NULL OR histories.sids = 0 OR array_contains(latest.nulls, 'sid'))
                AND (latest.bucket IS NOT NULL OR histories.buckets = 0 OR array_contains(latest.nulls, 'bucket'))
                AND (latest.region IS NOT NULL OR histories.regions = 0 OR array_contains(latest.nulls, 'region'))
                AND (latest.prefix IS NOT NULL OR histories.prefixes = 0 OR array_contains(latest.nulls, 'prefix'))
                AND (latest.url IS NOT NULL OR histories.urls = 0 OR array_contains(latest.nulls, 'url'))
                AND (latest.status IS NOT NULL OR histories.statuses = 0 OR array_contains(latest.nulls, 'status'))
            )
        )
)

SELECT
    record_id,
    app_id,
    cname,
    uid,
    resource_id,
    sid,
    vendor_name,
    bucket,
    region,
    prefix,
    url,
    status,
    first_at,
    last_at,
    vendor_at,
    event_id
FROM settled
WHERE last_change <> 'delete'
UNION ALL
SELECT
    record_id,
    app_id,
    cname,
    uid,
    resource_id,
    sid,
    vendor_name,
    bucket,
    region,
    prefix,
    url,
    status,
    first_at,
    last_at,
    vendor_at,
    coalesce(vendor_event_id, last_event_id) AS event_id
FROM (
    SELECT
        record_id,
        last_value(app_id ORDER BY changed_at, received_at, position)
            FILTER (WHERE is_whole OR app_id IS NOT NULL OR array_contains(nulls, 'app_id')) AS app_id,
        last_value(cname ORDER BY changed_at, received_at, position)
            FILTER (WHERE is_whole OR cname IS NOT NULL OR array_contains(nulls, 'cname')) AS cname,
        last_value(uid ORDER BY changed_at, received_at, position)
            FILTER (WHERE is_whole OR uid IS NOT NULL OR array_contains(nulls, 'uid')) AS uid,
        last_value(resource_id ORDER BY changed_at, received_at, position)
            FILTER (WHERE is_whole OR resource_id IS NOT NULL OR array_contains(nulls, 'resource_id')) AS resource_id,
        last_value(sid ORDER BY changed_at, received_at, position)
            FILTER (WHERE is_whole OR sid IS NOT NULL OR array_contains(nulls, 'sid')) AS sid,
        last_value(vendor_name ORDER BY changed_at, received_at, position)
            FILTER (WHERE is_whole OR vendor_name IS NOT NULL OR array_contains(nulls, 'vendor')) AS vendor_name,
        last_value(bucket ORDER BY changed_at, received_at, position)
            FILTER (WHERE is_whole OR bucket IS NOT NULL OR array_contains(nulls, 'bucket')) AS bucket,
        last_value(region ORDER BY changed_at, received_at, position)
            FILTER (WHERE is_whole OR region IS NOT NULL OR array_contains(nulls, 'region')) AS region,
        last_value(prefix ORDER BY changed_at, received_at, position)
            FILTER (WHERE is_whole OR prefix IS NOT NULL OR array_contains(nulls, 'prefix')) AS prefix,
        last_value(url ORDER BY changed_at, received_at, position)
            FILTER (WHERE is_whole OR url IS NOT NULL OR array_contains(nulls, 'url')) AS url,
        last_value(status ORDER BY changed_at, received_at, position)
            FILTER (WHERE is_whole OR status IS NOT NULL OR array_contains(nulls, 'status')) AS status,
        min(version_at) AS first_at,
        max(version_at) AS last_at,
        max(CASE WHEN vendor_name IS NOT NULL THEN version_at END) AS vendor_at,
        last_value(event_id ORDER BY changed_at, received_at, position)
            FILTER (WHERE vendor_name IS NOT NULL) AS vendor_event_id,
        last_value(event_id ORDER BY changed_at, received_at, position) AS last_event_id,
        last_value(coalesce(change, '') ORDER BY changed_at, received_at, position) AS last_change
    FROM versions
    LEFT ANTI JOIN settled ON settled.record_id = versions.record_id
    GROUP BY record_id
)
WHERE last_change <> 'delete'
