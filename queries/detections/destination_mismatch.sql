-- ---
-- name        = "destination_mismatch"
-- title       = "The customer's record names the right vendor, but another bucket, region or path than the files have"
-- severity    = "medium"
-- category    = "routing"
-- status      = "stable"
-- patterns    = ["P21"]
-- description = """
-- Compares bucket, path and region that the customer's row about a session names last with those of its files at that vendor. Only the
-- last version of a row counts, so a correction clears the finding, and so do files that a copy job brought there. A path that
-- leads to the files is right, even if it is shorter than theirs. Region is compared in the same bucket, or where the row names none,
-- if both sides give a region code of the vendor, or Agora's number of one that is sure. Variants, by what differs first: bucket
-- (severity medium), region (low), prefix (low). The root cause is what explains the belief: race (a start with that storage competed),
-- fallback (one failed before), environment_switching (another environment or region of the app records this channel there), else
-- state_mismatch. Where start and record agree, files elsewhere prove nothing unless the bucket named is watched: see `not_judged`. Nor
-- do files that are removed by now, as they may have been moved; of those only the bucket is compared.
-- """
-- false_positives = [
--   "an alias or access point of the bucket in the record",
--   "a path in the record that a later job moves the files to",
--   "a region in the record that is the user's, not the bucket's",
-- ]
-- response = """
-- Correct the record (bucket, region, path, URL) by the accepted start and the files, then make the code write the storage of
-- the accepted call after its answer, never before.
-- """
-- identity = ["app_id", "cname", "sid"]
--
-- [params]
-- window        = { type = "duration", default = "5m", doc = "a failed start this long before the accepted one explains a fallback" }
-- look_back     = { type = "duration", default = "24h", doc = "a start of the channel this far away can show that environments differ" }
-- missing_after = { type = "duration", default = "24h", doc = "how long files may take to a bucket that start and record agree on" }
--
-- [columns]
-- sid = { type = "string", doc = "recording session id" }
-- ---
WITH compared AS (
    -- One row per session, record and place of its files at the vendor that the record names.
    SELECT
        session_beliefs.sid,
        session_beliefs.app_id,
        session_beliefs.cname,
        session_beliefs.uid,
        session_beliefs.vendor_name,
        session_beliefs.bucket AS record_bucket,
        regexp_replace(lower(trim(session_beliefs.region)), '^(oss|cos|obs)[-.]', '') AS record_region,
        trim(BOTH '/' FROM session_beliefs.prefix) AS record_prefix,
        coalesce(session_beliefs.vendor_at, session_beliefs.last_at) AS record_at,
        session_beliefs.event_id AS record_event_id,
        places.bucket,
        places.files,
        places.first_at AS file_at,
        places.last_at AS last_file_at,
        places.event_id AS file_event_id,
        places.is_removed,
        coalesce(
            session_beliefs.bucket IS NULL
            OR lower(session_beliefs.bucket) = lower(places.bucket)
            -- Tencent's bucket names end in the account's number, which people leave out.
            OR (
                places.vendor_name = 'cos'
                AND regexp_replace(places.bucket, '-[0-9]+$', '') = session_beliefs.bucket
            ),
            false
        ) AS is_named
    FROM session_beliefs
    INNER JOIN (
        SELECT sid, vendor_name, bucket, files, first_at, last_at, event_id, false AS is_removed
        FROM session_places
        UNION ALL
        SELECT
            arrivals.sid, arrivals.vendor_name, arrivals.bucket, arrivals.writes AS files, arrivals.first_at,
            arrivals.last_at, arrivals.event_id, true AS is_removed
        FROM session_arrivals AS arrivals
        LEFT ANTI JOIN session_landings ON session_landings.sid = arrivals.sid
    ) AS places
        ON places.sid = session_beliefs.sid
        AND places.vendor_name = session_beliefs.vendor_name
    WHERE coalesce(session_beliefs.bucket, session_beliefs.region, session_beliefs.prefix) IS NOT NULL
),

paths AS (
    -- Whether the record's path leads to any file of the session, and what the files' path and region are.
    SELECT
        compared.sid,
        compared.bucket,
        min(coalesce(session_paths.prefix, '')) AS prefix,
        min(session_paths.region_code) AS region_code,
        max(session_paths.last_region_code) AS last_region_code,
        bool_or(
            compared.record_prefix IS NULL
            OR coalesce(session_paths.prefix, '') = compared.record_prefix
            OR starts_with(coalesce(session_paths.prefix, ''), concat(compared.record_prefix, '/'))
            -- Some rows keep the whole key.
            OR starts_with(compared.record_prefix, concat(coalesce(concat(session_paths.prefix, '/'), ''), session_paths.sid))
        ) AS leads_there
    FROM compared
    INNER JOIN session_paths
        ON session_paths.sid = compared.sid
        AND session_paths.vendor_name = compared.vendor_name
        AND session_paths.bucket = compared.bucket
    WHERE compared.is_named
    GROUP BY compared.sid, compared.bucket
),

