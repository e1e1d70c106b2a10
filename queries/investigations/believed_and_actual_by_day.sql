-- ---
-- name        = "believed_and_actual_by_day"
-- title       = "Where recordings are believed to be and where they are, by day"
-- status      = "stable"
-- description = "One row per UTC day of the session's start, vendor that the customer's database names and vendor that holds most of the files. `-` stands for nothing known."
--
-- [columns]
-- day      = { type = "date", doc = "UTC date" }
-- believed = { type = "string", doc = "vendor of the customer's record" }
-- actual   = { type = "string", doc = "vendor that holds the files" }
-- differ   = { type = "bool", doc = "both are known and not the same" }
-- sessions = { type = "int64", doc = "sessions" }
-- ---
SELECT
    CAST(coalesce(requested_at, first_seen_at) AS DATE) AS day,
    coalesce(record_vendor_name, '-')                   AS believed,
    coalesce(file_vendor_name, '-')                     AS actual,
    coalesce(record_vendor_name <> file_vendor_name, false) AS differ,
    count(*)                                            AS sessions
FROM sessions
GROUP BY 1, 2, 3, 4
ORDER BY 1, 2, 3, 4
