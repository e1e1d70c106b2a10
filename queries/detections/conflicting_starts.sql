-- ---
-- name        = "conflicting_starts"
-- title       = "Two starts of one channel, alive together, disagree on where to store"
-- severity    = "high"
-- category    = "routing"
-- status      = "stable"
-- patterns    = ["P01", "P02", "P03", "P04"]
-- description = """
-- Finds each start that met a session of its channel that was already being started or alive, and that asked for other storage.
-- One finding per losing start, against the first start that was alive then. Variants: same_ticket (answered `already running`,
-- its storage was never applied), same_identity_rejected (answered `task conflict`), same_identity_accepted (accepted although
-- cname and uid were taken), other_uid (accepted beside the other: two sessions write to two places). Severity follows what
-- differs: vendor high, bucket or endpoint medium, region or path low; a second recording with one uid is high always, one that
-- was declared as redundancy (excludeResourceIds) low.
-- """
-- false_positives = [
--   "a restart whose end no stream tells: without webhooks and stop a session counts as alive until its ticket expires",
--   "redundancy into two clouds on purpose, without excludeResourceIds on the later acquire",
-- ]
-- response = """
-- Find what sends two starts for one channel (retry without idempotency key, two services, a user who taps twice), make one
-- place decide on the storage, and correct the customer's record by the session that holds the files.
-- """
-- identity = ["app_id", "cname", "losing_start_id"]
--
-- [params]
-- tolerance = { type = "duration", default = "2s", doc = "how far the clocks of callers and webhooks may differ" }
-- race      = { type = "duration", default = "10s", doc = "starts closer than this race, whatever their callers" }
--
-- [columns]
-- losing_start_id = { type = "string", doc = "start_id of the start that lost" }
-- ---
WITH disputed AS (
    -- Channels that never disagree on storage drop out here, restarts of one configuration above all.
    SELECT app_id, cname
    FROM starts
    WHERE storage_identity IS NOT NULL
        AND outcome IN ('ok', 'already_running', 'conflict', 'indeterminate')
    GROUP BY app_id, cname
    HAVING min(storage_identity) <> max(storage_identity)
),

lives AS (
    SELECT
        starts.app_id,
        starts.cname,
        named_struct(
            'start_id', starts.start_id, 'uid', starts.uid, 'sid', starts.sid, 'resource_id', starts.resource_id,
            'outcome', starts.outcome, 'http_status', starts.http_status, 'code', starts.code,
            'requested_at', starts.requested_at, 'responded_at', starts.responded_at,
            'answered_at', coalesce(starts.responded_at, starts.requested_at),
            'ended_at', least(session_ends.ended_at, starts.expires_at),
            'stop_requested_at', session_ends.stop_requested_at,
            'vendor_name', starts.vendor_name, 'region', starts.region, 'bucket', starts.bucket,
            'endpoint', starts.endpoint, 'storage_identity', starts.storage_identity, 'storage', starts.storage,
            'vendor', starts.vendor,
            'origin', starts.origin,
            'exclude_resource_ids', starts.exclude_resource_ids, 'event_ids', starts.event_ids
        ) AS start
    FROM starts
    LEFT SEMI JOIN disputed
        ON (disputed.app_id IS NOT DISTINCT FROM starts.app_id)
        AND (disputed.cname IS NOT DISTINCT FROM starts.cname)
    LEFT JOIN session_ends ON session_ends.sid = starts.sid
    WHERE starts.storage_identity IS NOT NULL
        AND starts.outcome IN ('ok', 'already_running', 'conflict', 'indeterminate')
),

contested AS (
    SELECT
        app_id,
        cname,
        array_agg(start) AS starts
    FROM lives
    GROUP BY app_id, cname
),

pairs AS (
    SELECT
        app_id,
        cname,
        losing,
        unnest(others) AS winning
    FROM (
        SELECT app_id, cname, starts AS others, unnest(starts) AS losing
        FROM contested
    )
    WHERE losing['outcome'] <> 'indeterminate'
),

