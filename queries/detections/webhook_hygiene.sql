-- ---
-- name        = "webhook_hygiene"
-- title       = "Webhooks with bad signatures, gaps, more repeats or more disorder than the service explains"
-- severity    = "high"
-- category    = "evidence"
-- status      = "stable"
-- patterns    = ["P50"]
-- description = """
-- Finds, for each session, what is wrong with the notifications themselves. Variants: bad_signature (a signature that fits none of the
-- configured secrets, severity high), gap (numbers of the sequence never came, severity low; judged once the watermark of webhooks has
-- passed the last of them), repeated (a notification was delivered more often than one attempt and three retries, or most of the
-- session's more than once; delivery counts by its time, not by what Kafka repeats, and a twin of another id counts as a repeat; severity
-- info), disordered (many were first tried after the one that follows them; severity info). Now and then a repeat or an inversion
-- is normal: the service promises neither order nor a single delivery. Test notifications never count.
-- """
-- false_positives = [
--   "a secret that was changed in the console and not in the configuration",
--   "redundant notifications, which double everything on purpose",
--   "a receiver that is not subscribed to all types: its sequences have gaps always, and no session of its app is complete",
-- ]
-- response = """
-- Where notifications are missing (gap), let the receiver answer 200 within 10 seconds and work afterwards, and query the sessions concerned.
-- Where a signature is bad, find who knows the address of the receiver, or add the secret. Where they repeat or come out of order, make
-- the receiver's work idempotent by noticeId and order it by sequence.
-- """
-- identity = ["cname", "sid", "fault"]
--
-- [params]
-- settled_after  = { type = "duration", default = "20m", doc = "retries of a notification are over this long after it" }
-- deliveries_max = { type = "int64", default = 4, doc = "attempts that the service makes by itself: one and three retries" }
-- repeated_min   = { type = "int64", default = 3, doc = "so many notifications of a session, and at least half, came repeatedly" }
-- disordered_min = { type = "int64", default = 3, doc = "so many notifications of a session, and at least a quarter, came after the one that follows them" }
-- tolerance      = { type = "duration", default = "2s", doc = "how much later one must be tried than the next" }
--
-- [columns]
-- sid   = { type = "string", doc = "recording session id" }
-- fault = { type = "string", doc = "bad_signature, gap, repeated, disordered" }
-- ---
WITH suspects AS (
    -- Sessions with enough repeats, or with any two numbers that may have come the wrong way round: few of all.
    SELECT sid
    FROM session_lifecycles
    WHERE repeats >= least($deliveries_max, $repeated_min)
    UNION
    SELECT sid
    FROM (
        SELECT sid, sequence, notified_at AS tried_at, NULL AS following_at
        FROM session_notices
        WHERE sequence IS NOT NULL AND notified_at IS NOT NULL
        UNION ALL
        SELECT sid, sequence - 1 AS sequence, NULL AS tried_at, notified_at AS following_at
        FROM session_notices
        WHERE sequence IS NOT NULL AND notified_at IS NOT NULL
    )
    GROUP BY sid, sequence
    HAVING max(tried_at) > min(following_at) + $tolerance
),

notices AS (
    -- Each numbered event of a session once; a twin under another id is the same event. After a fail-over two processes
    -- tell of one event, under two uids.
    SELECT
        sid,
        event_type,
        sequence,
        coalesce(uid, '') AS uid,
        min(app_id) AS app_id,
        min(cname) AS cname,
        min(notified_at) AS tried_at,
        max(notified_at) AS last_tried_at,
        count(*) AS deliveries,
        min(event_id) AS event_id
    FROM (
        -- Each delivery once: Kafka may repeat it.
        SELECT
            sid,
            event_type,
            sequence,
            uid,
            event_id,
            notified_at,
            min(app_id) AS app_id,
            min(cname) AS cname
        FROM session_notices
        LEFT SEMI JOIN suspects ON suspects.sid = session_notices.sid
        WHERE sequence IS NOT NULL AND notified_at IS NOT NULL
        GROUP BY sid, event_type, sequence, uid, event_id, notified_at
    )
    GROUP BY sid, event_type, sequence, coalesce(uid, '')
),

