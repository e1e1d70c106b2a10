-- ---
-- name        = "storage_events"
-- title       = "Object events of the buckets"
-- description = "One row per object that appeared or went. Events only; `session_files` holds each object once, as its last write left it."
--
-- [columns]
-- topic          = { type = "string", doc = "Kafka topic, or `import` for files" }
-- partition      = { type = "int64", doc = "Kafka partition; null for files" }
-- offset         = { type = "int64", doc = "Kafka offset; for files the line, from 1" }
-- record_index   = { type = "int64", doc = "place of the event in its message, from 0" }
-- source_id      = { type = "string", doc = "for files: SHA-256 of the decompressed content" }
-- event_id       = { type = "string", doc = "the producer's id, else derived from the redacted content; unique per stream and app" }
-- occurred_at    = { type = "timestamp", doc = "event time by its producer's clock, UTC" }
-- time_trusted   = { type = "bool", doc = "2014 <= occurred_at <= received_at + 1 day, judged once at ingest" }
-- received_at    = { type = "timestamp", doc = "the Kafka record's timestamp; null for files" }
-- timestamp_type = { type = "string", doc = "who set received_at: broker or producer" }
-- event_date     = { type = "date", doc = "UTC date of a trusted occurred_at, else of received_at, else 1970-01-01" }
-- payload        = { type = "string", doc = "the redacted original, JSON text" }
-- key            = { type = "string", doc = "key of the object, decoded" }
-- replay_of      = { type = "string", doc = "for rows that replay made: the position they came from, `topic/partition@offset#record_index`" }
-- provider       = { type = "string", doc = "who sent the notification: s3, minio, ceph, oss, cos, obs, azblob, gcs, ..., neutral" }
-- vendor         = { type = "int64", doc = "Agora's vendor number" }
-- vendor_name    = { type = "string", doc = "slug of the vendor" }
-- account        = { type = "string", doc = "account of the bucket's owner" }
-- bucket         = { type = "string", doc = "bucket or container" }
-- region_code    = { type = "string", doc = "the vendor's own region code" }
-- kind           = { type = "string", doc = "created, removed, other (not a finished object)" }
-- event_name     = { type = "string", doc = "the provider's name of the event" }
-- size           = { type = "int64", doc = "bytes" }
-- etag           = { type = "string", doc = "entity tag as given" }
-- version        = { type = "string", doc = "object version" }
-- sequencer      = { type = "string", doc = "order of the writes of one key, left-padded so that text order is write order" }
-- prefix         = { type = "string", doc = "path before the file name, no slashes at the ends; null without one" }
-- file_name      = { type = "string", doc = "last segment of the key" }
-- sid            = { type = "string", doc = "recording session id parsed from the name, lower case" }
-- cname          = { type = "string", doc = "channel name parsed from the name" }
-- recorded_uid   = { type = "string", doc = "uid of the recorded user parsed from the name" }
-- file_type      = { type = "string", doc = "m3u8, ts, mp4, webm, mpd, jpg, mp3, m4a, aac" }
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
    received_at,
    timestamp_type,
    event_date,
    payload,
    "key",
    replay_of,
    provider,
    vendor,
    vendor_name,
    account,
    bucket,
    region_code,
    kind,
    event_name,
    size,
    etag,
    version,
    sequencer,
    prefix,
    file_name,
    sid,
    cname,
    recorded_uid,
    file_type,
    failover_index
FROM log_storage_events
WHERE disposition = 'event'
