-- Starts of unknown outcome of which nobody can say yet whether a session came of them.
SELECT
    starts.app_id,
    starts.cname,
    CAST(NULL AS STRING) AS sid,
    concat(
        'the outcome of the start of ', to_char(starts.requested_at, '%Y-%m-%d %H:%M:%S%.3f'),
        ' UTC is not known, and ',
        CASE
            WHEN reach.webhooks_since IS NULL THEN 'no notifications arrive that would show a session of it'
            WHEN reach.webhooks_since > starts.requested_at + $window THEN concat(
                'notifications arrive only since ', to_char(reach.webhooks_since, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC'
            )
            WHEN reach.webhooks_until IS NULL OR reach.calls_until IS NULL
                THEN 'notifications or calls have no watermark yet'
            ELSE concat(
                'notifications and calls have come only up to ',
                to_char(least(reach.webhooks_until, reach.calls_until), '%Y-%m-%d %H:%M:%S%.3f'), ' UTC'
            )
        END
    ) AS why
FROM starts
CROSS JOIN (
    SELECT
        min(CASE WHEN stream = 'webhooks' THEN low_watermark END) AS webhooks_since,
        min(CASE WHEN stream = 'webhooks' THEN watermark END) AS webhooks_until,
        min(CASE WHEN stream = 'api_calls' THEN watermark END) AS calls_until
    FROM watermarks
    WHERE scope = 'stream' AND stream IN ('api_calls', 'webhooks')
) AS reach
-- A retry on the same ticket that was answered tells what became of it.
LEFT ANTI JOIN (
    SELECT app_id, resource_id
    FROM starts
    WHERE outcome = 'ok'
) AS answered
    ON answered.app_id = starts.app_id
    AND answered.resource_id = starts.resource_id
WHERE starts.is_unanswered
    AND starts.sid IS NULL
    AND NOT coalesce(
        reach.webhooks_since <= starts.requested_at + $window
        AND reach.webhooks_until >= starts.requested_at + $window
        AND reach.calls_until >= starts.requested_at + $window + $settle,
        false
    )
ORDER BY starts.app_id, starts.cname, starts.requested_at, starts.start_id