judged AS (
    -- One row per session: the place that the record names, if its files are there, else where most of them are.
    SELECT
        compared.sid,
        compared.app_id,
        compared.cname,
        compared.uid,
        compared.vendor_name,
        compared.record_bucket,
        compared.record_region,
        compared.record_prefix,
        compared.record_at,
        compared.record_event_id,
        bool_or(compared.is_named) AS is_named,
        bool_or(compared.is_removed) AS is_removed,
        bool_or(coalesce(paths.leads_there, false)) AS leads_there,
        first_value(compared.bucket ORDER BY compared.is_named DESC, compared.files DESC, compared.bucket) AS bucket,
        first_value(compared.files ORDER BY compared.is_named DESC, compared.files DESC, compared.bucket) AS files,
        first_value(compared.file_at ORDER BY compared.is_named DESC, compared.files DESC, compared.bucket) AS file_at,
        max(compared.last_file_at) AS last_file_at,
        first_value(compared.file_event_id ORDER BY compared.is_named DESC, compared.files DESC, compared.bucket)
            AS file_event_id,
        min(paths.prefix) AS prefix,
        -- A row without a bucket is about all places: only where they agree they have a region.
        CASE WHEN min(paths.region_code) = max(paths.last_region_code) THEN min(paths.region_code) END AS region_code
    FROM compared
    LEFT JOIN paths
        ON paths.sid = compared.sid
        AND paths.bucket = compared.bucket
    GROUP BY
        compared.sid, compared.app_id, compared.cname, compared.uid, compared.vendor_name, compared.record_bucket,
        compared.record_region, compared.record_prefix, compared.record_at, compared.record_event_id
),

mismatches AS (
    SELECT
        judged.sid,
        coalesce(accepted_starts.app_id, judged.app_id) AS app_id,
        coalesce(accepted_starts.cname, judged.cname) AS cname,
        coalesce(accepted_starts.uid, judged.uid) AS uid,
        judged.vendor_name,
        judged.record_bucket,
        judged.record_prefix,
        judged.record_region,
        judged.record_at,
        judged.record_event_id,
        judged.bucket,
        judged.files,
        judged.file_at,
        judged.file_event_id,
        judged.is_removed,
        judged.prefix,
        judged.region_code,
        judged.variant,
        accepted_starts.start_id,
        accepted_starts.event_ids,
        accepted_starts.storage,
        accepted_starts.bucket AS start_bucket,
        accepted_starts.requested_at,
        accepted_starts.ended_at,
        accepted_starts.origin
    FROM (
        SELECT
            judged.sid,
            judged.app_id,
            judged.cname,
            judged.uid,
            judged.vendor_name,
            judged.record_bucket,
            judged.record_prefix,
            judged.record_region,
            judged.record_at,
            judged.record_event_id,
            judged.bucket,
            judged.files,
            judged.file_at,
            judged.last_file_at,
            judged.file_event_id,
            judged.is_removed,
            judged.prefix,
            judged.region_code,
            CASE
                WHEN NOT judged.is_named THEN 'bucket'
                WHEN judged.is_removed THEN NULL
                -- A code such as cn-hangzhou on both sides; a number or a name for people says nothing certain.
                WHEN judged.vendor_name IN ('s3', 'oss', 'obs', 'cos')
                    AND regexp_like(judged.region_code, '^[a-z]+(-[a-z]+)+(-?[0-9]+)?$')
                    AND regexp_like(judged.record_region, '^[a-z]+(-[a-z]+)+(-?[0-9]+)?$')
                    AND judged.region_code <> judged.record_region
                    THEN 'region'
                WHEN NOT judged.leads_there THEN 'prefix'
            END AS variant
        FROM judged
    ) AS judged
    LEFT JOIN accepted_starts ON accepted_starts.sid = judged.sid
    LEFT JOIN monitored_buckets
        ON monitored_buckets.vendor_name = judged.vendor_name
        AND monitored_buckets.bucket = judged.record_bucket
    WHERE judged.variant IS NOT NULL
        -- The service never re-routes: files beside the bucket that the start named are copies, unless that one is
        -- watched and stayed empty. What was removed may have been moved to any bucket that is not watched.
        AND (
            judged.variant <> 'bucket'
            OR (NOT judged.is_removed AND coalesce(accepted_starts.bucket <> judged.record_bucket, false))
            OR (
                monitored_buckets.first_at <= judged.file_at
                AND monitored_buckets.last_at >= judged.last_file_at + $missing_after
            )
        )
),

