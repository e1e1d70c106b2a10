-- ---
-- name        = "unseen_uploads"
-- title       = "Sessions announced as uploaded of which no file was ever seen"
-- kept        = true
-- description = """
-- One row per session whose upload was announced as complete and of which no bucket ever reported a file, whether it is there
-- still or not, and no look into a bucket found one. Beside it, from when to when the destination was watched: absence means
-- something only where `watched_since` lies before the announcement and `watched_until` after the deadline.
-- """
--
-- [columns]
-- sid           = { type = "string", doc = "recording session id" }
-- app_id        = { type = "string", doc = "App ID" }
-- cname         = { type = "string", doc = "channel name" }
-- uid           = { type = "string", doc = "the recorder's uid" }
-- announced_at  = { type = "timestamp", doc = "when the upload was first announced as complete" }
-- announced_by  = { type = "string", doc = "webhook 31, stop, query or upload_status" }
-- announced_id  = { type = "string", doc = "event id of that" }
-- start_id      = { type = "string", doc = "the accepted start; null when it is not in the log" }
-- event_ids     = { type = "strings", doc = "event ids of its calls" }
-- requested_at  = { type = "timestamp", doc = "when it was sent" }
-- vendor_name   = { type = "string", doc = "slug of the vendor it asked for" }
-- bucket        = { type = "string", doc = "bucket it asked for" }
-- storage       = { type = "string", doc = "its storage for people" }
-- watched_since = { type = "timestamp", doc = "first event of that bucket; null when it never sent one and nobody looked into it" }
-- watched_until = { type = "timestamp", doc = "the lesser of the bucket's and the stream's watermark, or the last look into the bucket" }
-- audited_at    = { type = "timestamp", doc = "last look into the bucket, which found nothing" }
-- audit_id      = { type = "string", doc = "its event id" }
-- audit_answer  = { type = "string", doc = "what the bucket answered to a look that it refused" }
-- looked_into   = { type = "string", doc = "all buckets in which a look found nothing, as vendor:bucket" }
-- refused_by    = { type = "string", doc = "those that refused to be looked into" }
-- ---
SELECT
    session_uploads.sid,
    coalesce(accepted_starts.app_id, session_uploads.app_id) AS app_id,
    coalesce(accepted_starts.cname, session_uploads.cname) AS cname,
    coalesce(accepted_starts.uid, session_uploads.uid) AS uid,
    session_uploads.announced_at,
    session_uploads.announced_by,
    session_uploads.announced_id,
    accepted_starts.start_id,
    accepted_starts.event_ids,
    accepted_starts.requested_at,
    accepted_starts.vendor_name,
    accepted_starts.bucket,
    accepted_starts.storage,
    -- Whoever looked into the bucket need not have watched it before, but whoever watched it since knows more.
    CASE
        WHEN audited.empty_at IS NOT NULL THEN least(monitored_buckets.first_at, session_uploads.announced_at)
        ELSE monitored_buckets.first_at
    END AS watched_since,
    CASE
        WHEN monitored_buckets.first_at <= coalesce(audited.empty_at, monitored_buckets.first_at)
            AND monitored_buckets.last_at IS NOT NULL
            AND stream.watermark IS NOT NULL
            THEN greatest(audited.empty_at, least(monitored_buckets.last_at, stream.watermark))
        ELSE audited.empty_at
    END AS watched_until,
    audited.empty_at AS audited_at,
    audited.empty_id AS audit_id,
    audited.answer AS audit_answer,
    all_looks.looked_into,
    all_looks.refused_by
FROM session_uploads
LEFT ANTI JOIN session_arrivals ON session_arrivals.sid = session_uploads.sid
-- A file of any other kind, too, shows that something came.
LEFT ANTI JOIN (
    SELECT sid
    FROM session_writes
    UNION ALL
    SELECT sid
    FROM audits
    WHERE result = 'found' AND sid IS NOT NULL
) AS seen ON seen.sid = session_uploads.sid
LEFT JOIN accepted_starts ON accepted_starts.sid = session_uploads.sid
LEFT JOIN monitored_buckets
    ON monitored_buckets.vendor_name = accepted_starts.vendor_name
    AND monitored_buckets.bucket = accepted_starts.bucket
LEFT JOIN bucket_looks AS audited
    ON audited.sid = session_uploads.sid
    AND audited.vendor_name = accepted_starts.vendor_name
    AND audited.bucket = accepted_starts.bucket
LEFT JOIN (
    SELECT
        sid,
        string_agg(
            CASE WHEN empty_at IS NOT NULL THEN concat(vendor_name, ':', bucket) END, ', ' ORDER BY vendor_name, bucket
        ) AS looked_into,
        string_agg(
            CASE WHEN empty_at IS NULL THEN concat(vendor_name, ':', bucket) END, ', ' ORDER BY vendor_name, bucket
        ) AS refused_by
    FROM bucket_looks
    GROUP BY sid
) AS all_looks ON all_looks.sid = session_uploads.sid
LEFT JOIN (
    SELECT stream, watermark
    FROM watermarks
    WHERE scope = 'stream'
) AS stream ON stream.stream = 'storage_events'
WHERE session_uploads.announced_at IS NOT NULL
