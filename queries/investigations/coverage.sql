-- ---
-- name        = "coverage"
-- title       = "What each stream knows of a case, and how far it has come"
-- description = "One row per stream: events of the case, and between which instants the stream has any events at all. What is silent proves nothing."
--
-- [columns]
-- stream    = { type = "string", doc = "api_calls, webhooks, storage_events, session_records" }
-- events    = { type = "int64", doc = "events of the case" }
-- first_at  = { type = "timestamp", doc = "from when on the stream was watched; null where it has no events" }
-- last_at   = { type = "timestamp", doc = "its latest trusted event" }
-- watermark = { type = "timestamp", doc = "up to when it is complete" }
-- says      = { type = "string", doc = "the same in a sentence" }
-- ---
SELECT
    streams.stream,
    coalesce(counts.events, 0) AS events,
    watermarks.low_watermark AS first_at,
    watermarks.last_at,
    watermarks.watermark,
    CASE
        WHEN watermarks.stream IS NULL
            THEN concat(streams.stream, ': not a single event is in the lake; what this stream would tell is unknown.')
        WHEN counts.events IS NULL
            THEN concat(
                streams.stream, ': no event of this case. The stream reaches from ',
                to_char(watermarks.low_watermark, '%Y-%m-%d %H:%M:%S'), ' to ',
                to_char(watermarks.last_at, '%Y-%m-%d %H:%M:%S'), ' UTC',
                CASE
                    WHEN watermarks.last_at < cases.last_at THEN ', silent since then, which is before the case ended.'
                    WHEN watermarks.low_watermark > cases.first_at THEN ', which begins after the case did.'
                    ELSE '.'
                END
            )
        ELSE concat(
            streams.stream, ': ', counts.events, CASE WHEN counts.events = 1 THEN ' event' ELSE ' events' END,
            '; the stream reaches to ', to_char(watermarks.last_at, '%Y-%m-%d %H:%M:%S'), ' UTC.'
        )
    END AS says
FROM (
    VALUES ('api_calls'), ('webhooks'), ('storage_events'), ('session_records')
) AS streams (stream)
LEFT JOIN (
    SELECT stream, count(*) AS events
    FROM session_timeline
    GROUP BY stream
) AS counts ON counts.stream = streams.stream
LEFT JOIN watermarks ON watermarks.stream = streams.stream AND watermarks.scope = 'stream'
CROSS JOIN (
    SELECT min(at) AS first_at, max(at) AS last_at
    FROM session_timeline
) AS cases
ORDER BY streams.stream