rivals AS (
    -- The start that best explains why the record names its storage.
    SELECT
        sid,
        first_value(
            named_struct(
                'cause', cause, 'requested_at', requested_at, 'outcome', outcome, 'http_status', http_status,
                'code', code, 'storage', storage, 'event_ids', array_to_string(event_ids, chr(31))
            )
            ORDER BY CASE cause WHEN 'race' THEN 0 WHEN 'fallback' THEN 1 ELSE 2 END, distance, start_id
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
            AND starts.vendor_name = mismatches.vendor_name
        LEFT JOIN session_ends ON session_ends.sid = starts.sid
        WHERE starts.start_id <> mismatches.start_id
            AND starts.requested_at >= mismatches.requested_at - $look_back
            AND starts.requested_at <= mismatches.requested_at + $look_back
            AND CASE mismatches.variant
                WHEN 'prefix' THEN coalesce(starts.prefix, '') = mismatches.record_prefix
                WHEN 'region' THEN starts.bucket = mismatches.bucket AND starts.region_code = mismatches.record_region
                ELSE starts.bucket = mismatches.record_bucket
            END
    )
    WHERE cause IS NOT NULL
    GROUP BY sid
)

SELECT
    CASE WHEN mismatches.variant = 'bucket' THEN 'medium' ELSE 'low' END AS severity,
    mismatches.variant,
    mismatches.app_id,
    mismatches.cname,
    mismatches.uid,
    make_array(mismatches.sid) AS sids,
    least(rivals.rival['requested_at'], mismatches.requested_at, mismatches.record_at, mismatches.file_at) AS first_at,
    greatest(rivals.rival['requested_at'], mismatches.requested_at, mismatches.record_at, mismatches.file_at) AS last_at,
    mismatches.vendor_name AS expected_vendor,
    coalesce(mismatches.record_bucket, mismatches.bucket) AS expected_bucket,
    mismatches.vendor_name AS actual_vendor,
    mismatches.bucket AS actual_bucket,
    CASE
        WHEN mismatches.start_id IS NULL THEN 'unknown'
        -- Start and record agree: the service does not put files elsewhere by itself.
        WHEN mismatches.variant = 'bucket' AND mismatches.start_bucket = mismatches.record_bucket THEN 'unknown'
        WHEN rivals.rival['cause'] IS NOT NULL THEN rivals.rival['cause']
        ELSE 'state_mismatch'
    END AS root_cause,
    concat(
        'The customer''s record says since ', to_char(mismatches.record_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC that channel ',
        mismatches.cname, ' (sid ', mismatches.sid, ') is in ', coalesce(vendors.vendor_title, mismatches.vendor_name), ' ',
        CASE mismatches.variant
            WHEN 'bucket' THEN concat(
                'bucket ', mismatches.record_bucket, '; its files ',
                CASE
                    WHEN mismatches.is_removed THEN 'were, until they were removed,'
                    ELSE concat('(', mismatches.files, ') are')
                END,
                ' in bucket ', mismatches.bucket
            )
            WHEN 'region' THEN concat(
                CASE WHEN mismatches.record_bucket IS NOT NULL THEN concat('bucket ', mismatches.bucket, ' in ') END,
                mismatches.record_region,
                CASE
                    WHEN mismatches.record_bucket IS NOT NULL THEN '; the bucket'
                    ELSE concat('; its files (', mismatches.files, ') are in bucket ', mismatches.bucket, ', which')
                END,
                ' reports ', mismatches.region_code
            )
            ELSE concat(
                'bucket ', mismatches.bucket, ', path ', mismatches.record_prefix, '; its files (', mismatches.files,
                ') are ',
                CASE WHEN mismatches.prefix = '' THEN 'at its root' ELSE concat('in path ', mismatches.prefix) END
            )
        END,
        CASE
            WHEN mismatches.start_id IS NULL THEN '; the accepted start is not in the log.'
            ELSE concat(
                '. The accepted start of ', to_char(mismatches.requested_at, '%H:%M:%S%.3f'), ' asked for ',
                coalesce(mismatches.storage, 'no storage'), '.'
            )
        END,
        CASE
            WHEN rivals.rival['cause'] IS NOT NULL THEN concat(
                ' What the record names is the storage of the start of ',
                to_char(rivals.rival['requested_at'], '%Y-%m-%d %H:%M:%S%.3f'), ' (',
                CASE
                    WHEN rivals.rival['outcome'] = 'ok' THEN 'accepted, a session of its own'
                    WHEN rivals.rival['http_status'] IS NULL THEN 'no answer'
                    ELSE concat(
                        'HTTP ', rivals.rival['http_status'],
                        CASE WHEN rivals.rival['code'] IS NOT NULL THEN concat(' code ', rivals.rival['code']) END
                    )
                END,
                ').'
            )
        END
    ) AS explanation,
    string_to_array(
        concat_ws(
            chr(31), rivals.rival['event_ids'], array_to_string(mismatches.event_ids, chr(31)),
            mismatches.record_event_id, mismatches.file_event_id
        ),
        chr(31)
    ) AS evidence,
    mismatches.sid
FROM mismatches
LEFT JOIN rivals ON rivals.sid = mismatches.sid
LEFT JOIN vendors ON vendors.vendor_name = mismatches.vendor_name
ORDER BY first_at, app_id, cname, sid
