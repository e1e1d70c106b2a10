-- ---
-- name        = "reach"
-- title       = "From when to when each stream tells of anything"
-- description = "One row per stream, in words: what to say to someone who asks for what is not there."
--
-- [columns]
-- stream = { type = "string", doc = "api_calls, webhooks, storage_events, session_records" }
-- says   = { type = "string", doc = "from when to when, in words" }
-- ---
SELECT
    streams.stream,
    CASE
        WHEN watermarks.stream IS NULL THEN concat(streams.stream, ': no events')
        ELSE concat(
            streams.stream, ': ', to_char(watermarks.low_watermark, '%Y-%m-%d %H:%M:%S'), ' to ',
            to_char(watermarks.last_at, '%Y-%m-%d %H:%M:%S'), ' UTC'
        )
    END AS says
FROM (
    VALUES ('api_calls'), ('webhooks'), ('storage_events'), ('session_records')
) AS streams (stream)
LEFT JOIN watermarks ON watermarks.stream = streams.stream AND watermarks.scope = 'stream'
ORDER BY streams.stream
