-- ---
-- name        = "storage_credentials"
-- title       = "Wrong or expired storage credentials"
-- severity    = "high"
-- category    = "upload"
-- status      = "stable"
-- patterns    = ["P26", "P27"]
-- description = """
-- Finds accepted sessions whose uploader could not write with the credentials given. Variants: rejected (the uploader said that the
-- storage configuration is wrong (1, module 1, error 32) or that the upload failed (error 47), level 4 or 5, and no file ever came; 47
-- alone may have other causes and counts only where the session exited abnormally, a later stop or query found it gone, or the
-- bucket was watched past the deadline), expired (temporary credentials ended before the recording did and no update renewed
-- them, or the service said so (34) and none did afterwards, or error 47 came before the update that did,
-- and no file was announced). Severity of expired is low where files kept coming all the same.
-- """
-- false_positives = ["credentials renewed by a caller whose updates are not logged"]
-- response = """
-- Give the recorder keys that may write to that bucket under that prefix, and try them before the next start. Renew temporary ones by
-- update every hour, from one place that knows all live sessions. What was recorded meanwhile is lost or in the service's backup.
-- """
-- identity = ["app_id", "cname", "sid"]
--
-- [params]
-- level_min     = { type = "int64", default = 4, doc = "least errorLevel that counts; a lower one is a complaint that may pass" }
-- uploaded_after = { type = "duration", default = "20m", doc = "without a file this long after the error, the upload failed for good" }
-- tolerance     = { type = "duration", default = "2s", doc = "how far the clocks of producers may differ" }
--
-- [columns]
-- sid = { type = "string", doc = "recording session id" }
-- ---
WITH errors AS (
    SELECT
        sid,
        min(error_code) AS code,
        min(at) AS at,
        first_value(event_id ORDER BY error_code, at, event_id) AS event_id
    FROM session_notices
    WHERE event_type = 1
        AND module = 1
        AND error_code IN (32, 47)
        AND coalesce(error_level, 5) >= $level_min
    GROUP BY sid
),

grants AS (
    -- Until when the credentials that start and updates gave were good, and whether some were for good.
    SELECT
        sid,
        max(sts_expires_at) AS expires_at,
        max(CASE WHEN sts_expires_at IS NOT NULL THEN event_id END) AS event_id,
        max(CASE WHEN operation = 'update' THEN requested_at END) AS renewed_at,
        bool_or(operation = 'update' AND sts_expires_at IS NULL) AS is_permanent
    FROM api_calls
    WHERE sid IS NOT NULL
        AND outcome = 'ok'
        AND (
            (operation = 'start' AND sts_expires_at IS NOT NULL)
            OR (operation = 'update' AND (sts_expires_at IS NOT NULL OR bucket IS NOT NULL))
        )
    GROUP BY sid
),

lapsed AS (
    -- Uploads that failed once the credentials had ended that were given until then; what renewed them came too late.
    SELECT failed.sid, failed.at, max(given.sts_expires_at) AS expires_at
    FROM (
        SELECT sid, at
        FROM session_notices
        WHERE event_type = 1 AND module = 1 AND error_code = 47 AND coalesce(error_level, 5) >= $level_min
    ) AS failed
    INNER JOIN (
        SELECT sid, requested_at, sts_expires_at
        FROM api_calls
        WHERE operation IN ('start', 'update')
            AND outcome = 'ok'
            AND sid IS NOT NULL
            AND (sts_expires_at IS NOT NULL OR bucket IS NOT NULL)
    ) AS given
        ON given.sid = failed.sid
        AND given.requested_at <= failed.at + $tolerance
    GROUP BY failed.sid, failed.at
    HAVING max(given.sts_expires_at) + $tolerance < failed.at
        AND count(given.sts_expires_at) = count(*)
),

told AS (
    SELECT sid, max(at) AS at, min(event_id) AS event_id
    FROM session_notices
    WHERE event_type = 34
    GROUP BY sid
),

gone AS (
    -- A session that cannot be addressed any more though nobody ended it.
    SELECT sid, min(requested_at) AS at, min(event_id) AS event_id
    FROM api_calls
    WHERE operation IN ('query', 'stop') AND http_status = 404 AND sid IS NOT NULL
    GROUP BY sid
),

arrived AS (
    SELECT sid, max(last_at) AS last_at
    FROM session_arrivals
    GROUP BY sid
),

