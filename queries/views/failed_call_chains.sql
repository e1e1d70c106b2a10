-- ---
-- name        = "failed_call_chains"
-- title       = "Failed calls of a channel that belong together"
-- description = """
-- One row per channel, reason and run of failed calls with less than ten minutes between them; calls with one expired ticket are one run.
-- A run that only met a service short of workers, and whose channel was started within five minutes of its last call, is not here: the
-- retry did what it is for.
-- """
--
-- [columns]
-- failure     = { type = "string", doc = "token, expired_ticket, not_enabled, capacity" }
-- subject     = { type = "string", doc = "the ticket, else the event id of the first call" }
-- app_id      = { type = "string", doc = "App ID" }
-- cname       = { type = "string", doc = "channel name" }
-- uid         = { type = "string", doc = "the recorder's uid of the first call" }
-- calls       = { type = "int64", doc = "how many failed" }
-- first_at    = { type = "timestamp", doc = "the first" }
-- last_at     = { type = "timestamp", doc = "the last" }
-- operation   = { type = "string", doc = "operation of the first" }
-- http_status = { type = "int64", doc = "its HTTP status" }
-- code        = { type = "int64", doc = "its code" }
-- reason_text = { type = "string", doc = "its reason" }
-- vendor_name = { type = "string", doc = "slug of the vendor asked for" }
-- bucket      = { type = "string", doc = "bucket asked for" }
-- acquired_at = { type = "timestamp", doc = "when the ticket was asked for" }
-- is_foreign  = { type = "bool", doc = "the ticket was acquired for another channel or uid, or is not that of the session" }
-- event_ids   = { type = "strings", doc = "their event ids" }
-- ---
WITH numbered AS (
    SELECT
        failed.failure,
        failed.app_id,
        failed.cname,
        failed.uid,
        failed.event_id,
        failed.operation,
        failed.resource_id,
        failed.at,
        failed.http_status,
        failed.code,
        failed.reason_text,
        failed.vendor_name,
        failed.bucket,
        failed.acquired_at,
        failed.is_foreign,
        failed.is_transient,
        -- A run begins where none of its kind came in the ten minutes before; a call is of the latest beginning.
        max(heads.at) AS begun_at
    FROM failed_calls AS failed
    INNER JOIN (
        SELECT later.failure, later.app_id, later.cname, later.at
        FROM failed_calls AS later
        LEFT JOIN failed_calls AS earlier
            ON coalesce(earlier.app_id, '') = coalesce(later.app_id, '')
            AND coalesce(earlier.cname, '') = coalesce(later.cname, '')
            AND earlier.failure = later.failure
            AND earlier.at < later.at
            AND earlier.at >= later.at - INTERVAL '10 minutes'
        GROUP BY later.failure, later.app_id, later.cname, later.at
        HAVING count(earlier.event_id) = 0
    ) AS heads
        ON coalesce(heads.app_id, '') = coalesce(failed.app_id, '')
        AND coalesce(heads.cname, '') = coalesce(failed.cname, '')
        AND heads.failure = failed.failure
        AND heads.at <= failed.at
    GROUP BY
        failed.failure, failed.app_id, failed.cname, failed.uid, failed.event_id, failed.operation, failed.resource_id,
        failed.at, failed.http_status, failed.code, failed.reason_text, failed.vendor_name, failed.bucket,
        failed.acquired_at, failed.is_foreign, failed.is_transient
),

chains AS (
    SELECT
        failure,
        CASE WHEN failure = 'expired_ticket' THEN resource_id ELSE CAST(begun_at AS STRING) END AS run,
        app_id,
        cname,
        CASE WHEN failure = 'expired_ticket' THEN min(resource_id) ELSE first_value(event_id ORDER BY at, event_id) END
            AS subject,
        first_value(uid ORDER BY at, event_id) AS uid,
        count(*) AS calls,
        min(at) AS first_at,
        max(at) AS last_at,
        first_value(operation ORDER BY at, event_id) AS operation,
        first_value(http_status ORDER BY at, event_id) AS http_status,
        first_value(code ORDER BY at, event_id) AS code,
        first_value(reason_text ORDER BY at, event_id) AS reason_text,
        first_value(vendor_name ORDER BY at, event_id) AS vendor_name,
        first_value(bucket ORDER BY at, event_id) AS bucket,
        min(acquired_at) AS acquired_at,
        bool_or(is_foreign) AS is_foreign,
        bool_and(is_transient) AS is_transient,
        array_agg(event_id ORDER BY at, event_id) AS event_ids
    FROM numbered
    GROUP BY
        failure, CASE WHEN failure = 'expired_ticket' THEN resource_id ELSE CAST(begun_at AS STRING) END, app_id, cname
)

SELECT
    chains.failure,
    chains.subject,
    chains.app_id,
    chains.cname,
    chains.uid,
    chains.calls,
    chains.first_at,
    chains.last_at,
    chains.operation,
    chains.http_status,
    chains.code,
    chains.reason_text,
    chains.vendor_name,
    chains.bucket,
    chains.acquired_at,
    chains.is_foreign,
    chains.event_ids
FROM chains
LEFT JOIN (
    SELECT chains.failure, chains.subject
    FROM chains
    INNER JOIN started_sessions
        ON started_sessions.app_id = chains.app_id
        AND started_sessions.cname = chains.cname
        AND started_sessions.requested_at >= chains.first_at
        AND started_sessions.requested_at <= chains.last_at + INTERVAL '5 minutes'
    WHERE chains.is_transient
    GROUP BY chains.failure, chains.subject
) AS retried
    ON retried.failure = chains.failure
    AND retried.subject = chains.subject
WHERE retried.subject IS NULL
