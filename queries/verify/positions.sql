-- What the rows of one stream's table say about every partition and imported file, to be compared with the
-- offsets in the table's log. A message covers one offset, a gap the offsets up to `offset_to`.
-- Rows that `replay` made are left out: they repeat positions on purpose.
WITH messages AS (
    SELECT
        topic,
        source_id,
        partition,
        "offset",
        max(coalesce(offset_to, "offset" + 1)) - "offset" AS span,
        count(*)                                          AS rows,
        count(DISTINCT record_index)                      AS indexes,
        max(record_index) + 1                             AS index_end,
        max(CASE WHEN time_trusted THEN occurred_at END)  AS occurred_at
    FROM {log}
    WHERE replay_of IS NULL
    GROUP BY topic, source_id, partition, "offset"
)
SELECT
    topic,
    source_id,
    partition,
    min("offset")                                          AS first_offset,
    max("offset" + span)                                   AS next_offset,
    CAST(sum(span) AS BIGINT)                              AS covered,
    CAST(sum(rows) AS BIGINT)                              AS rows,
    CAST(sum(rows - indexes) AS BIGINT)                    AS repeated,
    CAST(sum(CASE WHEN index_end > indexes THEN 1 ELSE 0 END) AS BIGINT) AS torn,
    max(occurred_at)                                       AS verified_through
FROM messages
GROUP BY topic, source_id, partition
ORDER BY topic, source_id, partition
