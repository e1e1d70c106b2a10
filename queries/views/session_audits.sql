-- ---
-- name        = "session_audits"
-- title       = "What the last look into each store found of sessions"
-- kept        = true
-- description = """
-- One row per session, store and file of the last look that was answered; all results of a look are of one instant. A store that
-- did not let us look since then, or that gave no answer, has rows without a key that say so.
-- """
--
-- [columns]
-- sid         = { type = "string", doc = "recording session id" }
-- cname       = { type = "string", doc = "channel name" }
-- store       = { type = "string", doc = "name of the store in the configuration" }
-- vendor      = { type = "int64", doc = "Agora's vendor number" }
-- vendor_name = { type = "string", doc = "its slug" }
-- bucket      = { type = "string", doc = "bucket or container" }
-- result      = { type = "string", doc = "found, missing, denied, failed" }
-- promised_by = { type = "string", doc = "webhook, answer, upload_status, index; null where it was only found" }
-- answer      = { type = "string", doc = "what the store answered, where it did not let us look" }
-- key         = { type = "string", doc = "key of the object; null where the row is about all files of the session" }
-- prefix      = { type = "string", doc = "path before the file name" }
-- file_name   = { type = "string", doc = "last segment of the key" }
-- file_type   = { type = "string", doc = "m3u8, ts, mp4, ..." }
-- recorded_uid = { type = "string", doc = "uid of the recorded user, where the name has it" }
-- failover_index = { type = "int64", doc = "n of a `bak<n>_` prefix" }
-- size        = { type = "int64", doc = "bytes" }
-- written_at  = { type = "timestamp", doc = "when the store says that the object was written" }
-- audited_at  = { type = "timestamp", doc = "when the store was asked" }
-- event_id    = { type = "string", doc = "event id of the result" }
-- ---
SELECT
    audits.sid,
    audits.cname,
    audits.store,
    audits.vendor,
    audits.vendor_name,
    audits.bucket,
    audits.result,
    audits.promised_by,
    audits.answer,
    audits."key",
    audits.prefix,
    audits.file_name,
    audits.file_type,
    audits.recorded_uid,
    audits.failover_index,
    audits.size,
    audits.written_at,
    audits.occurred_at AS audited_at,
    audits.event_id
FROM audits
INNER JOIN (
    SELECT
        sid,
        coalesce(store, '') AS store,
        vendor_name,
        bucket,
        max(CASE WHEN result IN ('found', 'missing') THEN occurred_at END) AS at
    FROM audits
    WHERE time_trusted AND sid IS NOT NULL
    GROUP BY sid, coalesce(store, ''), vendor_name, bucket
) AS answered
    ON answered.sid = audits.sid
    AND answered.store = coalesce(audits.store, '')
    AND answered.vendor_name = audits.vendor_name
    AND answered.bucket = audits.bucket
WHERE audits.time_trusted
    AND (
        audits.occurred_at = answered.at
        OR (audits.result IN ('denied', 'failed') AND (answered.at IS NULL OR audits.occurred_at > answered.at))
    )
