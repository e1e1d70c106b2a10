-- ---
-- name        = "webhooks"
-- title       = "Notifications of the recording service"
-- description = "One row per notification as delivered. Events only; a redelivery is a row of its own with the same `event_id`."
--
-- [columns]
-- topic            = { type = "string", doc = "Kafka topic, or `import` for files" }
-- partition        = { type = "int64", doc = "Kafka partition; null for files" }
-- offset           = { type = "int64", doc = "Kafka offset; for files the line, from 1" }
-- record_index     = { type = "int64", doc = "place of the event in its message, from 0" }
-- source_id        = { type = "string", doc = "for files: SHA-256 of the decompressed content" }
-- event_id         = { type = "string", doc = "the producer's id, else derived from the redacted content; unique per stream and app" }
-- occurred_at      = { type = "timestamp", doc = "event time by its producer's clock, UTC" }
-- time_trusted     = { type = "bool", doc = "2014 <= occurred_at <= received_at + 1 day, judged once at ingest" }
-- received_at      = { type = "timestamp", doc = "the Kafka record's timestamp; null for files" }
-- timestamp_type   = { type = "string", doc = "who set received_at: broker or producer" }
-- event_date       = { type = "date", doc = "UTC date of a trusted occurred_at, else of received_at, else 1970-01-01" }
-- payload          = { type = "string", doc = "the redacted original, JSON text" }
-- replay_of        = { type = "string", doc = "for rows that replay made: the position they came from, `topic/partition@offset#record_index`" }
-- app_id           = { type = "string", doc = "App ID, when the deliverer says it" }
-- notice_id        = { type = "string", doc = "noticeId; identifies the notification" }
-- product_id       = { type = "int64", doc = "productId: 3 is Cloud Recording" }
-- event_type       = { type = "int64", doc = "eventType; unknown types are kept" }
-- event_name       = { type = "string", doc = "its name, by the table of event types, else details.msgName" }
-- sid              = { type = "string", doc = "recording session id, lower case" }
-- cname            = { type = "string", doc = "channel name" }
-- uid              = { type = "string", doc = "the recorder's uid as text; changes after a fail-over" }
-- sequence         = { type = "int64", doc = "number of the event in its session, from 0" }
-- sent_at          = { type = "timestamp", doc = "payload.sendts: when it happened" }
-- notified_at      = { type = "timestamp", doc = "notifyMs: when this delivery was tried" }
-- service_type     = { type = "int64", doc = "0 service, 1 recorder, 2 uploader, 4 extensions, 6 web page recorder, 7 postponed transcoding, 8 downloader" }
-- service_scene    = { type = "string", doc = "payload.serviceScene" }
-- signature        = { type = "string", doc = "valid, invalid, unchecked" }
-- signature_key_id = { type = "string", doc = "id of the secret that the signature fits" }
-- is_test          = { type = "bool", doc = "sent by the console's test button" }
-- leave_code       = { type = "int64", doc = "41: bit mask, 2 SIGINT, 4 no users, 8 ignore, 16 client leave" }
-- exit_status      = { type = "int64", doc = "11: 0 normal, 1 abnormal" }
-- module           = { type = "int64", doc = "1, 2: 0 recorder, 1 uploader, 2 service, 6 web page" }
-- error_code       = { type = "int64", doc = "1: error code, read together with module" }
-- error_level      = { type = "int64", doc = "1: 1 debug .. 5 fatal" }
-- error_message    = { type = "string", doc = "1: text of the error, scrubbed" }
-- warn_code        = { type = "int64", doc = "2: warning code" }
-- status           = { type = "int64", doc = "status of 3, 30, 31, 32, 40" }
-- progress         = { type = "int64", doc = "33: 0..10000" }
-- new_uid          = { type = "string", doc = "12: the recorder's uid after the fail-over" }
-- stop_code        = { type = "int64", doc = "71: why the web page recorder stopped" }
-- result           = { type = "string", doc = "81, 1001: result of the transcoding; 100: status of the publishing; 72, 73: what was hit" }
-- stream_uid       = { type = "string", doc = "42, 43, 44: uid of the recorded user" }
-- stream_state     = { type = "int64", doc = "43, 44: 0 receiving, 1 not" }
-- files            = { type = "strings", doc = "file names that the notification lists" }
-- vendor           = { type = "int64", doc = "90: Agora's vendor number" }
-- vendor_name      = { type = "string", doc = "90: slug of the vendor" }
-- region           = { type = "int64", doc = "90: Agora's region number" }
-- region_code      = { type = "string", doc = "90: the vendor's own region code" }
-- bucket           = { type = "string", doc = "90: bucket" }
-- delivered_at     = { type = "timestamp", doc = "when the receiver took it, where the wrapper says so" }
-- response_status  = { type = "int64", doc = "HTTP status that the receiver answered, where the wrapper says so" }
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
    app_id,
    notice_id,
    product_id,
    event_type,
    event_name,
    sid,
    cname,
    uid,
    sequence,
    sent_at,
    notified_at,
    service_type,
    service_scene,
    signature,
    signature_key_id,
    is_test,
    leave_code,
    exit_status,
    module,
    error_code,
    error_level,
    error_message,
    warn_code,
    status,
    progress,
    new_uid,
    stop_code,
    result,
    stream_uid,
    stream_state,
    files,
    vendor,
    vendor_name,
    region,
    region_code,
    bucket,
    delivered_at,
    response_status
FROM log_webhooks
WHERE disposition = 'event'
