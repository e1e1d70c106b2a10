-- ---
-- name        = "candidates"
-- title       = "Channels and sessions that a question can mean"
-- description = "One row per app, channel and session that an event with the given session, channel, object key or ticket names."
--
-- [params]
-- sid         = { type = "string", doc = "recording session id" }
-- cname       = { type = "string", doc = "channel name" }
-- object_key  = { type = "string", doc = "key of an object; a key that no event has is taken by the session id in its name" }
-- resource_id = { type = "string", doc = "ticket" }
--
-- [columns]
-- app_id = { type = "string", doc = "App ID; null where only streams without one know the session" }
-- cname  = { type = "string", doc = "channel name" }
-- sid    = { type = "string", doc = "recording session id; null for calls without one" }
-- at     = { type = "timestamp", doc = "first event that names it" }
-- last_at = { type = "timestamp", doc = "last event that names it" }
-- ---
SELECT app_id, cname, sid, min(at) AS at, max(at) AS last_at
FROM (
    SELECT app_id, cname, sid, requested_at AS at
    FROM api_calls
    WHERE sid = $sid
        OR cname = $cname
        OR resource_id = $resource_id
        OR sid = lower(array_element(regexp_match($object_key, '([0-9A-Fa-f]{32})_'), 1))
    UNION ALL
    SELECT app_id, cname, sid, coalesce(sent_at, occurred_at) AS at
    FROM webhooks
    WHERE sid = $sid
        OR cname = $cname
        OR sid = lower(array_element(regexp_match($object_key, '([0-9A-Fa-f]{32})_'), 1))
    UNION ALL
    SELECT NULL AS app_id, cname, sid, occurred_at AS at
    FROM storage_events
    WHERE sid = $sid
        OR cname = $cname
        OR "key" = $object_key
    UNION ALL
    SELECT app_id, cname, sid, coalesce(recorded_at, occurred_at, received_at) AS at
    FROM session_records
    WHERE sid = $sid
        OR cname = $cname
        OR resource_id = $resource_id
        OR sid = lower(array_element(regexp_match($object_key, '([0-9A-Fa-f]{32})_'), 1))
)
GROUP BY app_id, cname, sid
ORDER BY at, app_id, cname, sid
