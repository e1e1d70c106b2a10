-- ---
-- name        = "tickets"
-- title       = "Tickets that acquire gave"
-- kept        = true
-- description = "One row per app and resource id that an acquire answered with: what the acquire asked for."
--
-- [columns]
-- app_id                 = { type = "string", doc = "App ID" }
-- cname                  = { type = "string", doc = "the channel that it was acquired for" }
-- resource_id            = { type = "string", doc = "the ticket" }
-- uid                    = { type = "string", doc = "the recorder's uid that it was acquired for" }
-- acquire_id             = { type = "string", doc = "event id of the acquire" }
-- acquired_at            = { type = "timestamp", doc = "when the acquire was sent" }
-- exclude_resource_ids   = { type = "strings", doc = "tickets that it asked to stay away from: asked-for redundancy" }
-- resource_expired_hour  = { type = "int64", doc = "hours for which the session can be addressed, as asked" }
-- origin                 = { type = "string", doc = "environment and region of the caller and its user, as a start's" }
-- recorder_region        = { type = "string", doc = "recording region asked for" }
-- vendor                 = { type = "int64", doc = "startParameter: Agora's vendor number" }
-- vendor_name            = { type = "string", doc = "startParameter: its slug" }
-- region                 = { type = "int64", doc = "startParameter: Agora's region number" }
-- region_code            = { type = "string", doc = "startParameter: the vendor's own region code" }
-- bucket                 = { type = "string", doc = "startParameter: bucket" }
-- endpoint               = { type = "string", doc = "startParameter: endpoint" }
-- prefix                 = { type = "string", doc = "startParameter: path" }
-- access_key_fingerprint = { type = "string", doc = "startParameter: keyed hash of the access key" }
-- storage_identity       = { type = "string", doc = "startParameter: all of the storage, to compare with a start's" }
-- ---
WITH acquires AS (
    SELECT
        app_id,
        cname,
        resource_id,
        uid,
        event_id AS acquire_id,
        requested_at AS acquired_at,
        array_to_string(exclude_resource_ids, ',') AS exclude_resource_ids,
        resource_expired_hour,
        concat_ws('/', caller_environment, caller_region, context_environment, context_user_region) AS origin,
        recorder_region,
        start_parameter_vendor AS vendor,
        start_parameter_vendor_name AS vendor_name,
        start_parameter_region AS region,
        start_parameter_region_code AS region_code,
        start_parameter_bucket AS bucket,
        start_parameter_endpoint AS endpoint,
        start_parameter_prefix AS prefix,
        start_parameter_access_key_fingerprint AS access_key_fingerprint
    FROM api_calls
    WHERE operation = 'acquire' AND resource_id IS NOT NULL
),

repeated AS (
    SELECT app_id, cname, resource_id
    FROM acquires
    GROUP BY app_id, cname, resource_id
    HAVING count(*) > 1
)

SELECT
    app_id,
    cname,
    resource_id,
    uid,
    acquire_id,
    acquired_at,
    string_to_array(exclude_resource_ids, ',') AS exclude_resource_ids,
    resource_expired_hour,
    origin,
    recorder_region,
    vendor,
    vendor_name,
    region,
    region_code,
    bucket,
    endpoint,
    prefix,
    access_key_fingerprint,
    CASE
        WHEN vendor IS NOT NULL THEN concat(
            -- As in `starts`.
            vendor, '|', CASE WHEN vendor NOT IN (5, 6, 11) THEN region END, '|', bucket, '|',
            CASE WHEN vendor = 11 THEN endpoint END, '|', prefix
        )
    END AS storage_identity
FROM (
    -- A ticket comes from one acquire; of rows that repeat it any is as good, so the least value of each column is.
    SELECT acquires.*
    FROM acquires
    LEFT ANTI JOIN repeated
        ON (repeated.app_id IS NOT DISTINCT FROM acquires.app_id)
        AND (repeated.cname IS NOT DISTINCT FROM acquires.cname)
        AND (repeated.resource_id IS NOT DISTINCT FROM acquires.resource_id)
    UNION ALL
    SELECT
        app_id,
        cname,
        resource_id,
        min(uid) AS uid,
        min(acquire_id) AS acquire_id,
        min(acquired_at) AS acquired_at,
        min(exclude_resource_ids) AS exclude_resource_ids,
        min(resource_expired_hour) AS resource_expired_hour,
        min(origin) AS origin,
        min(recorder_region) AS recorder_region,
        min(vendor) AS vendor,
        min(vendor_name) AS vendor_name,
        min(region) AS region,
        min(region_code) AS region_code,
        min(bucket) AS bucket,
        min(endpoint) AS endpoint,
        min(prefix) AS prefix,
        min(access_key_fingerprint) AS access_key_fingerprint
    FROM (
        SELECT acquires.*
        FROM acquires
        LEFT SEMI JOIN repeated
            ON (repeated.app_id IS NOT DISTINCT FROM acquires.app_id)
            AND (repeated.cname IS NOT DISTINCT FROM acquires.cname)
            AND (repeated.resource_id IS NOT DISTINCT FROM acquires.resource_id)
    )
    GROUP BY app_id, cname, resource_id
)
