-- ---
-- name        = "start_storm"
-- title       = "Many starts of one channel in a short time"
-- severity    = "medium"
-- category    = "session"
-- status      = "stable"
-- patterns    = ["P09"]
-- description = """
-- Finds channels that were started three times or more in less than a minute: a retry loop, or a missing idempotency key. A
-- storm goes on as long as any such minute overlaps the next; one finding per storm. Attempts count: a call that was logged twice or
-- mirrored to another host is one, and starts that ask for redundancy (excludeResourceIds) do not count. Variants: one_ticket (the
-- same resource id again and again), new_tickets (an acquire each, for one uid), new_uids (another uid each: every accepted one records).
-- Severity low where at most one start was accepted, else medium.
-- """
-- false_positives = ["load tests", "channels that are opened and closed within seconds by tests"]
-- response = """
-- Compare the times and outcomes of the starts with the caller's retry policy: wait 3, 6, 9 s between retries, reuse the ticket,
-- and let one worker per channel start it.
-- """
-- identity = ["app_id", "cname", "first_start_id"]
--
-- [params]
-- within     = { type = "duration", default = "60s", doc = "the short time" }
-- starts_min = { type = "int64", default = 3, doc = "starts in that time that make a storm" }
--
-- [columns]
-- first_start_id = { type = "string", doc = "start_id of the storm's first start" }
-- ---
WITH attempts AS (
    SELECT app_id, cname, start_id, requested_at
    FROM starts
    WHERE app_id IS NOT NULL
        AND cname IS NOT NULL
        AND coalesce(cardinality(exclude_resource_ids), 0) = 0
),

busy AS (
    -- Channels with too few starts drop out before anything is compared.
    SELECT app_id, cname
    FROM attempts
    GROUP BY app_id, cname
    HAVING count(*) >= $starts_min
),

candidates AS (
    SELECT attempts.app_id, attempts.cname, attempts.start_id, attempts.requested_at
    FROM attempts
    INNER JOIN busy
        ON busy.app_id = attempts.app_id
        AND busy.cname = attempts.cname
),

heads AS (
    -- Starts that open a minute with enough of them.
    SELECT
        earlier.app_id,
        earlier.cname,
        earlier.start_id,
        earlier.requested_at
    FROM candidates AS earlier
    INNER JOIN candidates AS later
        ON later.app_id = earlier.app_id
        AND later.cname = earlier.cname
    WHERE later.requested_at >= earlier.requested_at
        AND later.requested_at - earlier.requested_at < $within
    GROUP BY earlier.app_id, earlier.cname, earlier.start_id, earlier.requested_at
    HAVING count(*) >= $starts_min
),

members AS (
    -- Every start of such a minute.
    SELECT
        candidates.app_id,
        candidates.cname,
        candidates.start_id,
        min(heads.requested_at) AS covered_from
    FROM heads
    INNER JOIN candidates
        ON candidates.app_id = heads.app_id
        AND candidates.cname = heads.cname
    WHERE candidates.requested_at >= heads.requested_at
        AND candidates.requested_at - heads.requested_at < $within
    GROUP BY candidates.app_id, candidates.cname, candidates.start_id
),

onsets AS (
    -- Of the minutes that overlap, the first begins the storm: nothing earlier covers its start.
    SELECT
        heads.app_id,
        heads.cname,
        heads.requested_at,
        min(heads.start_id) AS start_id
    FROM heads
    INNER JOIN members
        ON members.app_id = heads.app_id
        AND members.cname = heads.cname
        AND members.start_id = heads.start_id
    WHERE members.covered_from = heads.requested_at
    GROUP BY heads.app_id, heads.cname, heads.requested_at
),

stormy AS (
    -- Each start of a storm with the storm's onset, the latest one not after it.
    SELECT
        members.app_id,
        members.cname,
        members.start_id,
        last_value(onsets.start_id ORDER BY onsets.requested_at) AS first_start_id
    FROM members
    INNER JOIN candidates
        ON candidates.app_id = members.app_id
        AND candidates.cname = members.cname
        AND candidates.start_id = members.start_id
    INNER JOIN onsets
        ON onsets.app_id = members.app_id
        AND onsets.cname = members.cname
        AND onsets.requested_at <= candidates.requested_at
    GROUP BY members.app_id, members.cname, members.start_id
),

