-- ---
-- name        = "failed_calls"
-- title       = "Calls that failed for a reason of their own"
-- kept        = true
-- description = """
-- One row per acquire or start that was refused because of its token (109, 110), its ticket (433 expired; 432 where the ticket was
-- acquired for another channel or uid, or more than five minutes before), the account (acquire 62, 400 invalid_appid, 405) or capacity
-- (acquire 406, 501, 504, start 502), and per call of any kind that was answered 429 or came with another's ticket (1001 unreadable, 1003
-- foreign; 432 where its session was started with another one). Codes mean something only together with operation and HTTP status: a
-- gateway's 504 without a code is not here.
-- """
--
-- [columns]
-- failure      = { type = "string", doc = "token, expired_ticket, not_enabled, capacity" }
-- app_id       = { type = "string", doc = "App ID" }
-- cname        = { type = "string", doc = "channel name" }
-- uid          = { type = "string", doc = "the recorder's uid" }
-- event_id     = { type = "string", doc = "event id of the call" }
-- operation    = { type = "string", doc = "acquire, start, ..." }
-- resource_id  = { type = "string", doc = "the ticket; null for an acquire" }
-- at           = { type = "timestamp", doc = "when it was sent" }
-- http_status  = { type = "int64", doc = "HTTP status" }
-- code         = { type = "int64", doc = "the API's code" }
-- reason_text  = { type = "string", doc = "the API's reason" }
-- vendor_name  = { type = "string", doc = "slug of the vendor asked for" }
-- bucket       = { type = "string", doc = "bucket asked for" }
-- acquired_at  = { type = "timestamp", doc = "when the ticket was asked for" }
-- is_foreign   = { type = "bool", doc = "the ticket was acquired for another channel or uid, or is not that of the session" }
-- is_transient = { type = "bool", doc = "the service itself was short of workers; a retry may do" }
-- ---
SELECT
    failure,
    app_id,
    cname,
    uid,
    event_id,
    operation,
    resource_id,
    at,
    http_status,
    code,
    reason_text,
    vendor_name,
    bucket,
    acquired_at,
    is_foreign,
    is_transient
FROM (
    SELECT
        CASE
            WHEN calls.code IN (109, 110) THEN 'token'
            WHEN calls.operation = 'start' AND calls.code = 433 THEN 'expired_ticket'
            WHEN calls.operation <> 'acquire' AND calls.code IN (1001, 1003) THEN 'expired_ticket'
            WHEN calls.operation = 'start'
                AND calls.code = 432
                AND (
                    tickets.cname <> calls.cname
                    OR tickets.uid <> calls.uid
                    OR calls.at > tickets.acquired_at + INTERVAL '5 minutes'
                )
                THEN 'expired_ticket'
            WHEN calls.code = 432 AND calls.resource_id <> started.resource_id THEN 'expired_ticket'
            WHEN (calls.operation = 'acquire' AND calls.code IN (62, 400, 405))
                OR lower(calls.reason_text) LIKE '%appid is invalid%'
                THEN 'not_enabled'
            WHEN calls.http_status = 429
                OR (calls.operation = 'acquire' AND calls.code IN (406, 501, 504))
                OR (calls.operation = 'start' AND calls.code = 502)
                THEN 'capacity'
        END AS failure,
        calls.app_id,
        -- A query names its session only.
        coalesce(calls.cname, started.cname) AS cname,
        coalesce(calls.uid, started.uid) AS uid,
        calls.event_id,
        calls.operation,
        calls.resource_id,
        calls.at,
        calls.http_status,
        calls.code,
        calls.reason_text,
        calls.vendor_name,
        calls.bucket,
        tickets.acquired_at,
        coalesce(
            tickets.cname <> calls.cname OR tickets.uid <> calls.uid OR calls.resource_id <> started.resource_id, false
        ) AS is_foreign,
        calls.http_status <> 429 AND calls.code IN (501, 502, 504) AS is_transient
    FROM (
        SELECT
            app_id,
            event_id,
            min(cname) AS cname,
            min(uid) AS uid,
            min(sid) AS sid,
            min(operation) AS operation,
            min(CASE WHEN operation <> 'acquire' THEN resource_id END) AS resource_id,
            min(requested_at) AS at,
            min(http_status) AS http_status,
            min(code) AS code,
            min(reason_text) AS reason_text,
            min(coalesce(vendor_name, start_parameter_vendor_name)) AS vendor_name,
            min(coalesce(bucket, start_parameter_bucket)) AS bucket
        FROM api_calls
        WHERE http_status >= 400
            AND (code IN (62, 109, 110, 400, 405, 406, 432, 433, 501, 502, 504, 1001, 1003)
                OR http_status = 429
                OR lower(reason_text) LIKE '%appid is invalid%')
        GROUP BY app_id, event_id
    ) AS calls
    LEFT JOIN started_sessions AS started ON started.sid = calls.sid
    LEFT JOIN (
        SELECT
            app_id,
            resource_id,
            min(cname) AS cname,
            min(uid) AS uid,
            min(acquired_at) AS acquired_at
        FROM tickets
        GROUP BY app_id, resource_id
    ) AS tickets
        ON tickets.app_id = calls.app_id
        AND tickets.resource_id = calls.resource_id
)
WHERE failure IS NOT NULL
