-- Sessions whose uploader complained of a failed upload, where neither the service nor a bucket tells how it went on.
SELECT
    accepted_starts.app_id,
    accepted_starts.cname,
    accepted_starts.sid,
    CASE
        WHEN monitored_buckets.first_at IS NULL
            THEN concat(
                'the uploader reported a failed upload (error 47), but ', accepted_starts.vendor_name, ':',
                accepted_starts.bucket, ' has never sent an event: it is not monitored'
            )
        WHEN monitored_buckets.first_at > errors.at + $tolerance
            THEN concat(
                'the uploader reported a failed upload (error 47), but ', accepted_starts.vendor_name, ':',
                accepted_starts.bucket, ' sends events only since ',
                to_char(monitored_buckets.first_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC'
            )
        ELSE concat(
            'the uploader reported a failed upload (error 47) and no file has been seen yet; storage events have come only up to ',
            to_char(least(monitored_buckets.last_at, stream_watermarks.storage_events_to), '%Y-%m-%d %H:%M:%S%.3f'),
            ' UTC, the deadline is ', to_char(errors.at + $uploaded_after, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC'
        )
    END AS why
FROM (
    SELECT sid, min(at) AS at, min(error_code) AS code
    FROM session_notices
    WHERE event_type = 1
        AND module = 1
        AND error_code IN (32, 47)
        AND coalesce(error_level, 5) >= $level_min
    GROUP BY sid
) AS errors
CROSS JOIN stream_watermarks
INNER JOIN accepted_starts ON accepted_starts.sid = errors.sid
LEFT JOIN session_lifecycles ON session_lifecycles.sid = errors.sid
LEFT JOIN (
    SELECT sid, max(requested_at) AS at
    FROM api_calls
    WHERE operation IN ('query', 'stop') AND http_status = 404
    GROUP BY sid
) AS gone ON gone.sid = errors.sid
LEFT JOIN monitored_buckets
    ON monitored_buckets.vendor_name = accepted_starts.vendor_name
    AND monitored_buckets.bucket = accepted_starts.bucket
LEFT ANTI JOIN session_arrivals AS arrived ON arrived.sid = errors.sid
WHERE errors.code = 47
    AND session_lifecycles.uploaded_at IS NULL
    AND NOT coalesce(session_lifecycles.exited_badly, false)
    AND NOT coalesce(gone.at > errors.at - $tolerance, false)
    AND NOT coalesce(
        monitored_buckets.first_at <= errors.at + $tolerance
        AND least(monitored_buckets.last_at, stream_watermarks.storage_events_to) >= errors.at + $uploaded_after,
        false
    )
ORDER BY app_id, cname, sid
