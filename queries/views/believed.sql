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

unchanged AS (
    SELECT record_id
    FROM versions
    GROUP BY record_id
    HAVING count(*) = 1
)

SELECT
    versions.record_id,
    versions.app_id,
    versions.cname,
    versions.uid,
    versions.resource_id,
    versions.sid,
    versions.vendor_name,
    versions.bucket,
    versions.region,
    versions.prefix,
    versions.url,
    versions.status,
    versions.version_at AS first_at,
    versions.version_at AS last_at,
    CASE WHEN versions.vendor_name IS NOT NULL THEN versions.version_at END AS vendor_at,
    versions.event_id
FROM versions
LEFT SEMI JOIN unchanged ON unchanged.record_id = versions.record_id
WHERE coalesce(versions.change, '') <> 'delete'
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
    LEFT ANTI JOIN unchanged ON unchanged.record_id = versions.record_id
    GROUP BY record_id
)
WHERE last_change <> 'delete'
