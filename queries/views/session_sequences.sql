-- ---
-- name        = "session_sequences"
-- title       = "Sequence numbers of the notifications of sessions"
-- kept        = true
-- description = """
-- One row per session with numbered notifications: which numbers came, and how many are missing. The service numbers the notifications of
-- a session from 0; a number that never came is a notification that was lost, or one of a type that the receiver is not subscribed to:
-- then hardly any session of the app is complete, but for web pages, which have no streams to tell of. Numbers before the first that came
-- are missing only where the webhooks were logged when the session began.
-- """
--
-- [columns]
-- sid            = { type = "string", doc = "recording session id" }
-- app_id         = { type = "string", doc = "App ID" }
-- cname          = { type = "string", doc = "channel name" }
-- uid            = { type = "string", doc = "the recorder's uid" }
-- start_id       = { type = "string", doc = "the accepted start; null when it is not in the log" }
-- begun_at       = { type = "timestamp", doc = "when the accepted start was sent; null when it is not in the log" }
-- vendor_name    = { type = "string", doc = "slug of the vendor that it asked for" }
-- bucket         = { type = "string", doc = "bucket that it asked for" }
-- least          = { type = "int64", doc = "least number that came" }
-- greatest       = { type = "int64", doc = "greatest number that came" }
-- numbers        = { type = "int64", doc = "how many numbers came" }
-- missing        = { type = "int64", doc = "how many numbers between them never came, and before them where that can be told" }
-- first_at       = { type = "timestamp", doc = "earliest notification" }
-- last_at        = { type = "timestamp", doc = "latest notification" }
-- first_id       = { type = "string", doc = "event id of the one with the least number" }
-- last_id        = { type = "string", doc = "event id of the one with the greatest number" }
-- is_unfiltered  = { type = "bool", doc = "some session of its app is complete, and for a channel one that is no web page; or too few are known to tell" }
-- webhooks_to    = { type = "timestamp", doc = "watermark of webhooks" }
-- ---
WITH sequences AS (
    SELECT
        notices.sid,
        min(notices.app_id) AS app_id,
        min(notices.cname) AS cname,
        min(notices.uid) AS uid,
        min(lives.least) AS least,
        min(lives.greatest) AS greatest,
        min(lives.numbers) AS numbers,
        min(notices.at) AS first_at,
        max(notices.at) AS last_at,
        first_value(notices.event_id ORDER BY notices.sequence, notices.event_id) AS first_id,
        first_value(notices.event_id ORDER BY notices.sequence DESC, notices.event_id) AS last_id
    FROM session_lifecycles AS lives
    INNER JOIN session_notices AS notices ON notices.sid = lives.sid
    WHERE lives.greatest + 1 > lives.numbers AND notices.sequence IS NOT NULL
    GROUP BY notices.sid
),

apps AS (
    SELECT
        started.app_id,
        count(*) AS sessions,
        count(CASE WHEN session_lifecycles.is_complete THEN 1 END) AS complete,
        count(CASE WHEN session_lifecycles.is_complete AND started.mode <> 'web' THEN 1 END) AS complete_channels
    FROM session_lifecycles
    INNER JOIN started_sessions AS started ON started.sid = session_lifecycles.sid
    GROUP BY started.app_id
)

SELECT
    sequences.sid,
    coalesce(accepted_starts.app_id, sequences.app_id) AS app_id,
    coalesce(accepted_starts.cname, sequences.cname) AS cname,
    coalesce(accepted_starts.uid, sequences.uid) AS uid,
    accepted_starts.start_id,
    accepted_starts.requested_at AS begun_at,
    accepted_starts.vendor_name,
    accepted_starts.bucket,
    sequences.least,
    sequences.greatest,
    sequences.numbers,
    sequences.greatest + 1 - sequences.numbers - CASE
        WHEN coalesce(accepted_starts.requested_at, sequences.first_at - INTERVAL '24 hours')
            >= stream_watermarks.webhooks_from - INTERVAL '2 seconds'
            THEN 0
        ELSE sequences.least
    END AS missing,
    sequences.first_at,
    sequences.last_at,
    sequences.first_id,
    sequences.last_id,
    coalesce(
        CASE WHEN accepted_starts.mode = 'web' THEN apps.complete ELSE apps.complete_channels END > 0 OR apps.sessions < 5,
        true
    ) AS is_unfiltered,
    stream_watermarks.webhooks_to
FROM sequences
CROSS JOIN stream_watermarks
LEFT JOIN accepted_starts ON accepted_starts.sid = sequences.sid
LEFT JOIN apps ON apps.app_id = accepted_starts.app_id
