-- ---
-- name        = "session_failures"
-- title       = "Sessions that failed, or that could not be started"
-- severity    = "high"
-- category    = "session"
-- status      = "stable"
-- patterns    = ["P40", "P41", "P42", "P43", "P44", "P45", "P46", "P47", "P48", "P49"]
-- description = """
-- Finds sessions that failed for a reason of their own, one finding per session (or run of calls, or ticket) and reason. Variants:
-- nothing_recorded (a stop was answered 435, or the recorder left idle and nothing was ever recorded: no 42, 4 or 45 among notifications
-- without a gap, or no file in a watched bucket), uid_collision (a participant bore the recorder's uid, or the recorder was gone right
-- after it came, unasked, and calls did not find it), token (error 109 or 110, or the session was gone within a minute without having
-- begun), expired_ticket (433; 1001 and 1003 of any call with a ticket; 432 with a ticket that is too old or another's), not_enabled
-- (acquire 62, 400, 405), capacity (429, acquire 406; acquire 501, 504 and start 502 where no retry was accepted within five minutes),
-- fail_over (event 12, another uid, or files named `bak<n>_`; severity high when there were more than three: the recording was given up),
-- idle_flapping (sessions of one channel that end idle within ten minutes and are started again within as many), false_end (a query was
-- answered 404 while the session was alive, and the recorder went on), web_page (the page could not be recorded, hit a limit, or was
-- reloaded again and again).
-- """
-- false_positives = [
--   "a host who opens rooms in advance: sessions without anybody are idle by design",
--   "the retry of a client that gives up soon after a 429",
-- ]
-- response = """
-- Where nothing was recorded or nobody was there, compare channel name, channelType, streamTypes and subscribe lists with who publishes. Where
-- uids collide, give recorders a range of uids of their own. For a token or ticket that is refused, make both right before each start, and
-- keep the ticket with its session. Where capacity is short, stop what is not needed and spread starts. After a fail-over or a false end expect
-- a new uid and `bak` files, and never restart on the first 404. Where a web page fails, open it yourself.
-- """
-- identity = ["app_id", "cname", "failure", "subject"]
--
-- [params]
-- kicked_within  = { type = "duration", default = "60s", doc = "a recorder that leaves this soon, unasked, was pushed out" }
-- gone_within    = { type = "duration", default = "60s", doc = "a session without a recorder that is gone this soon after its start had no right to join" }
-- settled_after  = { type = "duration", default = "20m", doc = "notifications and files come this long after the end" }
-- cycles_min     = { type = "int64", default = 2, doc = "so many sessions in a row that end idle are flapping" }
-- reloads_min    = { type = "int64", default = 3, doc = "so many reloads of a page in one session are a storm" }
-- failovers_max  = { type = "int64", default = 3, doc = "fail-overs after which the service gives a recording up" }
-- tolerance      = { type = "duration", default = "2s", doc = "how far the clocks of producers may differ" }
--
-- [columns]
-- failure = { type = "string", doc = "the variant: two failures of one session are two findings" }
-- subject = { type = "string", doc = "the session, the ticket, or the first call of the run" }
-- ---
WITH flapping AS (
    SELECT
        app_id,
        cname,
        run_at,
        min(uid) AS uid,
        count(*) AS cycles,
        max(left_at) AS last_at,
        first_value(sid ORDER BY begun_at, sid) AS first_sid,
        array_agg(sid ORDER BY begun_at, sid) AS sids,
        array_agg(start_id ORDER BY begun_at, sid) AS start_ids
    FROM idle_chains
    GROUP BY app_id, cname, run_at
    HAVING count(*) >= $cycles_min
),

