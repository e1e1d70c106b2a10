-- ---
-- name        = "ghost_start"
-- title       = "A start without a known outcome left a live session behind"
-- severity    = "high"
-- category    = "session"
-- status      = "stable"
-- patterns    = ["P07"]
-- description = """
-- Finds sessions that notifications or files show and no API call ever named, in a channel where a start of unknown outcome (65, 62, 5xx
-- or no answer) was sent just before, files only in the bucket that it asked for: the service had accepted it, the caller never learned
-- so, and nobody will stop it. So is a start that was sent to another host, too, where it is said to run already, while no answer on its
-- ticket has a session. A session that a later call names was found again and is none; its uid must be the start's, where a
-- notification tells it. One finding per session. Variants: beside_retry (a later start was accepted: two recordings of one channel,
-- severity high), alone (no later start was accepted: a recording that nobody knows of, medium). Judged once the calls have passed the
-- first sign of the session by `settle`; the rest is in `not_judged`.
-- """
-- false_positives = ["starts by another system whose calls are not logged, in the moment after a failed one"]
-- response = """
-- After an answer of 65 or 5xx, or none, retry with the same ticket and wait for notifications before taking a new uid. The sid is in
-- the notification: query it with the failed start's ticket, and stop it.
-- """
-- identity = ["app_id", "cname", "ghost_sid"]
--
-- [params]
-- tolerance = { type = "duration", default = "2s", doc = "how far the clocks of callers and producers may differ" }
-- window    = { type = "duration", default = "5m", doc = "how long after the start its session shows itself, and a retry follows" }
-- settle    = { type = "duration", default = "10m", doc = "how long after the first sign a call may still name the session" }
--
-- [columns]
-- ghost_sid = { type = "string", doc = "the session that nobody asked for knowingly" }
-- ---
WITH unknown AS (
    SELECT
        starts.app_id,
        starts.cname,
        starts.uid,
        starts.start_id,
        starts.requested_at,
        starts.outcome,
        starts.http_status,
        starts.code,
        starts.error,
        starts.vendor_name,
        starts.bucket,
        starts.storage,
        array_to_string(starts.event_ids, chr(31)) AS event_ids
    FROM starts
    -- What runs already may be the session of another start with the ticket, which was answered.
    LEFT ANTI JOIN (
        SELECT app_id, resource_id
        FROM starts
        WHERE outcome = 'ok'
    ) AS answered
        ON answered.app_id = starts.app_id
        AND answered.resource_id = starts.resource_id
        AND starts.outcome = 'already_running'
    WHERE starts.is_unanswered AND starts.sid IS NULL
),

signs AS (
    -- What showed itself in the channel after such a start, by any stream.
    SELECT
        unknown.app_id,
        unknown.cname,
        unknown.start_id,
        unknown.requested_at,
        seen.sid,
        min(seen.at) AS first_at,
        first_value(seen.event_id ORDER BY seen.at, seen.event_id) AS event_id,
        bool_or(seen.uid = unknown.uid) AS has_its_uid,
        bool_or(seen.uid IS NOT NULL) AS has_uid
    FROM unknown
    INNER JOIN (
        SELECT
            cname, app_id, sid, uid, NULL AS vendor_name, NULL AS bucket, coalesce(sent_at, occurred_at) AS at, event_id
        FROM webhooks
        WHERE sid IS NOT NULL AND coalesce(product_id, 3) = 3 AND coalesce(is_test, false) = false
        UNION ALL
        SELECT
            cname, NULL AS app_id, sid, NULL AS uid, vendor_name, bucket, first_written_at AS at, first_event_id AS event_id
        FROM session_writes
    ) AS seen ON seen.cname = unknown.cname
    WHERE coalesce(seen.app_id, unknown.app_id) = unknown.app_id
        -- The service never re-routes: files elsewhere are of another app's channel of that name.
        AND coalesce(seen.vendor_name = unknown.vendor_name AND seen.bucket = unknown.bucket, true)
    GROUP BY unknown.app_id, unknown.cname, unknown.start_id, unknown.requested_at, seen.sid
    UNION ALL
    -- Keys may hold the channel with its special characters rewritten.
    SELECT
        unknown.app_id,
        unknown.cname,
        unknown.start_id,
        unknown.requested_at,
        session_writes.sid,
        min(session_writes.first_written_at) AS first_at,
        first_value(
            session_writes.first_event_id ORDER BY session_writes.first_written_at, session_writes.first_event_id
        ) AS event_id,
        NULL AS has_its_uid,
        false AS has_uid
    FROM unknown
    INNER JOIN session_writes
        ON session_writes.cname = regexp_replace(unknown.cname, '[^0-9A-Za-z-]', '-', 'g')
    WHERE session_writes.cname <> unknown.cname
        AND coalesce(session_writes.vendor_name = unknown.vendor_name AND session_writes.bucket = unknown.bucket, true)
    GROUP BY unknown.app_id, unknown.cname, unknown.start_id, unknown.requested_at, session_writes.sid
),

ghosts AS (
    -- The last such start before the first sign is the one that made the session.
    SELECT
        app_id,
        cname,
        sid,
        min(first_at) AS first_at,
        first_value(event_id ORDER BY first_at, event_id) AS event_id,
        last_value(start_id ORDER BY requested_at, start_id) AS start_id
    FROM (
        SELECT
            signs.app_id,
            signs.cname,
            signs.start_id,
            signs.requested_at,
            signs.sid,
            min(signs.first_at) AS first_at,
            first_value(signs.event_id ORDER BY signs.first_at, signs.event_id) AS event_id
        FROM signs
        LEFT ANTI JOIN (
            SELECT sid
            FROM api_calls
            WHERE sid IS NOT NULL
        ) AS known ON known.sid = signs.sid
        GROUP BY signs.app_id, signs.cname, signs.start_id, signs.requested_at, signs.sid
        HAVING coalesce(bool_or(signs.has_its_uid), NOT bool_or(signs.has_uid))
    )
    WHERE first_at >= requested_at - $tolerance
        AND first_at <= requested_at + $window
    GROUP BY app_id, cname, sid
),