storms AS (
    SELECT
        stormy.app_id,
        stormy.cname,
        stormy.first_start_id,
        count(*) AS starts,
        count(DISTINCT starts.resource_id) AS tickets,
        count(DISTINCT starts.uid) AS uids,
        count(DISTINCT CASE WHEN starts.outcome = 'ok' THEN starts.sid END) AS accepted,
        count(CASE WHEN starts.outcome = 'indeterminate' THEN 1 END) AS unknown,
        count(CASE WHEN starts.outcome = 'rejected' THEN 1 END) AS rejected,
        count(CASE WHEN starts.outcome IN ('already_running', 'conflict') THEN 1 END) AS refused,
        min(starts.requested_at) AS first_at,
        max(starts.requested_at) AS last_at,
        first_value(starts.uid ORDER BY starts.requested_at, starts.start_id) AS uid,
        string_agg(
            CASE WHEN starts.outcome = 'ok' THEN starts.sid END, ',' ORDER BY starts.requested_at, starts.start_id
        ) AS sids,
        first_value(starts.sid ORDER BY starts.requested_at, starts.start_id)
            FILTER (WHERE starts.outcome = 'ok') AS first_sid,
        first_value(starts.vendor_name ORDER BY starts.outcome <> 'ok', starts.requested_at, starts.start_id) AS vendor_name,
        first_value(starts.bucket ORDER BY starts.outcome <> 'ok', starts.requested_at, starts.start_id) AS bucket,
        first_value(starts.http_status ORDER BY starts.requested_at, starts.start_id)
            FILTER (WHERE starts.outcome IN ('indeterminate', 'rejected')) AS http_status,
        first_value(starts.code ORDER BY starts.requested_at, starts.start_id)
            FILTER (WHERE starts.outcome IN ('indeterminate', 'rejected')) AS code,
        string_agg(
            array_to_string(starts.event_ids, chr(31)), chr(31) ORDER BY starts.requested_at, starts.start_id
        ) AS event_ids
    FROM stormy
    INNER JOIN starts
        ON starts.app_id = stormy.app_id
        AND starts.cname = stormy.cname
        AND starts.start_id = stormy.start_id
    GROUP BY stormy.app_id, stormy.cname, stormy.first_start_id
)

SELECT
    CASE WHEN storms.accepted > 1 THEN 'medium' ELSE 'low' END AS severity,
    CASE
        WHEN storms.tickets = 1 THEN 'one_ticket'
        WHEN storms.uids = 1 THEN 'new_tickets'
        ELSE 'new_uids'
    END AS variant,
    storms.app_id,
    storms.cname,
    storms.uid,
    CASE WHEN storms.sids IS NULL THEN make_array() ELSE array_distinct(string_to_array(storms.sids, ',')) END AS sids,
    storms.first_at,
    storms.last_at,
    coalesce(session_beliefs.vendor_name, storms.vendor_name) AS expected_vendor,
    CASE WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.bucket ELSE storms.bucket END AS expected_bucket,
    CASE
        WHEN session_landings.sid IS NOT NULL THEN session_landings.vendor_name
        WHEN storms.accepted > 0 THEN storms.vendor_name
    END AS actual_vendor,
    CASE
        WHEN session_landings.sid IS NOT NULL THEN session_landings.bucket
        WHEN storms.accepted > 0 THEN storms.bucket
    END AS actual_bucket,
    CASE
        WHEN storms.unknown > 0 THEN 'service'
        WHEN storms.accepted + storms.refused > 1 THEN 'race'
        ELSE 'unknown'
    END AS root_cause,
    concat(
        'Channel ', storms.cname, ' was started ', storms.starts, ' times within ',
        (arrow_cast(storms.last_at, 'Int64') - arrow_cast(storms.first_at, 'Int64')) / 1000, ' ms from ',
        to_char(storms.first_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC on, with ', storms.tickets,
        CASE WHEN storms.tickets = 1 THEN ' ticket and ' ELSE ' tickets and ' END, storms.uids,
        CASE WHEN storms.uids = 1 THEN ' uid: ' ELSE ' uids: ' END,
        concat_ws(
            ', ',
            concat(storms.accepted, CASE WHEN storms.accepted = 1 THEN ' session' ELSE ' sessions' END),
            CASE WHEN storms.refused > 0 THEN concat(storms.refused, ' refused because it was running') END,
            CASE WHEN storms.rejected > 0 THEN concat(storms.rejected, ' rejected') END,
            CASE WHEN storms.unknown > 0 THEN concat(storms.unknown, ' of unknown outcome') END
        ),
        CASE
            WHEN storms.rejected + storms.unknown = 0 THEN '.'
            WHEN storms.http_status IS NULL THEN '. The first failure got no answer.'
            ELSE concat(
                '. The first failure was HTTP ', storms.http_status,
                CASE WHEN storms.code IS NOT NULL THEN concat(' code ', storms.code) END, '.'
            )
        END
    ) AS explanation,
    string_to_array(storms.event_ids, chr(31)) AS evidence,
    storms.first_start_id
FROM storms
LEFT JOIN session_beliefs ON session_beliefs.sid = storms.first_sid
LEFT JOIN session_landings ON session_landings.sid = storms.first_sid
ORDER BY first_at, app_id, cname, first_start_id
