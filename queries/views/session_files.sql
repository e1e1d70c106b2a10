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
SELECT
    told.sid,
    told.cname,
    told.vendor,
    told.vendor_name,
    told.bucket,
    told."key",
    told.prefix,
    told.file_name,
    told.file_type,
    told.recorded_uid,
    told.failover_index,
    nullif(split_part(told.last_write, chr(31), 5), '') AS region_code,
    CAST(nullif(split_part(told.last_size, chr(31), 6), '') AS BIGINT) AS size,
    told.first_at,
    told.last_at,
    split_part(told.last_write, chr(31), 4) AS event_id
FROM (
    -- What the key says is the same in all its events; only the last write says the rest. It is found as the greatest of
    -- texts that compare as the writes are ordered: sequencer, time in as many digits for all, kind, event id. There may be
    -- millions of keys, and a `last_value` for each column that it tells keeps ten times as much in memory.
    SELECT
        sid,
        vendor_name,
        bucket,
        "key",
        min(cname) AS cname,
        min(vendor) AS vendor,
        min(prefix) AS prefix,
        min(file_name) AS file_name,
        min(file_type) AS file_type,
        min(recorded_uid) AS recorded_uid,
        min(failover_index) AS failover_index,
        max(write) AS last_write,
        max(concat(write, chr(31), coalesce(CAST(size AS STRING), ''))) AS last_size,
        min(CASE WHEN kind <> 'removed' THEN written_at END) AS first_at,
        -- A copy or a move writes a file anew, so a look tells of the last write only where no notification does.
        coalesce(
            max(CASE WHEN kind = 'created' THEN written_at END), max(CASE WHEN kind = 'found' THEN written_at END)
        ) AS last_at,
        max(CASE WHEN kind <> 'found' THEN at END) AS told_at,
        max(CASE WHEN kind = 'found' THEN at END) AS found_at
    FROM (
        SELECT
            sid, cname, vendor, vendor_name, bucket, "key", prefix, file_name, file_type, recorded_uid, failover_index,
            kind, size, occurred_at AS at, occurred_at AS written_at,
            concat(
                coalesce(sequencer, ''), chr(31),
                coalesce(CAST(arrow_cast(occurred_at, 'Int64') + 100000000000000000 AS STRING), ''), chr(31),
                kind, chr(31), event_id, chr(31), coalesce(region_code, '')
            ) AS write
        FROM storage_events
        WHERE kind IN ('created', 'removed') AND sid IS NOT NULL
        UNION ALL
        -- What a look found says nothing of the write, unless nobody else does: it compares as the first of all.
        SELECT
            sid, cname, vendor, vendor_name, bucket, "key", prefix, file_name, file_type, recorded_uid, failover_index,
            'found' AS kind, size, audited_at AS at, written_at,
            concat(chr(31), chr(31), 'found', chr(31), event_id, chr(31)) AS write
        FROM session_audits
        WHERE result = 'found'
    )
    GROUP BY sid, vendor_name, bucket, "key"
) AS told
LEFT JOIN (
    SELECT sid, vendor_name, bucket, max(audited_at) AS at
    FROM session_audits
    WHERE result IN ('found', 'missing')
    GROUP BY sid, vendor_name, bucket
) AS looks
    ON looks.sid = told.sid
    AND looks.vendor_name = told.vendor_name
    AND looks.bucket = told.bucket
WHERE CASE
    WHEN looks.at >= coalesce(told.told_at, looks.at) THEN told.found_at IS NOT NULL
    ELSE split_part(told.last_write, chr(31), 3) = 'created'
END
