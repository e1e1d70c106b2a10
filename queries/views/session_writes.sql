-- ---
-- name        = "session_writes"
-- title       = "What notifications say about the files of sessions, by place, recorded user and type of file"
-- kept        = true
-- sliced_by   = "sid"
-- description = """
-- One row per session, vendor, bucket, path, recorded user, type of file and channel that names of written files tell: the one look at all events
-- that `session_paths`, `session_arrivals` and others build on. Whether a file is there still is for `session_files` to say.
-- """
--
-- [columns]
-- sid              = { type = "string", doc = "recording session id" }
-- vendor_name      = { type = "string", doc = "slug of the vendor" }
-- bucket           = { type = "string", doc = "bucket or container" }
-- prefix           = { type = "string", doc = "path before the file names; null without one" }
-- recorded_uid     = { type = "string", doc = "uid of the recorded user; null where the name has none" }
-- file_type        = { type = "string", doc = "m3u8, ts, mp4, ...; null for files that the service does not name" }
-- cname            = { type = "string", doc = "channel name, from the keys; null where they leave it open" }
-- backup_of        = { type = "string", doc = "of an index file whose name ends as those from the backup do: the channel that is before it, or an empty text where nothing else can be" }
-- region_code      = { type = "string", doc = "the vendor's region code, where the events tell one: the least" }
-- last_region_code = { type = "string", doc = "the greatest; equal to the least unless they disagree" }
-- audio_files      = { type = "int64", doc = "those of them that are named as of a user's audio track" }
-- video_files      = { type = "int64", doc = "likewise of the video track" }
-- regionless       = { type = "int64", doc = "files whose events do not tell one" }
-- files            = { type = "int64", doc = "files; one whose events disagree about the region counts more than once" }
-- writes           = { type = "int64", doc = "writes, redeliveries included" }
-- failover         = { type = "int64", doc = "highest n of a `bak<n>_` name; null without one" }
-- first_at         = { type = "timestamp", doc = "first write; when it arrived, where the producer's clock is broken" }
-- last_at          = { type = "timestamp", doc = "last write, likewise" }
-- last_new_at      = { type = "timestamp", doc = "first write of the file that came last: what is written anew later is a copy" }
-- first_written_at = { type = "timestamp", doc = "first write by the producer's clock" }
-- last_written_at  = { type = "timestamp", doc = "last write by the producer's clock" }
-- event_id         = { type = "string", doc = "event id of one of the writes: the least" }
-- first_key        = { type = "string", doc = "key of the file that came first by the producer's clock" }
-- first_event_id   = { type = "string", doc = "event id of one of its writes" }
-- ---
SELECT
    sid,
    vendor_name,
    bucket,
    prefix,
    recorded_uid,
    file_type,
    cname,
    backup_of,
    min(region_code) AS region_code,
    max(region_code) AS last_region_code,
    count(CASE WHEN rest LIKE 'audio%' THEN 1 END) AS audio_files,
    count(CASE WHEN rest LIKE 'video%' THEN 1 END) AS video_files,
    count(CASE WHEN region_code IS NULL THEN 1 END) AS regionless,
    count(*) AS files,
    sum(writes) AS writes,
    max(failover_index) AS failover,
    min(first_at) AS first_at,
    max(last_at) AS last_at,
    max(first_at) AS last_new_at,
    min(first_written_at) AS first_written_at,
    max(last_written_at) AS last_written_at,
    min(event_id) AS event_id,
    first_value("key" ORDER BY first_written_at, "key") AS first_key,
    first_value(event_id ORDER BY first_written_at, "key") AS first_event_id
FROM (
    SELECT
        *,
        -- Of what is recorded of a single user the name goes on with its track, in individual mode.
        CASE WHEN recorded_uid IS NOT NULL THEN split_part("key", '__uid_e_', -1) END AS rest,
        CASE
            -- The decoder leaves the channel open exactly where two numbers end the name.
            WHEN file_type = 'm3u8' AND recorded_uid IS NULL AND cname IS NULL THEN regexp_replace(
                "key", '^(.*/)?(bak[0-9]+_)?[0-9A-Fa-f]{32}_(.*)_[0-9]+_[0-9]+[.]m3u8$', '\3'
            )
            WHEN file_type = 'm3u8'
                AND recorded_uid IS NOT NULL
                AND regexp_like("key", '__uid_e_[A-Za-z0-9]+_[0-9]+_[0-9]+[.]m3u8$')
                THEN ''
        END AS backup_of
    FROM (
        -- File by file. What its name says, and the region of its bucket, is the same in all its events, and cheaper to
        -- group by than to keep for millions of files.
        SELECT
            sid,
            vendor_name,
            bucket,
            prefix,
            recorded_uid,
            file_type,
            failover_index,
            cname,
            region_code,
            "key",
            count(*) AS writes,
            min(at) AS first_at,
            max(at) AS last_at,
            min(occurred_at) AS first_written_at,
            max(occurred_at) AS last_written_at,
            min(event_id) AS event_id
        FROM (
            SELECT
                sid, vendor_name, bucket, prefix, recorded_uid, file_type, failover_index, cname, region_code, "key",
                occurred_at, event_id,
                CASE WHEN time_trusted THEN occurred_at ELSE coalesce(received_at, occurred_at) END AS at
            FROM storage_events
            WHERE kind = 'created' AND sid IS NOT NULL
        )
        GROUP BY
            sid, vendor_name, bucket, prefix, recorded_uid, file_type, failover_index, cname, region_code, "key"
    )
)
GROUP BY sid, vendor_name, bucket, prefix, recorded_uid, file_type, cname, backup_of
