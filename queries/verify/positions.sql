-- ---
-- name        = "positions"
-- title       = "What the rows of a table cover"
-- description = """
-- One row per partition and imported file of one stream's table, to be compared with the offsets in the table's log. A message
-- covers one offset, a gap the offsets up to its end.
-- """
--
-- [params]
-- stream = { type = "string", doc = "api_calls, webhooks, ..." }
--
-- [columns]
-- topic        = { type = "string", doc = "topic; import for files" }
-- source_id    = { type = "string", doc = "cluster@epoch; hash of the content for files" }
-- partition    = { type = "int64", doc = "partition; null for files" }
-- first_offset = { type = "int64", doc = "the first offset, or line, that has a row" }
-- next_offset  = { type = "int64", doc = "the one after the last" }
-- covered      = { type = "int64", doc = "offsets that have rows" }
-- rows         = { type = "int64", doc = "rows" }
-- repeated     = { type = "int64", doc = "rows that are there more than once" }
-- torn         = { type = "int64", doc = "offsets of which some events are missing" }
-- occurred_at  = { type = "timestamp", doc = "the latest time of an event" }
-- ---
WITH messages AS (
    SELECT
        topic,
        source_id,
        "partition",
        from_offset,
        max(to_offset) - from_offset AS span,
        count(*)                     AS rows,
        count(DISTINCT record_index) AS indexes,
        max(record_index) + 1        AS index_end,
        max(occurred_at)             AS occurred_at
    FROM positions
    WHERE stream = $stream
    GROUP BY topic, source_id, "partition", from_offset
)
SELECT
    topic,
    source_id,
    CAST("partition" AS BIGINT)                                          AS "partition",
    min(from_offset)                                                     AS first_offset,
    max(from_offset + span)                                              AS next_offset,
    CAST(sum(span) AS BIGINT)                                            AS covered,
    CAST(sum(rows) AS BIGINT)                                            AS rows,
    CAST(sum(rows - indexes) AS BIGINT)                                  AS repeated,
    CAST(sum(CASE WHEN index_end > indexes THEN 1 ELSE 0 END) AS BIGINT) AS torn,
    max(occurred_at)                                                     AS occurred_at
FROM messages
GROUP BY topic, source_id, "partition"
ORDER BY topic, source_id, "partition"
