-- ---
-- name        = "unstopped_session"
-- title       = "A session that nobody stopped, or whose stop named another one"
-- severity    = "medium"
-- category    = "session"
-- status      = "stable"
-- patterns    = ["P12"]
-- description = """
-- Finds accepted sessions that no stop reached. Variants: never_stopped (neither a stop nor an ending notification until the ticket
-- expired, `resourceExpiredHour` after the answer), stop_refused (the same, and the stops that were sent were refused), stop_named_another
-- (a stop was refused that named another sid with this session's ticket or channel and uid, or this session with another channel or uid; and
-- no other stop reached it). Leaked sessions are billed and use up concurrent tasks. A stop answered 49, 404, 435, 206 or not at
-- all counts as a stop; a session that ends by itself, when everybody has left, needs none. Judged once the calls and the notifications
-- have both passed the deadline, and only where notifications of the app arrive; the rest is in `not_judged`.
-- """
-- false_positives = ["sessions that end by themselves in an app whose notifications are all lost but the first"]
-- response = """
-- Stop by the sid and ticket of the accepted start's answer. Keep them with the record, and stop what `query` still finds.
-- """
-- identity = ["app_id", "cname", "sid"]
--
-- [params]
-- tolerance = { type = "duration", default = "2s", doc = "how far the clocks of callers and webhooks may differ" }
-- settle    = { type = "duration", default = "5m", doc = "a refused stop so soon after the end of the session that it names is a second stop of that one" }
-- silence   = { type = "duration", default = "90s", doc = "notifications of an app that begin this late after a start still cover it" }
--
-- [columns]
-- sid = { type = "string", doc = "recording session id" }
-- ---
WITH stops AS (
    SELECT DISTINCT
        app_id,
        event_id,
        sid,
        resource_id,
        cname,
        uid,
        requested_at,
        outcome,
        http_status,
        code
    FROM api_calls
    WHERE operation = 'stop' AND sid IS NOT NULL
),

other_uids AS (
    -- Uids that sessions took over after a fail-over.
    SELECT DISTINCT sid, new_uid AS uid
    FROM webhooks
    WHERE event_type = 12 AND new_uid IS NOT NULL
),

named AS (
    -- Stops of known sessions, and whether all their names are those of the session.
    SELECT
        stops.sid,
        stops.event_id,
        stops.requested_at,
        stops.outcome,
        stops.http_status,
        stops.code,
        stops.cname,
        stops.uid,
        coalesce(stops.cname = accepted_starts.cname, true)
            AND (coalesce(stops.uid = accepted_starts.uid, true) OR other_uids.uid IS NOT NULL) AS agrees
    FROM stops
    INNER JOIN accepted_starts ON accepted_starts.sid = stops.sid
    LEFT JOIN other_uids
        ON other_uids.sid = stops.sid
        AND other_uids.uid = stops.uid
),

stopped AS (
    SELECT sid
    FROM named
    WHERE outcome = 'ok'
        OR (agrees AND (outcome = 'indeterminate' OR code IN (49, 50, 435) OR http_status = 404))
    GROUP BY sid
),

astray AS (
    -- Refused stops that missed the session they were meant for.
    SELECT sid, event_id, requested_at, http_status, code, sid AS named_sid, cname AS named_cname, uid AS named_uid
    FROM named
    WHERE outcome = 'rejected' AND NOT agrees
    UNION
    SELECT
        accepted_starts.sid,
        stops.event_id,
        stops.requested_at,
        stops.http_status,
        stops.code,
        stops.sid AS named_sid,
        stops.cname AS named_cname,
        stops.uid AS named_uid
    FROM stops
    INNER JOIN accepted_starts
        ON accepted_starts.app_id = stops.app_id
        AND accepted_starts.resource_id = stops.resource_id
    WHERE stops.outcome = 'rejected'
        AND stops.sid <> accepted_starts.sid
    UNION
    SELECT
        accepted_starts.sid,
        stops.event_id,
        stops.requested_at,
        stops.http_status,
        stops.code,
        stops.sid AS named_sid,
        stops.cname AS named_cname,
        stops.uid AS named_uid
    FROM stops
    INNER JOIN accepted_starts
        ON accepted_starts.app_id = stops.app_id
        AND accepted_starts.cname = stops.cname
        AND accepted_starts.uid = stops.uid
    LEFT JOIN accepted_starts AS other ON other.sid = stops.sid
    WHERE stops.outcome = 'rejected'
        AND stops.sid <> accepted_starts.sid
        AND stops.requested_at >= accepted_starts.requested_at
        AND stops.requested_at <= coalesce(accepted_starts.ended_at, stops.requested_at)
        -- A second stop of the session before.
        AND NOT coalesce(other.requested_at > accepted_starts.requested_at, false)
        AND NOT coalesce(stops.requested_at < other.ended_at + $settle, false)
),

