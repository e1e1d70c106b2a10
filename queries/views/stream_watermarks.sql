-- ---
-- name        = "stream_watermarks"
-- title       = "How far each stream has come, in one row"
-- kept        = true
-- description = "The stream rows of `watermarks` side by side, for detections that need several. Null for a stream without events."
--
-- [columns]
-- api_calls_from       = { type = "timestamp", doc = "before this no API call is in the log" }
-- api_calls_to         = { type = "timestamp", doc = "API calls before this have arrived" }
-- webhooks_from        = { type = "timestamp", doc = "before this no notification is in the log" }
-- webhooks_to          = { type = "timestamp", doc = "notifications before this have arrived" }
-- storage_events_from  = { type = "timestamp", doc = "before this no storage event is in the log" }
-- storage_events_to    = { type = "timestamp", doc = "storage events before this have arrived" }
-- ---
SELECT
    min(CASE WHEN stream = 'api_calls' THEN low_watermark END) AS api_calls_from,
    min(CASE WHEN stream = 'api_calls' THEN watermark END) AS api_calls_to,
    min(CASE WHEN stream = 'webhooks' THEN low_watermark END) AS webhooks_from,
    min(CASE WHEN stream = 'webhooks' THEN watermark END) AS webhooks_to,
    min(CASE WHEN stream = 'storage_events' THEN low_watermark END) AS storage_events_from,
    min(CASE WHEN stream = 'storage_events' THEN watermark END) AS storage_events_to
FROM watermarks
WHERE scope = 'stream'