met AS (
    -- For each start the first one that was there before it. `losing_start_id` must stay in use below: DataFusion
    -- 55 takes app and channel for unique even after `unnest` and would drop a grouping column that nothing reads.
    SELECT
        app_id,
        cname,
        losing['start_id'] AS losing_start_id,
        first_value(losing) AS losing,
        first_value(
            winning
            ORDER BY winning['outcome'] = 'ok' DESC, winning['requested_at'], winning['start_id']
        ) AS winning
    FROM pairs
    WHERE winning['start_id'] <> losing['start_id']
        AND CASE losing['outcome']
            -- The answer itself proves that the ticket's session runs; without a logged answer to the first
            -- start, the one whose outcome nobody knows is it.
            WHEN 'already_running' THEN
                winning['resource_id'] = losing['resource_id']
                AND (
                    winning['outcome'] = 'ok'
                    OR (
                        winning['outcome'] = 'indeterminate'
                        AND winning['requested_at'] <= losing['requested_at']
                    )
                )
            WHEN 'conflict' THEN
                winning['uid'] = losing['uid']
                AND winning['outcome'] IN ('ok', 'indeterminate')
                AND winning['requested_at'] <= losing['answered_at'] + $tolerance
                AND (
                    winning['outcome'] = 'ok'
                    OR winning['requested_at'] <= losing['requested_at']
                )
                AND coalesce(winning['ended_at'] + $tolerance >= losing['requested_at'], true)
            -- Both accepted: they overlap by more than the clocks may differ, and the first was not asked to
            -- stop before the second was sent.
            ELSE
                winning['outcome'] = 'ok'
                AND (
                    winning['requested_at'] < losing['requested_at']
                    OR (
                        winning['requested_at'] = losing['requested_at']
                        AND winning['start_id'] < losing['start_id']
                    )
                )
                AND coalesce(losing['answered_at'] + $tolerance < winning['ended_at'], true)
                AND coalesce(winning['stop_requested_at'] > losing['requested_at'] + $tolerance, true)
        END
    GROUP BY app_id, cname, losing['start_id']
),

conflicts AS (
    SELECT
        app_id,
        cname,
        losing_start_id,
        losing,
        winning,
        CASE
            WHEN winning['resource_id'] = losing['resource_id'] THEN 'same_ticket'
            WHEN losing['outcome'] = 'conflict' THEN 'same_identity_rejected'
            WHEN winning['uid'] = losing['uid'] THEN 'same_identity_accepted'
            ELSE 'other_uid'
        END AS variant,
        CASE
            WHEN winning['vendor'] <> losing['vendor'] THEN 'vendor'
            WHEN coalesce(winning['bucket'], '') <> coalesce(losing['bucket'], '') THEN 'bucket'
            WHEN winning['vendor'] = 11 AND coalesce(winning['endpoint'], '') <> coalesce(losing['endpoint'], '')
                THEN 'bucket'
            ELSE 'region or path'
        END AS difference,
        losing['outcome'] = 'ok' AND cardinality(losing['exclude_resource_ids']) > 0 AS declared,
        -- The second was sent before the first was answered, or so soon after that nobody can have read the answer.
        coalesce(losing['requested_at'] < winning['responded_at'], false)
            OR losing['requested_at'] - winning['requested_at'] <= $race AS raced,
        abs(
            arrow_cast(losing['requested_at'], 'Int64') - arrow_cast(winning['requested_at'], 'Int64')
        ) / 1000 AS gap_ms,
        CASE WHEN losing['outcome'] = 'ok' THEN losing['sid'] ELSE winning['sid'] END AS sid
    FROM met
    WHERE winning['storage_identity'] <> losing['storage_identity']
),

