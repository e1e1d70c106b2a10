-- ---
-- name        = "vendors"
-- title       = "Names of the storage vendors"
-- kept        = true
-- description = "Agora's vendor numbers with the slug that every table uses and the name that sentences use."
--
-- [columns]
-- vendor       = { type = "int64", doc = "Agora's vendor number" }
-- vendor_name  = { type = "string", doc = "slug, as in every table" }
-- vendor_title = { type = "string", doc = "name for people" }
-- ---
SELECT
    vendor,
    vendor_name,
    vendor_title
FROM (
    VALUES
        (0, 'qiniu', 'Qiniu Cloud Kodo'),
        (1, 's3', 'Amazon S3'),
        (2, 'oss', 'Alibaba Cloud OSS'),
        (3, 'cos', 'Tencent Cloud COS'),
        (4, 'ks3', 'Kingsoft Cloud KS3'),
        (5, 'azblob', 'Microsoft Azure Blob'),
        (6, 'gcs', 'Google Cloud Storage'),
        (7, 'obs', 'Huawei Cloud OBS'),
        (8, 'bos', 'Baidu Cloud BOS'),
        (11, 's3compat', 'S3-compatible storage')
) AS numbers (vendor, vendor_name, vendor_title)
