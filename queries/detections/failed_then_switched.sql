-- ---
-- name        = "failed_then_switched"
-- title       = "A failed start on one storage, then an accepted one on another"
-- severity    = "high"
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
WITH contested AS (
    -- Channels that never disagree on storage, or where no start failed, drop out here.
    SELECT
        app_id,
        cname,
        array_agg(
            named_struct(
                'start_id', start_id, 'uid', uid, 'sid', sid, 'outcome', outcome, 'http_status', http_status,
                'code', code, 'reason_text', reason_text, 'error', error, 'requested_at', requested_at,
                'responded_at', responded_at, 'vendor_name', vendor_name, 'bucket', bucket,
                'storage_identity', storage_identity, 'storage', storage, 'origin', origin, 'event_ids', event_ids
            )
        ) AS starts
    FROM starts
    WHERE storage_identity IS NOT NULL
        AND outcome IN ('ok', 'already_running', 'rejected', 'indeterminate')
    GROUP BY app_id, cname
    HAVING min(storage_identity) <> max(storage_identity)
        AND bool_or(outcome IN ('rejected', 'indeterminate'))
        AND bool_or(outcome = 'ok')
),

recovered AS (
    -- For each failed start the first success after it. Its id must stay in use below: DataFusion 55 takes app
    -- and channel for unique even after `unnest` and would drop a grouping column that nothing reads.
    SELECT
        app_id,
        cname,
        failed['start_id'] AS failed_id,
        first_value(failed) AS failed,
        first_value(next ORDER BY next['requested_at'], next['start_id']) AS next
    FROM (
        SELECT app_id, cname, failed, unnest(others) AS next
        FROM (
            SELECT app_id, cname, starts AS others, unnest(starts) AS failed
            FROM contested
        )
        WHERE failed['outcome'] IN ('rejected', 'indeterminate')
    )
    WHERE next['outcome'] IN ('ok', 'already_running')
        AND next['requested_at'] >= failed['requested_at']
        AND next['requested_at'] - failed['requested_at']
            <= greatest($window, arrow_cast(300000000, 'Duration(Microsecond)'))
    GROUP BY app_id, cname, failed['start_id']
),

switches AS (
    SELECT
        app_id,
        cname,
        next['start_id'] AS start_id,
        first_value(next) AS next,
        last_value(failed ORDER BY failed['requested_at'], failed_id) AS failed,
        count(failed_id) AS failures,
        array_agg(
            named_struct('at', failed['requested_at'], 'event_ids', failed['event_ids'])
            ORDER BY failed['requested_at'], failed_id
        ) AS items
    FROM recovered
    WHERE next['outcome'] = 'ok'
        AND next['storage_identity'] <> failed['storage_identity']
    GROUP BY app_id, cname, next['start_id']
),

faults AS (
    SELECT
        CASE
            WHEN switches.failed['vendor_name'] = switches.next['vendor_name'] THEN 'low'
            WHEN session_beliefs.vendor_name = switches.failed['vendor_name'] THEN 'high'
            ELSE 'medium'
        END AS severity,
        switches.failed['outcome'] AS variant,
        switches.app_id,
        switches.cname,
        switches.next['uid'] AS uid,
        array_remove_all(make_array(coalesce(switches.next['sid'], '')), '') AS sids,
        CASE
            WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.vendor_name
            ELSE switches.next['vendor_name']
        END AS expected_vendor,
        CASE
            WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.bucket
            ELSE switches.next['bucket']
        END AS expected_bucket,
        CASE
            WHEN session_landings.sid IS NOT NULL THEN session_landings.vendor_name
            ELSE switches.next['vendor_name']
        END AS actual_vendor,
        CASE
            WHEN session_landings.sid IS NOT NULL THEN session_landings.bucket
            ELSE switches.next['bucket']
        END AS actual_bucket,
        CASE
            WHEN switches.next['requested_at'] < switches.failed['responded_at'] THEN 'race'
            WHEN switches.next['origin'] <> ''
                AND switches.failed['origin'] <> ''
                AND switches.next['origin'] <> switches.failed['origin'] THEN 'environment_switching'
            ELSE 'fallback'
        END AS root_cause,
        concat(
            'At ', to_char(switches.failed['requested_at'], '%Y-%m-%d %H:%M:%S%.3f'), ' UTC a start of channel ',
            switches.cname, ' into ', switches.failed['storage'],
            CASE
                WHEN switches.failed['http_status'] IS NULL
                    THEN concat(' got no answer', coalesce(concat(' (', switches.failed['error'], ')'), ''))
                ELSE concat(
                    CASE WHEN switches.failed['outcome'] = 'rejected' THEN ' was rejected' ELSE ' ended without a known outcome' END,
                    ' (HTTP ', switches.failed['http_status'],
                    CASE WHEN switches.failed['code'] IS NOT NULL THEN concat(' code ', switches.failed['code']) END,
                    CASE WHEN switches.failed['reason_text'] IS NOT NULL THEN concat(': ', switches.failed['reason_text']) END,
                    ')'
                )
            END,
            CASE
                WHEN switches.failures = 2 THEN ', after an earlier failed one'
                WHEN switches.failures > 2 THEN concat(', after ', switches.failures - 1, ' earlier failed ones')
            END,
            '; ',
            (
                arrow_cast(switches.next['requested_at'], 'Int64')
                - arrow_cast(switches.failed['requested_at'], 'Int64')
            ) / 1000,
            ' ms later a start into ', switches.next['storage'], ' was sent and accepted (sid ',
            switches.next['sid'], '). ',
            CASE
                WHEN session_beliefs.vendor_name IS NULL
                    THEN concat('The files go to ', switches.next['storage'], '; no record of the customer says what it believes.')
                WHEN session_beliefs.vendor_name = switches.next['vendor_name']
                    THEN concat('The customer''s record names ', session_beliefs.vendor_name, ', as the accepted start does.')
                ELSE concat(
                    'The customer''s record names ', session_beliefs.vendor_name, ', but the files go to ',
                    switches.next['storage'], '.'
                )
            END
        ) AS explanation,
        array_concat(
            switches.items,
            make_array(
                named_struct('at', switches.next['requested_at'], 'event_ids', switches.next['event_ids']),
                named_struct(
                    'at', coalesce(session_beliefs.vendor_at, session_beliefs.last_at),
                    'event_ids', make_array(session_beliefs.event_id)
                ),
                named_struct('at', session_landings.event_at, 'event_ids', make_array(session_landings.event_id))
            )
        ) AS items,
        switches.start_id
    FROM switches
    LEFT JOIN session_beliefs ON session_beliefs.sid = switches.next['sid']
    LEFT JOIN session_landings ON session_landings.sid = switches.next['sid']
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