faults AS (
    SELECT
        CASE
            WHEN conflicts.declared THEN 'low'
            WHEN conflicts.variant = 'same_identity_accepted' THEN 'high'
            WHEN conflicts.difference = 'vendor' THEN 'high'
            WHEN conflicts.difference = 'bucket' THEN 'medium'
            ELSE 'low'
        END AS severity,
        conflicts.variant,
        conflicts.app_id,
        conflicts.cname,
        conflicts.losing['uid'] AS uid,
        array_remove_all(
            make_array(
                coalesce(conflicts.winning['sid'], ''),
                CASE
                    WHEN conflicts.losing['sid'] <> coalesce(conflicts.winning['sid'], '')
                        THEN conflicts.losing['sid']
                    ELSE ''
                END
            ),
            ''
        ) AS sids,
        CASE
            WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.vendor_name
            ELSE conflicts.winning['vendor_name']
        END AS expected_vendor,
        CASE
            WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.bucket
            ELSE conflicts.winning['bucket']
        END AS expected_bucket,
        CASE
            WHEN session_landings.sid IS NOT NULL THEN session_landings.vendor_name
            WHEN conflicts.losing['outcome'] = 'ok' THEN conflicts.losing['vendor_name']
            ELSE conflicts.winning['vendor_name']
        END AS actual_vendor,
        CASE
            WHEN session_landings.sid IS NOT NULL THEN session_landings.bucket
            WHEN conflicts.losing['outcome'] = 'ok' THEN conflicts.losing['bucket']
            ELSE conflicts.winning['bucket']
        END AS actual_bucket,
        CASE
            WHEN conflicts.declared THEN 'unknown'
            WHEN NOT conflicts.raced
                AND conflicts.winning['origin'] <> ''
                AND conflicts.losing['origin'] <> ''
                AND conflicts.winning['origin'] <> conflicts.losing['origin']
                THEN 'environment_switching'
            ELSE 'race'
        END AS root_cause,
        concat(
            'Channel ', conflicts.cname, ' was started twice, ', conflicts.gap_ms, ' ms apart: at ',
            to_char(conflicts.winning['requested_at'], '%Y-%m-%d %H:%M:%S%.3f'), ' UTC into ',
            conflicts.winning['storage'],
            CASE
                WHEN conflicts.winning['outcome'] = 'ok' THEN concat(' (sid ', conflicts.winning['sid'], ')')
                ELSE ' (outcome unknown)'
            END,
            ' and at ', to_char(conflicts.losing['requested_at'], '%H:%M:%S%.3f'), ' into ',
            conflicts.losing['storage'],
            CASE
                WHEN conflicts.losing['outcome'] = 'ok' THEN concat(' (sid ', conflicts.losing['sid'], ')')
                ELSE concat(
                    ' (HTTP ', conflicts.losing['http_status'],
                    CASE
                        WHEN conflicts.losing['code'] IS NOT NULL THEN concat(' code ', conflicts.losing['code'])
                    END,
                    ')'
                )
            END,
            CASE
                WHEN conflicts.variant = 'same_ticket' AND conflicts.losing['outcome'] = 'ok'
                    THEN '. Both were accepted on one ticket: only the bucket shows which storage was applied.'
                WHEN conflicts.variant = 'same_ticket'
                    THEN concat(
                        '. The ticket''s session was running already, so the latter storage was never applied: the files go to ',
                        conflicts.winning['storage'], '.'
                    )
                WHEN conflicts.variant = 'same_identity_rejected'
                    THEN concat(
                        '. The latter was refused because uid ', conflicts.losing['uid'],
                        ' was recording already: the files go to ', conflicts.winning['storage'], '.'
                    )
                WHEN conflicts.variant = 'same_identity_accepted'
                    THEN concat(
                        '. Both were accepted for uid ', conflicts.losing['uid'],
                        ': two sessions of one identity write to two places.'
                    )
                WHEN conflicts.declared
                    THEN concat(
                        '. Uids ', conflicts.winning['uid'], ' and ', conflicts.losing['uid'],
                        ' record side by side, which excludeResourceIds of the second acquire declares; that they store in different places may not be meant.'
                    )
                ELSE concat(
                    '. Both were accepted, uids ', conflicts.winning['uid'], ' and ', conflicts.losing['uid'],
                    ': two sessions record the channel and write to two places.'
                )
            END,
            CASE
                WHEN conflicts.losing['outcome'] <> 'ok'
                    AND session_beliefs.vendor_name
                        <> coalesce(session_landings.vendor_name, conflicts.winning['vendor_name'])
                    THEN concat(
                        ' The customer''s record of sid ', conflicts.sid, ' names ', session_beliefs.vendor_name,
                        ', which is wrong.'
                    )
            END
        ) AS explanation,
        make_array(
            named_struct(
                'at', conflicts.winning['requested_at'], 'event_ids', conflicts.winning['event_ids']
            ),
            named_struct('at', conflicts.losing['requested_at'], 'event_ids', conflicts.losing['event_ids']),
            named_struct(
                'at', coalesce(session_beliefs.vendor_at, session_beliefs.last_at),
                'event_ids', make_array(session_beliefs.event_id)
            ),
            named_struct('at', session_landings.event_at, 'event_ids', make_array(session_landings.event_id))
        ) AS items,
        conflicts.losing_start_id
    FROM conflicts
    -- Believed is what the record of the first session says, actual where the other one's files went.
    LEFT JOIN session_beliefs ON session_beliefs.sid = conflicts.winning['sid']
    LEFT JOIN session_landings ON session_landings.sid = conflicts.sid
)

SELECT
    severity,
    variant,
    app_id,
    cname,
    uid,
    sids,
    min(item['at']) AS first_at,
    max(item['at']) AS last_at,
    expected_vendor,
    expected_bucket,
    actual_vendor,
    actual_bucket,
    root_cause,
    explanation,
    flatten(array_agg(item['event_ids'] ORDER BY item['at'])) AS evidence,
    losing_start_id
FROM (
    SELECT *, unnest(items) AS item
    FROM faults
)
WHERE item['at'] IS NOT NULL
GROUP BY
    severity, variant, app_id, cname, uid, sids, expected_vendor, expected_bucket, actual_vendor, actual_bucket,
    root_cause, explanation, losing_start_id
ORDER BY first_at, app_id, cname, losing_start_id
