-- ---
-- name        = "session_records"
-- title       = "Changes of the customer's own session rows"
-- description = "One row per change of a row in the customer's database. Events only; `believed` holds what each row says last."
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
-- replay_of      = { type = "string", doc = "for rows that replay made: the position they came from, `topic/partition@offset#record_index`" }
-- source_table   = { type = "string", doc = "table the row is from, `db.schema.table` as far as known" }
-- row_key        = { type = "string", doc = "the row's primary key as text" }
-- change         = { type = "string", doc = "insert, update, delete, snapshot" }
-- app_id         = { type = "string", doc = "App ID" }
-- sid            = { type = "string", doc = "recording session id, lower case" }
-- cname          = { type = "string", doc = "channel name" }
-- uid            = { type = "string", doc = "the recorder's uid as text" }
-- resource_id    = { type = "string", doc = "the ticket" }
-- vendor         = { type = "int64", doc = "Agora's vendor number" }
-- vendor_name    = { type = "string", doc = "slug of the vendor" }
-- bucket         = { type = "string", doc = "bucket" }
-- region         = { type = "string", doc = "region as the customer wrote it" }
-- prefix         = { type = "string", doc = "path before the file name" }
-- url            = { type = "string", doc = "where the customer expects the file, without user info and query" }
-- status         = { type = "string", doc = "the customer's own status" }
-- recorded_at    = { type = "timestamp", doc = "since when the database believed this" }
-- emptied        = { type = "string", doc = "fields that an update says are null, separated by commas; null where it says so of none" }
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
    replay_of,
    source_table,
    row_key,
    change,
    app_id,
    sid,
    cname,
    uid,
    resource_id,
    vendor,
    vendor_name,
    bucket,
    region,
    prefix,
    url,
    status,
    recorded_at,
    detail AS emptied
FROM log_session_records
WHERE disposition = 'event'
