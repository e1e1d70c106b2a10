-- ---
-- name        = "session_files"
-- title       = "Files of sessions, as their last write left them"
-- description = """
-- One row per vendor, bucket and key that holds a file of a session now. The last write of a key is the one with the highest
-- sequencer, then the latest; a key whose last write removed it is not here. Events that are no finished object never count.
-- A look into the bucket itself (`audits`) that is later than the write says more: what it did not find is gone, what it found is
-- there though nobody told of it.
-- """
--
-- [columns]
-- sid            = { type = "string", doc = "recording session id, from the key" }
-- cname          = { type = "string", doc = "channel name, from the key" }
-- vendor         = { type = "int64", doc = "Agora's vendor number" }
-- vendor_name    = { type = "string", doc = "its slug" }
-- bucket         = { type = "string", doc = "bucket or container" }
-- key            = { type = "string", doc = "key of the object" }
-- prefix         = { type = "string", doc = "path before the file name" }
-- file_name      = { type = "string", doc = "last segment of the key" }
-- file_type      = { type = "string", doc = "m3u8, ts, mp4, ..." }
-- recorded_uid   = { type = "string", doc = "uid of the recorded user, where the name has it" }
-- failover_index = { type = "int64", doc = "n of a `bak<n>_` prefix" }
-- region_code    = { type = "string", doc = "the vendor's region code of the last write" }
-- size           = { type = "int64", doc = "bytes of the last write" }
-- first_at       = { type = "timestamp", doc = "first write" }
-- last_at        = { type = "timestamp", doc = "last write" }
-- event_id       = { type = "string", doc = "event id of the last write" }
-- ---
WITH told AS (
    SELECT
        sid,
        cname,
        vendor,
        vendor_name,
        bucket,
        "key",
        prefix,
        file_name,
        file_type,
        recorded_uid,
        failover_index,
        region_code,
        size,
        first_at,
        last_at,
        event_id
    FROM (
        -- What the key says is the same in all its events; only the last write says the rest.
        SELECT
            sid,
            cname,
            vendor,
            vendor_name,
            bucket,
            "key",
            min(prefix) AS prefix,
            min(file_name) AS file_name,
            min(file_type) AS file_type,
            min(recorded_uid) AS recorded_uid,
            min(failover_index) AS failover_index,
            last_value(kind ORDER BY sequencer NULLS FIRST, occurred_at NULLS FIRST, kind, event_id) AS kind,
            last_value(region_code ORDER BY sequencer NULLS FIRST, occurred_at NULLS FIRST, kind, event_id)
                AS region_code,
            last_value(size ORDER BY sequencer NULLS FIRST, occurred_at NULLS FIRST, kind, event_id) AS size,
            last_value(event_id ORDER BY sequencer NULLS FIRST, occurred_at NULLS FIRST, kind, event_id) AS event_id,
            min(CASE WHEN kind = 'created' THEN occurred_at END) AS first_at,
            max(CASE WHEN kind = 'created' THEN occurred_at END) AS last_at
        FROM storage_events
        WHERE kind IN ('created', 'removed') AND sid IS NOT NULL
        GROUP BY sid, cname, vendor, vendor_name, bucket, "key"
    )
    WHERE kind = 'created'
),

found AS (
    SELECT *
    FROM session_audits
    WHERE result = 'found'
),

looks AS (
    -- A store of which only a part could be looked at says nothing of what is not there.
    SELECT sid, vendor_name, bucket, max(audited_at) AS audited_at
    FROM session_audits
    GROUP BY sid, vendor_name, bucket
    HAVING bool_and(result IN ('found', 'missing'))
)

SELECT told.*
FROM told
LEFT JOIN looks
    ON looks.sid = told.sid
    AND looks.vendor_name = told.vendor_name
    AND looks.bucket = told.bucket
LEFT JOIN found
    ON found.sid = told.sid
    AND found.vendor_name = told.vendor_name
    AND found.bucket = told.bucket
    AND found."key" = told."key"
WHERE looks.audited_at IS NULL OR looks.audited_at < told.last_at OR found."key" IS NOT NULL
UNION ALL
SELECT
    found.sid,
    found.cname,
    found.vendor,
    found.vendor_name,
    found.bucket,
    found."key",
    found.prefix,
    found.file_name,
    found.file_type,
    found.recorded_uid,
    arrow_cast(NULL, 'Int32') AS failover_index,
    NULL AS region_code,
    found.size,
    found.written_at AS first_at,
    found.written_at AS last_at,
    found.event_id
FROM found
LEFT ANTI JOIN told
    ON told.sid = found.sid
    AND told.vendor_name = found.vendor_name
    AND told.bucket = found.bucket
    AND told."key" = found."key"
