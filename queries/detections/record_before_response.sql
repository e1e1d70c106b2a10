-- ---
-- name        = "record_before_response"
-- title       = "The customer's record was written before the start was answered, or from a start that failed"
-- severity    = "medium"
-- category    = "routing"
-- status      = "stable"
-- patterns    = ["P01", "P02", "P06", "P20"]
-- description = """
-- A record must be written from the answer of the accepted start, in one step with it. Finds rows that were not. Variants:
-- failed_storage (the row names last the storage of a start that was not accepted - vendor, bucket, region's code or path - and not that of
-- the accepted one, severity medium; with no accepted start at all it claims a recording that never began), too_early (a version that
-- claims storage or session lies before the answer by more than the tolerance, severity low). One finding per row. A version whose status
-- says that nothing is recording yet or that the attempt failed (`not_yet`) claims nothing, so an intent that is confirmed after the
-- answer is none; only the last version counts for the storage, so a correction clears the finding.
-- """
-- false_positives = ["a database whose clock is ahead of the caller's by more than the tolerance", "statuses of your own for a planned recording: add them to `not_yet`"]
-- response = """
-- Write vendor, bucket and sid after the answer, from the body of the call that was accepted, in one transaction; before it, write a
-- status that says so.
-- """
-- identity = ["app_id", "cname", "record_id"]
--
-- [params]
-- tolerance = { type = "duration", default = "2s", doc = "how far the clocks of the database and of callers may differ" }
-- window    = { type = "duration", default = "5m", doc = "how far a failed start lies from the accepted one, or from the row it explains" }
-- not_yet   = { type = "string", default = "pending,planned,scheduled,queued,new,created,requested,requesting,initialized,initialised,init,acquiring,acquired,starting,retrying,failed,failure,error,rejected,cancelled,canceled,aborted,idle,none", doc = "statuses that claim no recording, lower case, separated by commas" }
--
-- [columns]
-- record_id = { type = "string", doc = "row of the customer's database: table and key" }
-- ---
WITH beliefs AS (
    -- What each row says last, with the accepted start it is about, if there is one.
    SELECT
        believed.record_id,
        coalesce(accepted_starts.app_id, believed.app_id) AS app_id,
        coalesce(accepted_starts.cname, believed.cname) AS cname,
        coalesce(accepted_starts.uid, believed.uid) AS uid,
        coalesce(session_beliefs.sid, believed.sid) AS sid,
        believed.resource_id,
        believed.vendor_name,
        believed.bucket,
        nullif(regexp_replace(lower(trim(believed.region)), '^(oss|cos|obs)[-.]', ''), '') AS region_code,
        nullif(trim(BOTH '/' FROM believed.prefix), '') AS prefix,
        believed.first_at,
        coalesce(believed.vendor_at, believed.last_at) AS believed_at,
        believed.event_id,
        array_contains(string_to_array(replace($not_yet, ' ', ''), ','), lower(coalesce(believed.status, ''))) AS is_not_yet,
        accepted_starts.start_id,
        accepted_starts.resource_id AS start_resource_id,
        accepted_starts.requested_at,
        accepted_starts.responded_at,
        accepted_starts.ended_at,
        accepted_starts.vendor_name AS start_vendor_name,
        accepted_starts.bucket AS start_bucket,
        accepted_starts.region_code AS start_region_code,
        coalesce(accepted_starts.prefix, '') AS start_prefix,
        accepted_starts.storage,
        array_to_string(accepted_starts.event_ids, chr(31)) AS event_ids
    FROM believed
    LEFT JOIN session_beliefs ON session_beliefs.record_id = believed.record_id
    LEFT JOIN accepted_starts ON accepted_starts.sid = coalesce(session_beliefs.sid, believed.sid)
),

