-- The offsets that the rows of one partition or file cover, in order: names the holes and repeats of a partition
-- that `positions.sql` found wrong.
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
