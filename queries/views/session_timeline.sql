-- ---
-- name        = "session_timeline"
-- title       = "Every event of sessions and channels, one line each"
-- description = """
-- What happened, in words, from all streams, and what audits found; each event once. Sort by `at`, `stream`, `event_id`. Calls
-- that got no session (an acquire, a failed start) have no sid: ask by channel to see them. Filters on sid, cname and event_date reach the files.
-- """
--
-- [columns]
-- at         = { type = "timestamp", doc = "event time by its producer's clock" }
-- stream     = { type = "string", doc = "api_calls, webhooks, storage_events, session_records, audits, upload_status" }
-- what       = { type = "string", doc = "what happened, in a few words" }
-- detail     = { type = "string", doc = "the particulars" }
-- event_id   = { type = "string", doc = "event id, the evidence" }
-- sid        = { type = "string", doc = "recording session id; null where the event names none" }
-- app_id     = { type = "string", doc = "App ID; null where the event names none" }
-- cname      = { type = "string", doc = "channel name; null where the event names none" }
-- event_date = { type = "date", doc = "UTC date, the partition column" }
-- ---
SELECT DISTINCT
    requested_at AS at,
    'api_calls' AS stream,
    concat(
        operation,
        CASE outcome
            WHEN 'ok' THEN ' accepted'
            WHEN 'already_running' THEN ' answered: already running'
            WHEN 'conflict' THEN ' refused: task conflict'
            WHEN 'indeterminate' THEN ' without a known outcome'
            WHEN 'rejected' THEN ' rejected'
        END
    ) AS what,
    concat_ws(
        ', ',
        CASE WHEN vendor_name IS NOT NULL OR bucket IS NOT NULL
            THEN concat('storage ', concat_ws(':', vendor_name, bucket), CASE WHEN prefix <> '' THEN concat('/', prefix) END) END,
        CASE WHEN start_parameter_vendor_name IS NOT NULL
            THEN concat('startParameter ', concat_ws(':', start_parameter_vendor_name, start_parameter_bucket)) END,
        CASE WHEN uid IS NOT NULL THEN concat('uid ', uid) END,
        CASE
            WHEN http_status IS NOT NULL AND code IS NOT NULL THEN concat('HTTP ', http_status, ' code ', code)
            WHEN http_status IS NOT NULL THEN concat('HTTP ', http_status)
            ELSE 'no response'
        END,
        reason_text,
        error,
        CASE WHEN uploading_status IS NOT NULL THEN concat('uploadingStatus ', uploading_status) END,
        CASE WHEN responded_at IS NOT NULL
            THEN concat(
                'answered after ',
                (arrow_cast(responded_at, 'Int64') - arrow_cast(requested_at, 'Int64')) / 1000, ' ms'
            ) END,
        CASE WHEN caller_service IS NOT NULL OR caller_host IS NOT NULL
            THEN concat('by ', concat_ws(' ', caller_service, caller_host, caller_region)) END
    ) AS detail,
    event_id,
    sid,
    app_id,
    cname,
    event_date
FROM api_calls
UNION ALL
SELECT DISTINCT
    coalesce(sent_at, occurred_at) AS at,
    'webhooks' AS stream,
    concat('webhook ', event_type, CASE WHEN event_name IS NOT NULL THEN concat(' ', event_name) END) AS what,
    concat_ws(
        ', ',
        CASE WHEN status IS NOT NULL THEN concat('status ', status) END,
        CASE WHEN leave_code IS NOT NULL THEN concat('leaveCode ', leave_code) END,
        CASE WHEN exit_status IS NOT NULL THEN concat('exitStatus ', exit_status) END,
        CASE WHEN error_code IS NOT NULL THEN concat('module ', module, ' error ', error_code) END,
        CASE WHEN warn_code IS NOT NULL THEN concat('module ', module, ' warning ', warn_code) END,
        error_message,
        CASE WHEN progress IS NOT NULL THEN concat('progress ', progress) END,
        CASE WHEN new_uid IS NOT NULL THEN concat('new uid ', new_uid) END,
        CASE WHEN bucket IS NOT NULL THEN concat('storage ', concat_ws(':', vendor_name, bucket)) END,
        CASE
            WHEN cardinality(files) = 1 THEN concat('file ', array_element(files, 1))
            WHEN cardinality(files) > 1 THEN concat(cardinality(files), ' files, first ', array_element(files, 1))
        END
    ) AS detail,
    event_id,
    sid,
    app_id,
    cname,
    event_date
FROM webhooks
UNION ALL
SELECT DISTINCT
    occurred_at AS at,
    'storage_events' AS stream,
    concat('file ', kind) AS what,
    concat_ws(
        ', ',
        concat(vendor_name, ':', bucket, '/', "key"),
        CASE WHEN size IS NOT NULL THEN concat(size, ' bytes') END
    ) AS detail,
    event_id,
    sid,
    NULL AS app_id,
    cname,
    event_date
FROM storage_events
UNION ALL
SELECT DISTINCT
    coalesce(recorded_at, occurred_at, received_at) AS at,
    'session_records' AS stream,
    concat('record ', coalesce(change, 'written')) AS what,
    concat_ws(
        ', ',
        CASE WHEN vendor_name IS NOT NULL OR bucket IS NOT NULL
            THEN concat('storage ', concat_ws(':', vendor_name, bucket), CASE WHEN prefix <> '' THEN concat('/', prefix) END) END,
        CASE WHEN status IS NOT NULL THEN concat('status ', status) END,
        url,
        CASE WHEN row_key IS NOT NULL THEN concat('row ', row_key) END
    ) AS detail,
    event_id,
    sid,
    app_id,
    cname,
    event_date
FROM session_records
UNION ALL
-- A look into a store finds many files: one line each for those that it found, for those that it missed, and for no look.
SELECT
    occurred_at AS at,
    'audits' AS stream,
    CASE
        WHEN result = 'found' THEN 'audit: files found'
        WHEN result = 'missing' AND bool_or("key" IS NOT NULL) THEN 'audit: promised files missing'
        WHEN result = 'missing' THEN 'audit: no file found'
        ELSE concat('audit: ', result)
    END AS what,
    concat_ws(
        ', ',
        concat(vendor_name, ':', bucket),
        CASE
            WHEN count("key") = 1 THEN concat('file ', min("key"))
            WHEN count("key") > 1 THEN concat(count("key"), ' files, first ', min("key"))
        END,
        min(answer)
    ) AS detail,
    -- The one that `session_places` names, too.
    first_value(event_id ORDER BY written_at, "key", event_id) AS event_id,
    sid,
    NULL AS app_id,
    min(cname) AS cname,
    event_date
FROM audits
GROUP BY sid, store, vendor_name, bucket, result, occurred_at, event_date
UNION ALL
SELECT
    occurred_at AS at,
    'upload_status' AS stream,
    concat('upload status ', status) AS what,
    concat_ws(
        ', ',
        CASE WHEN bucket IS NOT NULL THEN concat('storage ', concat_ws(':', vendor_name, bucket)) END,
        CASE
            WHEN count(file_name) = 1 THEN concat('file ', min(file_name))
            WHEN count(file_name) > 1 THEN concat(count(file_name), ' files, first ', min(file_name))
        END
    ) AS detail,
    min(event_id) AS event_id,
    sid,
    NULL AS app_id,
    NULL AS cname,
    event_date
FROM (SELECT DISTINCT sid, occurred_at, status, vendor_name, bucket, file_name, event_id, event_date FROM upload_status)
GROUP BY sid, occurred_at, status, vendor_name, bucket, event_date
