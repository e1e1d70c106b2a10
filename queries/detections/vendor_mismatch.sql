-- ---
-- name        = "vendor_mismatch"
-- title       = "The customer's record names one vendor, the files are at another"
-- severity    = "high"
-- category    = "routing"
-- status      = "stable"
-- patterns    = ["P20"]
-- description = """
-- Compares the vendor that the customer's row about a session names last with the vendors that hold files of the session now, as looks
-- into the buckets and notifications say; where they show no file, as the service's own upload status says; where that says nothing, with
-- the vendors that had held files which are removed by now: unless the bucket named was watched when they came, they may have been moved
-- there, which `not_judged` says. Only the last version of a row counts, so a correction clears the finding, and so do files that a copy
-- job brought to the vendor named. Variants: record_wrong (the files are where the accepted start sent them), moved_by_update (an update
-- gave the live session other storage), files_elsewhere (start and record agree, the files are at a third place: the service does not do
-- that by itself, look for a second start, a copy job or a shared prefix), start_unknown (the accepted start is not in the log). The root
-- cause is what explains the belief: race (a start with that vendor competed), fallback (one failed before), environment_switching
-- (another environment or region of the app records this channel there), else state_mismatch.
-- """
-- false_positives = [
--   "rows that are filled long after the recording by a job of its own",
--   "a bucket behind a vendor-neutral gateway",
--   "rows that call S3-compatible storage `s3` for its protocol: `vendors` of the mapping says what the word means",
-- ]
-- response = """
-- Correct the record (vendor, bucket, URL) by the accepted start and the files, then make the code write the storage of the
-- accepted call after its answer, never before.
-- """
-- identity = ["app_id", "cname", "sid"]
--
-- [params]
-- window    = { type = "duration", default = "5m", doc = "a failed start this long before the accepted one explains a fallback" }
-- look_back = { type = "duration", default = "24h", doc = "a start of the channel this far away can show that environments differ" }
--
-- [columns]
-- sid = { type = "string", doc = "recording session id" }
-- ---
WITH mismatches AS (
    SELECT
        session_beliefs.sid,
        coalesce(accepted_starts.app_id, session_beliefs.app_id) AS app_id,
        coalesce(accepted_starts.cname, session_beliefs.cname, whereabouts.cname) AS cname,
        coalesce(accepted_starts.uid, session_beliefs.uid) AS uid,
        session_beliefs.vendor_name AS record_vendor_name,
        session_beliefs.bucket AS record_bucket,
        session_beliefs.vendor_at AS record_at,
        session_beliefs.event_id AS record_event_id,
        whereabouts.vendor_name AS file_vendor_name,
        whereabouts.bucket AS file_bucket,
        whereabouts.vendors AS file_vendors,
        whereabouts.files,
        whereabouts.event_at AS file_at,
        whereabouts.event_id AS file_event_id,
        whereabouts.witness,
        accepted_starts.start_id,
        accepted_starts.event_ids,
        accepted_starts.vendor_name AS start_vendor_name,
        accepted_starts.storage,
        accepted_starts.requested_at,
        accepted_starts.responded_at,
        accepted_starts.ended_at,
        accepted_starts.origin
    FROM session_beliefs
    INNER JOIN session_whereabouts AS whereabouts ON whereabouts.sid = session_beliefs.sid
    LEFT JOIN accepted_starts ON accepted_starts.sid = session_beliefs.sid
    LEFT JOIN monitored_buckets AS named
        ON named.vendor_name = session_beliefs.vendor_name
        AND named.bucket = session_beliefs.bucket
    WHERE session_beliefs.vendor_name IS NOT NULL
        -- What was removed may have been moved to where the record says, unless that bucket would have told.
        AND (
            whereabouts.witness <> 'removed'
            OR (named.first_at <= whereabouts.event_at AND named.last_at >= whereabouts.event_at)
        )
        AND NOT array_contains(whereabouts.vendors, session_beliefs.vendor_name)
        -- One bucket, called by its protocol here and by its vendor there: the start calls it as the record does, or was
        -- sent to Amazon's endpoint as S3-compatible storage. Else two stores have a bucket of that name.
        AND NOT coalesce(
            session_beliefs.vendor_name IN ('s3', 's3compat')
            AND whereabouts.vendor_name IN ('s3', 's3compat')
            AND session_beliefs.bucket = whereabouts.bucket
            AND (
                accepted_starts.start_id IS NULL
                OR accepted_starts.vendor_name = session_beliefs.vendor_name
                OR (accepted_starts.vendor_name = 's3' AND accepted_starts.endpoint IS NOT NULL)
            ),
            false
        )
),

