-- ---
-- name        = "results"
-- title       = "What a run found"
-- description = "One row per store and file that a run of `audit` looked for, found or not."
--
-- [params]
-- run = { type = "string", doc = "the run" }
--
-- [columns]
-- store       = { type = "string", doc = "name of the store in the configuration" }
-- vendor_name = { type = "string", doc = "slug of its vendor" }
-- bucket      = { type = "string", doc = "bucket or container" }
-- result      = { type = "string", doc = "found, missing, denied, failed" }
-- promised_by = { type = "string", doc = "webhook, answer, upload_status, index; null where it was only found" }
-- key         = { type = "string", doc = "key of the object; null where the row is about all files of the session" }
-- size        = { type = "int64", doc = "bytes" }
-- written_at  = { type = "timestamp", doc = "when the store says that the object was written" }
-- answer      = { type = "string", doc = "what the store answered, where it did not let us look" }
-- ---
SELECT store, vendor_name, bucket, result, promised_by, "key", size, written_at, answer
FROM audits
WHERE run = $run
ORDER BY store, result, "key"
