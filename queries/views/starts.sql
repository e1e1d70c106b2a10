-- ---
-- name        = "starts"
-- title       = "Start attempts"
-- kept        = true
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
-- is_unanswered          = { type = "bool", doc = "no answer tells whether it made a session: its outcome is indeterminate, or it was sent to several hosts, of which the one that answered says that it runs already" }
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
-- storage_identity       = { type = "string", doc = "vendor, region (where the vendor has any), bucket, endpoint (S3-compatible only) and prefix in one text: two starts conflict when it differs; null when no storage is known" }
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
WITH superseded AS (
    -- Positions that a replay has read again; what it made of them counts.
    SELECT replay_of AS position
    FROM api_calls
    WHERE replay_of IS NOT NULL
),

calls AS (
    SELECT
        app_id,
        cname,
        event_id,
        uid,
        mode,
        resource_id,
        request_hash,
        sid,
        outcome,
        http_status,
        code,
        reason_text,
        error,
        requested_at,
        responded_at,
        vendor,
        vendor_name,
        region,
        region_code,
        bucket,
        endpoint,
        prefix,
        access_key_fingerprint,
        request_host,
        caller_service,
        caller_host,
        caller_region,
        caller_environment,
        caller_version,
        caller_trace_id,
        context_user_region,
        context_environment,
        array_to_string(av_file_types, ',') AS av_file_types
    FROM api_calls
    LEFT ANTI JOIN superseded
        ON superseded.position = CASE
            WHEN api_calls.replay_of IS NULL THEN concat(
                topic, '/', coalesce(CAST("partition" AS STRING), source_id), '@', "offset", '#', record_index
            )
        END
    WHERE operation = 'start'
),

used_again AS (
    -- Nearly every ticket is started with once: only the calls of the others can be one attempt together.
    SELECT app_id, cname, resource_id
    FROM calls
    GROUP BY app_id, cname, resource_id
    HAVING count(*) > 1
),

repeated AS (
    -- Each call once: a redelivery differs only in where it stood.
    SELECT DISTINCT calls.*
    FROM calls
    LEFT SEMI JOIN used_again
        ON (used_again.app_id IS NOT DISTINCT FROM calls.app_id)
        AND (used_again.cname IS NOT DISTINCT FROM calls.cname)
        AND (used_again.resource_id IS NOT DISTINCT FROM calls.resource_id)
),

mirrored AS (
    -- The earliest call that a call repeats, itself included, gives the attempt its time.
    SELECT
        repeated.app_id,
        repeated.cname,
        repeated.event_id,
        repeated.resource_id,
        repeated.request_hash,
        repeated.requested_at,
        CASE repeated.outcome
            WHEN 'ok' THEN 0
            WHEN 'already_running' THEN 1
            WHEN 'conflict' THEN 2
            WHEN 'indeterminate' THEN 3
            ELSE 4
        END AS rank,
        coalesce(min(marks.requested_at), repeated.requested_at) AS attempted_at
    FROM repeated
    LEFT JOIN repeated AS marks
        ON marks.app_id = repeated.app_id
        AND marks.cname = repeated.cname
        AND marks.resource_id = repeated.resource_id
        AND marks.request_hash = repeated.request_hash
        AND marks.requested_at <= repeated.requested_at
        AND (
            marks.requested_at >= repeated.requested_at - INTERVAL '2 seconds'
            OR (marks.caller_trace_id = repeated.caller_trace_id AND marks.request_host <> repeated.request_host)
        )
    GROUP BY
        repeated.app_id, repeated.cname, repeated.event_id, repeated.resource_id, repeated.request_hash,
        repeated.requested_at, repeated.outcome
),

joint AS (
    SELECT
        app_id,
        cname,
        resource_id,
        request_hash,
        attempted_at,
        first_value(event_id ORDER BY requested_at, event_id) AS start_id,
        first_value(event_id ORDER BY rank, requested_at, event_id) AS telling_id,
        count(*) AS calls,
        array_agg(arrow_cast(event_id, 'Utf8') ORDER BY requested_at, event_id) AS event_ids
    FROM mirrored
    GROUP BY app_id, cname, resource_id, request_hash, attempted_at
),

attempts AS (
    -- Each attempt with what its most telling call says.
    SELECT
        calls.event_id AS start_id,
        calls.requested_at AS attempted_at,
        1 AS calls,
        make_array(arrow_cast(calls.event_id, 'Utf8')) AS event_ids,
        calls.*
    FROM calls
    LEFT ANTI JOIN used_again
        ON (used_again.app_id IS NOT DISTINCT FROM calls.app_id)
        AND (used_again.cname IS NOT DISTINCT FROM calls.cname)
        AND (used_again.resource_id IS NOT DISTINCT FROM calls.resource_id)
    UNION ALL
    SELECT
        joint.start_id,
        joint.attempted_at,
        joint.calls,
        joint.event_ids,
        telling.*
    FROM repeated AS telling
    INNER JOIN joint
        ON (joint.app_id IS NOT DISTINCT FROM telling.app_id)
        AND (joint.cname IS NOT DISTINCT FROM telling.cname)
        AND (joint.resource_id IS NOT DISTINCT FROM telling.resource_id)
        AND (joint.request_hash IS NOT DISTINCT FROM telling.request_hash)
        -- No key of the join: what attempts are grouped by reaches the files, this does not.
        AND (joint.telling_id = telling.event_id) IS TRUE
),

