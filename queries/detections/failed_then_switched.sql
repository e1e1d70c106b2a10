-- ---
-- name        = "failed_then_switched"
-- title       = "A failed start on one storage, then an accepted one on another"
-- severity    = "high"
-- category    = "routing"
-- status      = "stable"
-- patterns    = ["P06"]
-- description = """
-- Finds each accepted start that came within the window after a start of the same channel that was rejected or whose outcome
-- nobody knows, asks for other storage, and is the first success since. One finding per accepted start. Whoever kept the
-- first storage looks in the wrong place; where the customer's record still names that vendor the severity is high, else medium
-- when the vendor changed and low when only bucket, region or path did. Variants: rejected, indeterminate (what the last failed
-- start was).
-- """
-- false_positives = ["a deliberate fallback whose record is corrected: severity medium then, and the record agrees with the files"]
-- response = """
-- Make the code that falls back write the storage of the accepted call, and check with `tapetrail investigate --sid` that the
-- record names it. After an indeterminate start look for a second session as well.
-- """
-- identity = ["app_id", "cname", "start_id"]
--
-- [params]
-- window = { type = "duration", default = "5m", doc = "how long after the failed start the accepted one may come; at least the 5 minutes that a ticket lives" }
--
-- [columns]
-- start_id = { type = "string", doc = "start_id of the accepted start" }
-- ---
WITH attempts AS (
    SELECT
        app_id,
        cname,
        start_id,
        uid,
        sid,
        outcome,
        http_status,
        code,
        reason_text,
        error,
        requested_at,
        responded_at,
        vendor_name,
        bucket,
        storage_identity,
        storage,
        origin,
        event_ids
    FROM starts
    WHERE storage_identity IS NOT NULL
        AND outcome IN ('ok', 'already_running', 'rejected', 'indeterminate')
),

recovered AS (
    -- For each failed start the first success after it.
    SELECT
        failed.app_id,
        failed.cname,
        failed.start_id AS failed_id,
        first_value(next.start_id ORDER BY next.requested_at, next.start_id) AS next_id
    FROM attempts AS failed
    INNER JOIN attempts AS next
        ON next.app_id = failed.app_id
        AND next.cname = failed.cname
        AND next.requested_at >= failed.requested_at
        AND next.requested_at - failed.requested_at
            <= greatest($window, arrow_cast(300000000, 'Duration(Microsecond)'))
    WHERE failed.outcome IN ('rejected', 'indeterminate')
        AND next.outcome IN ('ok', 'already_running')
    GROUP BY failed.app_id, failed.cname, failed.start_id
),

switches AS (
    SELECT
        next.app_id,
        next.cname,
        next.start_id,
        next.uid,
        next.sid,
        next.requested_at,
        next.vendor_name,
        next.bucket,
        next.storage,
        next.origin,
        array_to_string(next.event_ids, chr(31)) AS event_ids,
        count(*) AS failures,
        last_value(failed.outcome ORDER BY failed.requested_at, failed.start_id) AS failed_outcome,
        last_value(failed.http_status ORDER BY failed.requested_at, failed.start_id) AS failed_http_status,
        last_value(failed.code ORDER BY failed.requested_at, failed.start_id) AS failed_code,
        last_value(failed.reason_text ORDER BY failed.requested_at, failed.start_id) AS failed_reason_text,
        last_value(failed.error ORDER BY failed.requested_at, failed.start_id) AS failed_error,
        max(failed.requested_at) AS failed_at,
        last_value(failed.responded_at ORDER BY failed.requested_at, failed.start_id) AS failed_responded_at,
        last_value(failed.vendor_name ORDER BY failed.requested_at, failed.start_id) AS failed_vendor_name,
        last_value(failed.storage ORDER BY failed.requested_at, failed.start_id) AS failed_storage,
        last_value(failed.origin ORDER BY failed.requested_at, failed.start_id) AS failed_origin,
        array_agg(
            named_struct('at', failed.requested_at, 'event_ids', failed.event_ids)
            ORDER BY failed.requested_at, failed.start_id
        ) AS items
    FROM recovered
    INNER JOIN attempts AS failed
        ON failed.app_id = recovered.app_id
        AND failed.cname = recovered.cname
        AND failed.start_id = recovered.failed_id
    INNER JOIN attempts AS next
        ON next.app_id = recovered.app_id
        AND next.cname = recovered.cname
        AND next.start_id = recovered.next_id
    WHERE next.outcome = 'ok'
        AND next.storage_identity <> failed.storage_identity
    GROUP BY
        next.app_id, next.cname, next.start_id, next.uid, next.sid, next.requested_at, next.vendor_name, next.bucket,
        next.storage, next.origin, array_to_string(next.event_ids, chr(31))
),

