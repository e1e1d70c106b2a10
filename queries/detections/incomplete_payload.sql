-- ---
-- name        = "incomplete_payload"
-- title       = "A logged API call that cannot be audited"
-- severity    = "medium"
-- category    = "evidence"
-- status      = "stable"
-- patterns    = []
-- description = """
-- Finds logged calls that lack what such a call must have, so that nobody can say later where a recording went. Variants, by what is
-- missing first: status (any call without an HTTP status whose transport error was not logged either), resource_id (start, query, update,
-- updateLayout and stop have it in the path, an accepted acquire in its answer), sid (query, update, updateLayout and stop have it in
-- the path, a start answered with 200 in its answer, unless a code there says that it is running already or conflicts), storage_config
-- (a start names vendor and bucket, itself or in the startParameter of its acquire; not asked of a start that was rejected as invalid). A call that ended in a transport error is complete with its
-- `error`. One finding per call, however often it was logged or to how many hosts it was mirrored. Severity medium for a start, else low.
-- """
-- false_positives = ["calls that are broken on purpose by tests of a client"]
-- response = """
-- Log request and response bodies as they were sent, credentials redacted, and the transport error where no response came.
-- """
-- identity = ["app_id", "call_id"]
--
-- [params]
-- ticket_life = { type = "duration", default = "5m", doc = "how long before a start its acquire can lie" }
--
-- [columns]
-- call_id = { type = "string", doc = "event id of the call" }
-- ---
WITH superseded AS (
    -- Positions that a replay has read again; what it made of them counts.
    SELECT replay_of AS position
    FROM api_calls
    WHERE replay_of IS NOT NULL
),

calls AS (
    -- Each call once: a redelivery differs only in where it stood.
    SELECT DISTINCT
        event_id,
        app_id,
        operation,
        cname,
        uid,
        sid,
        resource_id,
        requested_at,
        responded_at,
        outcome,
        http_status,
        vendor_name,
        bucket,
        caller_service,
        caller_version,
        http_status IS NULL AND error IS NULL AS lacks_status,
        resource_id IS NULL AND (operation <> 'acquire' OR outcome = 'ok') AS lacks_resource_id,
        sid IS NULL
            AND (
                operation IN ('query', 'update', 'update_layout', 'stop')
                -- What is running already, or conflicts, is told by a code and has no session of its own.
                OR (
                    operation = 'start'
                    AND coalesce(http_status = 200, false)
                    AND outcome NOT IN ('already_running', 'conflict')
                )
            ) AS lacks_sid,
        -- A start without storage is told that its parameters are invalid.
        operation = 'start'
            AND (vendor IS NULL OR bucket IS NULL)
            AND NOT coalesce(outcome = 'rejected' AND code = 2, false) AS lacks_storage
    FROM api_calls
    LEFT ANTI JOIN superseded
        ON superseded.position = CASE
            WHEN api_calls.replay_of IS NULL THEN concat(
                topic, '/', coalesce(CAST("partition" AS STRING), source_id), '@', "offset", '#', record_index
            )
        END
    WHERE operation IN ('acquire', 'start', 'query', 'update', 'update_layout', 'stop')
        AND (
            (http_status IS NULL AND error IS NULL)
            OR (resource_id IS NULL AND (operation <> 'acquire' OR outcome = 'ok'))
            OR (sid IS NULL AND operation IN ('query', 'update', 'update_layout', 'stop'))
            OR (
                sid IS NULL
                AND operation = 'start'
                AND http_status = 200
                AND outcome NOT IN ('already_running', 'conflict')
            )
            OR (operation = 'start' AND (vendor IS NULL OR bucket IS NULL))
        )
),

