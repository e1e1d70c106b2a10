-- ---
-- name        = "incomplete_files"
-- title       = "An index without slices, slices without an index, or no mp4 though asked"
-- severity    = "medium"
-- category    = "upload"
-- status      = "stable"
-- patterns    = ["P31"]
-- description = """
-- Finds accepted sessions that are over and of which files arrived, but not all kinds: slices (ts, webm) without an index (m3u8, mpd), an
-- index without slices, or no mp4 though the start asked for one; in modes that record users apart, for any one user, and slices of one
-- track (audio, video) without an index of it. What was there and was removed later had arrived. Judged only where the bucket reports
-- that kind of file at all, was watched since the session began, and it and the stream have passed the deadline; where files may wait in
-- the service's backup, or an update moved them to another bucket, nothing is missing yet. The rest is in `not_judged`. Where a look into
-- the bucket after the deadline found files of the session, but not all that an index or the service promised, and nobody ever saw those,
-- nothing else has to be known. Variants: no_index, no_slices, no_mp4, promised. Severity is low until the last deadline; an mp4, which
-- is made at the end, is missed only then.
-- """
-- false_positives = ["a lifecycle rule or converter that takes files away before the bucket reports them"]
-- response = """
-- Look into the bucket itself; rebuild a lost index from the names of the slices, which hold their times. Ask the service for the rest:
-- slices that could not be uploaded in time can be lost.
-- """
-- identity = ["app_id", "cname", "sid"]
--
-- [params]
-- late_after      = { type = "duration", default = "20m", doc = "uploads normally complete this long after the end" }
-- missing_after   = { type = "duration", default = "24h", doc = "later than this nothing is expected any more" }
-- postponed_after = { type = "duration", default = "48h", doc = "the mp4 of an individual recording comes of postponed transcoding, up to this long after the end" }
-- quiet_after     = { type = "duration", default = "1h", doc = "a session without a known end is over when no file came for this long" }
-- begins_within   = { type = "duration", default = "5m", doc = "the first file comes this long after the start" }
--
-- [columns]
-- sid = { type = "string", doc = "recording session id" }
-- ---
WITH arrivals AS (
    SELECT
        CASE WHEN incomplete.watched_until >= incomplete.due_at + $missing_after THEN 'medium' ELSE 'low' END AS severity,
        CASE
            WHEN incomplete.lacks_index AND incomplete.shows_indexes THEN 'no_index'
            WHEN incomplete.lacks_slices AND incomplete.shows_slices THEN 'no_slices'
            ELSE 'no_mp4'
        END AS variant,
        incomplete.app_id,
        incomplete.cname,
        incomplete.uid,
        make_array(incomplete.sid) AS sids,
        incomplete.requested_at AS first_at,
        greatest(incomplete.last_at, incomplete.ended_at) AS last_at,
        CASE WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.vendor_name ELSE incomplete.vendor_name END
            AS expected_vendor,
        CASE WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.bucket ELSE incomplete.bucket END
            AS expected_bucket,
        CASE WHEN session_landings.vendor_name IS NOT NULL THEN session_landings.vendor_name ELSE incomplete.vendor_name END
            AS actual_vendor,
        CASE WHEN session_landings.vendor_name IS NOT NULL THEN session_landings.bucket ELSE incomplete.bucket END
            AS actual_bucket,
        'unknown' AS root_cause,
        concat(
            'Of channel ', incomplete.cname, ' (sid ', incomplete.sid, ', mode ', incomplete.mode, ') ',
            concat_ws(
                ', and ',
                CASE
                    WHEN incomplete.lacks_index AND incomplete.shows_indexes
                        THEN 'slices came without an index'
                END,
                CASE
                    WHEN incomplete.lacks_slices AND incomplete.shows_slices
                        THEN 'an index came without slices'
                END,
                CASE
                    WHEN incomplete.lacks_mp4 AND incomplete.shows_mp4s AND incomplete.is_mp4_due
                        THEN 'no mp4 came, though the start asked for one'
                END
            ),
            '; ',
            CASE
                WHEN incomplete.ended_at IS NOT NULL THEN concat(
                    'the recording ended at ', to_char(incomplete.ended_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC'
                )
                ELSE concat('the last file came at ', to_char(incomplete.last_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC')
            END,
            ', ', incomplete.vendor_name, ':', incomplete.bucket, ' was watched until ',
            to_char(incomplete.watched_until, '%Y-%m-%d %H:%M:%S%.3f'), '.'
        ) AS explanation,
        array_remove_all(
            make_array(
                coalesce(incomplete.start_id, ''), incomplete.file_event_id, coalesce(incomplete.ended_event_id, '')
            ),
            ''
        ) AS evidence,
        incomplete.sid
    FROM (
        SELECT
            *,
            greatest(coalesce(ended_at, last_at + $quiet_after), last_at) AS due_at,
            watched_until >= greatest(coalesce(ended_at, last_at + $quiet_after), last_at)
                + CASE WHEN mode = 'individual' THEN $postponed_after ELSE $missing_after END AS is_mp4_due
        FROM incomplete_arrivals
    ) AS incomplete
    LEFT JOIN session_beliefs ON session_beliefs.sid = incomplete.sid
    LEFT JOIN session_landings ON session_landings.sid = incomplete.sid
    WHERE NOT incomplete.is_backuped
        AND NOT incomplete.is_moved
        AND incomplete.watched_since <= incomplete.requested_at + $begins_within
        AND incomplete.watched_until >= incomplete.due_at + $late_after
        AND (
            (incomplete.lacks_index AND incomplete.shows_indexes)
            OR (incomplete.lacks_slices AND incomplete.shows_slices)
            OR (incomplete.lacks_mp4 AND incomplete.shows_mp4s AND incomplete.is_mp4_due)
        )
),

unkept AS (
    SELECT
        promised.sid,
        promised.vendor_name,
        promised.bucket,
        count(DISTINCT promised."key") AS files,
        min(promised."key") AS first_key,
        max(promised.audited_at) AS audited_at,
        min(promised.event_id) AS event_id
    FROM session_audits AS promised
    -- A copy elsewhere, or one that was there once, keeps the promise.
    LEFT ANTI JOIN (
        SELECT sid, file_name
        FROM audits
        WHERE result = 'found' AND sid IS NOT NULL
        UNION ALL
        SELECT sid, file_name
        FROM storage_events
        WHERE kind = 'created' AND sid IS NOT NULL
    ) AS seen
        ON seen.sid = promised.sid
        AND seen.file_name = promised.file_name
    WHERE promised.result = 'missing' AND promised."key" IS NOT NULL
    GROUP BY promised.sid, promised.vendor_name, promised.bucket
)

SELECT severity, variant, app_id, cname, uid, sids, first_at, last_at, expected_vendor, expected_bucket, actual_vendor,
    actual_bucket, root_cause, explanation, evidence, sid
FROM arrivals
UNION ALL
SELECT
    CASE WHEN unkept.audited_at >= session_ends.ended_at + $missing_after THEN 'medium' ELSE 'low' END AS severity,
    'promised' AS variant,
    accepted_starts.app_id,
    accepted_starts.cname,
    accepted_starts.uid,
    make_array(unkept.sid) AS sids,
    accepted_starts.requested_at AS first_at,
    unkept.audited_at AS last_at,
    CASE WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.vendor_name ELSE accepted_starts.vendor_name END
        AS expected_vendor,
    CASE WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.bucket ELSE accepted_starts.bucket END
        AS expected_bucket,
    unkept.vendor_name AS actual_vendor,
    unkept.bucket AS actual_bucket,
    'unknown' AS root_cause,
    concat(
        'Of channel ', accepted_starts.cname, ' (sid ', unkept.sid, ', mode ', accepted_starts.mode, ') a look into ',
        unkept.vendor_name, ':', unkept.bucket, ' at ', to_char(unkept.audited_at, '%Y-%m-%d %H:%M:%S%.3f'),
        ' UTC found files, but missed ', unkept.files, ' that had been promised, first ', unkept.first_key,
        '; the recording ended at ', to_char(session_ends.ended_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC.'
    ) AS explanation,
    make_array(accepted_starts.start_id, session_ends.ended_event_id, unkept.event_id) AS evidence,
    unkept.sid
FROM unkept
LEFT ANTI JOIN arrivals ON arrivals.sid = unkept.sid
LEFT ANTI JOIN (
    SELECT sid
    FROM session_uploads
    WHERE verdict = 'backuped'
) AS backuped ON backuped.sid = unkept.sid
LEFT ANTI JOIN (
    SELECT sid
    FROM api_calls
    WHERE operation = 'update' AND outcome <> 'rejected' AND bucket IS NOT NULL AND sid IS NOT NULL
) AS moved ON moved.sid = unkept.sid
INNER JOIN accepted_starts
    ON accepted_starts.sid = unkept.sid
    AND accepted_starts.vendor_name = unkept.vendor_name
    AND accepted_starts.bucket = unkept.bucket
INNER JOIN session_ends ON session_ends.sid = unkept.sid
LEFT JOIN session_beliefs ON session_beliefs.sid = unkept.sid
WHERE unkept.audited_at >= session_ends.ended_at + $late_after
ORDER BY first_at, app_id, cname, sid
