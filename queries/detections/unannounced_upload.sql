-- ---
-- name        = "unannounced_upload"
-- title       = "Files arrived, no notification said so"
-- severity    = "low"
-- category    = "upload"
-- status      = "stable"
-- patterns    = ["P23"]
-- description = """
-- Finds sessions that are over and whose files arrived, while no notification ever spoke of the upload or the end (31, 32, 11).
-- A session is over when a stop was answered or its recorder left, or when its bucket went on for an hour without a file of it. Judged
-- only where the stream of webhooks began before the session, notifications of its app come and include these types, and their
-- watermark has passed the deadline; the rest is in `not_judged`. A notification that comes late clears the finding. Variants:
-- no_verdict (others of the session came), silent (none did). What a stop or query answered is no notification.
-- """
-- false_positives = ["a receiver that was subscribed to 31, 32 and 11 for a part of the time only"]
-- response = """
-- Compare the receiver's log with its answers: the service gives up after three retries without an HTTP 200 within 10 seconds. Never
-- let playback wait for a notification alone; query the session, or look into the bucket.
-- """
-- identity = ["app_id", "cname", "sid"]
--
-- [params]
-- announced_after = { type = "duration", default = "20m", doc = "notifications come this long after the end and the last file" }
-- quiet_after     = { type = "duration", default = "1h", doc = "a session without a known end is over when no file came for this long" }
-- tolerance       = { type = "duration", default = "2s", doc = "how far the clocks of producers may differ" }
--
-- [columns]
-- sid = { type = "string", doc = "recording session id" }
-- ---
SELECT
    CASE WHEN unannounced.is_notified THEN 'no_verdict' ELSE 'silent' END AS variant,
    unannounced.app_id,
    unannounced.cname,
    unannounced.uid,
    make_array(unannounced.sid) AS sids,
    least(unannounced.begun_at, unannounced.first_file_at) AS first_at,
    greatest(unannounced.ended_at, unannounced.last_file_at) AS last_at,
    CASE
        WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.vendor_name
        ELSE unannounced.vendor_name
    END AS expected_vendor,
    CASE WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.bucket ELSE unannounced.bucket END
        AS expected_bucket,
    unannounced.file_vendor_name AS actual_vendor,
    unannounced.file_bucket AS actual_bucket,
    'unknown' AS root_cause,
    concat(
        'Files of channel ', unannounced.cname, ' (sid ', unannounced.sid, ') came to ',
        unannounced.file_vendor_name, ':', unannounced.file_bucket, ' from ',
        to_char(unannounced.first_file_at, '%Y-%m-%d %H:%M:%S%.3f'), ' to ',
        to_char(unannounced.last_file_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC, ',
        CASE
            WHEN unannounced.ended_at IS NOT NULL
                THEN concat('the recording ended at ', to_char(unannounced.ended_at, '%H:%M:%S%.3f'), ', ')
            ELSE 'nothing tells when the recording ended, '
        END,
        'but until ', to_char(unannounced.webhooks_to, '%Y-%m-%d %H:%M:%S%.3f'), ' no webhook 31, 32 or 11 came',
        CASE
            WHEN unannounced.is_notified THEN ', though others of the session did.'
            ELSE ', nor any other of the session.'
        END
    ) AS explanation,
    array_remove_all(
        make_array(
            coalesce(unannounced.start_id, ''), coalesce(unannounced.file_event_id, ''),
            coalesce(unannounced.ended_id, '')
        ),
        ''
    ) AS evidence,
    unannounced.sid
FROM unannounced_arrivals AS unannounced
LEFT JOIN session_beliefs ON session_beliefs.sid = unannounced.sid
WHERE unannounced.webhooks_from <= unannounced.begun_at + $tolerance
    AND (unannounced.is_notified OR unannounced.app_notified_from <= unannounced.begun_at + $tolerance)
    AND unannounced.app_announces
    AND CASE
        WHEN unannounced.ended_at IS NOT NULL
            THEN unannounced.webhooks_to
                >= greatest(unannounced.ended_at, unannounced.last_file_at) + $announced_after
        ELSE unannounced.files_watched_until >= unannounced.last_file_at + $quiet_after
            AND unannounced.webhooks_to >= unannounced.last_file_at + $quiet_after + $announced_after
    END
ORDER BY first_at, app_id, cname, sid
