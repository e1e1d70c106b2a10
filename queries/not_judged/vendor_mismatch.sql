-- Sessions whose record contradicts the accepted start, where no bucket shows the files.
SELECT
    coalesce(accepted_starts.app_id, session_beliefs.app_id) AS app_id,
    coalesce(accepted_starts.cname, session_beliefs.cname) AS cname,
    session_beliefs.sid,
    concat(
        'the record names ', session_beliefs.vendor_name, ', the accepted start asked for ',
        accepted_starts.vendor_name, ':', accepted_starts.bucket, '; ',
        CASE
            WHEN monitored_buckets.bucket IS NULL THEN 'that bucket has never sent an event, so where the files are is not known'
            ELSE 'no file of the session has been seen yet'
        END
    ) AS why
FROM session_beliefs
INNER JOIN accepted_starts ON accepted_starts.sid = session_beliefs.sid
LEFT JOIN session_landings ON session_landings.sid = session_beliefs.sid
LEFT JOIN monitored_buckets
    ON monitored_buckets.vendor_name = accepted_starts.vendor_name
    AND monitored_buckets.bucket = accepted_starts.bucket
WHERE session_landings.sid IS NULL
    AND session_beliefs.vendor_name <> accepted_starts.vendor_name
ORDER BY app_id, cname, sid
