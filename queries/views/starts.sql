-- ---
-- name        = "starts"
-- title       = "Start attempts"
-- description = """
-- One row per attempt to start a recording. A call logged twice is one row, and what a replay made supersedes it. A call
-- mirrored to another host is the same attempt: same app, channel, ticket and body within 2 s, or under one trace id on
-- another host. A later retry is an attempt of its own. Of several answers the most telling one counts: ok,
-- already_running, conflict, indeterminate, rejected. Storage that only the acquire names (startParameter) is taken from there.
-- """
--
-- [columns]
-- start_id               = { type = "string", doc = "event id of the attempt's first call" }
-- app_id                 = { type = "string", doc = "App ID" }
-- cname                  = { type = "string", doc = "channel name as sent" }
-- uid                    = { type = "string", doc = "the recorder's uid" }
-- mode                   = { type = "string", doc = "individual, mix, web, raw" }
-- resource_id            = { type = "string", doc = "the ticket" }
-- request_hash           = { type = "string", doc = "hash of the redacted body" }
-- sid                    = { type = "string", doc = "session that the answer names" }
-- outcome                = { type = "string", doc = "ok, already_running, conflict, indeterminate, rejected" }
-- http_status            = { type = "int64", doc = "HTTP status of the answer" }
-- code                   = { type = "int64", doc = "the API's code of the answer" }
-- reason_text            = { type = "string", doc = "the API's reason or the gateway's message" }
-- error                  = { type = "string", doc = "transport error where no answer came" }
-- requested_at           = { type = "timestamp", doc = "when the first call was sent" }
-- responded_at           = { type = "timestamp", doc = "when the answer came; null when none did" }
-- vendor                 = { type = "int64", doc = "Agora's vendor number asked for" }
-- vendor_name            = { type = "string", doc = "its slug" }
-- region                 = { type = "int64", doc = "Agora's region number asked for" }
-- region_code            = { type = "string", doc = "the vendor's own region code" }
-- bucket                 = { type = "string", doc = "bucket asked for" }
-- endpoint               = { type = "string", doc = "endpoint asked for, S3-compatible storage only" }
-- prefix                 = { type = "string", doc = "path asked for" }
-- access_key_fingerprint = { type = "string", doc = "keyed hash of the access key; never part of the storage's identity, so that a rotation is no conflict" }
-- storage_identity       = { type = "string", doc = "vendor, region, bucket, endpoint (S3-compatible only) and prefix in one text: two starts conflict when it differs; null when no storage is known" }
-- storage                = { type = "string", doc = "the same for people" }
-- caller_service         = { type = "string", doc = "backend service that made the call" }
-- caller_host            = { type = "string", doc = "its host" }
-- caller_region          = { type = "string", doc = "its region" }
-- caller_environment     = { type = "string", doc = "its environment" }
-- caller_version         = { type = "string", doc = "its version" }
-- caller_trace_id        = { type = "string", doc = "its trace id" }
-- context_user_region    = { type = "string", doc = "region of the end user" }
-- context_environment    = { type = "string", doc = "environment of the end user" }
-- origin                 = { type = "string", doc = "these environments and regions in one text, to compare" }
-- av_file_types          = { type = "strings", doc = "file types asked for" }
-- acquire_id             = { type = "string", doc = "event id of the acquire that gave the ticket; null when it is not in the log" }
-- acquired_at            = { type = "timestamp", doc = "when the ticket was asked for" }
-- exclude_resource_ids   = { type = "strings", doc = "tickets that the acquire asked to stay away from: asked-for redundancy" }
-- resource_expired_hour  = { type = "int64", doc = "hours for which the session can be addressed; the API's default of 72 where the acquire says nothing" }
-- expires_at             = { type = "timestamp", doc = "the answer's time plus those hours; null without an answer" }
-- recorder_region        = { type = "string", doc = "recording region that the acquire asked for" }
-- ticket_storage_identity = { type = "string", doc = "storage_identity of acquire.startParameter" }
-- calls                  = { type = "int64", doc = "calls that make up the attempt" }
-- event_ids              = { type = "strings", doc = "their event ids in order of time" }
-- ---
WITH calls AS (
    -- One row per event id; of a replayed call the replay's row counts.
    SELECT
        app_id,
        cname,
        event_id,
        first_value(
            named_struct(
                'uid', uid, 'mode', mode, 'resource_id', resource_id, 'request_hash', request_hash, 'sid', sid,
                'outcome', outcome, 'http_status', http_status, 'code', code, 'reason_text', reason_text,
                'error', error, 'requested_at', requested_at, 'responded_at', responded_at, 'vendor', vendor,
                'vendor_name', vendor_name, 'region', region, 'region_code', region_code, 'bucket', bucket,
                'endpoint', endpoint, 'prefix', prefix, 'access_key_fingerprint', access_key_fingerprint,
                'request_host', request_host, 'caller_service', caller_service, 'caller_host', caller_host,
                'caller_region', caller_region, 'caller_environment', caller_environment,
                'caller_version', caller_version, 'caller_trace_id', caller_trace_id,
                'context_user_region', context_user_region, 'context_environment', context_environment,
                'av_file_types', av_file_types
            )
            ORDER BY replay_of IS NOT NULL DESC, received_at DESC, "offset" DESC
        ) AS call
    FROM api_calls
    WHERE operation = 'start'
    GROUP BY app_id, cname, event_id
),

