-- Starts without storage of their own at the edge of the log, whose acquire may have named it.
SELECT DISTINCT
    calls.app_id,
    calls.cname,
    calls.sid,
    concat(
        'the start of ', to_char(calls.requested_at, '%Y-%m-%d %H:%M:%S%.3f'),
        ' UTC names no storage, and its acquire is not in the log, which ',
        CASE
            WHEN coalesce(stream.low_watermark <= calls.requested_at - $ticket_life, false)
                THEN 'is not complete up to then'
            ELSE 'does not reach back far enough'
        END
    ) AS why
FROM (
    SELECT app_id, cname, sid, resource_id, requested_at
    FROM api_calls
    WHERE operation = 'start'
        AND (vendor IS NULL OR bucket IS NULL)
        AND NOT coalesce(outcome = 'rejected' AND code = 2, false)
        AND resource_id IS NOT NULL
) AS calls
LEFT JOIN tickets
    ON tickets.app_id = calls.app_id
    AND tickets.resource_id = calls.resource_id
LEFT JOIN (
    SELECT stream, low_watermark, watermark
    FROM watermarks
    WHERE scope = 'stream'
) AS stream ON stream.stream = 'api_calls'
WHERE tickets.acquire_id IS NULL
    AND NOT coalesce(
        stream.low_watermark <= calls.requested_at - $ticket_life AND stream.watermark >= calls.requested_at,
        false
    )
ORDER BY app_id, cname, sid, why
