-- ---
-- name        = "positions"
-- title       = "What the rows of a table cover"
-- description = """
-- The offsets that each row of one stream's table covers, and the place of its event in the message: counted by `verify`
-- for every partition and imported file, and compared with the offsets in the table's log. A message covers one offset, a
-- gap the offsets up to its end.
-- """
--
-- [params]
-- stream = { type = "string", doc = "api_calls, webhooks, ..." }
--
-- [columns]
-- topic        = { type = "string", doc = "topic; import for files" }
-- source_id    = { type = "string", doc = "cluster@epoch; hash of the content for files" }
-- partition    = { type = "int64", doc = "partition; null for files" }
-- from_offset  = { type = "int64", doc = "the first offset, or line, that the row covers" }
-- to_offset    = { type = "int64", doc = "the one after the last" }
-- record_index = { type = "int64", doc = "place of the event in its message, from 0" }
-- occurred_at  = { type = "timestamp", doc = "the time of the event" }
-- ---
SELECT topic, source_id, "partition", from_offset, to_offset, record_index, occurred_at
FROM positions
WHERE stream = $stream
