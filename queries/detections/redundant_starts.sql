-- ---
-- name        = "redundant_starts"
-- title       = "Two starts of one channel, alive together, store in the same place"
-- severity    = "high"
-- category    = "session"
-- status      = "stable"
-- patterns    = ["P01", "P02", "P03", "P05"]
-- description = """
-- Finds each start that met a session of its channel that was being started or alive, and that asked for the same storage: a
-- double recording with a double bill, or a caller that does not know that it records already. One finding per superfluous
-- start, against the first session that was alive then. Variants: same_ticket (answered `already running`, severity info),
-- same_identity_rejected (answered `task conflict`, low), same_identity_accepted (accepted although cname and uid were taken,
-- high), other_uid (accepted beside the other, medium). A start that follows one of unknown outcome on the same ticket is the retry
-- that the service asks for, and none. Redundancy that the acquire asks for (excludeResourceIds), uids that are meant to record side by
-- side, recordings in two modes and restarts after the end are none either. Two accepted starts count only if a stream shows that
-- both were alive; the rest is in `not_judged`.
-- """
-- false_positives = ["redundancy on purpose, without excludeResourceIds and without naming its uids in `redundant_uids`"]
-- response = """
-- Find what sends two starts for one channel (retry without idempotency key, two services, a user who taps twice), stop the
-- second session and delete its files if nobody needs them. Redundancy on purpose is best declared by excludeResourceIds.
-- """
-- identity = ["app_id", "cname", "redundant_start_id"]
--
-- [params]
-- tolerance      = { type = "duration", default = "2s", doc = "how far the clocks of callers and webhooks may differ" }
-- race           = { type = "duration", default = "10s", doc = "starts closer than this race, whatever their callers" }
-- settle         = { type = "duration", default = "90s", doc = "a session counts as alive for this long after its start without another sign" }
-- redundant_uids = { type = "string", default = "", doc = "recorder uids, separated by commas, that are meant to record side by side" }
--
-- [columns]
-- redundant_start_id = { type = "string", doc = "start_id of the superfluous start" }
-- ---
WITH repeated AS (
    -- A channel that was started once has nothing redundant.
    SELECT app_id, cname
    FROM starts
    WHERE storage_identity IS NOT NULL AND outcome IN ('ok', 'already_running', 'conflict')
    GROUP BY app_id, cname
    HAVING count(*) > 1
),

signs AS (
    -- When each session was last heard of alive: the end itself is in `session_ends`.
    SELECT sid, max(at) AS alive_at
    FROM (
        SELECT sid, last_alive_at AS at
        FROM session_lifecycles
        UNION ALL
        SELECT sid, requested_at AS at
        FROM api_calls
        WHERE operation IN ('query', 'update', 'update_layout') AND outcome = 'ok'
    )
    WHERE sid IS NOT NULL
    GROUP BY sid
),

lives AS (
    SELECT
        starts.app_id,
        starts.cname,
        starts.start_id,
        starts.uid,
        starts.mode,
        starts.resource_id,
        starts.outcome,
        starts.requested_at,
        coalesce(starts.responded_at, starts.requested_at) AS answered_at,
        -- What no stream tells the end of is alive as long as a stream shows it.
        CASE
            WHEN session_ends.ended_at IS NOT NULL THEN least(session_ends.ended_at, starts.expires_at)
            ELSE greatest(starts.requested_at + $settle, signs.alive_at)
        END AS alive_until,
        session_ends.ended_at,
        session_ends.stop_requested_at,
        starts.storage_identity,
        starts.exclude_resource_ids,
        named_struct(
            'start_id', starts.start_id, 'uid', starts.uid, 'sid', starts.sid, 'resource_id', starts.resource_id,
            'outcome', starts.outcome, 'http_status', starts.http_status, 'code', starts.code,
            'requested_at', starts.requested_at, 'responded_at', starts.responded_at,
            'vendor_name', starts.vendor_name, 'bucket', starts.bucket, 'storage', starts.storage,
            'storage_identity', starts.storage_identity, 'origin', starts.origin, 'event_ids', starts.event_ids
        ) AS start
    FROM starts
    LEFT SEMI JOIN repeated
        ON repeated.app_id = starts.app_id
        AND repeated.cname = starts.cname
    LEFT JOIN session_ends ON session_ends.sid = starts.sid
    LEFT JOIN signs ON signs.sid = starts.sid
    WHERE starts.storage_identity IS NOT NULL
        AND starts.outcome IN ('ok', 'already_running', 'conflict')
),

