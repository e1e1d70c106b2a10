-- The offsets that each row of one stream's table covers, and the place of its event in the message: counted by `verify`
-- for every partition and imported file, and compared with the offsets in the table's log. A message covers one offset, a
-- gap the offsets up to its end.
SELECT topic, source_id, "partition", from_offset, to_offset, record_index, occurred_at
FROM positions
WHERE stream = $stream