faults AS (
    SELECT
        CASE
            WHEN switches.failed_vendor_name = switches.vendor_name THEN 'low'
            WHEN session_beliefs.vendor_name = switches.failed_vendor_name THEN 'high'
            ELSE 'medium'
        END AS severity,
        switches.failed_outcome AS variant,
        switches.app_id,
        switches.cname,
        switches.uid AS uid,
        array_remove_all(make_array(coalesce(switches.sid, '')), '') AS sids,
        CASE
            WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.vendor_name
            ELSE switches.vendor_name
        END AS expected_vendor,
        CASE
            WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.bucket
            ELSE switches.bucket
        END AS expected_bucket,
        CASE
            WHEN session_landings.sid IS NOT NULL THEN session_landings.vendor_name
            ELSE switches.vendor_name
        END AS actual_vendor,
        CASE
            WHEN session_landings.sid IS NOT NULL THEN session_landings.bucket
            ELSE switches.bucket
        END AS actual_bucket,
        CASE
            WHEN switches.requested_at < switches.failed_responded_at THEN 'race'
            WHEN switches.origin <> ''
                AND switches.failed_origin <> ''
                AND switches.origin <> switches.failed_origin THEN 'environment_switching'
            ELSE 'fallback'
        END AS root_cause,
        concat(
            'At ', to_char(switches.failed_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC a start of channel ',
            switches.cname, ' into ', switches.failed_storage,
            CASE
                WHEN switches.failed_http_status IS NULL
                    THEN concat(' got no answer', coalesce(concat(' (', switches.failed_error, ')'), ''))
                ELSE concat(
                    CASE WHEN switches.failed_outcome = 'rejected' THEN ' was rejected' ELSE ' ended without a known outcome' END,
                    ' (HTTP ', switches.failed_http_status,
                    CASE WHEN switches.failed_code IS NOT NULL THEN concat(' code ', switches.failed_code) END,
                    CASE WHEN switches.failed_reason_text IS NOT NULL THEN concat(': ', switches.failed_reason_text) END,
                    ')'
                )
            END,
            CASE
                WHEN switches.failures = 2 THEN ', after an earlier failed one'
                WHEN switches.failures > 2 THEN concat(', after ', switches.failures - 1, ' earlier failed ones')
            END,
            '; ',
            (
                arrow_cast(switches.requested_at, 'Int64')
                - arrow_cast(switches.failed_at, 'Int64')
            ) / 1000,
            ' ms later a start into ', switches.storage, ' was sent and accepted (sid ',
            switches.sid, '). ',
            CASE
                WHEN session_beliefs.vendor_name IS NULL
                    THEN concat('The files go to ', switches.storage, '; no record of the customer says what it believes.')
                WHEN session_beliefs.vendor_name = switches.vendor_name
                    THEN concat('The customer''s record names ', session_beliefs.vendor_name, ', as the accepted start does.')
                ELSE concat(
                    'The customer''s record names ', session_beliefs.vendor_name, ', but the files go to ',
                    switches.storage, '.'
                )
            END
        ) AS explanation,
        array_concat(
            switches.items,
            make_array(
                named_struct('at', switches.requested_at, 'event_ids', string_to_array(switches.event_ids, chr(31))),
                named_struct(
                    'at', coalesce(session_beliefs.vendor_at, session_beliefs.last_at),
                    'event_ids', make_array(session_beliefs.event_id)
                ),
                named_struct('at', session_landings.event_at, 'event_ids', make_array(session_landings.event_id))
            )
        ) AS items,
        switches.start_id
    FROM switches
    LEFT JOIN session_beliefs ON session_beliefs.sid = switches.sid
    LEFT JOIN session_landings ON session_landings.sid = switches.sid
)

SELECT
    severity,
    variant,
    app_id,
    cname,
    uid,
    sids,
    min(item['at']) AS first_at,
    max(item['at']) AS last_at,
    expected_vendor,
    expected_bucket,
    actual_vendor,
    actual_bucket,
    root_cause,
    explanation,
    flatten(array_agg(item['event_ids'] ORDER BY item['at'])) AS evidence,
    start_id
FROM (
    SELECT *, unnest(items) AS item
    FROM faults
)
WHERE item['at'] IS NOT NULL
GROUP BY
    severity, variant, app_id, cname, uid, sids, expected_vendor, expected_bucket, actual_vendor, actual_bucket,
    root_cause, explanation, start_id
ORDER BY first_at, app_id, cname, start_id
