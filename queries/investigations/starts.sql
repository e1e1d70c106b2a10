-- ---
-- name        = "starts"
-- title       = "The start attempts of a case"
-- description = "All attempts to start a recording of the channel in the time of the case, in order, with the gap to the first."
--
-- [params]
-- from  = { type = "timestamp", doc = "first instant of the case" }
-- until = { type = "timestamp", doc = "end of the case, exclusive" }
--
-- [columns]
-- start_id     = { type = "string", doc = "event id of the attempt's first call" }
-- requested_at = { type = "timestamp", doc = "when it was sent" }
-- gap_ms       = { type = "int64", doc = "milliseconds after the first start of the case" }
-- outcome      = { type = "string", doc = "ok, already_running, conflict, indeterminate, rejected" }
-- answer       = { type = "string", doc = "the answer and how long it took, for people" }
-- sid          = { type = "string", doc = "session that the answer names" }
-- uid          = { type = "string", doc = "the recorder's uid" }
-- ticket       = { type = "string", doc = "resource id" }
-- vendor       = { type = "string", doc = "vendor asked for" }
-- region       = { type = "string", doc = "region asked for" }
-- bucket       = { type = "string", doc = "bucket asked for" }
-- endpoint     = { type = "string", doc = "endpoint asked for, S3-compatible storage only" }
-- path         = { type = "string", doc = "path asked for" }
-- access_key   = { type = "string", doc = "keyed hash of the access key" }
-- caller       = { type = "string", doc = "service, version, host, region and environment that made the call" }
-- trace        = { type = "string", doc = "its trace id" }
-- event_ids    = { type = "strings", doc = "event ids of all its calls" }
-- ---
SELECT
    starts.start_id,
    starts.requested_at,
    (
        arrow_cast(starts.requested_at, 'Int64') - arrow_cast(first.requested_at, 'Int64')
    ) / 1000 AS gap_ms,
    starts.outcome,
    CASE
        WHEN starts.http_status IS NULL THEN concat('no answer', coalesce(concat(': ', starts.error), ''))
        ELSE concat(
            'HTTP ', starts.http_status,
            CASE WHEN starts.code IS NOT NULL THEN concat(' code ', starts.code) END,
            CASE WHEN starts.reason_text IS NOT NULL THEN concat(': ', starts.reason_text) END,
            ', after ',
            (
                arrow_cast(starts.responded_at, 'Int64') - arrow_cast(starts.requested_at, 'Int64')
            ) / 1000,
            ' ms'
        )
    END AS answer,
    starts.sid,
    starts.uid,
    starts.resource_id AS ticket,
    coalesce(vendors.vendor_title, starts.vendor_name, CAST(starts.vendor AS STRING)) AS vendor,
    coalesce(starts.region_code, CAST(starts.region AS STRING)) AS region,
    starts.bucket,
    starts.endpoint,
    starts.prefix AS path,
    starts.access_key_fingerprint AS access_key,
    concat_ws(
        ' ', starts.caller_service, starts.caller_version, starts.caller_host, starts.caller_region,
        starts.caller_environment
    ) AS caller,
    starts.caller_trace_id AS trace,
    starts.event_ids
FROM starts
CROSS JOIN (
    SELECT min(requested_at) AS requested_at
    FROM starts
    WHERE requested_at >= $from AND requested_at < $until
) AS first
LEFT JOIN vendors ON vendors.vendor = starts.vendor
WHERE starts.requested_at >= $from AND starts.requested_at < $until
ORDER BY starts.requested_at, starts.start_id
