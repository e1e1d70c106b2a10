-- Sessions whose record contradicts the accepted start, where no bucket shows the files, or they were removed and may have been moved before.
SELECT
    coalesce(accepted_starts.app_id, session_beliefs.app_id) AS app_id,
    coalesce(accepted_starts.cname, session_beliefs.cname) AS cname,
    session_beliefs.sid,
    concat(
        'the record names ', session_beliefs.vendor_name, ', the accepted start asked for ',
        accepted_starts.vendor_name, ':', accepted_starts.bucket, '; ',
        CASE
            WHEN removed.sid IS NOT NULL THEN concat(
                'the files were in ', removed.vendor_name, ':', removed.bucket, ' and are removed, and ',
                CASE
                    WHEN session_beliefs.bucket IS NULL THEN 'the record names no bucket to look for them'
                    WHEN named.bucket IS NULL THEN concat('bucket ', session_beliefs.bucket, ' has never sent an event')
                    ELSE concat('bucket ', session_beliefs.bucket, ' was not watched then')
                END,
                ', so whether they were moved there is not known'
            )
            WHEN looks.empty_at IS NOT NULL THEN concat(
                'a look into it at ', to_char(looks.empty_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC found no file'
            )
            WHEN monitored_buckets.bucket IS NULL AND looks.answer IS NOT NULL THEN concat(
                'that bucket has never sent an event and could not be looked into: ', looks.answer
            )
            WHEN monitored_buckets.bucket IS NULL THEN 'that bucket has never sent an event, so where the files are is not known'
            ELSE 'no file of the session has been seen yet'
        END
    ) AS why
FROM session_beliefs
INNER JOIN accepted_starts ON accepted_starts.sid = session_beliefs.sid
LEFT ANTI JOIN (
    SELECT sid
    FROM session_whereabouts
    WHERE witness <> 'removed'
) AS there ON there.sid = session_beliefs.sid
LEFT JOIN (
    SELECT sid, vendor_name, bucket, vendors, event_at
    FROM session_whereabouts
    WHERE witness = 'removed'
) AS removed ON removed.sid = session_beliefs.sid
LEFT JOIN monitored_buckets AS named
    ON named.vendor_name = session_beliefs.vendor_name
    AND named.bucket = session_beliefs.bucket
LEFT JOIN monitored_buckets
    ON monitored_buckets.vendor_name = accepted_starts.vendor_name
    AND monitored_buckets.bucket = accepted_starts.bucket
LEFT JOIN bucket_looks AS looks
    ON looks.sid = session_beliefs.sid
    AND looks.vendor_name = accepted_starts.vendor_name
    AND looks.bucket = accepted_starts.bucket
WHERE session_beliefs.vendor_name <> accepted_starts.vendor_name
    AND NOT coalesce(
        array_contains(removed.vendors, session_beliefs.vendor_name)
        OR (named.first_at <= removed.event_at AND named.last_at >= removed.event_at),
        false
    )
ORDER BY app_id, cname, sid
