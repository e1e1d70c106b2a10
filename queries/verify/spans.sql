-- ---
-- name        = "spans"
-- title       = "The offsets that the rows of one partition cover, in order"
-- description = "One row per message or gap of a partition or file that `positions` found wrong, to name its holes and repeats."
--
-- [params]
-- stream    = { type = "string", doc = "api_calls, webhooks, ..." }
-- topic     = { type = "string", doc = "topic; import for files" }
-- source_id = { type = "string", doc = "cluster@epoch; hash of the content for files" }
-- partition = { type = "int64", doc = "partition; null for files" }
--
-- [columns]
-- from_offset = { type = "int64", doc = "its offset" }
-- to_offset   = { type = "int64", doc = "the next one; of a gap the one after its end" }
-- repeated    = { type = "int64", doc = "rows of it that are there more than once" }
-- missing     = { type = "int64", doc = "events of it that are missing" }
-- ---
SELECT
    from_offset,
    max(to_offset)                                                             AS to_offset,
    CAST(count(*) - count(DISTINCT record_index) AS BIGINT)                    AS repeated,
    CAST(max(record_index) + 1 - count(DISTINCT record_index) AS BIGINT)       AS missing
FROM positions
WHERE stream = $stream
  AND topic = $topic
  AND source_id = $source_id
  AND ("partition" = $partition OR ("partition" IS NULL AND $partition IS NULL))
GROUP BY from_offset
ORDER BY from_offset
