-- Sessions that seem to have recorded nothing, or to have had no token, where that proves nothing (yet).
SELECT
    diagnoses.app_id,
    diagnoses.cname,
    diagnoses.sid,
    CASE
        WHEN diagnoses.left_idle
            THEN 'the recorder left because nobody was there and nothing tells of anything recorded, but notifications of the session are missing and its bucket was not watched until the deadline'
        WHEN diagnoses.app_started_from IS NULL
            THEN 'the session was gone within a minute of its start, but no notification of this app has ever told that a recorder came (40): whether its own did is not known'
        WHEN diagnoses.app_started_from > diagnoses.requested_at + $tolerance
            THEN concat(
                'the session was gone within a minute of its start, but notifications that a recorder of this app came (40) are logged only since ',
                to_char(diagnoses.app_started_from, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC'
            )
        ELSE concat(
            'the session was gone within a minute of its start; webhooks have come only up to ',
            to_char(stream_watermarks.webhooks_to, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC'
        )
    END AS why
FROM session_diagnoses AS diagnoses
CROSS JOIN stream_watermarks
LEFT JOIN accepted_starts ON accepted_starts.sid = diagnoses.sid
LEFT JOIN monitored_buckets
    ON monitored_buckets.vendor_name = accepted_starts.vendor_name
    AND monitored_buckets.bucket = accepted_starts.bucket
WHERE diagnoses.writes IS NULL
    AND diagnoses.recorded_at IS NULL
    AND diagnoses.nothing_at IS NULL
    AND (
        (
            diagnoses.left_idle
            AND NOT diagnoses.is_complete
            AND NOT coalesce(
                monitored_buckets.first_at <= diagnoses.begun_at + $tolerance
                AND least(monitored_buckets.last_at, stream_watermarks.storage_events_to)
                    >= diagnoses.left_at + $settled_after,
                false
            )
        )
        OR (
            diagnoses.mode <> 'web'
            AND diagnoses.missed_at <= diagnoses.responded_at + $gone_within
            AND diagnoses.started_at IS NULL
            AND diagnoses.left_at IS NULL
            AND diagnoses.last_alive_at IS NULL
            AND diagnoses.token_at IS NULL
            AND diagnoses.fatal_errors = 0
            AND coalesce(diagnoses.stopped_at > diagnoses.missed_at, true)
            AND NOT coalesce(
                diagnoses.app_started_from <= diagnoses.requested_at + $tolerance
                AND stream_watermarks.webhooks_to >= diagnoses.missed_at + $settled_after,
                false
            )
        )
    )
ORDER BY app_id, cname, sid