failures AS (
    -- The start that was not accepted and that the row was written from.
    SELECT
        beliefs.record_id,
        beliefs.start_id,
        first_value(
            named_struct(
                'start_id', starts.start_id, 'app_id', starts.app_id, 'uid', starts.uid, 'outcome', starts.outcome,
                'http_status', starts.http_status, 'code', starts.code, 'requested_at', starts.requested_at,
                'responded_at', starts.responded_at, 'storage', starts.storage,
                'event_ids', array_to_string(starts.event_ids, chr(31))
            )
            ORDER BY
                coalesce(starts.resource_id = beliefs.resource_id, false) DESC,
                abs(
                    arrow_cast(starts.requested_at, 'Int64')
                    - arrow_cast(coalesce(beliefs.requested_at, beliefs.first_at), 'Int64')
                ),
                starts.start_id
        ) FILTER (WHERE starts.outcome <> 'ok') AS failure
    FROM beliefs
    INNER JOIN starts
        ON starts.cname = beliefs.cname
        AND starts.vendor_name = beliefs.vendor_name
    WHERE NOT beliefs.is_not_yet
        AND starts.app_id = coalesce(beliefs.app_id, starts.app_id)
        AND (beliefs.bucket IS NULL OR starts.bucket = beliefs.bucket)
        -- What names the storage of its own accepted start is right; where vendor and bucket are the same in both, the
        -- region's code or the path must be the failed one's alone.
        AND (
            NOT coalesce(
                beliefs.vendor_name = beliefs.start_vendor_name
                AND coalesce(beliefs.bucket, beliefs.start_bucket) = beliefs.start_bucket,
                false
            )
            OR (starts.region_code = beliefs.region_code AND beliefs.start_region_code <> beliefs.region_code)
            OR (
                starts.prefix = beliefs.prefix
                AND beliefs.start_prefix <> beliefs.prefix
                AND NOT starts_with(beliefs.start_prefix, concat(beliefs.prefix, '/'))
            )
        )
        AND CASE
            WHEN beliefs.start_id IS NOT NULL THEN
                starts.requested_at >= beliefs.requested_at - $window
                AND starts.requested_at <= coalesce(beliefs.ended_at, beliefs.requested_at + $window)
            -- A row that names a session of which no start is known proves nothing.
            WHEN beliefs.sid IS NOT NULL THEN false
            ELSE
                starts.resource_id = beliefs.resource_id
                OR (
                    beliefs.resource_id IS NULL
                    AND starts.requested_at >= beliefs.first_at - $window
                    AND starts.requested_at <= beliefs.first_at + $window
                )
        END
    GROUP BY beliefs.record_id, beliefs.start_id
    -- A start that was accepted into that storage explains the row better.
    HAVING count(CASE WHEN starts.outcome = 'ok' THEN 1 END) = 0
),

early AS (
    -- The first version that claims what nobody could know yet.
    SELECT
        beliefs.record_id,
        min(record_versions.version_at) AS at,
        first_value(record_versions.event_id ORDER BY record_versions.version_at, record_versions.event_id) AS event_id,
        first_value(record_versions.status ORDER BY record_versions.version_at, record_versions.event_id) AS status
    FROM beliefs
    INNER JOIN record_versions ON record_versions.record_id = beliefs.record_id
    WHERE beliefs.start_id IS NOT NULL
        AND record_versions.version_at + $tolerance < beliefs.responded_at
        AND coalesce(record_versions.change, '') <> 'delete'
        AND coalesce(record_versions.vendor_name, record_versions.bucket, record_versions.sid) IS NOT NULL
        AND NOT array_contains(
            string_to_array(replace($not_yet, ' ', ''), ','), lower(coalesce(record_versions.status, ''))
        )
        AND (
            record_versions.sid = beliefs.sid
            OR (record_versions.sid IS NULL AND record_versions.resource_id = beliefs.start_resource_id)
            OR (
                record_versions.sid IS NULL
                AND record_versions.resource_id IS NULL
                AND record_versions.version_at >= beliefs.requested_at - $window
                AND record_versions.vendor_name = beliefs.start_vendor_name
            )
        )
    GROUP BY beliefs.record_id
),

faults AS (
    SELECT
        CASE WHEN failures.failure IS NOT NULL THEN 'failed_storage' ELSE 'too_early' END AS variant,
        beliefs.record_id,
        coalesce(beliefs.app_id, failures.failure['app_id']) AS app_id,
        beliefs.cname,
        coalesce(beliefs.uid, failures.failure['uid']) AS uid,
        CASE WHEN beliefs.start_id IS NOT NULL THEN beliefs.sid END AS sid,
        beliefs.vendor_name,
        beliefs.bucket,
        beliefs.believed_at,
        beliefs.requested_at,
        beliefs.responded_at,
        beliefs.start_vendor_name,
        beliefs.start_bucket,
        beliefs.storage,
        failures.failure,
        early.at AS early_at,
        early.status AS early_status,
        make_array(
            named_struct(
                'at', failures.failure['requested_at'],
                'event_ids', string_to_array(failures.failure['event_ids'], chr(31))
            ),
            named_struct('at', beliefs.requested_at, 'event_ids', string_to_array(beliefs.event_ids, chr(31))),
            CASE
                WHEN failures.failure IS NOT NULL
                    THEN named_struct('at', beliefs.believed_at, 'event_ids', make_array(beliefs.event_id))
                ELSE named_struct('at', early.at, 'event_ids', make_array(early.event_id))
            END
        ) AS items
    FROM beliefs
    LEFT JOIN failures ON failures.record_id = beliefs.record_id
    LEFT JOIN early ON early.record_id = beliefs.record_id
    WHERE failures.failure IS NOT NULL OR early.record_id IS NOT NULL
)

