-- Sessions whose record and start agree on a bucket that is not watched, while files were seen in another of the vendor;
-- and sessions whose record contradicts the accepted start's bucket, where no bucket shows the files, or they are removed by now and
-- may have been moved to it before.
SELECT
    coalesce(accepted_starts.app_id, session_beliefs.app_id) AS app_id,
    coalesce(accepted_starts.cname, session_beliefs.cname) AS cname,
    session_beliefs.sid,
    CASE
        WHEN session_landings.sid IS NULL THEN concat(
            'the record names ', session_beliefs.vendor_name, ':', session_beliefs.bucket, ', the accepted start asked for ',
            accepted_starts.vendor_name, ':', accepted_starts.bucket, '; ',
            CASE
                WHEN arrived.sid IS NOT NULL AND named.bucket IS NULL
                    THEN 'the files are removed, and whether they were moved to a bucket that has never sent an event is not known'
                WHEN arrived.sid IS NOT NULL
                    THEN 'the files are removed, and whether they were moved to a bucket that was not watched long enough is not known'
                WHEN started.bucket IS NULL
                    THEN 'no file of the session has been seen, and that bucket has never sent an event'
                ELSE 'no file of the session has been seen yet'
            END
        )
        ELSE concat(
            'files are in ', session_landings.vendor_name, ':', session_landings.bucket,
            ', while the record names ', session_beliefs.vendor_name, ':', session_beliefs.bucket, ', which ',
            CASE WHEN named.bucket IS NULL THEN 'has never sent an event' ELSE 'has not been watched long enough' END
        )
    END AS why
FROM session_beliefs
LEFT JOIN accepted_starts ON accepted_starts.sid = session_beliefs.sid
LEFT JOIN session_landings ON session_landings.sid = session_beliefs.sid
LEFT JOIN (
    SELECT sid, min(first_at) AS first_at, max(last_at) AS last_at
    FROM session_arrivals
    GROUP BY sid
) AS arrived ON arrived.sid = session_beliefs.sid
LEFT JOIN session_arrivals AS moved
    ON moved.sid = session_beliefs.sid
    AND moved.vendor_name = session_beliefs.vendor_name
    AND moved.bucket = session_beliefs.bucket
LEFT JOIN monitored_buckets AS named
    ON named.vendor_name = session_beliefs.vendor_name
    AND named.bucket = session_beliefs.bucket
LEFT JOIN monitored_buckets AS started
    ON started.vendor_name = accepted_starts.vendor_name
    AND started.bucket = accepted_starts.bucket
WHERE CASE
    WHEN session_landings.sid IS NULL
        THEN session_beliefs.vendor_name = accepted_starts.vendor_name
            AND session_beliefs.bucket <> accepted_starts.bucket
            AND moved.sid IS NULL
            AND NOT coalesce(
                named.first_at <= arrived.first_at AND named.last_at >= arrived.last_at + $missing_after, false
            )
    ELSE session_landings.vendor_name = session_beliefs.vendor_name
        AND NOT array_contains(session_landings.buckets, concat(session_beliefs.vendor_name, ':', session_beliefs.bucket))
        AND coalesce(accepted_starts.bucket = session_beliefs.bucket, accepted_starts.sid IS NULL)
        AND NOT coalesce(
            named.first_at <= session_landings.first_at AND named.last_at >= session_landings.last_at + $missing_after, false
        )
END
ORDER BY app_id, cname, sid