misses AS (
    SELECT
        sid,
        count(*) AS stops,
        first_value(event_id ORDER BY requested_at, event_id) AS event_id,
        min(requested_at) AS requested_at,
        first_value(http_status ORDER BY requested_at, event_id) AS http_status,
        first_value(code ORDER BY requested_at, event_id) AS code,
        first_value(named_sid ORDER BY requested_at, event_id) AS named_sid,
        first_value(named_cname ORDER BY requested_at, event_id) AS named_cname,
        first_value(named_uid ORDER BY requested_at, event_id) AS named_uid
    FROM astray
    GROUP BY sid
),

refusals AS (
    SELECT
        sid,
        count(*) AS stops,
        min(requested_at) AS requested_at,
        first_value(event_id ORDER BY requested_at, event_id) AS event_id,
        first_value(http_status ORDER BY requested_at, event_id) AS http_status,
        first_value(code ORDER BY requested_at, event_id) AS code
    FROM named
    WHERE agrees
        AND outcome = 'rejected'
        AND coalesce(code, 0) <> 49
        AND coalesce(http_status, 0) <> 404
    GROUP BY sid
),

unstopped AS (
    SELECT
        accepted_starts.sid,
        accepted_starts.app_id,
        accepted_starts.cname,
        accepted_starts.uid,
        accepted_starts.vendor_name,
        accepted_starts.bucket,
        accepted_starts.requested_at,
        accepted_starts.expires_at,
        array_to_string(accepted_starts.event_ids, chr(31)) AS event_ids,
        session_ends.ended_at,
        session_ends.ended_event_id,
        coalesce(session_ends.ended_at <= accepted_starts.expires_at + $tolerance, false) AS ended_in_time
    FROM accepted_starts
    LEFT ANTI JOIN stopped ON stopped.sid = accepted_starts.sid
    LEFT JOIN (
        -- What is left has no stop of its own, so an end that a stop told was told to one that went astray.
        SELECT
            sid,
            CASE
                WHEN ended_by <> 'stop' THEN ended_at
                WHEN last_sign_at > ended_at THEN last_sign_at
            END AS ended_at,
            CASE WHEN ended_by <> 'stop' THEN ended_event_id END AS ended_event_id
        FROM session_ends
    ) AS session_ends ON session_ends.sid = accepted_starts.sid
    WHERE accepted_starts.expires_at IS NOT NULL
),

heard AS (
    -- Since when notifications of each app arrive.
    SELECT accepted_starts.app_id, min(session_lifecycles.first_at) AS since
    FROM session_lifecycles
    INNER JOIN accepted_starts ON accepted_starts.sid = session_lifecycles.sid
    GROUP BY accepted_starts.app_id
),

reach AS (
    SELECT
        min(CASE WHEN stream = 'api_calls' THEN watermark END) AS calls_until,
        min(CASE WHEN stream = 'webhooks' THEN watermark END) AS webhooks_until
    FROM watermarks
    WHERE scope = 'stream' AND stream IN ('api_calls', 'webhooks')
),

