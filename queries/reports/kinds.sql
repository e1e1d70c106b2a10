-- ---
-- name        = "kinds"
-- title       = "Findings by kind"
-- description = "One row per detection: how often it found something in the window and in the equally long one before it. Detections without any finding are here, too: a zero is an answer."
--
-- [params]
-- since          = { type = "timestamp", doc = "start of the window, inclusive" }
-- until          = { type = "timestamp", doc = "end of the window, exclusive" }
-- previous_since = { type = "timestamp", doc = "start of the window before, which ends where the window starts" }
-- period         = { type = "string", doc = "day or week; the lake must reach back to the period of previous_since" }
--
-- [columns]
-- category                 = { type = "string", doc = "routing, upload, session, evidence, other" }
-- detection                = { type = "string", doc = "what found them" }
-- title                    = { type = "string", doc = "what that means" }
-- worst                    = { type = "string", doc = "highest severity among them; null without any" }
-- findings                 = { type = "int64", doc = "how many" }
-- channels                 = { type = "int64", doc = "channels that they are about" }
-- sessions                 = { type = "int64", doc = "sessions that they are about" }
-- per_1000_starts          = { type = "float64", doc = "findings per 1,000 starts" }
-- previous_findings        = { type = "int64", doc = "findings in the window before; null where the lake does not have it" }
-- previous_per_1000_starts = { type = "float64", doc = "the same per 1,000 starts" }
-- ---
WITH sent AS (
    SELECT
        count(CASE WHEN requested_at >= $since THEN 1 END) AS starts,
        count(CASE WHEN requested_at < $since THEN 1 END) AS previous_starts
    FROM starts
    WHERE requested_at >= $previous_since AND requested_at < $until
),

reach AS (
    SELECT coalesce($previous_since < $since AND date_trunc($period, min(low_watermark)) <= $previous_since, false)
        AS has_previous
    FROM watermarks
    WHERE scope = 'stream'
),

current AS (
    SELECT
        detection,
        count(*) AS findings,
        max(severity_rank) AS worst,
        count(DISTINCT concat(coalesce(app_id, ''), ' ', cname)) AS channels
    FROM faults
    WHERE at IS NULL OR (at >= $since AND at < $until)
    GROUP BY detection
),

hit AS (
    SELECT detection, count(DISTINCT sid) AS sessions
    FROM (
        SELECT detection, unnest(sids) AS sid
        FROM faults
        WHERE at IS NULL OR (at >= $since AND at < $until)
    )
    GROUP BY detection
),

before AS (
    SELECT detection, count(*) AS findings
    FROM faults
    WHERE at IS NULL OR (at >= $previous_since AND at < $since)
    GROUP BY detection
)

SELECT
    coalesce(detections.category, 'other') AS category,
    detections.detection,
    detections.title,
    CASE current.worst
        WHEN 4 THEN 'critical'
        WHEN 3 THEN 'high'
        WHEN 2 THEN 'medium'
        WHEN 1 THEN 'low'
        WHEN 0 THEN 'info'
    END AS worst,
    coalesce(current.findings, 0) AS findings,
    coalesce(current.channels, 0) AS channels,
    coalesce(hit.sessions, 0) AS sessions,
    CASE WHEN sent.starts > 0 THEN round(1000.0 * coalesce(current.findings, 0) / sent.starts, 2) END
        AS per_1000_starts,
    CASE WHEN reach.has_previous THEN coalesce(before.findings, 0) END AS previous_findings,
    CASE
        WHEN reach.has_previous AND sent.previous_starts > 0
            THEN round(1000.0 * coalesce(before.findings, 0) / sent.previous_starts, 2)
    END AS previous_per_1000_starts
FROM detections
CROSS JOIN sent
CROSS JOIN reach
LEFT JOIN current ON current.detection = detections.detection
LEFT JOIN hit ON hit.detection = detections.detection
LEFT JOIN before ON before.detection = detections.detection
ORDER BY
    CASE coalesce(detections.category, 'other')
        WHEN 'routing' THEN 0
        WHEN 'upload' THEN 1
        WHEN 'session' THEN 2
        WHEN 'evidence' THEN 3
        ELSE 4
    END,
    findings DESC,
    detections.detection