faults AS (
    SELECT
        calls.event_id,
        coalesce(calls.app_id, accepted_starts.app_id) AS app_id,
        calls.operation,
        -- A query names its channel by the session alone.
        coalesce(calls.cname, accepted_starts.cname) AS cname,
        coalesce(calls.uid, accepted_starts.uid) AS uid,
        calls.sid,
        calls.requested_at,
        calls.responded_at,
        calls.http_status,
        calls.vendor_name,
        calls.bucket,
        calls.caller_service,
        calls.caller_version,
        calls.lacks_status,
        calls.lacks_resource_id,
        calls.lacks_sid,
        calls.lacks_storage
            AND (tickets.vendor IS NULL OR tickets.bucket IS NULL)
            -- Whether the acquire of a start at the edge of the log named storage is not known: see `not_judged`.
            AND (
                tickets.acquire_id IS NOT NULL
                OR coalesce(
                    stream.low_watermark <= calls.requested_at - $ticket_life
                    AND stream.watermark >= calls.requested_at,
                    false
                )
            ) AS lacks_storage
    FROM calls
    LEFT JOIN accepted_starts ON accepted_starts.sid = calls.sid
    LEFT JOIN tickets
        ON tickets.app_id = calls.app_id
        AND tickets.resource_id = calls.resource_id
    LEFT JOIN (
        SELECT stream, low_watermark, watermark
        FROM watermarks
        WHERE scope = 'stream'
    ) AS stream ON stream.stream = 'api_calls'
),

mirrored AS (
    -- Calls of attempts that were sent to more than one host.
    SELECT start_id, unnest(event_ids) AS event_id
    FROM starts
    WHERE calls > 1
),

firsts AS (
    -- Such an attempt is one call: the first that lacks something stands for it.
    SELECT
        mirrored.start_id,
        first_value(faults.event_id ORDER BY faults.requested_at, faults.event_id) AS event_id
    FROM faults
    INNER JOIN mirrored ON mirrored.event_id = faults.event_id
    WHERE faults.lacks_status OR faults.lacks_resource_id OR faults.lacks_sid OR faults.lacks_storage
    GROUP BY mirrored.start_id
)

SELECT
    CASE WHEN operation = 'start' THEN 'medium' ELSE 'low' END AS severity,
    CASE
        WHEN lacks_status THEN 'status'
        WHEN lacks_resource_id THEN 'resource_id'
        WHEN lacks_sid THEN 'sid'
        ELSE 'storage_config'
    END AS variant,
    app_id,
    cname,
    uid,
    array_remove_all(make_array(coalesce(sid, '')), '') AS sids,
    requested_at AS first_at,
    requested_at AS last_at,
    vendor_name AS expected_vendor,
    bucket AS expected_bucket,
    CAST(NULL AS STRING) AS actual_vendor,
    CAST(NULL AS STRING) AS actual_bucket,
    'unknown' AS root_cause,
    concat(
        'The log of the ', operation, ' of ', to_char(requested_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC for channel ',
        coalesce(cname, '(unknown)'), ' has ',
        concat_ws(
            ', ',
            CASE WHEN lacks_status THEN 'neither an HTTP status nor a transport error' END,
            CASE WHEN lacks_resource_id THEN 'no resource id' END,
            CASE WHEN lacks_sid THEN 'no sid' END,
            CASE WHEN lacks_storage THEN 'no complete storageConfig, nor has its acquire' END
        ),
        ': it cannot be audited.',
        CASE
            WHEN caller_service IS NOT NULL THEN concat(
                ' It was written by ', caller_service,
                CASE WHEN caller_version IS NOT NULL THEN concat(' ', caller_version) END, '.'
            )
        END
    ) AS explanation,
    make_array(event_id) AS evidence,
    event_id AS call_id
FROM (
    SELECT
        faults.event_id,
        faults.app_id,
        faults.operation,
        faults.cname,
        faults.uid,
        faults.sid,
        faults.requested_at,
        faults.vendor_name,
        faults.bucket,
        faults.caller_service,
        faults.caller_version,
        faults.lacks_status,
        faults.lacks_resource_id,
        faults.lacks_sid,
        faults.lacks_storage
    FROM faults
    LEFT JOIN mirrored ON mirrored.event_id = faults.event_id
    LEFT JOIN firsts ON firsts.start_id = mirrored.start_id
    WHERE mirrored.start_id IS NULL OR firsts.event_id = faults.event_id
) AS incomplete
WHERE lacks_status OR lacks_resource_id OR lacks_sid OR lacks_storage
ORDER BY first_at, app_id, cname, call_id