met AS (
    -- For each start the first session that was there before it.
    SELECT
        losing.start_id AS redundant_start_id,
        losing.app_id,
        losing.cname,
        first_value(losing.start) AS losing,
        first_value(winning.start ORDER BY winning.requested_at, winning.start_id) AS winning,
        bool_or(
            losing.uid <> winning.uid
            AND (
                cardinality(losing.exclude_resource_ids) > 0
                OR array_contains(winning.exclude_resource_ids, losing.resource_id)
                OR (
                    array_contains(string_to_array(replace($redundant_uids, ' ', ''), ','), losing.uid)
                    AND array_contains(string_to_array(replace($redundant_uids, ' ', ''), ','), winning.uid)
                )
            )
        ) AS is_declared
    FROM lives AS losing
    INNER JOIN lives AS winning
        ON winning.app_id = losing.app_id
        AND winning.cname = losing.cname
    WHERE winning.start_id <> losing.start_id
        AND winning.outcome = 'ok'
        AND CASE losing.outcome
            -- The answers themselves prove that the ticket's session, or the identity's, runs.
            WHEN 'already_running' THEN winning.resource_id = losing.resource_id
            WHEN 'conflict' THEN
                winning.uid = losing.uid
                AND winning.requested_at <= losing.answered_at + $tolerance
                AND coalesce(winning.ended_at + $tolerance >= losing.requested_at, true)
            -- Both accepted: they overlap by more than the clocks may differ, and the first was not asked to
            -- stop before the second was sent.
            ELSE
                (
                    winning.requested_at < losing.requested_at
                    OR (winning.requested_at = losing.requested_at AND winning.start_id < losing.start_id)
                )
                AND (winning.uid = losing.uid OR coalesce(winning.mode, '') = coalesce(losing.mode, ''))
                AND losing.answered_at + $tolerance < winning.alive_until
                AND coalesce(winning.stop_requested_at > losing.requested_at + $tolerance, true)
        END
    GROUP BY losing.start_id, losing.app_id, losing.cname
),

faults AS (
    SELECT
        met.redundant_start_id,
        met.app_id,
        met.cname,
        met.losing,
        met.winning,
        CASE
            WHEN met.winning['resource_id'] = met.losing['resource_id'] THEN 'same_ticket'
            WHEN met.losing['outcome'] = 'conflict' THEN 'same_identity_rejected'
            WHEN met.winning['uid'] = met.losing['uid'] THEN 'same_identity_accepted'
            ELSE 'other_uid'
        END AS variant,
        -- The second was sent before the first was answered, or so soon after that nobody can have read the answer.
        coalesce(met.losing['requested_at'] < met.winning['responded_at'], false)
            OR met.losing['requested_at'] - met.winning['requested_at'] <= $race AS is_race,
        abs(
            arrow_cast(met.losing['requested_at'], 'Int64') - arrow_cast(met.winning['requested_at'], 'Int64')
        ) / 1000 AS gap_ms,
        session_beliefs.vendor_name AS record_vendor_name,
        session_beliefs.bucket AS record_bucket,
        session_landings.sid IS NOT NULL AS has_landed,
        session_landings.vendor_name AS file_vendor_name,
        session_landings.bucket AS file_bucket,
        make_array(
            named_struct('at', met.winning['requested_at'], 'event_ids', met.winning['event_ids']),
            named_struct('at', met.losing['requested_at'], 'event_ids', met.losing['event_ids']),
            named_struct('at', session_landings.event_at, 'event_ids', make_array(session_landings.event_id))
        ) AS items
    FROM met
    LEFT JOIN session_beliefs ON session_beliefs.sid = met.winning['sid']
    LEFT JOIN session_landings
        ON session_landings.sid
            = CASE WHEN met.losing['outcome'] = 'ok' THEN met.losing['sid'] ELSE met.winning['sid'] END
    WHERE met.winning['storage_identity'] = met.losing['storage_identity']
        AND NOT coalesce(met.is_declared, false)
)