marks AS (
    SELECT DISTINCT
        app_id,
        cname,
        resource_id,
        request_hash,
        requested_at,
        request_host,
        caller_trace_id
    FROM api_calls
    WHERE operation = 'start'
),

mirrored AS (
    -- The earliest call that a call repeats, itself included, gives the attempt its time.
    SELECT
        calls.app_id,
        calls.cname,
        calls.event_id,
        first_value(calls.call) AS call,
        coalesce(min(marks.requested_at), first_value(calls.call['requested_at'])) AS attempted_at
    FROM calls
    LEFT JOIN marks
        ON marks.app_id = calls.app_id
        AND marks.cname = calls.cname
        AND marks.resource_id = calls.call['resource_id']
        AND marks.request_hash = calls.call['request_hash']
        AND marks.requested_at <= calls.call['requested_at']
        AND (
            marks.requested_at >= calls.call['requested_at'] - INTERVAL '2 seconds'
            OR (
                marks.caller_trace_id = calls.call['caller_trace_id']
                AND marks.request_host <> calls.call['request_host']
            )
        )
    GROUP BY calls.app_id, calls.cname, calls.event_id
),

attempts AS (
    SELECT
        app_id,
        cname,
        call['resource_id'] AS resource_id,
        call['request_hash'] AS request_hash,
        attempted_at,
        first_value(event_id ORDER BY call['requested_at'], event_id) AS start_id,
        first_value(
            call
            ORDER BY
                CASE call['outcome']
                    WHEN 'ok' THEN 0
                    WHEN 'already_running' THEN 1
                    WHEN 'conflict' THEN 2
                    WHEN 'indeterminate' THEN 3
                    ELSE 4
                END,
                call['requested_at'],
                event_id
        ) AS call,
        count(*) AS calls,
        array_agg(event_id ORDER BY call['requested_at'], event_id) AS event_ids
    FROM mirrored
    GROUP BY app_id, cname, call['resource_id'], call['request_hash'], attempted_at
),

placed AS (
    -- A start without a storageConfig of its own stores where the acquire's startParameter says.
    SELECT
        attempts.app_id,
        attempts.cname,
        attempts.resource_id,
        attempts.request_hash,
        attempts.attempted_at,
        attempts.start_id,
        attempts.call,
        attempts.calls,
        attempts.event_ids,
        tickets.acquire_id,
        tickets.acquired_at,
        tickets.exclude_resource_ids,
        tickets.resource_expired_hour,
        tickets.recorder_region,
        tickets.storage_identity AS ticket_storage_identity,
        CASE
            WHEN attempts.call['vendor'] IS NULL AND attempts.call['bucket'] IS NULL THEN
                named_struct(
                    'vendor', tickets.vendor, 'vendor_name', tickets.vendor_name,
                    'region', tickets.region, 'region_code', tickets.region_code,
                    'bucket', tickets.bucket, 'endpoint', tickets.endpoint,
                    'prefix', tickets.prefix,
                    'access_key_fingerprint', tickets.access_key_fingerprint
                )
            ELSE
                named_struct(
                    'vendor', attempts.call['vendor'], 'vendor_name', attempts.call['vendor_name'],
                    'region', attempts.call['region'], 'region_code', attempts.call['region_code'],
                    'bucket', attempts.call['bucket'], 'endpoint', attempts.call['endpoint'],
                    'prefix', attempts.call['prefix'],
                    'access_key_fingerprint', attempts.call['access_key_fingerprint']
                )
        END AS place
    FROM attempts
    LEFT JOIN tickets
        ON tickets.app_id = attempts.app_id
        AND tickets.resource_id = attempts.resource_id
)

