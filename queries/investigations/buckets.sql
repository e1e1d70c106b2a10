-- ---
-- name        = "buckets"
-- title       = "The buckets of a case"
-- description = "Where files of the case are, or were to go by one of its calls."
--
-- [columns]
-- bucket = { type = "string", doc = "bucket or container" }
-- ---
SELECT bucket
FROM (
    SELECT bucket
    FROM storage_events
    UNION ALL
    SELECT bucket
    FROM api_calls
)
WHERE bucket IS NOT NULL
GROUP BY bucket
ORDER BY bucket
