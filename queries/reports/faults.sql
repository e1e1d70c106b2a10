-- ---
-- name        = "faults"
-- title       = "Findings as reports count them"
-- kept        = true
-- description = """
-- One row per finding, with the category and the title of its detection and the instant that it counts at: the end of its
-- evidence, as in `--since` and `--until`. Other reports read it as the table `faults`.
-- """
--
-- [columns]
-- finding_id      = { type = "string", doc = "id of the finding" }
-- detection       = { type = "string", doc = "what found it" }
-- title           = { type = "string", doc = "what that means" }
-- category        = { type = "string", doc = "routing, upload, session, evidence; other where the detection does not say" }
-- severity        = { type = "string", doc = "info, low, medium, high, critical" }
-- severity_rank   = { type = "int64", doc = "0 to 4, to compare" }
-- root_cause      = { type = "string", doc = "race, state_mismatch, ..." }
-- at              = { type = "timestamp", doc = "when it counts; null where the evidence has no time, which counts in every window" }
-- app_id          = { type = "string", doc = "App ID" }
-- cname           = { type = "string", doc = "channel name" }
-- sids            = { type = "strings", doc = "its sessions" }
-- evidence        = { type = "strings", doc = "event ids that prove it" }
-- expected_vendor = { type = "string", doc = "slug of the vendor believed, else asked for" }
-- expected_bucket = { type = "string", doc = "bucket believed, else asked for" }
-- actual_vendor   = { type = "string", doc = "slug of the vendor that has the files, else that the accepted start named" }
-- actual_bucket   = { type = "string", doc = "its bucket" }
-- ---
SELECT
    findings.finding_id,
    findings.detection,
    detections.title,
    coalesce(detections.category, 'other') AS category,
    findings.severity,
    CASE findings.severity
        WHEN 'critical' THEN 4
        WHEN 'high' THEN 3
        WHEN 'medium' THEN 2
        WHEN 'low' THEN 1
        ELSE 0
    END AS severity_rank,
    findings.root_cause,
    coalesce(findings.last_at, findings.first_at) AS at,
    findings.app_id,
    findings.cname,
    findings.sids,
    findings.evidence,
    findings.expected_vendor,
    findings.expected_bucket,
    findings.actual_vendor,
    findings.actual_bucket
FROM findings
LEFT JOIN detections ON detections.detection = findings.detection
ORDER BY at, finding_id