SELECT
    placed.start_id,
    placed.app_id,
    placed.cname,
    placed.call['uid'] AS uid,
    placed.call['mode'] AS mode,
    placed.resource_id,
    placed.request_hash,
    placed.call['sid'] AS sid,
    placed.call['outcome'] AS outcome,
    placed.call['http_status'] AS http_status,
    placed.call['code'] AS code,
    placed.call['reason_text'] AS reason_text,
    placed.call['error'] AS error,
    placed.attempted_at AS requested_at,
    placed.call['responded_at'] AS responded_at,
    placed.place['vendor'] AS vendor,
    placed.place['vendor_name'] AS vendor_name,
    placed.place['region'] AS region,
    placed.place['region_code'] AS region_code,
    placed.place['bucket'] AS bucket,
    placed.place['endpoint'] AS endpoint,
    placed.place['prefix'] AS prefix,
    placed.place['access_key_fingerprint'] AS access_key_fingerprint,
    CASE
        WHEN placed.place['vendor'] IS NOT NULL THEN
            concat(
                placed.place['vendor'], '|', placed.place['region'], '|', placed.place['bucket'], '|',
                CASE WHEN placed.place['vendor'] = 11 THEN placed.place['endpoint'] END, '|',
                placed.place['prefix']
            )
    END AS storage_identity,
    CASE
        WHEN placed.place['vendor'] IS NOT NULL THEN
            concat(
                coalesce(vendors.vendor_title, concat('vendor ', placed.place['vendor'])),
                ' bucket ', coalesce(placed.place['bucket'], '(none)'),
                CASE
                    WHEN placed.place['region_code'] IS NOT NULL THEN concat(' (', placed.place['region_code'], ')')
                    WHEN placed.place['vendor'] = 11 AND placed.place['endpoint'] IS NOT NULL
                        THEN concat(' at ', placed.place['endpoint'])
                    WHEN placed.place['vendor'] NOT IN (5, 6, 11) AND placed.place['region'] IS NOT NULL
                        THEN concat(' (region ', placed.place['region'], ')')
                END,
                CASE WHEN placed.place['prefix'] <> '' THEN concat(', path ', placed.place['prefix']) END
            )
    END AS storage,
    placed.call['caller_service'] AS caller_service,
    placed.call['caller_host'] AS caller_host,
    placed.call['caller_region'] AS caller_region,
    placed.call['caller_environment'] AS caller_environment,
    placed.call['caller_version'] AS caller_version,
    placed.call['caller_trace_id'] AS caller_trace_id,
    placed.call['context_user_region'] AS context_user_region,
    placed.call['context_environment'] AS context_environment,
    concat_ws(
        '/', placed.call['caller_environment'], placed.call['caller_region'], placed.call['context_environment'],
        placed.call['context_user_region']
    ) AS origin,
    placed.call['av_file_types'] AS av_file_types,
    placed.acquire_id,
    placed.acquired_at,
    placed.exclude_resource_ids,
    coalesce(placed.resource_expired_hour, 72) AS resource_expired_hour,
    placed.call['responded_at'] + arrow_cast(
        arrow_cast(coalesce(placed.resource_expired_hour, 72), 'Int64') * 3600000000, 'Duration(Microsecond)'
    ) AS expires_at,
    placed.recorder_region,
    placed.ticket_storage_identity,
    placed.calls,
    placed.event_ids
FROM placed
LEFT JOIN vendors ON vendors.vendor = placed.place['vendor']
