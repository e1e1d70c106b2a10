-- ---
-- name        = "backup_never_returned"
-- title       = "Files went to the service's backup cloud and have not come home"
-- severity    = "high"
-- category    = "upload"
-- status      = "stable"
-- patterns    = ["P25"]
-- description = """
-- Finds sessions whose files went to the service's backup (see `backup_detour`) and of which no new file has come to any monitored
-- bucket since, nor a webhook 31. Judged only where the bucket of the accepted start was watched before, and where the stream of storage
-- events and that bucket have both passed the deadline; the rest is in `not_judged`. A file that comes later still clears the finding.
-- """
-- false_positives = ["the bucket reports only some prefixes or suffixes", "files fetched from the backup by hand and stored elsewhere"]
-- response = """
-- Ask the service for the session at once: how long its backup keeps files is promised nowhere. Repair what made the upload
-- fail (credentials, bucket policy, region), so that it can forward them.
-- """
-- identity = ["app_id", "cname", "sid"]
--
-- [params]
-- returns_within = { type = "duration", default = "24h", doc = "files come home this long after they went to the backup" }
-- tolerance      = { type = "duration", default = "2s", doc = "how far the clocks of producers may differ" }
--
-- [columns]
-- sid = { type = "string", doc = "recording session id" }
-- ---
SELECT
    NULL AS variant,
    waiting.app_id,
    waiting.cname,
    waiting.uid,
    make_array(waiting.sid) AS sids,
    least(waiting.requested_at, waiting.first_said_at) AS first_at,
    waiting.last_said_at AS last_at,
    CASE WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.vendor_name ELSE waiting.vendor_name END
        AS expected_vendor,
    CASE WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.bucket ELSE waiting.bucket END
        AS expected_bucket,
    waiting.vendor_name AS actual_vendor,
    waiting.bucket AS actual_bucket,
    'service' AS root_cause,
    concat(
        'At ', to_char(waiting.first_said_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC ',
        CASE waiting.said_by
            WHEN 'webhook 32' THEN 'webhook 32 (backuped)'
            WHEN 'warning' THEN 'the uploader''s warning (code 32)'
            ELSE concat('the answer to a ', waiting.said_by)
        END,
        ' said that files of channel ', waiting.cname, ' (sid ', waiting.sid,
        ') wait in the service''s backup cloud; until ',
        to_char(waiting.watched_until, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC no new file of the session came to ',
        waiting.storage,
        CASE
            WHEN waiting.last_new_at IS NULL THEN ', nor had any before.'
            ELSE concat('; the last before was at ', to_char(waiting.last_new_at, '%Y-%m-%d %H:%M:%S%.3f'), '.')
        END
    ) AS explanation,
    array_distinct(
        array_remove_all(
            make_array(coalesce(waiting.start_id, ''), waiting.said_id, coalesce(waiting.last_said_id, '')), ''
        )
    ) AS evidence,
    waiting.sid
FROM waiting_backups AS waiting
LEFT JOIN session_beliefs ON session_beliefs.sid = waiting.sid
WHERE NOT coalesce(waiting.last_new_at > waiting.last_said_at + $tolerance, false)
    AND waiting.watched_since <= waiting.last_said_at + $tolerance
    AND waiting.watched_until >= waiting.last_said_at + $returns_within
ORDER BY first_at, app_id, cname, sid
