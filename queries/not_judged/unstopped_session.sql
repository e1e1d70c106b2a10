-- Sessions without a stop and without a known end, where their silence proves nothing (yet).
SELECT
    accepted_starts.app_id,
    accepted_starts.cname,
    accepted_starts.sid,
    CASE
        WHEN accepted_starts.expires_at IS NULL
            THEN 'no stop and no end is known, but neither is when its ticket expires: its start has no time of answer'
        WHEN NOT coalesce(heard.since <= accepted_starts.requested_at + $silence, false)
            THEN 'no stop and no end is known, but no notifications of this app had arrived by then: it may have ended by itself'
        WHEN reach.calls_until IS NULL OR reach.webhooks_until IS NULL
            THEN 'no stop and no end is known, but calls or notifications have no watermark yet'
        ELSE concat(
            'no stop and no end is known yet; calls and notifications have come only up to ',
            to_char(least(reach.calls_until, reach.webhooks_until), '%Y-%m-%d %H:%M:%S%.3f'),
            ' UTC, its ticket expires at ', to_char(accepted_starts.expires_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC'
        )
    END AS why
FROM accepted_starts
LEFT ANTI JOIN session_ends ON session_ends.sid = accepted_starts.sid
LEFT ANTI JOIN (
    SELECT sid
    FROM api_calls
    WHERE operation = 'stop'
        AND sid IS NOT NULL
        AND (outcome IN ('ok', 'indeterminate') OR http_status = 404)
) AS stops ON stops.sid = accepted_starts.sid
CROSS JOIN (
    SELECT
        min(CASE WHEN stream = 'api_calls' THEN watermark END) AS calls_until,
        min(CASE WHEN stream = 'webhooks' THEN watermark END) AS webhooks_until
    FROM watermarks
    WHERE scope = 'stream' AND stream IN ('api_calls', 'webhooks')
) AS reach
LEFT JOIN (
    SELECT accepted_starts.app_id, min(session_lifecycles.first_at) AS since
    FROM session_lifecycles
    INNER JOIN accepted_starts ON accepted_starts.sid = session_lifecycles.sid
    GROUP BY accepted_starts.app_id
) AS heard ON heard.app_id = accepted_starts.app_id
WHERE NOT coalesce(
    reach.calls_until >= accepted_starts.expires_at
    AND reach.webhooks_until >= accepted_starts.expires_at
    AND heard.since <= accepted_starts.requested_at + $silence,
    false
)
ORDER BY app_id, cname, sid
