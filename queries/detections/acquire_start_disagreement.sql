-- ---
-- name        = "acquire_start_disagreement"
-- title       = "The ticket was asked for with other storage than the start"
-- severity    = "high"
-- category    = "routing"
-- status      = "stable"
-- patterns    = ["P11"]
-- description = """
-- Compares the storage in the acquire's startParameter with that of the starts that used its ticket. They must agree: a start that does
-- not is documented to fail, and where it was accepted nobody knows which storage won until files are seen. A start without
-- storage of its own, or with other keys for the same place, agrees. One finding per ticket. Variants: accepted (severity high where the
-- vendor differs, medium for the bucket, else low), unknown (no outcome known, medium), refused (low).
-- """
-- false_positives = []
-- response = """
-- Build both bodies from one value. Where the start was accepted, look where the files are and correct the customer's record by that.
-- """
-- identity = ["app_id", "cname", "resource_id"]
--
-- [columns]
-- resource_id = { type = "string", doc = "the ticket" }
-- ---
WITH disagreeing AS (
    SELECT
        starts.app_id,
        starts.cname,
        starts.uid,
        starts.resource_id,
        starts.start_id,
        starts.sid,
        starts.outcome,
        starts.http_status,
        starts.code,
        starts.requested_at,
        starts.vendor_name,
        starts.bucket,
        starts.storage,
        starts.origin,
        array_to_string(starts.event_ids, chr(31)) AS event_ids,
        tickets.acquire_id,
        tickets.acquired_at,
        tickets.vendor AS ticket_vendor,
        tickets.bucket AS ticket_bucket,
        tickets.region_code AS ticket_region_code,
        tickets.prefix AS ticket_prefix,
        tickets.endpoint AS ticket_endpoint,
        tickets.origin AS ticket_origin,
        CASE
            WHEN tickets.vendor <> starts.vendor THEN 'vendor'
            WHEN tickets.bucket <> starts.bucket THEN 'bucket'
            WHEN starts.vendor = 11 AND tickets.endpoint <> starts.endpoint THEN 'bucket'
            WHEN tickets.region <> starts.region THEN 'path'
            WHEN coalesce(tickets.prefix, '') <> coalesce(starts.prefix, '') THEN 'path'
        END AS difference
    FROM starts
    INNER JOIN tickets
        ON tickets.app_id = starts.app_id
        AND tickets.resource_id = starts.resource_id
    WHERE starts.storage_identity <> starts.ticket_storage_identity
),

faults AS (
    -- One row per ticket: its most telling start, and all of them as evidence.
    SELECT
        app_id,
        cname,
        resource_id,
        acquire_id,
        acquired_at,
        ticket_vendor,
        ticket_bucket,
        ticket_region_code,
        ticket_prefix,
        ticket_endpoint,
        ticket_origin,
        min(
            CASE outcome
                WHEN 'ok' THEN 0
                WHEN 'indeterminate' THEN 1
                ELSE 2
            END
        ) AS rank,
        count(*) AS starts,
        min(requested_at) AS first_at,
        max(requested_at) AS last_at,
        first_value(uid ORDER BY outcome <> 'ok', requested_at, start_id) AS uid,
        first_value(sid ORDER BY requested_at, start_id) FILTER (WHERE outcome = 'ok') AS sid,
        first_value(difference ORDER BY outcome <> 'ok', requested_at, start_id) AS difference,
        first_value(http_status ORDER BY outcome <> 'ok', requested_at, start_id) AS http_status,
        first_value(code ORDER BY outcome <> 'ok', requested_at, start_id) AS code,
        first_value(vendor_name ORDER BY outcome <> 'ok', requested_at, start_id) AS vendor_name,
        first_value(bucket ORDER BY outcome <> 'ok', requested_at, start_id) AS bucket,
        first_value(storage ORDER BY outcome <> 'ok', requested_at, start_id) AS storage,
        first_value(origin ORDER BY outcome <> 'ok', requested_at, start_id) AS origin,
        first_value(requested_at ORDER BY outcome <> 'ok', requested_at, start_id) AS requested_at,
        string_agg(event_ids, chr(31) ORDER BY requested_at, start_id) AS event_ids
    FROM disagreeing
    WHERE difference IS NOT NULL
    GROUP BY
        app_id, cname, resource_id, acquire_id, acquired_at, ticket_vendor, ticket_bucket, ticket_region_code,
        ticket_prefix, ticket_endpoint, ticket_origin
)

