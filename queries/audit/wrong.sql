-- ---
-- name        = "wrong"
-- title       = "What is wrong with the sessions that a run looked for"
-- description = """
-- One row per promised file that is missing, session without any file, place of files that is not where the accepted start sent
-- them, and store that did not let us look, by all that is known of these sessions now.
-- """
--
-- [params]
-- run = { type = "string", doc = "the run" }
-- sid = { type = "string", doc = "the only session that it looked for; null for all" }
--
-- [columns]
-- what   = { type = "string", doc = "promised, not there; no file in any store; not where it was sent; denied; failed" }
-- sid    = { type = "string", doc = "recording session id; null where it is about a store" }
-- cname  = { type = "string", doc = "channel name" }
-- store  = { type = "string", doc = "name of the store in the configuration" }
-- bucket = { type = "string", doc = "bucket or container" }
-- detail = { type = "string", doc = "which file, and who says so" }
-- ---
WITH looks AS (
    SELECT session_audits.*
    FROM session_audits
    LEFT SEMI JOIN (SELECT sid FROM audits WHERE run = $run) AS looked ON looked.sid = session_audits.sid
    WHERE $sid IS NULL OR session_audits.sid = $sid
),

found AS (
    SELECT sid, min(cname) AS cname, store, vendor_name, bucket, count(*) AS files, min("key") AS first_key
    FROM looks
    WHERE result = 'found'
    GROUP BY sid, store, vendor_name, bucket
)

SELECT what, sid, cname, store, bucket, detail
FROM (
    SELECT
        'promised, not there' AS what, sid, cname, store, bucket,
        concat("key", ' (promised by ', promised_by, ')') AS detail
    FROM looks
    WHERE result = 'missing' AND "key" IS NOT NULL
    UNION ALL
    SELECT
        'no file in any store' AS what, sid, min(cname) AS cname, NULL AS store, NULL AS bucket,
        CASE
            WHEN bool_or(result = 'missing')
                THEN concat('looked into ', string_agg(CASE WHEN result = 'missing' THEN store END, ', ' ORDER BY store))
            ELSE 'no store answered'
        END AS detail
    FROM looks
    GROUP BY sid
    HAVING bool_and(result <> 'found')
    UNION ALL
    SELECT
        'not where it was sent' AS what, found.sid, found.cname, found.store, found.bucket,
        concat(
            found.files, CASE WHEN found.files = 1 THEN ' file, ' ELSE ' files, first ' END, found.first_key,
            '; the accepted start named ', accepted_starts.vendor_name, ':', accepted_starts.bucket
        ) AS detail
    FROM found
    INNER JOIN accepted_starts ON accepted_starts.sid = found.sid
    LEFT ANTI JOIN found AS sent
        ON sent.sid = accepted_starts.sid
        AND sent.vendor_name = accepted_starts.vendor_name
        AND sent.bucket = accepted_starts.bucket
    WHERE accepted_starts.bucket IS NOT NULL
        AND ($sid IS NULL OR accepted_starts.sid = $sid)
    UNION ALL
    SELECT
        result AS what, NULL AS sid, NULL AS cname, store, bucket,
        concat(
            count(DISTINCT sid), CASE WHEN count(DISTINCT sid) = 1 THEN ' session: ' ELSE ' sessions: ' END, min(answer)
        ) AS detail
    FROM looks
    WHERE result IN ('denied', 'failed')
    GROUP BY result, store, bucket
)
ORDER BY sid, what, store, detail
