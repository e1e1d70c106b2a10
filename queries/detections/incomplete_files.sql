-- ---
-- name        = "incomplete_files"
-- title       = "An index without slices, slices without an index, or no mp4 though asked"
-- severity    = "medium"
-- category    = "upload"
-- status      = "stable"
-- patterns    = ["P31"]
-- description = """
-- Finds accepted sessions that are over and of which files arrived, but not all kinds: slices (ts, webm) without an index (m3u8, mpd),
-- an index without slices, or no mp4 though the start asked for one; in modes that record users apart, for any one user. What was
-- there and was removed later had arrived. Judged only where the bucket reports that kind of file at all, was watched since the session
-- began, and it and the stream have passed the deadline; where files may wait in the service's backup, or an update moved them
-- to another bucket, nothing is missing yet. The rest is in `not_judged`. Variants: no_index, no_slices, no_mp4. Severity is low until the
-- last deadline; an mp4, which is made at the end, is missed only then.
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
ORDER BY first_at, app_id, cname, sid
