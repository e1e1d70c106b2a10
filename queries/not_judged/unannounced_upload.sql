-- Sessions that are over, with files and without a notification about them, where its absence proves nothing (yet).
SELECT
    app_id,
    cname,
    sid,
    CASE
        WHEN webhooks_to IS NULL
            THEN 'files arrived, but no notification of any session has ever come: webhooks are not logged'
        WHEN NOT app_announces AND start_id IS NULL
            THEN 'files arrived and no webhook 31, 32 or 11 came, but its accepted start is not in the log: which app it is of is not known'
        WHEN NOT app_announces
            THEN 'files arrived, but no webhook 31, 32 or 11 of this app has ever come: its receiver does not log them'
        WHEN webhooks_from > begun_at + $tolerance
            THEN concat(
                'files arrived and no webhook 31, 32 or 11 came, but webhooks are logged only since ',
                to_char(webhooks_from, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC'
            )
        WHEN NOT is_notified AND app_notified_from > begun_at + $tolerance
            THEN concat(
                'files arrived and no webhook came, but those of this app are logged only since ',
                to_char(app_notified_from, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC'
            )
        ELSE concat(
            'files arrived and no webhook 31, 32 or 11 came yet; webhooks have come only up to ',
            to_char(webhooks_to, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC'
        )
    END AS why
FROM unannounced_arrivals
WHERE (ended_at IS NOT NULL OR files_watched_until >= last_file_at + $quiet_after)
    AND NOT coalesce(
        webhooks_from <= begun_at + $tolerance
        AND (is_notified OR app_notified_from <= begun_at + $tolerance)
        AND app_announces
        AND CASE
            WHEN ended_at IS NOT NULL THEN webhooks_to >= greatest(ended_at, last_file_at) + $announced_after
            ELSE webhooks_to >= last_file_at + $quiet_after + $announced_after
        END,
        false
    )
ORDER BY app_id, cname, sid
