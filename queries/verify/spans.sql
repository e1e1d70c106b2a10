-- The offsets that the rows of one partition or file cover, in order, to name the holes of a partition that
-- `positions.sql` found wrong.
SELECT
    "offset"                                       AS from_offset,
    max(coalesce(offset_to, "offset" + 1))         AS to_offset,
    count(*) - count(DISTINCT record_index)        AS repeated,
    max(record_index) + 1 - count(DISTINCT record_index) AS missing
FROM {log}
WHERE replay_of IS NULL
  AND topic = $topic
  AND source_id IS NOT DISTINCT FROM $source_id
  AND partition IS NOT DISTINCT FROM $partition
GROUP BY "offset"
ORDER BY from_offset