placed AS (
    -- A start without a storageConfig of its own stores where the acquire's startParameter says.
    SELECT
        attempts.start_id,
        attempts.app_id,
        attempts.cname,
        attempts.attempted_at,
        attempts.calls,
        attempts.event_ids,
        attempts.uid,
        attempts.mode,
        attempts.resource_id,
        attempts.request_hash,
        attempts.sid,
        attempts.outcome,
        attempts.http_status,
        attempts.code,
        attempts.reason_text,
        attempts.error,
        attempts.responded_at,
        attempts.caller_service,
        attempts.caller_host,
        attempts.caller_region,
        attempts.caller_environment,
        attempts.caller_version,
        attempts.caller_trace_id,
        attempts.context_user_region,
        attempts.context_environment,
        attempts.av_file_types,
        CASE WHEN attempts.vendor IS NULL AND attempts.bucket IS NULL THEN tickets.vendor ELSE attempts.vendor END AS vendor,
        CASE WHEN attempts.vendor IS NULL AND attempts.bucket IS NULL THEN tickets.vendor_name ELSE attempts.vendor_name END AS vendor_name,
        CASE WHEN attempts.vendor IS NULL AND attempts.bucket IS NULL THEN tickets.region ELSE attempts.region END AS region,
        CASE WHEN attempts.vendor IS NULL AND attempts.bucket IS NULL THEN tickets.region_code ELSE attempts.region_code END AS region_code,
        CASE WHEN attempts.vendor IS NULL AND attempts.bucket IS NULL THEN tickets.bucket ELSE attempts.bucket END AS bucket,
        CASE WHEN attempts.vendor IS NULL AND attempts.bucket IS NULL THEN tickets.endpoint ELSE attempts.endpoint END AS endpoint,
        CASE WHEN attempts.vendor IS NULL AND attempts.bucket IS NULL THEN tickets.prefix ELSE attempts.prefix END AS prefix,
        CASE WHEN attempts.vendor IS NULL AND attempts.bucket IS NULL THEN tickets.access_key_fingerprint ELSE attempts.access_key_fingerprint END AS access_key_fingerprint,
        tickets.acquire_id,
        tickets.acquired_at,
        tickets.exclude_resource_ids,
        coalesce(tickets.resource_expired_hour, 72) AS resource_expired_hour,
        tickets.recorder_region,
        tickets.storage_identity AS ticket_storage_identity
    FROM attempts
    LEFT JOIN tickets
        ON tickets.app_id = attempts.app_id
        AND tickets.cname = attempts.cname
        AND tickets.resource_id = attempts.resource_id
)

SELECT
    placed.start_id,
    placed.app_id,
    placed.cname,
    placed.uid,
    placed.mode,
    placed.resource_id,
    placed.request_hash,
    placed.sid,
    placed.outcome,
    placed.outcome = 'indeterminate' OR (placed.outcome = 'already_running' AND placed.calls > 1) AS is_unanswered,
    placed.http_status,
    placed.code,
    placed.reason_text,
    placed.error,
    placed.attempted_at AS requested_at,
    placed.responded_at,
    placed.vendor,
    placed.vendor_name,
    placed.region,
    placed.region_code,
    placed.bucket,
    placed.endpoint,
    placed.prefix,
    placed.access_key_fingerprint,
    CASE
        WHEN placed.vendor IS NOT NULL THEN concat(
            -- A number of a region says nothing at Azure, Google and S3-compatible stores.
            placed.vendor, '|', CASE WHEN placed.vendor NOT IN (5, 6, 11) THEN placed.region END, '|', placed.bucket, '|',
            CASE WHEN placed.vendor = 11 THEN placed.endpoint END, '|', placed.prefix
        )
    END AS storage_identity,
    CASE
        WHEN placed.vendor IS NOT NULL THEN concat(
            coalesce(vendors.vendor_title, concat('vendor ', placed.vendor)), ' bucket ',
            coalesce(placed.bucket, '(none)'),
            CASE
                WHEN placed.region_code IS NOT NULL THEN concat(' (', placed.region_code, ')')
                WHEN placed.vendor = 11 AND placed.endpoint IS NOT NULL THEN concat(' at ', placed.endpoint)
                WHEN placed.vendor NOT IN (5, 6, 11) AND placed.region IS NOT NULL
                    THEN concat(' (region ', placed.region, ')')
            END,
            CASE WHEN placed.prefix <> '' THEN concat(', path ', placed.prefix) END
        )
    END AS storage,
    placed.caller_service,
    placed.caller_host,
    placed.caller_region,
    placed.caller_environment,
    placed.caller_version,
    placed.caller_trace_id,
    placed.context_user_region,
    placed.context_environment,
    concat_ws(
        '/', placed.caller_environment, placed.caller_region, placed.context_environment,
        placed.context_user_region
    ) AS origin,
    string_to_array(placed.av_file_types, ',') AS av_file_types,
    placed.acquire_id,
    placed.acquired_at,
    placed.exclude_resource_ids,
    placed.resource_expired_hour,
    placed.responded_at + arrow_cast(
        CAST(placed.resource_expired_hour AS BIGINT) * 3600000000, 'Duration(Microsecond)'
    ) AS expires_at,
    placed.recorder_region,
    placed.ticket_storage_identity,
    placed.calls,
    placed.event_ids
FROM placed
LEFT JOIN vendors ON vendors.vendor = placed.vendor