diagnosed AS (
    SELECT
        diagnoses.sid,
        diagnoses.app_id,
        diagnoses.cname,
        diagnoses.uid,
        diagnoses.mode,
        diagnoses.start_id,
        diagnoses.begun_at,
        diagnoses.responded_at,
        diagnoses.started_at,
        diagnoses.left_at,
        diagnoses.last_left_at,
        diagnoses.left_id,
        diagnoses.last_alive_at,
        diagnoses.last_alive_id,
        diagnoses.last_slice_at,
        diagnoses.other_uid,
        diagnoses.uids,
        greatest(diagnoses.failovers, coalesce(diagnoses.backup_index + 1, 0)) AS failovers,
        diagnoses.failed_over_at,
        CASE WHEN diagnoses.backup_index IS NOT NULL THEN diagnoses.last_slice_at END AS backup_file_at,
        coalesce(diagnoses.failover_id, CASE WHEN diagnoses.backup_index IS NOT NULL THEN diagnoses.file_id END)
            AS failover_id,
        diagnoses.own_stream_at,
        diagnoses.own_stream_id,
        diagnoses.token_at,
        diagnoses.token_code,
        diagnoses.token_id,
        diagnoses.page_code,
        diagnoses.page_limits,
        diagnoses.page_reloads,
        diagnoses.page_result,
        diagnoses.page_from,
        diagnoses.page_to,
        diagnoses.page_id,
        diagnoses.missed_at,
        diagnoses.last_missed_at,
        diagnoses.last_missed_id,
        diagnoses.queried_404_at,
        diagnoses.queried_404_id,
        diagnoses.nothing_at,
        diagnoses.nothing_id,
        accepted_starts.vendor_name,
        accepted_starts.bucket,
        diagnoses.writes IS NULL
            AND (
                diagnoses.nothing_at IS NOT NULL
                OR (
                    diagnoses.left_idle
                    AND diagnoses.recorded_at IS NULL
                    AND flapping.cname IS NULL
                    AND (
                        diagnoses.is_complete
                        OR coalesce(
                            monitored_buckets.first_at <= diagnoses.begun_at + $tolerance
                            AND least(monitored_buckets.last_at, stream_watermarks.storage_events_to)
                                >= diagnoses.left_at + $settled_after,
                            false
                        )
                    )
                )
            ) AS is_nothing_recorded,
        diagnoses.fatal_errors = 0
            AND diagnoses.failovers = 0
            AND NOT diagnoses.left_idle
            AND NOT diagnoses.left_unready
            AND coalesce(diagnoses.mode <> 'web', true)
            AND coalesce(
                CASE
                    WHEN diagnoses.own_stream_at IS NOT NULL
                        THEN diagnoses.left_at <= diagnoses.started_at + $kicked_within
                            OR diagnoses.missed_at IS NOT NULL
                    ELSE diagnoses.left_at <= diagnoses.started_at + $kicked_within
                        AND diagnoses.last_missed_at > diagnoses.left_at - $tolerance
                END,
                false
            )
            AND NOT coalesce(
                diagnoses.stopped_at <= coalesce(diagnoses.left_at, diagnoses.missed_at) + $tolerance, false
            ) AS is_uid_collision,
        diagnoses.token_at IS NOT NULL
            OR coalesce(
                diagnoses.mode <> 'web'
                AND diagnoses.missed_at <= diagnoses.responded_at + $gone_within
                AND diagnoses.started_at IS NULL
                AND diagnoses.recorded_at IS NULL
                AND diagnoses.left_at IS NULL
                AND diagnoses.last_alive_at IS NULL
                AND diagnoses.fatal_errors = 0
                AND diagnoses.writes IS NULL
                AND coalesce(diagnoses.stopped_at > diagnoses.missed_at, true)
                AND diagnoses.app_started_from <= diagnoses.requested_at + $tolerance
                AND stream_watermarks.webhooks_to >= diagnoses.missed_at + $settled_after,
                false
            ) AS is_token,
        diagnoses.failovers > 0 OR diagnoses.uids > 1 OR diagnoses.backup_index IS NOT NULL AS is_failed_over,
        coalesce(
            diagnoses.queried_404_at IS NOT NULL
            AND NOT coalesce(diagnoses.stopped_at <= diagnoses.queried_404_at + $tolerance, false)
            AND NOT coalesce(diagnoses.last_left_at <= diagnoses.queried_404_at + $tolerance, false)
            AND (
                coalesce(diagnoses.last_alive_at > diagnoses.queried_404_at + $tolerance, false)
                -- What leaves later was still there.
                OR coalesce(diagnoses.last_left_at > diagnoses.queried_404_at + $tolerance, false)
                OR coalesce(diagnoses.last_slice_at > diagnoses.queried_404_at + $settled_after, false)
            ),
            false
        ) AS is_false_end,
        diagnoses.page_code IS NOT NULL OR diagnoses.page_limits > 0 OR diagnoses.page_reloads >= $reloads_min
            AS is_web_page
    FROM session_diagnoses AS diagnoses
    CROSS JOIN stream_watermarks
    LEFT JOIN accepted_starts ON accepted_starts.sid = diagnoses.sid
    LEFT JOIN idle_chains ON idle_chains.sid = diagnoses.sid
    LEFT JOIN flapping
        ON flapping.app_id = idle_chains.app_id
        AND flapping.cname = idle_chains.cname
        AND flapping.run_at = idle_chains.run_at
    LEFT JOIN monitored_buckets
        ON monitored_buckets.vendor_name = accepted_starts.vendor_name
        AND monitored_buckets.bucket = accepted_starts.bucket
),

