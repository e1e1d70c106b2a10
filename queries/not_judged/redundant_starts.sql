-- Sessions that were followed by an accepted start of their channel into the same storage, and of which no stream tells
-- whether they were alive then.
WITH lives AS (
    SELECT
        starts.app_id,
        starts.cname,
        starts.start_id,
        starts.sid,
        starts.uid,
        starts.mode,
        starts.resource_id,
        starts.requested_at,
        starts.storage_identity,
        starts.exclude_resource_ids,
        starts.expires_at,
        session_ends.ended_at
    FROM starts
    LEFT JOIN session_ends ON session_ends.sid = starts.sid
    WHERE starts.outcome = 'ok' AND starts.storage_identity IS NOT NULL
),

signs AS (
    SELECT sid, max(at) AS alive_at
    FROM (
        SELECT sid, last_at AS at
        FROM session_lifecycles
        UNION ALL
        SELECT sid, requested_at AS at
        FROM api_calls
        WHERE operation IN ('query', 'update', 'update_layout') AND outcome = 'ok'
    )
    WHERE sid IS NOT NULL
    GROUP BY sid
)

SELECT
    earlier.app_id,
    earlier.cname,
    earlier.sid,
    concat(
        'the channel was started again into the same storage at ',
        to_char(min(later.requested_at), '%Y-%m-%d %H:%M:%S%.3f'),
        ' UTC, and no stop, query or notification tells whether this session was alive then'
    ) AS why
FROM lives AS earlier
INNER JOIN lives AS later
    ON later.app_id = earlier.app_id
    AND later.cname = earlier.cname
    AND later.storage_identity = earlier.storage_identity
LEFT JOIN signs ON signs.sid = earlier.sid
WHERE earlier.ended_at IS NULL
    AND later.start_id <> earlier.start_id
    AND coalesce(later.sid <> earlier.sid, true)
    AND (later.uid = earlier.uid OR coalesce(later.mode, '') = coalesce(earlier.mode, ''))
    AND NOT coalesce(later.uid <> earlier.uid AND cardinality(later.exclude_resource_ids) > 0, false)
    AND later.requested_at > greatest(earlier.requested_at + $settle, signs.alive_at)
    AND later.requested_at <= coalesce(earlier.expires_at, later.requested_at)
GROUP BY earlier.app_id, earlier.cname, earlier.sid
ORDER BY app_id, cname, sid