retries AS (
    -- The first start of the channel that was accepted after it.
    SELECT
        unknown.app_id,
        unknown.cname,
        unknown.start_id,
        first_value(starts.sid ORDER BY starts.requested_at, starts.start_id) AS sid,
        first_value(starts.uid ORDER BY starts.requested_at, starts.start_id) AS uid,
        first_value(starts.vendor_name ORDER BY starts.requested_at, starts.start_id) AS vendor_name,
        first_value(starts.bucket ORDER BY starts.requested_at, starts.start_id) AS bucket,
        first_value(starts.storage ORDER BY starts.requested_at, starts.start_id) AS storage,
        min(starts.requested_at) AS requested_at,
        first_value(array_to_string(starts.event_ids, chr(31)) ORDER BY starts.requested_at, starts.start_id) AS event_ids
    FROM unknown
    INNER JOIN starts
        ON starts.app_id = unknown.app_id
        AND starts.cname = unknown.cname
    WHERE starts.outcome = 'ok'
        AND starts.requested_at >= unknown.requested_at
        AND starts.requested_at <= unknown.requested_at + $window
    GROUP BY unknown.app_id, unknown.cname, unknown.start_id
)

SELECT
    CASE WHEN retries.sid IS NOT NULL THEN 'high' ELSE 'medium' END AS severity,
    CASE WHEN retries.sid IS NOT NULL THEN 'beside_retry' ELSE 'alone' END AS variant,
    ghosts.app_id,
    ghosts.cname,
    unknown.uid,
    array_remove_all(make_array(ghosts.sid, coalesce(retries.sid, '')), '') AS sids,
    least(unknown.requested_at, ghosts.first_at) AS first_at,
    greatest(ghosts.first_at, retries.requested_at, session_landings.event_at) AS last_at,
    coalesce(session_beliefs.vendor_name, retries.vendor_name, unknown.vendor_name) AS expected_vendor,
    CASE
        WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.bucket
        WHEN retries.vendor_name IS NOT NULL THEN retries.bucket
        ELSE unknown.bucket
    END AS expected_bucket,
    CASE WHEN session_landings.sid IS NOT NULL THEN session_landings.vendor_name ELSE unknown.vendor_name END AS actual_vendor,
    CASE WHEN session_landings.sid IS NOT NULL THEN session_landings.bucket ELSE unknown.bucket END AS actual_bucket,
    'service' AS root_cause,
    concat(
        'The start of channel ', ghosts.cname, ' at ', to_char(unknown.requested_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC',
        CASE WHEN unknown.storage IS NOT NULL THEN concat(' into ', unknown.storage) END, ' (uid ',
        coalesce(unknown.uid, '(none)'), ') ',
        CASE
            WHEN unknown.outcome = 'already_running' THEN concat(
                'was sent to more than one host, and the best answer was HTTP ', unknown.http_status,
                CASE WHEN unknown.code IS NOT NULL THEN concat(' code ', unknown.code) END,
                ' (running already), without a sid'
            )
            WHEN unknown.http_status IS NULL
                THEN concat('got no answer', coalesce(concat(' (', unknown.error, ')'), ''))
            ELSE concat(
                'was answered HTTP ', unknown.http_status,
                CASE WHEN unknown.code IS NOT NULL THEN concat(' code ', unknown.code) END
            )
        END,
        ', yet ',
        greatest(
            arrow_cast(ghosts.first_at, 'Int64') - arrow_cast(unknown.requested_at, 'Int64'), 0
        ) / 1000,
        ' ms later session ', ghosts.sid, ' showed itself, which no call ever named: nobody will stop it.',
        CASE
            WHEN retries.sid IS NOT NULL THEN concat(
                ' A retry at ', to_char(retries.requested_at, '%H:%M:%S%.3f'), ' (uid ', retries.uid, ') was accepted as sid ',
                retries.sid, CASE WHEN retries.storage <> unknown.storage THEN concat(' into ', retries.storage) END,
                ': the channel is recorded twice.'
            )
            ELSE ' No later start was accepted: the recording exists, and the caller believes that it does not.'
        END
    ) AS explanation,
    string_to_array(
        concat_ws(
            chr(31), unknown.event_ids, ghosts.event_id, retries.event_ids,
            CASE WHEN session_landings.event_id <> ghosts.event_id THEN session_landings.event_id END
        ),
        chr(31)
    ) AS evidence,
    ghosts.sid AS ghost_sid
FROM ghosts
INNER JOIN unknown
    ON unknown.app_id = ghosts.app_id
    AND unknown.cname = ghosts.cname
    AND unknown.start_id = ghosts.start_id
INNER JOIN (
    SELECT watermark
    FROM watermarks
    WHERE scope = 'stream' AND stream = 'api_calls'
) AS calls ON calls.watermark >= ghosts.first_at + $settle
LEFT JOIN retries
    ON retries.app_id = ghosts.app_id
    AND retries.cname = ghosts.cname
    AND retries.start_id = ghosts.start_id
LEFT JOIN session_beliefs ON session_beliefs.sid = retries.sid
LEFT JOIN session_landings ON session_landings.sid = ghosts.sid
ORDER BY first_at, app_id, cname, ghost_sid