rivals AS (
    -- The start that best explains why the record names its vendor.
    SELECT
        sid,
        first_value(
            named_struct(
                'cause', cause, 'requested_at', requested_at, 'outcome', outcome, 'http_status', http_status,
                'code', code, 'storage', storage, 'origin', origin, 'event_ids', event_ids
            )
            ORDER BY
                CASE cause WHEN 'race' THEN 0 WHEN 'fallback' THEN 1 ELSE 2 END,
                distance,
                start_id
        ) AS rival
    FROM (
        SELECT
            mismatches.sid,
            starts.start_id,
            starts.requested_at,
            starts.outcome,
            starts.http_status,
            starts.code,
            starts.storage,
            starts.origin,
            starts.event_ids,
            abs(
                arrow_cast(starts.requested_at, 'Int64') - arrow_cast(mismatches.requested_at, 'Int64')
            ) AS distance,
            CASE
                -- It lost against the live session, or ran beside it.
                WHEN starts.outcome IN ('already_running', 'conflict')
                    AND starts.requested_at <= coalesce(mismatches.ended_at, starts.requested_at)
                    AND starts.requested_at >= mismatches.requested_at - $window
                    THEN 'race'
                WHEN starts.outcome = 'ok'
                    AND starts.requested_at < coalesce(mismatches.ended_at, starts.requested_at + $window)
                    AND mismatches.requested_at
                        < coalesce(session_ends.ended_at, starts.expires_at, mismatches.requested_at + $window)
                    THEN 'race'
                -- Sent before the failed one was answered, or failed while the accepted one was already under way.
                WHEN starts.outcome IN ('rejected', 'indeterminate')
                    AND (
                        (
                            starts.requested_at <= mismatches.requested_at
                            AND starts.responded_at > mismatches.requested_at
                        )
                        OR (
                            starts.requested_at > mismatches.requested_at
                            AND starts.requested_at <= coalesce(mismatches.ended_at, starts.requested_at)
                            AND starts.requested_at <= mismatches.requested_at + $window
                        )
                    )
                    THEN 'race'
                WHEN starts.outcome IN ('rejected', 'indeterminate')
                    AND starts.requested_at <= mismatches.requested_at
                    AND starts.requested_at >= mismatches.requested_at - $window
                    THEN 'fallback'
                WHEN starts.outcome = 'ok'
                    AND starts.origin <> ''
                    AND mismatches.origin <> ''
                    AND starts.origin <> mismatches.origin
                    THEN 'environment_switching'
            END AS cause
        FROM mismatches
        INNER JOIN starts
            ON starts.app_id = mismatches.app_id
            AND starts.cname = mismatches.cname
            AND starts.vendor_name = mismatches.record_vendor_name
        LEFT JOIN session_ends ON session_ends.sid = starts.sid
        WHERE starts.start_id <> mismatches.start_id
            AND starts.requested_at >= mismatches.requested_at - $look_back
            AND starts.requested_at <= mismatches.requested_at + $look_back
    )
    WHERE cause IS NOT NULL
    GROUP BY sid
),

updates AS (
    SELECT
        sid,
        vendor_name,
        min(requested_at) AS at,
        first_value(event_id ORDER BY requested_at, event_id) AS event_id
    FROM api_calls
    WHERE operation = 'update' AND outcome = 'ok' AND sid IS NOT NULL AND vendor_name IS NOT NULL
    GROUP BY sid, vendor_name
),

faults AS (
    SELECT
        mismatches.sid,
        mismatches.app_id,
        mismatches.cname,
        mismatches.uid,
        mismatches.record_vendor_name,
        mismatches.record_bucket,
        mismatches.record_at,
        mismatches.file_vendor_name,
        mismatches.file_bucket,
        mismatches.files,
        mismatches.witness,
        mismatches.storage,
        mismatches.requested_at,
        rivals.rival,
        updates.at AS updated_at,
        record_vendor.vendor_title AS record_vendor_title,
        file_vendor.vendor_title AS file_vendor_title,
        CASE
            WHEN mismatches.start_id IS NULL THEN 'start_unknown'
            WHEN array_contains(mismatches.file_vendors, mismatches.start_vendor_name) THEN 'record_wrong'
            WHEN updates.at IS NOT NULL THEN 'moved_by_update'
            WHEN mismatches.start_vendor_name = mismatches.record_vendor_name THEN 'files_elsewhere'
            ELSE 'all_differ'
        END AS variant,
        make_array(
            named_struct('at', rivals.rival['requested_at'], 'event_ids', rivals.rival['event_ids']),
            named_struct('at', mismatches.requested_at, 'event_ids', mismatches.event_ids),
            named_struct('at', updates.at, 'event_ids', make_array(updates.event_id)),
            named_struct('at', mismatches.record_at, 'event_ids', make_array(mismatches.record_event_id)),
            named_struct('at', mismatches.file_at, 'event_ids', make_array(mismatches.file_event_id))
        ) AS items
    FROM mismatches
    LEFT JOIN rivals ON rivals.sid = mismatches.sid
    LEFT JOIN updates
        ON updates.sid = mismatches.sid
        AND updates.vendor_name = mismatches.file_vendor_name
    LEFT JOIN vendors AS record_vendor ON record_vendor.vendor_name = mismatches.record_vendor_name
    LEFT JOIN vendors AS file_vendor ON file_vendor.vendor_name = mismatches.file_vendor_name
)