faults AS (
    SELECT
        sid,
        'bad_signature' AS fault,
        min(app_id) AS app_id,
        min(cname) AS cname,
        min(uid) AS uid,
        count(DISTINCT event_id) AS faulty,
        CAST(NULL AS BIGINT) AS of_all,
        min(at) AS first_at,
        max(at) AS last_at,
        min(event_id) AS event_id,
        max(event_id) AS other_event_id
    FROM session_notices
    WHERE signature = 'invalid'
    GROUP BY sid
    UNION ALL
    SELECT
        sid,
        'gap' AS fault,
        app_id,
        cname,
        uid,
        missing AS faulty,
        greatest + 1 AS of_all,
        first_at,
        last_at,
        first_id AS event_id,
        last_id AS other_event_id
    FROM session_sequences
    WHERE missing > 0 AND is_unfiltered AND webhooks_to >= last_at + $settled_after
    UNION ALL
    SELECT
        sid,
        'repeated' AS fault,
        min(app_id) AS app_id,
        min(cname) AS cname,
        min(uid) AS uid,
        count(CASE WHEN deliveries > 1 THEN 1 END) AS faulty,
        count(*) AS of_all,
        min(CASE WHEN deliveries > 1 THEN tried_at END) AS first_at,
        max(CASE WHEN deliveries > 1 THEN last_tried_at END) AS last_at,
        min(CASE WHEN deliveries > 1 THEN event_id END) AS event_id,
        max(CASE WHEN deliveries > 1 THEN event_id END) AS other_event_id
    FROM notices
    GROUP BY sid
    HAVING max(deliveries) > $deliveries_max
        OR (
            count(CASE WHEN deliveries > 1 THEN 1 END) >= $repeated_min
            AND count(CASE WHEN deliveries > 1 THEN 1 END) * 2 >= count(*)
        )
    UNION ALL
    SELECT
        notices.sid,
        'disordered' AS fault,
        min(notices.app_id) AS app_id,
        min(notices.cname) AS cname,
        min(notices.uid) AS uid,
        count(CASE WHEN notices.tried_at > following.tried_at + $tolerance THEN 1 END) AS faulty,
        count(*) AS of_all,
        min(CASE WHEN notices.tried_at > following.tried_at + $tolerance THEN following.tried_at END) AS first_at,
        max(CASE WHEN notices.tried_at > following.tried_at + $tolerance THEN notices.tried_at END) AS last_at,
        min(CASE WHEN notices.tried_at > following.tried_at + $tolerance THEN notices.event_id END) AS event_id,
        max(CASE WHEN notices.tried_at > following.tried_at + $tolerance THEN notices.event_id END)
            AS other_event_id
    FROM notices
    INNER JOIN notices AS following
        ON following.sid = notices.sid
        AND following.sequence = notices.sequence + 1
    GROUP BY notices.sid
    HAVING count(CASE WHEN notices.tried_at > following.tried_at + $tolerance THEN 1 END) >= $disordered_min
        AND count(CASE WHEN notices.tried_at > following.tried_at + $tolerance THEN 1 END) * 4 >= count(*)
)

SELECT
    CASE faults.fault WHEN 'bad_signature' THEN 'high' WHEN 'gap' THEN 'low' ELSE 'info' END AS severity,
    faults.fault AS variant,
    coalesce(accepted_starts.app_id, faults.app_id) AS app_id,
    coalesce(accepted_starts.cname, faults.cname) AS cname,
    coalesce(accepted_starts.uid, faults.uid) AS uid,
    make_array(faults.sid) AS sids,
    faults.first_at,
    faults.last_at,
    CASE
        WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.vendor_name
        ELSE accepted_starts.vendor_name
    END AS expected_vendor,
    CASE WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.bucket ELSE accepted_starts.bucket END
        AS expected_bucket,
    CASE
        WHEN session_landings.vendor_name IS NOT NULL THEN session_landings.vendor_name
        ELSE accepted_starts.vendor_name
    END AS actual_vendor,
    CASE WHEN session_landings.vendor_name IS NOT NULL THEN session_landings.bucket ELSE accepted_starts.bucket END
        AS actual_bucket,
    CASE WHEN faults.fault IN ('repeated', 'disordered') THEN 'service' ELSE 'unknown' END AS root_cause,
    concat(
        CASE faults.fault
            WHEN 'bad_signature' THEN concat(
                faults.faulty, CASE WHEN faults.faulty = 1 THEN ' notification' ELSE ' notifications' END,
                ' about channel ', faults.cname, ' (sid ', faults.sid,
                CASE WHEN faults.faulty = 1 THEN ') bears' ELSE ') bear' END, ' a signature that fits none of the configured secrets'
            )
            WHEN 'gap' THEN concat(
                'Of ', faults.of_all, ' notifications about channel ', faults.cname, ' (sid ', faults.sid, ') ',
                faults.faulty, ' never came: ',
                CASE WHEN faults.faulty = 1 THEN 'its sequence number is' ELSE 'their sequence numbers are' END, ' missing'
            )
            WHEN 'repeated' THEN concat(
                'Of ', faults.of_all, ' notifications about channel ', faults.cname, ' (sid ', faults.sid, ') ',
                faults.faulty, CASE WHEN faults.faulty = 1 THEN ' was' ELSE ' were' END, ' delivered more than once'
            )
            ELSE concat(
                'Of ', faults.of_all, ' pairs of notifications about channel ', faults.cname, ' (sid ', faults.sid, ') ',
                faults.faulty, CASE WHEN faults.faulty = 1 THEN ' was' ELSE ' were' END, ' delivered the wrong way round'
            )
        END,
        ', from ', to_char(faults.first_at, '%Y-%m-%d %H:%M:%S%.3f'), ' to ',
        to_char(faults.last_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC.'
    ) AS explanation,
    array_distinct(make_array(faults.event_id, faults.other_event_id)) AS evidence,
    faults.sid,
    faults.fault
FROM faults
LEFT JOIN accepted_starts ON accepted_starts.sid = faults.sid
LEFT JOIN session_beliefs ON session_beliefs.sid = faults.sid
LEFT JOIN session_landings ON session_landings.sid = faults.sid
ORDER BY first_at, cname, sid, fault
