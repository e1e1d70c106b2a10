-- ---
-- name        = "tickets"
-- title       = "Tickets that acquire gave"
-- description = "One row per app and resource id that an acquire answered with: what the acquire asked for."
--
-- [columns]
-- app_id                 = { type = "string", doc = "App ID" }
-- resource_id            = { type = "string", doc = "the ticket" }
-- acquire_id             = { type = "string", doc = "event id of the acquire" }
-- acquired_at            = { type = "timestamp", doc = "when the acquire was sent" }
-- exclude_resource_ids   = { type = "strings", doc = "tickets that it asked to stay away from: asked-for redundancy" }
-- resource_expired_hour  = { type = "int64", doc = "hours for which the session can be addressed, as asked" }
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
SELECT
    app_id,
    resource_id,
    ticket['event_id'] AS acquire_id,
    ticket['requested_at'] AS acquired_at,
    ticket['exclude_resource_ids'] AS exclude_resource_ids,
    ticket['resource_expired_hour'] AS resource_expired_hour,
    ticket['recorder_region'] AS recorder_region,
    ticket['vendor'] AS vendor,
    ticket['vendor_name'] AS vendor_name,
    ticket['region'] AS region,
    ticket['region_code'] AS region_code,
    ticket['bucket'] AS bucket,
    ticket['endpoint'] AS endpoint,
    ticket['prefix'] AS prefix,
    ticket['access_key_fingerprint'] AS access_key_fingerprint,
    CASE
        WHEN ticket['vendor'] IS NOT NULL THEN
            concat(
                ticket['vendor'], '|', ticket['region'], '|', ticket['bucket'], '|',
                CASE WHEN ticket['vendor'] = 11 THEN ticket['endpoint'] END, '|', ticket['prefix']
            )
    END AS storage_identity
FROM (
    SELECT
        app_id,
        resource_id,
        first_value(
            named_struct(
                'event_id', event_id, 'requested_at', requested_at, 'exclude_resource_ids', exclude_resource_ids,
                'resource_expired_hour', resource_expired_hour, 'recorder_region', recorder_region,
                'vendor', start_parameter_vendor, 'vendor_name', start_parameter_vendor_name,
                'region', start_parameter_region, 'region_code', start_parameter_region_code,
                'bucket', start_parameter_bucket, 'endpoint', start_parameter_endpoint,
                'prefix', start_parameter_prefix, 'access_key_fingerprint', start_parameter_access_key_fingerprint
            )
            ORDER BY replay_of IS NOT NULL DESC, requested_at, event_id
        ) AS ticket
    FROM api_calls
    WHERE operation = 'acquire' AND resource_id IS NOT NULL
    GROUP BY app_id, resource_id
)