failed AS (
    SELECT
        sid,
        app_id,
        cname,
        uid,
        begun_at,
        vendor_name,
        bucket,
        failure['name'] AS failure,
        failure['severity'] AS severity,
        failure['cause'] AS root_cause,
        failure['at'] AS at,
        failure['event_id'] AS event_id,
        failure['other_id'] AS other_id,
        start_id,
        failure['what'] AS what
    FROM (
        SELECT
            sid,
            app_id,
            cname,
            uid,
            begun_at,
            vendor_name,
            bucket,
            start_id,
            unnest(
                make_array(
                    CASE WHEN is_nothing_recorded THEN named_struct(
                        'name', 'nothing_recorded', 'severity', 'medium', 'cause', 'unknown',
                        'at', coalesce(nothing_at, left_at), 'event_id', coalesce(nothing_id, left_id),
                        'other_id', '',
                        'what', CASE
                            WHEN nothing_at IS NOT NULL THEN concat(
                                'recorded nothing, as the answer to a stop said at ',
                                to_char(nothing_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC (code 435)'
                            )
                            ELSE concat(
                                'recorded nothing: the recorder left at ', to_char(left_at, '%Y-%m-%d %H:%M:%S%.3f'),
                                ' UTC because nobody was there, and neither a slice nor a file ever came'
                            )
                        END
                    ) END,
                    CASE WHEN is_uid_collision THEN named_struct(
                        'name', 'uid_collision', 'severity', 'high', 'cause', 'unknown',
                        'at', greatest(left_at, last_missed_at, own_stream_at),
                        'event_id', coalesce(own_stream_id, left_id), 'other_id', coalesce(last_missed_id, left_id, ''),
                        'what', concat(
                            'shared its uid with a participant: ',
                            concat_ws(
                                ', ',
                                CASE WHEN own_stream_at IS NOT NULL THEN concat(
                                    'a stream of that uid was there at ', to_char(own_stream_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC'
                                ) END,
                                CASE WHEN left_at IS NOT NULL AND started_at IS NOT NULL THEN concat(
                                    'the recorder left unasked ',
                                    (arrow_cast(left_at, 'Int64') - arrow_cast(started_at, 'Int64')) / 1000000,
                                    ' s after it came'
                                ) END,
                                CASE WHEN last_missed_at IS NOT NULL THEN concat(
                                    'a call at ', to_char(last_missed_at, '%H:%M:%S%.3f'), ' did not find it'
                                ) END
                            )
                        )
                    ) END,
                    CASE WHEN is_token THEN named_struct(
                        'name', 'token', 'severity', 'high', 'cause', 'credentials',
                        'at', coalesce(token_at, missed_at), 'event_id', coalesce(token_id, last_missed_id),
                        'other_id', '',
                        'what', CASE
                            WHEN token_code = 109 THEN concat(
                                'lost its right to the channel: the token expired (error 109) at ',
                                to_char(token_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC'
                            )
                            WHEN token_at IS NOT NULL THEN concat(
                                'had no right to the channel: the token is wrong (error 110), as the recorder said at ',
                                to_char(token_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC'
                            )
                            ELSE concat(
                                'was accepted and was gone ',
                                (arrow_cast(missed_at, 'Int64') - arrow_cast(responded_at, 'Int64')) / 1000000,
                                ' s later, and its recorder never came: look at the token first'
                            )
                        END
                    ) END,
                    CASE WHEN is_failed_over THEN named_struct(
                        'name', 'fail_over', 'severity', CASE WHEN failovers > $failovers_max THEN 'high' ELSE 'low' END,
                        'cause', 'service',
                        'at', coalesce(failed_over_at, backup_file_at, last_alive_at), 'event_id', coalesce(failover_id, last_alive_id),
                        'other_id', '',
                        'what', concat(
                            'was moved to another server',
                            CASE WHEN failovers > 1 THEN concat(' ', failovers, ' times') END,
                            CASE WHEN failed_over_at IS NOT NULL THEN concat(
                                ', first at ', to_char(failed_over_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC'
                            ) END,
                            CASE WHEN other_uid <> uid THEN concat(', its recorder went on as uid ', other_uid) END,
                            CASE WHEN failovers > $failovers_max THEN '; after that many the service gives up' END
                        )
                    ) END,
                    CASE WHEN is_false_end THEN named_struct(
                        'name', 'false_end', 'severity', 'medium', 'cause', 'service',
                        'at', greatest(
                            CASE WHEN last_alive_at > queried_404_at THEN last_alive_at END,
                            CASE WHEN last_left_at > queried_404_at THEN last_left_at END,
                            CASE WHEN last_slice_at > queried_404_at THEN last_slice_at END
                        ),
                        'event_id', queried_404_id,
                        'other_id', CASE
                            WHEN last_alive_at > queried_404_at THEN last_alive_id
                            WHEN last_left_at > queried_404_at THEN left_id
                            ELSE ''
                        END,
                        'what', concat(
                            'looked ended but was not: a query was answered 404 at ',
                            to_char(queried_404_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC, and the recording went on until at least ',
                            to_char(
                                greatest(
                                    CASE WHEN last_alive_at > queried_404_at THEN last_alive_at END,
                                    CASE WHEN last_left_at > queried_404_at THEN last_left_at END,
                                    CASE WHEN last_slice_at > queried_404_at THEN last_slice_at END
                                ),
                                '%H:%M:%S%.3f'
                            )
                        )
                    ) END,
                    CASE WHEN is_web_page THEN named_struct(
                        'name', 'web_page', 'severity', CASE WHEN page_code IS NOT NULL THEN 'medium' ELSE 'low' END,
                        'cause', 'unknown',
                        'at', page_to, 'event_id', page_id, 'other_id', '',
                        'what', concat(
                            'had trouble with its web page: ',
                            concat_ws(
                                ', ',
                                CASE page_code
                                    WHEN 1 THEN 'it ran into maxRecordingHour (code 1)'
                                    WHEN 2 THEN 'it ran into a capability limit (code 2)'
                                    WHEN 3 THEN 'the engine did not start (code 3)'
                                    WHEN 4 THEN 'the page did not load in time (code 4)'
                                    WHEN 5 THEN 'the address could not be opened (code 5)'
                                    WHEN 6 THEN 'the recorder failed (code 6)'
                                END,
                                CASE WHEN page_limits > 0 THEN concat(page_limits, ' times at a limit') END,
                                CASE WHEN page_reloads > 0 THEN concat(page_reloads, ' reloads') END,
                                page_result
                            ),
                            ', until ', to_char(page_to, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC'
                        )
                    ) END
                )
            ) AS failure
        FROM diagnosed
    )
    WHERE failure IS NOT NULL
),

faults AS (
    SELECT
        failure,
        sid AS subject,
        severity,
        root_cause,
        app_id,
        cname,
        uid,
        sid,
        make_array(sid) AS sids,
        begun_at AS first_at,
        greatest(begun_at, at) AS last_at,
        vendor_name,
        bucket,
        concat('The session of channel ', cname, ' (sid ', sid, ') ', what, '.') AS explanation,
        array_distinct(
            array_remove_all(make_array(coalesce(start_id, ''), coalesce(event_id, ''), coalesce(other_id, '')), '')
        ) AS evidence
    FROM failed
    UNION ALL
    SELECT
        'idle_flapping' AS failure,
        flapping.first_sid AS subject,
        'medium' AS severity,
        'unknown' AS root_cause,
        flapping.app_id,
        flapping.cname,
        flapping.uid,
        flapping.first_sid AS sid,
        flapping.sids,
        flapping.run_at AS first_at,
        flapping.last_at,
        accepted_starts.vendor_name,
        accepted_starts.bucket,
        concat(
            'Channel ', flapping.cname, ' was started ', flapping.cycles, ' times from ',
            to_char(flapping.run_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC on, each time soon after the recorder had left because nobody was there, the last time at ',
            to_char(flapping.last_at, '%H:%M:%S%.3f'), '.'
        ) AS explanation,
        flapping.start_ids AS evidence
    FROM flapping
    INNER JOIN accepted_starts ON accepted_starts.sid = flapping.first_sid
    UNION ALL
    SELECT
        failure,
        subject,
        CASE failure WHEN 'token' THEN 'high' WHEN 'not_enabled' THEN 'high' ELSE 'medium' END AS severity,
        CASE failure WHEN 'token' THEN 'credentials' WHEN 'capacity' THEN 'service' ELSE 'unknown' END AS root_cause,
        app_id,
        cname,
        uid,
        NULL AS sid,
        string_to_array('', ',') AS sids,
        first_at,
        last_at,
        vendor_name,
        bucket,
        concat(
            'Of the calls for channel ', coalesce(cname, '(unknown)'), ' ', calls, ' failed from ',
            to_char(first_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC on: ',
            CASE WHEN operation IN ('acquire', 'update', 'update_layout') THEN 'an ' ELSE 'a ' END, operation,
            ' was answered HTTP ', http_status,
            CASE WHEN code IS NOT NULL THEN concat(' code ', code) END,
            CASE WHEN reason_text IS NOT NULL THEN concat(' (', reason_text, ')') END,
            CASE
                WHEN failure = 'expired_ticket' AND is_foreign AND operation <> 'start' THEN ', with the ticket of another session'
                WHEN failure = 'expired_ticket' AND is_foreign THEN ', with the ticket of another channel or uid'
                WHEN failure = 'expired_ticket' AND code IN (432, 433) AND acquired_at IS NOT NULL THEN concat(
                    ', with a ticket ',
                    (arrow_cast(first_at, 'Int64') - arrow_cast(acquired_at, 'Int64')) / 1000000, ' s old'
                )
            END,
            '.'
        ) AS explanation,
        event_ids AS evidence
    FROM failed_call_chains
)

SELECT
    faults.severity,
    faults.failure AS variant,
    faults.app_id,
    faults.cname,
    faults.uid,
    faults.sids,
    faults.first_at,
    faults.last_at,
    CASE WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.vendor_name ELSE faults.vendor_name END
        AS expected_vendor,
    CASE WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.bucket ELSE faults.bucket END
        AS expected_bucket,
    CASE WHEN session_landings.vendor_name IS NOT NULL THEN session_landings.vendor_name ELSE faults.vendor_name END
        AS actual_vendor,
    CASE WHEN session_landings.vendor_name IS NOT NULL THEN session_landings.bucket ELSE faults.bucket END
        AS actual_bucket,
    faults.root_cause,
    faults.explanation,
    faults.evidence,
    faults.failure,
    faults.subject
FROM faults
LEFT JOIN session_beliefs ON session_beliefs.sid = faults.sid
LEFT JOIN session_landings ON session_landings.sid = faults.sid
ORDER BY first_at, app_id, cname, failure, subject
