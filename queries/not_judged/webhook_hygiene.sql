-- Sessions with missing sequence numbers that prove nothing (yet).
SELECT
    app_id,
    cname,
    sid,
    CASE
        WHEN NOT is_unfiltered
            THEN concat(
                missing, CASE WHEN missing = 1 THEN ' sequence number is' ELSE ' sequence numbers are' END,
                ' missing, but no session of this app is complete: its receiver may not be subscribed to all types'
            )
        ELSE concat(
            missing, CASE WHEN missing = 1 THEN ' sequence number is' ELSE ' sequence numbers are' END,
            ' missing; webhooks have come only up to ',
            to_char(webhooks_to, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC'
        )
    END AS why
FROM session_sequences
WHERE missing > 0 AND NOT coalesce(is_unfiltered AND webhooks_to >= last_at + $settled_after, false)
ORDER BY app_id, cname, sid
