-- ---
-- name        = "missing_upload"
-- title       = "Announced as uploaded, but no file was ever seen"
-- severity    = "high"
-- category    = "upload"
-- status      = "stable"
-- patterns    = ["P22"]
-- description = """
-- Finds sessions whose upload was announced as complete (webhook 31, uploadingStatus of a stop or query, or imported upload status)
-- and of which no bucket ever reported a file and no look into one found any. Judged only where an audit looked into the bucket of the
-- accepted start after the deadline, or where that bucket was watched before the announcement and it and the stream of storage events
-- have both passed the deadline; the rest is in `not_judged`. A file that was seen and removed later is not missing, a file that comes
-- late clears the finding. Variants: late (past the first deadline, severity low),
-- missing (past the last one, severity high).
-- """
-- false_positives = ["the bucket reports only some prefixes or suffixes", "a customer who deletes files before the notification is sent"]
-- response = """
-- Look into the bucket itself (`tapetrail audit --sid`). If the files are there, repair its notifications; if not, check credentials, bucket policy and
-- region of the accepted start, and ask the service for the session.
-- """
-- identity = ["app_id", "cname", "sid"]
--
-- [params]
-- late_after    = { type = "duration", default = "20m", doc = "uploads normally complete this long after the end" }
-- missing_after = { type = "duration", default = "24h", doc = "later than this nothing is expected any more" }
-- tolerance     = { type = "duration", default = "2s", doc = "how far the clocks of producers may differ" }
--
-- [columns]
-- sid = { type = "string", doc = "recording session id" }
-- ---
WITH faults AS (
    SELECT
        unseen_uploads.watched_until >= unseen_uploads.announced_at + $missing_after AS is_missing,
        unseen_uploads.app_id,
        unseen_uploads.cname,
        unseen_uploads.uid,
        unseen_uploads.sid,
        unseen_uploads.vendor_name,
        unseen_uploads.bucket,
        unseen_uploads.storage,
        unseen_uploads.announced_at,
        unseen_uploads.announced_by,
        unseen_uploads.watched_until,
        unseen_uploads.looked_into,
        unseen_uploads.refused_by,
        session_beliefs.vendor_name AS record_vendor_name,
        session_beliefs.bucket AS record_bucket,
        errors.code AS error_code,
        make_array(
            named_struct('at', unseen_uploads.requested_at, 'event_ids', unseen_uploads.event_ids),
            named_struct(
                'at', unseen_uploads.announced_at, 'event_ids', make_array(unseen_uploads.announced_id)
            ),
            named_struct('at', errors.at, 'event_ids', make_array(errors.event_id)),
            named_struct('at', unseen_uploads.audited_at, 'event_ids', make_array(unseen_uploads.audit_id)),
            named_struct(
                'at', coalesce(session_beliefs.vendor_at, session_beliefs.last_at),
                'event_ids', make_array(session_beliefs.event_id)
            )
        ) AS items
    FROM unseen_uploads
    LEFT JOIN session_beliefs ON session_beliefs.sid = unseen_uploads.sid
    -- The uploader's own complaint: 32 storage configuration wrong, 47 upload failed.
    LEFT JOIN (
        SELECT
            sid,
            min(sent_at) AS at,
            first_value(error_code ORDER BY sent_at, event_id) AS code,
            first_value(event_id ORDER BY sent_at, event_id) AS event_id
        FROM webhooks
        WHERE event_type = 1 AND module = 1 AND error_code IN (32, 47)
        GROUP BY sid
    ) AS errors ON errors.sid = unseen_uploads.sid
    WHERE unseen_uploads.watched_since <= unseen_uploads.announced_at + $tolerance
        AND unseen_uploads.watched_until >= unseen_uploads.announced_at + $late_after
)

SELECT
    CASE WHEN is_missing THEN 'high' ELSE 'low' END AS severity,
    CASE WHEN is_missing THEN 'missing' ELSE 'late' END AS variant,
    app_id,
    cname,
    uid,
    make_array(sid) AS sids,
    min(item['at']) AS first_at,
    max(item['at']) AS last_at,
    CASE WHEN record_vendor_name IS NOT NULL THEN record_vendor_name ELSE vendor_name END AS expected_vendor,
    CASE WHEN record_vendor_name IS NOT NULL THEN record_bucket ELSE bucket END AS expected_bucket,
    vendor_name AS actual_vendor,
    bucket AS actual_bucket,
    CASE WHEN error_code IS NOT NULL THEN 'credentials' ELSE 'unknown' END AS root_cause,
    concat(
        'At ', to_char(announced_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC ',
        CASE
            WHEN announced_by LIKE 'webhook%' THEN concat(announced_by, ' (uploaded)')
            WHEN announced_by = 'upload_status' THEN 'the service''s own upload status'
            ELSE concat('the answer to a ', announced_by)
        END,
        ' announced the files of channel ', cname, ' (sid ', sid, ') as complete in ', storage,
        ', but until ', to_char(watched_until, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC',
        CASE
            WHEN is_missing THEN ' no file of the session was seen in any monitored bucket.'
            ELSE ' none was seen in any monitored bucket; it may still come.'
        END,
        CASE WHEN looked_into IS NOT NULL THEN concat(' Looks into ', looked_into, ' found none.') END,
        CASE WHEN refused_by IS NOT NULL THEN concat(' ', refused_by, ' refused to be looked into.') END,
        CASE
            WHEN error_code = 32 THEN ' The uploader had complained of a wrong storage configuration (error 32).'
            WHEN error_code = 47 THEN ' The uploader had reported a failed upload (error 47).'
        END
    ) AS explanation,
    flatten(array_agg(item['event_ids'] ORDER BY item['at'])) AS evidence,
    sid
FROM (
    SELECT *, unnest(items) AS item
    FROM faults
)
WHERE item['at'] IS NOT NULL
GROUP BY
    is_missing, app_id, cname, uid, sid, vendor_name, bucket, storage, announced_at, announced_by, watched_until,
    looked_into, refused_by, record_vendor_name, record_bucket, error_code
ORDER BY first_at, app_id, cname, sid
