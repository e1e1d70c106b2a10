-- Sessions with files and without an accepted start, where it may merely not be logged.
SELECT
    app_id,
    cname,
    sid,
    CASE
        WHEN is_called
            THEN concat(
                'files are in ', vendor_name, ':', bucket,
                ' and other API calls name the session, but its accepted start is not in the log'
            )
        WHEN is_notified
            THEN concat(
                'files are in ', vendor_name, ':', bucket,
                ' and webhooks tell of the session, but its accepted start is not in the log'
            )
        WHEN calls_from IS NULL OR webhooks_from IS NULL
            THEN concat(
                'files are in ', vendor_name, ':', bucket, ', but ',
                CASE WHEN calls_from IS NULL THEN 'API calls' ELSE 'webhooks' END,
                ' are not logged: nothing could explain them'
            )
        WHEN NOT is_recorded_in
            THEN concat(
                'files are in ', vendor_name, ':', bucket,
                ', a bucket that no start of the log asked for: whoever records there is not logged'
            )
        WHEN greatest(calls_from, webhooks_from) > CASE
            WHEN watched_since <= first_at - $begins_within THEN first_at - $begins_within
            ELSE first_at - $session_length
        END
            THEN concat(
                'files are in ', vendor_name, ':', bucket, ' since ', to_char(first_at, '%Y-%m-%d %H:%M:%S%.3f'),
                ' UTC, but ', CASE WHEN calls_from >= webhooks_from THEN 'API calls' ELSE 'webhooks' END,
                ' are logged only since ',
                to_char(greatest(calls_from, webhooks_from), '%Y-%m-%d %H:%M:%S%.3f'),
                CASE
                    WHEN watched_since <= first_at - $begins_within THEN ''
                    ELSE ', and the bucket was not watched before: the session may be older'
                END
            )
        ELSE concat(
            'files are in ', vendor_name, ':', bucket, ' since ', to_char(first_at, '%Y-%m-%d %H:%M:%S%.3f'),
            ' UTC, but API calls and webhooks have come only up to ',
            to_char(least(calls_to, webhooks_to), '%Y-%m-%d %H:%M:%S%.3f')
        )
    END AS why
FROM unexplained_arrivals
WHERE NOT is_ghost
    AND NOT coalesce(
        NOT is_called
        AND NOT is_notified
        AND is_recorded_in
        AND greatest(calls_from, webhooks_from) <= CASE
            WHEN watched_since <= first_at - $begins_within THEN first_at - $begins_within
            ELSE first_at - $session_length
        END
        AND least(calls_to, webhooks_to) >= first_at + $tolerance,
        false
    )
ORDER BY app_id, cname, sid
