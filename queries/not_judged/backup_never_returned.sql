-- Sessions whose files went to the backup and were not seen to come home, where that proves nothing (yet).
SELECT
    app_id,
    cname,
    sid,
    CASE
        WHEN start_id IS NULL
            THEN 'files went to the backup and none was seen to return, but its accepted start is not in the log: which bucket to watch is not known'
        WHEN vendor_name IS NULL OR bucket IS NULL
            THEN 'files went to the backup and none was seen to return, but its accepted start names no storage'
        WHEN watched_since IS NULL
            THEN concat(
                'files went to the backup and none was seen to return, but ', vendor_name, ':', bucket,
                ' has never sent an event: it is not monitored'
            )
        WHEN watched_since > last_said_at + $tolerance
            THEN concat(
                'files went to the backup and none was seen to return, but ', vendor_name, ':', bucket,
                ' sends events only since ', to_char(watched_since, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC'
            )
        WHEN watched_until IS NULL
            THEN 'files went to the backup and none was seen to return, but the stream of storage events has no watermark yet'
        ELSE concat(
            'files went to the backup and none was seen to return yet; storage events have come only up to ',
            to_char(watched_until, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC, the deadline is ',
            to_char(last_said_at + $returns_within, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC'
        )
    END AS why
FROM waiting_backups
WHERE NOT coalesce(last_new_at > last_said_at + $tolerance, false)
    AND NOT coalesce(
        watched_since <= last_said_at + $tolerance AND watched_until >= last_said_at + $returns_within,
        false
    )
ORDER BY app_id, cname, sid