SELECT
    CASE
        WHEN faults.rank = 0 AND faults.difference = 'vendor' THEN 'high'
        WHEN faults.rank = 1 OR (faults.rank = 0 AND faults.difference = 'bucket') THEN 'medium'
        ELSE 'low'
    END AS severity,
    CASE faults.rank WHEN 0 THEN 'accepted' WHEN 1 THEN 'unknown' ELSE 'refused' END AS variant,
    faults.app_id,
    faults.cname,
    faults.uid,
    array_remove_all(make_array(coalesce(faults.sid, '')), '') AS sids,
    least(faults.acquired_at, faults.first_at) AS first_at,
    greatest(faults.last_at, session_landings.event_at) AS last_at,
    coalesce(session_beliefs.vendor_name, faults.vendor_name) AS expected_vendor,
    CASE
        WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.bucket
        ELSE faults.bucket
    END AS expected_bucket,
    CASE
        WHEN session_landings.sid IS NOT NULL THEN session_landings.vendor_name
        WHEN faults.rank = 0 THEN faults.vendor_name
    END AS actual_vendor,
    CASE
        WHEN session_landings.sid IS NOT NULL THEN session_landings.bucket
        WHEN faults.rank = 0 THEN faults.bucket
    END AS actual_bucket,
    CASE
        WHEN faults.origin <> '' AND faults.ticket_origin <> '' AND faults.origin <> faults.ticket_origin
            THEN 'environment_switching'
        ELSE 'state_mismatch'
    END AS root_cause,
    concat(
        'The acquire of ', to_char(faults.acquired_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC for channel ', faults.cname,
        ' announced ', coalesce(vendors.vendor_title, concat('vendor ', faults.ticket_vendor)), ' bucket ',
        coalesce(faults.ticket_bucket, '(none)'),
        CASE WHEN faults.ticket_region_code IS NOT NULL THEN concat(' (', faults.ticket_region_code, ')') END,
        CASE WHEN faults.ticket_endpoint IS NOT NULL THEN concat(' at ', faults.ticket_endpoint) END,
        CASE WHEN faults.ticket_prefix <> '' THEN concat(', path ', faults.ticket_prefix) END,
        '; the start of ', to_char(faults.requested_at, '%H:%M:%S%.3f'), ' on its ticket asked for ', faults.storage,
        CASE faults.rank
            WHEN 0 THEN concat(
                ' and was accepted (sid ', faults.sid, ').',
                CASE
                    WHEN session_landings.sid IS NULL THEN ' Which of the two was applied is not known until files are seen.'
                    ELSE concat(
                        ' Its files are in ', session_landings.vendor_name, ':', session_landings.bucket, '.'
                    )
                END
            )
            WHEN 1 THEN '; its outcome is not known.'
            ELSE concat(
                ' and was refused (HTTP ', faults.http_status,
                CASE WHEN faults.code IS NOT NULL THEN concat(' code ', faults.code) END, ').'
            )
        END,
        CASE WHEN faults.starts > 1 THEN concat(' ', faults.starts, ' starts on this ticket disagree with it.') END
    ) AS explanation,
    string_to_array(
        concat_ws(chr(31), faults.acquire_id, faults.event_ids, session_landings.event_id), chr(31)
    ) AS evidence,
    faults.resource_id
FROM faults
LEFT JOIN vendors ON vendors.vendor = faults.ticket_vendor
LEFT JOIN session_beliefs ON session_beliefs.sid = faults.sid
LEFT JOIN session_landings ON session_landings.sid = faults.sid
ORDER BY first_at, app_id, cname, resource_id
