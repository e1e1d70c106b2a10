-- ---
-- name        = "slow_or_cross_region_upload"
-- title       = "The upload fell behind or timed out"
-- severity    = "medium"
-- category    = "upload"
-- status      = "stable"
-- patterns    = ["P28", "P29"]
-- description = """
-- Finds sessions whose upload was slow. Variants: timeout (a stop answered 50, or the service said that the upload timed out: 1, module
-- 2, error 50), late (webhook 31 or 32, or the last file in the bucket asked for, came more than 20 minutes after the recording ended; of
-- files the slices, screenshots and mp4s count, each by its first write, but not the mp4s of individual recordings, which are made later,
-- nor anything that the service's backup brought home), behind (uploading progress (33) lay far below the share of the recording that was
-- over, more than once). Where the bucket lies in another part of the world than the recorder, that is said: geography alone is no
-- finding, it explains one.
-- """
-- false_positives = ["postponed transcoding, whose files come hours later by design", "an outage of the store"]
-- response = """
-- Record near the bucket (acquire's region) or store near the recorder. After an answer 50 query the session until it is
-- gone before anything reads the files: slices that wait too long can be lost.
-- """
-- identity = ["app_id", "cname", "sid"]
--
-- [params]
-- late_after = { type = "duration", default = "20m", doc = "uploads normally complete this long after the end" }
-- behind     = { type = "float64", default = 0.5, doc = "progress below this share of what it should be is far below" }
-- behind_min = { type = "int64", default = 2, doc = "so many notifications must be far below" }
-- warm_up    = { type = "duration", default = "5m", doc = "progress in this first part of a recording says nothing" }
--
-- [columns]
-- sid = { type = "string", doc = "recording session id" }
-- ---
WITH timeouts AS (
    SELECT
        sid,
        min(at) AS at,
        min(event_id) AS event_id,
        min(said_by) AS said_by
    FROM (
        SELECT sid, at, event_id, 'webhook 1' AS said_by
        FROM session_notices
        WHERE event_type = 1 AND module = 2 AND error_code = 50
        UNION ALL
        SELECT sid, coalesce(responded_at, requested_at) AS at, event_id, 'stop' AS said_by
        FROM api_calls
        WHERE operation = 'stop' AND code = 50 AND sid IS NOT NULL
    )
    GROUP BY sid
),

lives AS (
    -- Where no notification tells of a session, the stop alone says when it ended.
    SELECT
        coalesce(session_lifecycles.sid, stops.sid) AS sid,
        coalesce(session_lifecycles.app_id, stops.app_id) AS app_id,
        coalesce(session_lifecycles.cname, stops.cname) AS cname,
        coalesce(session_lifecycles.uid, stops.uid) AS uid,
        coalesce(session_lifecycles.started_at, session_lifecycles.first_at) AS started_at,
        least(session_lifecycles.last_left_at, stops.at) AS ended_at,
        coalesce(session_lifecycles.uploaded_at, session_lifecycles.backuped_at) AS announced_at
    FROM session_lifecycles
    FULL JOIN (
        SELECT sid, min(app_id) AS app_id, min(cname) AS cname, min(uid) AS uid, min(responded_at) AS at
        FROM api_calls
        WHERE operation = 'stop' AND (outcome = 'ok' OR code = 50) AND sid IS NOT NULL
        GROUP BY sid
    ) AS stops ON stops.sid = session_lifecycles.sid
),

arrived AS (
    -- Where the start sent them.
    SELECT
        arrivals.sid,
        greatest(
            arrivals.last_slice_at,
            arrivals.last_jpg_at,
            -- Those of individual recordings come of postponed transcoding.
            CASE WHEN accepted_starts.mode <> 'individual' THEN arrivals.last_mp4_at END
        ) AS last_at,
        arrivals.event_id
    FROM session_arrivals AS arrivals
    INNER JOIN accepted_starts
        ON accepted_starts.sid = arrivals.sid
        AND accepted_starts.vendor_name = arrivals.vendor_name
        AND accepted_starts.bucket = arrivals.bucket
),

behind AS (
    SELECT
        progressed.sid,
        count(DISTINCT progressed.event_id) AS notices,
        min(progressed.at) AS first_at,
        max(progressed.at) AS last_at,
        min(progressed.progress) AS progress,
        min(progressed.event_id) AS event_id
    FROM session_notices AS progressed
    INNER JOIN lives ON lives.sid = progressed.sid
    WHERE progressed.event_type = 33
        AND lives.ended_at > lives.started_at
        AND progressed.at >= lives.started_at + $warm_up
        AND progressed.progress < 10000 * $behind * least(
            1.0,
            CAST(
                arrow_cast(progressed.at, 'Int64') - arrow_cast(lives.started_at, 'Int64') AS DOUBLE
            ) / (arrow_cast(lives.ended_at, 'Int64') - arrow_cast(lives.started_at, 'Int64'))
        )
    GROUP BY progressed.sid
    HAVING count(DISTINCT progressed.event_id) >= $behind_min
),

