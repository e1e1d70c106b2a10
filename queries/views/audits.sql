-- ---
-- name        = "audits"
-- title       = "What was found in the buckets themselves"
-- description = """
-- One row per session, store and file that `tapetrail audit` looked for: found, missing, denied (we may not look) or failed (no
-- answer). A later run adds rows; `session_audits` holds what the last look into each store said.
-- """
--
-- [columns]
-- topic          = { type = "string", doc = "`audit`; `import` for a listing that was imported" }
-- partition      = { type = "int64", doc = "0; null for files" }
-- offset         = { type = "int64", doc = "number of the result; for files the line, from 1" }
-- record_index   = { type = "int64", doc = "0" }
-- source_id      = { type = "string", doc = "`audit@0`; for files: SHA-256 of the decompressed content" }
-- event_id       = { type = "string", doc = "derived from the content" }
-- occurred_at    = { type = "timestamp", doc = "when the store was asked" }
-- time_trusted   = { type = "bool", doc = "always, but for imported listings" }
-- event_date     = { type = "date", doc = "UTC date, the partition column" }
-- payload        = { type = "string", doc = "the result as JSON" }
-- key            = { type = "string", doc = "key of the object" }
-- run            = { type = "string", doc = "the run that looked" }
-- store          = { type = "string", doc = "name of the store in the configuration" }
-- vendor         = { type = "int64", doc = "Agora's vendor number" }
-- vendor_name    = { type = "string", doc = "its slug" }
-- bucket         = { type = "string", doc = "bucket or container" }
-- result         = { type = "string", doc = "found, missing, denied, failed" }
-- promised_by    = { type = "string", doc = "webhook, answer, upload_status, index; null where it was only found" }
-- answer         = { type = "string", doc = "what the store answered, where it did not let us look" }
-- size           = { type = "int64", doc = "bytes" }
-- etag           = { type = "string", doc = "entity tag" }
-- written_at     = { type = "timestamp", doc = "when the store says that the object was written" }
-- prefix         = { type = "string", doc = "path before the file name" }
-- file_name      = { type = "string", doc = "last segment of the key" }
-- sid            = { type = "string", doc = "recording session id" }
-- cname          = { type = "string", doc = "channel name" }
-- recorded_uid   = { type = "string", doc = "uid of the recorded user, where the name has it" }
-- file_type      = { type = "string", doc = "m3u8, ts, mp4, ..." }
-- failover_index = { type = "int64", doc = "n of a `bak<n>_` prefix" }
-- ---
SELECT
    topic,
    "partition",
    "offset",
    record_index,
    source_id,
    event_id,
    occurred_at,
    time_trusted,
    event_date,
    payload,
    "key",
    run,
    store,
    vendor,
    vendor_name,
    bucket,
    result,
    promised_by,
    answer,
    size,
    etag,
    written_at,
    prefix,
    file_name,
    sid,
    cname,
    recorded_uid,
    file_type,
    failover_index
FROM log_audits
WHERE disposition = 'event'