faults AS (
    SELECT
        unstopped.sid,
        unstopped.app_id,
        unstopped.cname,
        unstopped.uid,
        unstopped.vendor_name,
        unstopped.bucket,
        unstopped.requested_at,
        unstopped.expires_at,
        unstopped.event_ids,
        unstopped.ended_at,
        unstopped.ended_event_id,
        unstopped.ended_in_time,
        CASE
            WHEN misses.sid IS NOT NULL THEN 'stop_named_another'
            WHEN refusals.sid IS NOT NULL THEN 'stop_refused'
            ELSE 'never_stopped'
        END AS variant,
        coalesce(misses.requested_at, refusals.requested_at) AS stop_at,
        coalesce(misses.event_id, refusals.event_id) AS stop_event_id,
        CASE WHEN misses.sid IS NOT NULL THEN misses.http_status ELSE refusals.http_status END AS http_status,
        CASE WHEN misses.sid IS NOT NULL THEN misses.code ELSE refusals.code END AS code,
        misses.named_sid,
        misses.named_cname,
        misses.named_uid
    FROM unstopped
    CROSS JOIN reach
    LEFT JOIN misses ON misses.sid = unstopped.sid
    LEFT JOIN refusals ON refusals.sid = unstopped.sid
    LEFT JOIN heard ON heard.app_id = unstopped.app_id
    WHERE CASE
        -- Its end is known, and no right stop came until then.
        WHEN misses.sid IS NOT NULL AND unstopped.ended_in_time
            THEN reach.calls_until >= unstopped.ended_at + $tolerance
        WHEN misses.sid IS NOT NULL THEN reach.calls_until >= unstopped.expires_at
        WHEN unstopped.ended_in_time THEN false
        ELSE reach.calls_until >= unstopped.expires_at
            AND reach.webhooks_until >= unstopped.expires_at
            AND heard.since <= unstopped.requested_at + $silence
    END
)

SELECT
    CASE WHEN faults.ended_in_time THEN 'low' ELSE 'medium' END AS severity,
    faults.variant,
    faults.app_id,
    faults.cname,
    faults.uid,
    make_array(faults.sid) AS sids,
    faults.requested_at AS first_at,
    greatest(faults.requested_at, faults.stop_at, faults.ended_at) AS last_at,
    coalesce(session_beliefs.vendor_name, faults.vendor_name) AS expected_vendor,
    CASE WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.bucket ELSE faults.bucket END AS expected_bucket,
    CASE WHEN session_landings.sid IS NOT NULL THEN session_landings.vendor_name ELSE faults.vendor_name END AS actual_vendor,
    CASE WHEN session_landings.sid IS NOT NULL THEN session_landings.bucket ELSE faults.bucket END AS actual_bucket,
    CASE faults.variant WHEN 'stop_named_another' THEN 'state_mismatch' ELSE 'unknown' END AS root_cause,
    concat(
        'Session ', faults.sid, ' of channel ', faults.cname, ' was accepted at ',
        to_char(faults.requested_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC',
        CASE faults.variant
            WHEN 'stop_named_another' THEN concat(
                '; the stop of ', to_char(faults.stop_at, '%Y-%m-%d %H:%M:%S%.3f'), ' named ',
                CASE
                    WHEN faults.named_sid <> faults.sid THEN concat('sid ', faults.named_sid)
                    ELSE concat(
                        'channel ', coalesce(faults.named_cname, '(none)'), ' and uid ', coalesce(faults.named_uid, '(none)')
                    )
                END,
                ' instead and was refused (HTTP ', faults.http_status,
                CASE WHEN faults.code IS NOT NULL THEN concat(' code ', faults.code) END, '). '
            )
            WHEN 'stop_refused' THEN concat(
                '; its stop of ', to_char(faults.stop_at, '%Y-%m-%d %H:%M:%S%.3f'), ' was refused (HTTP ',
                faults.http_status, CASE WHEN faults.code IS NOT NULL THEN concat(' code ', faults.code) END, '). '
            )
            ELSE ' and never stopped. '
        END,
        CASE
            WHEN faults.ended_in_time THEN concat(
                'It ran on until it ended by itself at ', to_char(faults.ended_at, '%Y-%m-%d %H:%M:%S%.3f'), '.'
            )
            WHEN faults.ended_at IS NOT NULL THEN concat(
                'It ended only at ', to_char(faults.ended_at, '%Y-%m-%d %H:%M:%S%.3f'), ', after its ticket had expired at ',
                to_char(faults.expires_at, '%Y-%m-%d %H:%M:%S%.3f'), '.'
            )
            ELSE concat(
                'No notification told its end until its ticket expired at ',
                to_char(faults.expires_at, '%Y-%m-%d %H:%M:%S%.3f'), '.'
            )
        END
    ) AS explanation,
    string_to_array(
        concat_ws(chr(31), faults.event_ids, faults.stop_event_id, faults.ended_event_id), chr(31)
    ) AS evidence,
    faults.sid
FROM faults
LEFT JOIN session_beliefs ON session_beliefs.sid = faults.sid
LEFT JOIN session_landings ON session_landings.sid = faults.sid
ORDER BY first_at, app_id, cname, sid