SELECT
    'high' AS severity,
    variant,
    app_id,
    cname,
    uid,
    make_array(sid) AS sids,
    min(item['at']) AS first_at,
    max(item['at']) AS last_at,
    record_vendor_name AS expected_vendor,
    record_bucket AS expected_bucket,
    file_vendor_name AS actual_vendor,
    file_bucket AS actual_bucket,
    CASE
        WHEN variant IN ('files_elsewhere', 'all_differ', 'start_unknown') THEN 'unknown'
        WHEN rival['cause'] IS NOT NULL THEN rival['cause']
        ELSE 'state_mismatch'
    END AS root_cause,
    concat(
        'The customer''s record says since ', to_char(record_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC that channel ', cname,
        ' (sid ', sid, ') is in ', coalesce(record_vendor_title, record_vendor_name),
        CASE WHEN record_bucket IS NOT NULL THEN concat(' bucket ', record_bucket) END, '; its files ',
        CASE witness
            WHEN 'removed' THEN 'were, until they were removed, '
            WHEN 'upload_status' THEN concat('(', files, ') are by the service''s own upload status ')
            ELSE concat('(', files, ') are ')
        END,
        'in ', coalesce(file_vendor_title, file_vendor_name), ' bucket ', file_bucket,
        CASE variant
            WHEN 'record_wrong' THEN concat(
                ', where the accepted start of ', to_char(requested_at, '%H:%M:%S%.3f'), ' sent them.'
            )
            WHEN 'moved_by_update' THEN concat(
                ', where an update at ', to_char(updated_at, '%H:%M:%S%.3f'), ' moved the live session.'
            )
            WHEN 'files_elsewhere' THEN concat(
                ', although the accepted start, too, asked for ', storage, '.'
            )
            WHEN 'all_differ' THEN concat(', while the accepted start asked for ', storage, '.')
            ELSE '; the accepted start is not in the log.'
        END,
        CASE
            WHEN variant NOT IN ('record_wrong', 'moved_by_update') THEN ''
            WHEN rival['cause'] = 'environment_switching' THEN concat(
                ' The vendor it names was used for this channel by another environment (', rival['origin'], ') at ',
                to_char(rival['requested_at'], '%Y-%m-%d %H:%M:%S%.3f'), '.'
            )
            WHEN rival['cause'] IS NOT NULL THEN concat(
                ' The vendor it names is that of the start of ', to_char(rival['requested_at'], '%H:%M:%S%.3f'), ' (',
                CASE
                    WHEN rival['outcome'] = 'ok' THEN 'accepted beside it, a session of its own'
                    WHEN rival['http_status'] IS NULL THEN 'no answer'
                    ELSE concat(
                        'HTTP ', rival['http_status'],
                        CASE WHEN rival['code'] IS NOT NULL THEN concat(' code ', rival['code']) END
                    )
                END,
                '), ',
                abs(
                    arrow_cast(rival['requested_at'], 'Int64') - arrow_cast(requested_at, 'Int64')
                ) / 1000,
                ' ms ',
                CASE WHEN rival['requested_at'] <= requested_at THEN 'before' ELSE 'after' END,
                ' the accepted one.'
            )
        END
    ) AS explanation,
    flatten(array_agg(item['event_ids'] ORDER BY item['at'])) AS evidence,
    sid
FROM (
    SELECT *, unnest(items) AS item
    FROM faults
)
WHERE item['at'] IS NOT NULL
GROUP BY
    sid, variant, app_id, cname, uid, record_vendor_name, record_vendor_title, record_bucket, record_at,
    file_vendor_name, file_vendor_title, file_bucket, files, witness, storage, requested_at, rival, updated_at
ORDER BY first_at, app_id, cname, sid