judged AS (
    SELECT
        accepted_starts.sid,
        accepted_starts.app_id,
        accepted_starts.cname,
        accepted_starts.uid,
        accepted_starts.start_id,
        accepted_starts.requested_at,
        accepted_starts.vendor_name,
        accepted_starts.bucket,
        accepted_starts.storage,
        errors.code AS error_code,
        errors.at AS error_at,
        errors.event_id AS error_id,
        gone.at AS gone_at,
        gone.event_id AS gone_id,
        told.at AS told_at,
        told.event_id AS told_id,
        CASE WHEN lapsed.at IS NOT NULL THEN lapsed.expires_at ELSE grants.expires_at END AS expires_at,
        coalesce(grants.renewed_at > lapsed.at, false) AS is_renewed_late,
        grants.event_id AS grant_id,
        least(session_lifecycles.left_at, session_ends.ended_at) AS ended_at,
        session_ends.ended_event_id,
        arrived.last_at AS last_file_at,
        coalesce(
            errors.at IS NOT NULL
            AND arrived.sid IS NULL
            AND session_lifecycles.uploaded_at IS NULL
            AND (
                errors.code = 32
                OR session_lifecycles.exited_badly
                OR gone.at > errors.at - $tolerance
                OR (
                    monitored_buckets.first_at <= errors.at + $tolerance
                    AND least(monitored_buckets.last_at, stream_watermarks.storage_events_to)
                        >= errors.at + $uploaded_after
                )
            ),
            false
        ) AS is_rejected,
        coalesce(
            (
                grants.expires_at + $tolerance < least(session_lifecycles.left_at, session_ends.ended_at)
                AND NOT coalesce(grants.is_permanent, false)
            )
            OR (told.at IS NOT NULL AND NOT coalesce(grants.renewed_at > told.at - $tolerance, false))
            OR (lapsed.at IS NOT NULL AND session_lifecycles.uploaded_at IS NULL),
            false
        ) AS is_expired
    FROM accepted_starts
    CROSS JOIN stream_watermarks
    LEFT JOIN errors ON errors.sid = accepted_starts.sid
    LEFT JOIN grants ON grants.sid = accepted_starts.sid
    LEFT JOIN told ON told.sid = accepted_starts.sid
    LEFT JOIN (
        SELECT sid, min(at) AS at, min(expires_at) AS expires_at
        FROM lapsed
        GROUP BY sid
    ) AS lapsed ON lapsed.sid = accepted_starts.sid
    LEFT JOIN gone ON gone.sid = accepted_starts.sid
    LEFT JOIN arrived ON arrived.sid = accepted_starts.sid
    LEFT JOIN session_lifecycles ON session_lifecycles.sid = accepted_starts.sid
    LEFT JOIN session_ends ON session_ends.sid = accepted_starts.sid
    LEFT JOIN monitored_buckets
        ON monitored_buckets.vendor_name = accepted_starts.vendor_name
        AND monitored_buckets.bucket = accepted_starts.bucket
    WHERE errors.sid IS NOT NULL OR grants.expires_at IS NOT NULL OR told.sid IS NOT NULL
)

SELECT
    CASE
        WHEN judged.is_expired
            AND judged.told_at IS NULL
            AND judged.error_at IS NULL
            AND judged.last_file_at > judged.expires_at + $tolerance
            THEN 'low'
        ELSE 'high'
    END AS severity,
    CASE WHEN judged.is_expired THEN 'expired' ELSE 'rejected' END AS variant,
    judged.app_id,
    judged.cname,
    judged.uid,
    make_array(judged.sid) AS sids,
    judged.requested_at AS first_at,
    greatest(
        judged.requested_at, judged.error_at, judged.told_at,
        CASE WHEN judged.is_expired AND judged.told_at IS NULL THEN judged.ended_at END,
        CASE WHEN NOT judged.is_expired AND judged.gone_at > judged.error_at - $tolerance THEN judged.gone_at END
    ) AS last_at,
    CASE WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.vendor_name ELSE judged.vendor_name END
        AS expected_vendor,
    CASE WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.bucket ELSE judged.bucket END
        AS expected_bucket,
    judged.vendor_name AS actual_vendor,
    judged.bucket AS actual_bucket,
    'credentials' AS root_cause,
    concat(
        'Channel ', judged.cname, ' (sid ', judged.sid, ') was to be stored in ', judged.storage, '. ',
        CASE
            WHEN judged.is_expired THEN concat(
                CASE
                    WHEN judged.expires_at IS NOT NULL THEN concat(
                        'Its temporary credentials ended at ',
                        to_char(judged.expires_at, '%Y-%m-%d %H:%M:%S'), ' UTC and no update renewed them', CASE WHEN judged.is_renewed_late THEN ' in time' END
                    )
                    ELSE 'No update renewed its temporary credentials'
                END,
                CASE
                    WHEN judged.told_at IS NOT NULL THEN concat(
                        ', as webhook 34 said at ', to_char(judged.told_at, '%Y-%m-%d %H:%M:%S%.3f')
                    )
                    WHEN judged.ended_at IS NOT NULL THEN concat(
                        '; the recording went on until ', to_char(judged.ended_at, '%Y-%m-%d %H:%M:%S%.3f')
                    )
                END,
                CASE
                    WHEN judged.last_file_at > judged.expires_at + $tolerance THEN concat(
                        '. Files came all the same, the last at ',
                        to_char(judged.last_file_at, '%Y-%m-%d %H:%M:%S%.3f'), '.'
                    )
                    WHEN judged.last_file_at IS NOT NULL THEN concat(
                        '. The last file came at ', to_char(judged.last_file_at, '%Y-%m-%d %H:%M:%S%.3f'), '.'
                    )
                    ELSE '. No file of it was seen.'
                END
            )
            ELSE concat(
                'At ', to_char(judged.error_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC the uploader ',
                CASE
                    WHEN judged.error_code = 32 THEN 'called the storage configuration wrong (error 32)'
                    ELSE 'reported a failed upload (error 47)'
                END,
                ', and no file of the session ever came.',
                CASE
                    WHEN judged.gone_at > judged.error_at - $tolerance THEN concat(
                        ' A call at ', to_char(judged.gone_at, '%H:%M:%S%.3f'), ' found the session gone (HTTP 404).'
                    )
                END
            )
        END
    ) AS explanation,
    array_distinct(
        array_remove_all(
            make_array(
                judged.start_id, coalesce(judged.error_id, ''), coalesce(judged.told_id, ''),
                CASE WHEN judged.is_expired THEN coalesce(judged.grant_id, '') ELSE '' END,
                CASE WHEN judged.is_expired AND judged.told_at IS NULL THEN coalesce(judged.ended_event_id, '') ELSE '' END,
                CASE
                    WHEN NOT judged.is_expired AND judged.gone_at > judged.error_at - $tolerance THEN judged.gone_id
                    ELSE ''
                END
            ),
            ''
        )
    ) AS evidence,
    judged.sid
FROM judged
LEFT JOIN session_beliefs ON session_beliefs.sid = judged.sid
WHERE judged.is_rejected OR judged.is_expired
ORDER BY first_at, app_id, cname, sid
