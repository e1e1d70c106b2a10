-- ---
-- name        = "session_notices"
-- title       = "Notifications about recording sessions"
-- description = """
-- One row per notification of Cloud Recording that names a session, as delivered: what the console's test button sent and other
-- products' events are left out. A redelivery is a row of its own with the same `event_id`. Filters on sid reach the files.
-- """
--
-- [columns]
-- sid           = { type = "string", doc = "recording session id" }
-- app_id        = { type = "string", doc = "App ID, when the deliverer says it" }
-- cname         = { type = "string", doc = "channel name" }
-- uid           = { type = "string", doc = "the recorder's uid; changes after a fail-over" }
-- at            = { type = "timestamp", doc = "when it happened, by the service's clock; when it arrived, where that clock is broken" }
-- notified_at   = { type = "timestamp", doc = "when this delivery was tried" }
-- event_id      = { type = "string", doc = "event id" }
-- event_type    = { type = "int64", doc = "eventType" }
-- sequence      = { type = "int64", doc = "number of the event in its session, from 0" }
-- signature     = { type = "string", doc = "valid, invalid, unchecked" }
-- leave_code    = { type = "int64", doc = "41: bit mask" }
-- exit_status   = { type = "int64", doc = "11: 0 normal, 1 abnormal" }
-- module        = { type = "int64", doc = "1, 2: 0 recorder, 1 uploader, 2 service, 6 web page" }
-- error_code    = { type = "int64", doc = "1: error code, read together with module" }
-- error_level   = { type = "int64", doc = "1: 1 debug .. 5 fatal" }
-- error_message = { type = "string", doc = "1: text of the error" }
-- warn_code     = { type = "int64", doc = "2: warning code" }
-- status        = { type = "int64", doc = "status of 3, 30, 31, 32, 40" }
-- progress      = { type = "int64", doc = "33: 0..10000" }
-- new_uid       = { type = "string", doc = "12: the recorder's uid after the fail-over" }
-- stop_code     = { type = "int64", doc = "71: why the web page recorder stopped" }
-- result        = { type = "string", doc = "72, 73: what was hit" }
-- stream_uid    = { type = "string", doc = "42, 43, 44: uid of the recorded user" }
-- service_scene = { type = "string", doc = "payload.serviceScene" }
-- event_date    = { type = "date", doc = "UTC date, the partition column" }
-- ---
SELECT
    sid,
    app_id,
    cname,
    uid,
    CASE WHEN time_trusted THEN coalesce(sent_at, occurred_at) ELSE coalesce(received_at, occurred_at) END AS at,
    notified_at,
    event_id,
    event_type,
    sequence,
    signature,
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
    service_scene,
    event_date
FROM webhooks
WHERE sid IS NOT NULL
    AND coalesce(product_id, 3) = 3
    AND coalesce(is_test, false) = false
