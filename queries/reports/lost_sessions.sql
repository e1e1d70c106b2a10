-- ---
-- name        = "lost_sessions"
-- title       = "Sessions whose files were not where they were believed"
-- kept        = true
-- description = """
-- One row per session and way to be lost, with the time it lasted. `elsewhere`: files lay at another vendor than the customer's record
-- named, until the record was corrected or files came there. `in_backup`: files waited in the service's backup cloud until they came
-- home. `unseen`: announced as uploaded, never seen. What is still lost has no `found_at`; those of `in_backup` and `unseen` are
-- findings, and `measured_to` says how far the witness streams have come.
-- """
--
-- [columns]
-- sid         = { type = "string", doc = "recording session id" }
-- way         = { type = "string", doc = "elsewhere, in_backup, unseen" }
-- lost_at     = { type = "timestamp", doc = "since when" }
-- found_at    = { type = "timestamp", doc = "until when; null while it is still lost" }
-- measured_to = { type = "timestamp", doc = "up to when the streams that would tell are complete" }
-- ---
WITH reach AS (
    SELECT
        min(CASE WHEN stream = 'session_records' THEN watermark END) AS records_to,
        min(CASE WHEN stream = 'storage_events' THEN watermark END) AS files_to
    FROM watermarks
    WHERE scope = 'stream'
),

said AS (
    SELECT record_id, vendor_name, bucket, version_at, received_at, position
    FROM record_versions
    WHERE vendor_name IS NOT NULL
),

versions AS (
    -- What the record that counts for a session said, and until when.
    SELECT
        session_beliefs.sid,
        said.vendor_name,
        said.bucket,
        said.version_at,
        lead(said.version_at) OVER (
            PARTITION BY session_beliefs.sid
            ORDER BY said.version_at, said.received_at, said.position
        ) AS replaced_at
    FROM session_beliefs
    INNER JOIN session_landings ON session_landings.sid = session_beliefs.sid
    INNER JOIN said ON said.record_id = session_beliefs.record_id
    INNER JOIN (
        -- Only records that ever named a vendor without files of the session.
        SELECT session_beliefs.record_id
        FROM session_beliefs
        INNER JOIN session_landings ON session_landings.sid = session_beliefs.sid
        INNER JOIN said ON said.record_id = session_beliefs.record_id
        GROUP BY session_beliefs.record_id
        HAVING min(said.vendor_name) <> max(said.vendor_name)
            OR bool_or(NOT array_contains(session_landings.vendors, said.vendor_name))
    ) AS doubtful ON doubtful.record_id = session_beliefs.record_id
),

beliefs AS (
    SELECT
        versions.sid,
        versions.version_at,
        versions.replaced_at,
        min(places.first_at) AS landed_at,
        min(
            CASE
                WHEN places.vendor_name = versions.vendor_name
                    -- One bucket, called by its protocol here and by its vendor there: as in `vendor_mismatch`.
                    OR (
                        places.vendor_name IN ('s3', 's3compat')
                        AND versions.vendor_name IN ('s3', 's3compat')
                        AND places.bucket = versions.bucket
                        AND (
                            accepted_starts.start_id IS NULL
                            OR accepted_starts.vendor_name = versions.vendor_name
                            OR (accepted_starts.vendor_name = 's3' AND accepted_starts.endpoint IS NOT NULL)
                        )
                    )
                    THEN places.first_at
            END
        ) AS home_at
    FROM versions
    INNER JOIN session_places AS places ON places.sid = versions.sid
    LEFT JOIN accepted_starts ON accepted_starts.sid = versions.sid
    GROUP BY versions.sid, versions.vendor_name, versions.version_at, versions.replaced_at
),

elsewhere AS (
    SELECT
        sid,
        greatest(version_at, landed_at) AS lost_at,
        CASE
            WHEN home_at IS NULL THEN replaced_at
            WHEN replaced_at IS NULL THEN home_at
            ELSE least(replaced_at, home_at)
        END AS found_at
    FROM beliefs
),

elsewhere_sessions AS (
    -- One wrong version after another is one loss.
    SELECT
        sid,
        min(lost_at) AS lost_at,
        CASE WHEN bool_or(found_at IS NULL) THEN NULL ELSE max(found_at) END AS found_at
    FROM elsewhere
    WHERE found_at IS NULL OR found_at > lost_at
    GROUP BY sid
),

never_returned AS (
    SELECT DISTINCT sid
    FROM (
        SELECT unnest(sids) AS sid
        FROM faults
        WHERE detection = 'backup_never_returned'
    )
),

never_seen AS (
    SELECT DISTINCT sid
    FROM (
        SELECT unnest(sids) AS sid
        FROM faults
        WHERE detection = 'missing_upload'
    )
),

backups AS (
    SELECT
        session_backups.sid,
        session_backups.first_said_at AS lost_at,
        CASE
            WHEN never_returned.sid IS NULL THEN least(
                coalesce(session_backups.uploaded_at, session_backups.index_at, session_backups.last_new_at),
                coalesce(session_backups.index_at, session_backups.uploaded_at, session_backups.last_new_at)
            )
        END AS found_at,
        never_returned.sid IS NOT NULL AS is_waiting
    FROM session_backups
    LEFT JOIN never_returned ON never_returned.sid = session_backups.sid
)

SELECT sid, 'elsewhere' AS way, lost_at, found_at, reach.records_to AS measured_to
FROM elsewhere_sessions
CROSS JOIN reach
UNION ALL
SELECT sid, 'in_backup' AS way, lost_at, found_at, reach.files_to AS measured_to
FROM backups
CROSS JOIN reach
WHERE is_waiting OR found_at > lost_at
UNION ALL
SELECT unseen_uploads.sid, 'unseen' AS way, unseen_uploads.announced_at AS lost_at, NULL AS found_at, reach.files_to AS measured_to
FROM unseen_uploads
INNER JOIN never_seen ON never_seen.sid = unseen_uploads.sid
CROSS JOIN reach
ORDER BY lost_at, sid, way