slow AS (
    SELECT
        lives.sid,
        lives.app_id,
        lives.cname,
        lives.uid,
        lives.ended_at,
        timeouts.at AS timeout_at,
        timeouts.event_id AS timeout_id,
        timeouts.said_by,
        behind.notices,
        behind.first_at AS behind_from,
        behind.last_at AS behind_to,
        behind.progress,
        behind.event_id AS behind_id,
        accepted_starts.app_id AS start_app_id,
        accepted_starts.cname AS start_cname,
        accepted_starts.uid AS start_uid,
        accepted_starts.start_id,
        accepted_starts.requested_at,
        accepted_starts.vendor_name,
        accepted_starts.bucket,
        accepted_starts.storage,
        CASE
            WHEN session_backups.sid IS NOT NULL THEN lives.announced_at
            ELSE greatest(lives.announced_at, arrived.last_at)
        END AS done_at,
        CASE
            WHEN session_backups.sid IS NULL AND coalesce(arrived.last_at > lives.announced_at, lives.announced_at IS NULL)
                THEN arrived.event_id
            ELSE announced.event_id
        END AS done_id
    FROM lives
    LEFT JOIN timeouts ON timeouts.sid = lives.sid
    LEFT JOIN behind ON behind.sid = lives.sid
    LEFT JOIN accepted_starts ON accepted_starts.sid = lives.sid
    LEFT JOIN session_backups ON session_backups.sid = lives.sid
    LEFT JOIN arrived ON arrived.sid = lives.sid
    LEFT JOIN (
        SELECT sid, min(event_id) AS event_id
        FROM session_notices
        WHERE event_type IN (31, 32)
        GROUP BY sid
    ) AS announced ON announced.sid = lives.sid
),

faults AS (
    SELECT
        sid,
        coalesce(start_app_id, app_id) AS app_id,
        coalesce(start_cname, cname) AS cname,
        coalesce(start_uid, uid) AS uid,
        ended_at,
        timeout_at,
        timeout_id,
        said_by,
        notices,
        behind_from,
        behind_to,
        progress,
        behind_id,
        start_id,
        requested_at,
        vendor_name,
        bucket,
        storage,
        CASE WHEN done_at > ended_at + $late_after THEN done_at END AS late_at,
        CASE WHEN done_at > ended_at + $late_after THEN done_id END AS late_id
    FROM slow
    WHERE timeout_at IS NOT NULL OR notices IS NOT NULL OR done_at > ended_at + $late_after
)

SELECT
    CASE
        WHEN faults.timeout_at IS NOT NULL THEN 'timeout'
        WHEN faults.late_at IS NOT NULL THEN 'late'
        ELSE 'behind'
    END AS variant,
    faults.app_id,
    faults.cname,
    faults.uid,
    make_array(faults.sid) AS sids,
    least(faults.requested_at, faults.timeout_at, faults.behind_from, faults.ended_at) AS first_at,
    greatest(faults.timeout_at, faults.behind_to, faults.late_at) AS last_at,
    CASE WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.vendor_name ELSE faults.vendor_name END
        AS expected_vendor,
    CASE WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.bucket ELSE faults.bucket END
        AS expected_bucket,
    CASE WHEN session_landings.vendor_name IS NOT NULL THEN session_landings.vendor_name ELSE faults.vendor_name END
        AS actual_vendor,
    CASE WHEN session_landings.vendor_name IS NOT NULL THEN session_landings.bucket ELSE faults.bucket END
        AS actual_bucket,
    CASE WHEN session_geographies.is_cross_region THEN 'unknown' ELSE 'service' END AS root_cause,
    concat(
        'The upload of channel ', faults.cname, ' (sid ', faults.sid, ')',
        CASE WHEN faults.storage IS NOT NULL THEN concat(' to ', faults.storage) END, ' was slow: ',
        concat_ws(
            '; ',
            CASE
                WHEN faults.said_by = 'stop' THEN concat(
                    'a stop was answered 50 (upload not finished) at ',
                    to_char(faults.timeout_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC'
                )
                WHEN faults.timeout_at IS NOT NULL THEN concat(
                    'the service reported that it timed out (error 50) at ',
                    to_char(faults.timeout_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC'
                )
            END,
            CASE
                WHEN faults.late_at IS NOT NULL THEN concat(
                    'it was complete at ', to_char(faults.late_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC, ',
                    (arrow_cast(faults.late_at, 'Int64') - arrow_cast(faults.ended_at, 'Int64')) / 60000000,
                    ' minutes after the recording ended'
                )
            END,
            CASE
                WHEN faults.notices IS NOT NULL THEN concat(
                    faults.notices, ' notifications from ', to_char(faults.behind_from, '%H:%M:%S'), ' to ',
                    to_char(faults.behind_to, '%H:%M:%S'), ' put its progress far below what was recorded, at the least ',
                    faults.progress / 100, ' percent'
                )
            END
        ),
        '.',
        CASE
            WHEN session_geographies.is_cross_region THEN concat(
                ' The bucket lies in ', session_geographies.storage_geography, ', the recorder in ',
                session_geographies.recorder_geography, '.'
            )
        END
    ) AS explanation,
    array_distinct(
        array_remove_all(
            make_array(
                coalesce(faults.start_id, ''), coalesce(faults.behind_id, ''), coalesce(faults.timeout_id, ''),
                coalesce(faults.late_id, '')
            ),
            ''
        )
    ) AS evidence,
    faults.sid
FROM faults
LEFT JOIN session_geographies ON session_geographies.sid = faults.sid
LEFT JOIN session_beliefs ON session_beliefs.sid = faults.sid
LEFT JOIN session_landings ON session_landings.sid = faults.sid
ORDER BY first_at, app_id, cname, sid
