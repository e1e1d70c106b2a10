-- Sessions announced as uploaded without a file seen, where absence proves nothing (yet).
SELECT
    app_id,
    cname,
    sid,
    CASE
        WHEN start_id IS NULL
            THEN 'announced as uploaded and no file was seen, but its accepted start is not in the log: which bucket to watch is not known'
        WHEN vendor_name IS NULL OR bucket IS NULL
            THEN 'announced as uploaded and no file was seen, but its accepted start names no storage'
        WHEN watched_since IS NULL AND audit_answer IS NOT NULL
            THEN concat(
                'announced as uploaded and no file was seen, but ', vendor_name, ':', bucket,
                ' has never sent an event, and could not be looked into: ', audit_answer
            )
        WHEN watched_since IS NULL
            THEN concat(
                'announced as uploaded and no file was seen, but ', vendor_name, ':', bucket,
                ' has never sent an event: it is not monitored'
            )
        WHEN watched_since > announced_at + $tolerance
            THEN concat(
                'announced as uploaded and no file was seen, but ', vendor_name, ':', bucket,
                ' sends events only since ', to_char(watched_since, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC'
            )
        WHEN watched_until = audited_at
            THEN concat(
                'announced as uploaded and no file was found in ', vendor_name, ':', bucket, ' at ',
                to_char(audited_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC; the deadline is ',
                to_char(announced_at + $late_after, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC'
            )
        WHEN watched_until IS NULL
            THEN 'announced as uploaded and no file was seen, but the stream of storage events has no watermark yet'
        ELSE concat(
            'announced as uploaded and no file was seen yet; storage events have come only up to ',
            to_char(watched_until, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC, the deadline is ',
            to_char(announced_at + $late_after, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC'
        )
    END AS why
FROM unseen_uploads
WHERE NOT coalesce(
    watched_since <= announced_at + $tolerance AND watched_until >= announced_at + $late_after,
    false
)
ORDER BY app_id, cname, sid