SELECT
    CASE WHEN faults.variant = 'failed_storage' THEN 'medium' ELSE 'low' END AS severity,
    faults.variant,
    faults.app_id,
    faults.cname,
    faults.uid,
    array_remove_all(make_array(coalesce(faults.sid, '')), '') AS sids,
    min(faults.item['at']) AS first_at,
    max(faults.item['at']) AS last_at,
    faults.vendor_name AS expected_vendor,
    faults.bucket AS expected_bucket,
    CASE
        WHEN session_landings.sid IS NOT NULL THEN session_landings.vendor_name
        ELSE faults.start_vendor_name
    END AS actual_vendor,
    CASE
        WHEN session_landings.sid IS NOT NULL THEN session_landings.bucket
        ELSE faults.start_bucket
    END AS actual_bucket,
    CASE
        WHEN faults.variant = 'too_early' THEN 'state_mismatch'
        WHEN faults.failure['outcome'] IN ('already_running', 'conflict') THEN 'race'
        WHEN faults.sid IS NULL AND faults.failure['outcome'] = 'indeterminate' THEN 'service'
        WHEN faults.sid IS NULL THEN 'state_mismatch'
        WHEN faults.failure['requested_at'] > faults.requested_at
            OR coalesce(faults.failure['responded_at'] > faults.requested_at, false) THEN 'race'
        ELSE 'fallback'
    END AS root_cause,
    concat(
        'The customer''s record of channel ', faults.cname,
        CASE WHEN faults.sid IS NOT NULL THEN concat(' (sid ', faults.sid, ')') END,
        CASE
            WHEN faults.variant = 'too_early' THEN concat(
                ' claimed ',
                coalesce(concat('"', faults.early_status, '" '), ''), 'at ',
                to_char(faults.early_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC, ',
                (
                    arrow_cast(faults.responded_at, 'Int64') - arrow_cast(faults.early_at, 'Int64')
                ) / 1000,
                ' ms before the start of ', to_char(faults.requested_at, '%H:%M:%S%.3f'), ' was answered.'
            )
            ELSE concat(
                ' names since ', to_char(faults.believed_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC the storage of the start of ',
                to_char(faults.failure['requested_at'], '%H:%M:%S%.3f'), ' (', faults.failure['storage'],
                '), which was not accepted (',
                CASE
                    WHEN faults.failure['http_status'] IS NULL THEN 'no answer'
                    ELSE concat(
                        'HTTP ', faults.failure['http_status'],
                        CASE WHEN faults.failure['code'] IS NOT NULL THEN concat(' code ', faults.failure['code']) END
                    )
                END,
                '); ',
                CASE
                    WHEN faults.sid IS NULL THEN 'no start of it was.'
                    ELSE concat(
                        'the one of ', to_char(faults.requested_at, '%H:%M:%S%.3f'), ' into ', faults.storage, ' was.'
                    )
                END
            )
        END
    ) AS explanation,
    flatten(array_agg(faults.item['event_ids'] ORDER BY faults.item['at'])) AS evidence,
    faults.record_id
FROM (
    SELECT *, unnest(items) AS item
    FROM faults
) AS faults
LEFT JOIN session_landings ON session_landings.sid = faults.sid
WHERE faults.item['at'] IS NOT NULL
GROUP BY
    faults.variant, faults.record_id, faults.app_id, faults.cname, faults.uid, faults.sid, faults.vendor_name,
    faults.bucket, faults.believed_at, faults.requested_at, faults.responded_at, faults.start_vendor_name,
    faults.start_bucket, faults.storage, faults.failure, faults.early_at, faults.early_status, session_landings.sid,
    session_landings.vendor_name, session_landings.bucket
ORDER BY first_at, app_id, cname, record_id
