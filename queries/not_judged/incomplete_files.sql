-- Sessions that are over and of which a kind of file was not seen, where that proves nothing (yet).
SELECT
    app_id,
    cname,
    sid,
    concat(
        CASE
            WHEN lacks_index THEN 'slices came without an index'
            WHEN lacks_slices THEN 'an index came without slices'
            ELSE 'no mp4 came, though the start asked for one'
        END,
        ', but ',
        CASE
            WHEN is_backuped THEN 'files of the session may wait in the service''s backup'
            WHEN is_moved THEN 'an update sent later files to another bucket'
            WHEN watched_since IS NULL
                THEN concat(vendor_name, ':', bucket, ' has never sent an event: it is not monitored')
            WHEN watched_since > requested_at + $begins_within
                THEN concat(
                    vendor_name, ':', bucket, ' sends events only since ',
                    to_char(watched_since, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC'
                )
            WHEN lacks_index AND NOT shows_indexes
                THEN concat(vendor_name, ':', bucket, ' has never reported an index: its notifications may leave them out')
            WHEN lacks_slices AND NOT shows_slices
                THEN concat(
                    vendor_name, ':', bucket, ' has never reported slices of such sessions: its notifications may leave them out'
                )
            WHEN lacks_mp4 AND NOT shows_mp4s
                THEN concat(vendor_name, ':', bucket, ' has never reported an mp4: its notifications may leave them out')
            ELSE concat(
                'storage events have come only up to ', to_char(watched_until, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC'
            )
        END
    ) AS why
FROM (
    SELECT
        *,
        greatest(coalesce(ended_at, last_at + $quiet_after), last_at) AS due_at,
        watched_until >= greatest(coalesce(ended_at, last_at + $quiet_after), last_at)
            + CASE WHEN mode = 'individual' THEN $postponed_after ELSE $missing_after END AS is_mp4_due
    FROM incomplete_arrivals
)
WHERE (ended_at IS NOT NULL OR watched_until >= last_at + $quiet_after)
    AND NOT coalesce(
        NOT is_backuped
        AND NOT is_moved
        AND watched_since <= requested_at + $begins_within
        AND watched_until >= due_at + $late_after
        AND (
            (lacks_index AND shows_indexes)
            OR (lacks_slices AND shows_slices)
            OR (lacks_mp4 AND shows_mp4s AND is_mp4_due)
        ),
        false
    )
ORDER BY app_id, cname, sid
