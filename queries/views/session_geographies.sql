-- ---
-- name        = "session_geographies"
-- title       = "Where sessions are recorded, and where they are stored"
-- description = """
-- One row per accepted session: the part of the world of its bucket, by the vendor's region code, and that of its recorder, by the region
-- that the acquire asked for, else by the region of the caller, near which the service records. Null where it cannot be told:
-- Azure, Google Cloud and S3-compatible stores have no region here. Distance is no fault; it explains slow uploads.
-- """
--
-- [columns]
-- sid                = { type = "string", doc = "recording session id" }
-- storage_geography  = { type = "string", doc = "CN, AP, EU, NA, SA, ME, AF" }
-- recorder_geography = { type = "string", doc = "CN, AP, EU, NA, SA, ME, AF" }
-- is_cross_region    = { type = "bool", doc = "both are known and differ" }
-- ---
SELECT
    sid,
    storage_geography,
    recorder_geography,
    coalesce(storage_geography <> recorder_geography, false) AS is_cross_region
FROM (
    SELECT
        started.sid,
        CASE
            WHEN started.region_code IN ('z0', 'z1', 'z2', 'bj', 'gz', 'su', 'nj', 'bd', 'fwh', 'wuhan') THEN 'CN'
            WHEN started.region_code IN ('as0', 'hkg', 'sin', 'hk', 'cn-hongkong', 'cn-hk-1') THEN 'AP'
            WHEN started.region_code = 'na0' THEN 'NA'
            WHEN started.vendor_name = 'cos'
                AND started.region_code IN (
                    'ap-beijing', 'ap-beijing-1', 'ap-nanjing', 'ap-shanghai', 'ap-guangzhou', 'ap-chengdu', 'ap-chongqing'
                )
                THEN 'CN'
            WHEN started.region_code LIKE 'cn-%' THEN 'CN'
            WHEN started.region_code LIKE 'ap-%' THEN 'AP'
            WHEN started.region_code LIKE 'eu-%' THEN 'EU'
            WHEN started.region_code LIKE 'us-%' OR started.region_code LIKE 'ca-%' OR started.region_code LIKE 'na-%'
                THEN 'NA'
            WHEN started.region_code LIKE 'sa-%' THEN 'SA'
            WHEN started.region_code LIKE 'me-%' THEN 'ME'
            WHEN started.region_code LIKE 'af-%' THEN 'AF'
        END AS storage_geography,
        CASE
            WHEN tickets.recorder_region IN ('CN', 'AP', 'EU', 'NA') THEN tickets.recorder_region
            WHEN tickets.recorder_region = '1' THEN 'CN'
            WHEN tickets.recorder_region = '2' THEN 'AP'
            WHEN tickets.recorder_region = '3' THEN 'EU'
            WHEN tickets.recorder_region = '4' THEN 'NA'
            WHEN started.caller_region LIKE 'cn-%' THEN 'CN'
            WHEN started.caller_region LIKE 'ap-%' THEN 'AP'
            WHEN started.caller_region LIKE 'eu-%' THEN 'EU'
            WHEN started.caller_region LIKE 'us-%' OR started.caller_region LIKE 'ca-%' THEN 'NA'
            WHEN started.caller_region LIKE 'sa-%' THEN 'SA'
        END AS recorder_geography
    FROM started_sessions AS started
    LEFT JOIN tickets
        ON tickets.app_id = started.app_id
        AND tickets.resource_id = started.resource_id
)