SELECT
    CASE variant
        WHEN 'same_ticket' THEN 'info'
        WHEN 'same_identity_rejected' THEN 'low'
        WHEN 'same_identity_accepted' THEN 'high'
        ELSE 'medium'
    END AS severity,
    variant,
    app_id,
    cname,
    losing['uid'] AS uid,
    array_remove_all(
        make_array(
            winning['sid'],
            CASE WHEN losing['sid'] <> winning['sid'] THEN losing['sid'] ELSE '' END
        ),
        ''
    ) AS sids,
    min(item['at']) AS first_at,
    max(item['at']) AS last_at,
    CASE WHEN record_vendor_name IS NOT NULL THEN record_vendor_name ELSE winning['vendor_name'] END AS expected_vendor,
    CASE WHEN record_vendor_name IS NOT NULL THEN record_bucket ELSE winning['bucket'] END AS expected_bucket,
    CASE WHEN has_landed THEN file_vendor_name ELSE winning['vendor_name'] END AS actual_vendor,
    CASE WHEN has_landed THEN file_bucket ELSE winning['bucket'] END AS actual_bucket,
    CASE
        WHEN NOT is_race
            AND winning['origin'] <> ''
            AND losing['origin'] <> ''
            AND winning['origin'] <> losing['origin']
            THEN 'environment_switching'
        ELSE 'race'
    END AS root_cause,
    concat(
        'Channel ', cname, ' was started twice into ', winning['storage'], ', ', gap_ms, ' ms apart: at ',
        to_char(winning['requested_at'], '%Y-%m-%d %H:%M:%S%.3f'), ' UTC (sid ', winning['sid'], ') and at ',
        to_char(losing['requested_at'], '%H:%M:%S%.3f'),
        CASE
            WHEN losing['outcome'] = 'ok' THEN concat(' (sid ', losing['sid'], '). ')
            ELSE concat(
                ' (HTTP ', losing['http_status'],
                CASE WHEN losing['code'] IS NOT NULL THEN concat(' code ', losing['code']) END,
                '). '
            )
        END,
        CASE variant
            WHEN 'same_ticket' THEN 'The ticket''s session was running already: nothing is recorded twice, but the caller did not know.'
            WHEN 'same_identity_rejected' THEN concat(
                'The latter was refused because uid ', losing['uid'], ' was recording already: nothing is recorded twice, but the caller did not know.'
            )
            WHEN 'same_identity_accepted' THEN concat(
                'Both were accepted for uid ', losing['uid'], ': the channel is recorded and billed twice, and two recorders of one uid can push each other out.'
            )
            ELSE concat(
                'Both were accepted, uids ', winning['uid'], ' and ', losing['uid'], ', and nothing declares them as redundancy: the channel is recorded and billed twice.'
            )
        END
    ) AS explanation,
    flatten(array_agg(item['event_ids'] ORDER BY item['at'])) AS evidence,
    redundant_start_id
FROM (
    SELECT *, unnest(items) AS item
    FROM faults
)
WHERE item['at'] IS NOT NULL
GROUP BY
    variant, app_id, cname, losing, winning, is_race, gap_ms, record_vendor_name, record_bucket, has_landed,
    file_vendor_name, file_bucket, redundant_start_id
ORDER BY first_at, app_id, cname, redundant_start_id
