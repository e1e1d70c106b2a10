-- ---
-- name        = "orphan_files"
-- title       = "Files of a session that no accepted start explains"
-- severity    = "medium"
-- category    = "routing"
-- status      = "stable"
-- patterns    = ["P30"]
-- description = """
-- Finds sessions of which files arrived in a bucket that this log's starts record to, while no API call and no notification knows their
-- id: another environment or service records there, or a start was lost. Judged only where both witnesses, API calls and webhooks, were
-- logged before the session can have begun, and have passed its first file; a session began before its first file, at most minutes
-- where the bucket was watched already. A session that calls or notifications know without its start, that was in a bucket no
-- start of the log names, or that began before its witnesses is in `not_judged`: its start may merely not be logged. What a start
-- without a known outcome may have left behind is a finding of `ghost_start`, not of this. Variants: unknown_session.
-- """
-- false_positives = ["another team's recordings in a shared bucket", "a copy or restore job that brings old recordings back"]
-- response = """
-- Find who records there: compare path and channel with other environments and services. Nobody knows these files, so nobody deletes
-- or protects them; give every environment a bucket or at least a path of its own.
-- """
-- identity = ["cname", "sid"]
--
-- [params]
-- begins_within  = { type = "duration", default = "10m", doc = "in a bucket watched already, the first file comes this long after the start" }
-- session_length = { type = "duration", default = "24h", doc = "where the bucket was not watched before, sessions are no longer than this" }
-- tolerance      = { type = "duration", default = "2s", doc = "how far the clocks of producers may differ" }
--
-- [columns]
-- sid = { type = "string", doc = "recording session id" }
-- ---
SELECT
    'unknown_session' AS variant,
    orphans.app_id,
    orphans.cname,
    NULL AS uid,
    make_array(orphans.sid) AS sids,
    orphans.first_at,
    orphans.last_at,
    session_beliefs.vendor_name AS expected_vendor,
    session_beliefs.bucket AS expected_bucket,
    orphans.vendor_name AS actual_vendor,
    orphans.bucket AS actual_bucket,
    'unknown' AS root_cause,
    concat(
        'From ', to_char(orphans.first_at, '%Y-%m-%d %H:%M:%S%.3f'), ' to ',
        to_char(orphans.last_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC files of sid ', orphans.sid, ', channel ', orphans.cname,
        ', came to ', orphans.vendor_name, ':', orphans.bucket,
        CASE WHEN orphans.prefix IS NOT NULL THEN concat(' under ', orphans.prefix) END,
        ', but no API call and no webhook knows that session, though both are logged since ',
        to_char(greatest(orphans.calls_from, orphans.webhooks_from), '%Y-%m-%d %H:%M:%S%.3f'), '.'
    ) AS explanation,
    make_array(orphans.event_id) AS evidence,
    orphans.sid
FROM unexplained_arrivals AS orphans
LEFT JOIN session_beliefs ON session_beliefs.sid = orphans.sid
WHERE NOT orphans.is_called
    AND NOT orphans.is_notified
    AND NOT orphans.is_ghost
    AND orphans.is_recorded_in
    AND greatest(orphans.calls_from, orphans.webhooks_from) <= CASE
        WHEN orphans.watched_since <= orphans.first_at - $begins_within THEN orphans.first_at - $begins_within
        ELSE orphans.first_at - $session_length
    END
    AND least(orphans.calls_to, orphans.webhooks_to) >= orphans.first_at + $tolerance
ORDER BY first_at, cname, sid
