-- ---
-- name        = "sessions"
-- title       = "The sessions of a case, each with a verdict"
-- description = "What the accepted start asked for, what the customer's record says and where the files are, and in one sentence what follows."
--
-- [params]
-- from  = { type = "timestamp", doc = "first instant of the case" }
-- until = { type = "timestamp", doc = "end of the case, exclusive" }
-- sid   = { type = "string", doc = "a session that is shown whenever it was; null for none" }
--
-- [columns]
-- sid          = { type = "string", doc = "recording session id" }
-- uid          = { type = "string", doc = "the recorder's uid" }
-- requested_at = { type = "timestamp", doc = "when the accepted start was sent" }
-- ended_at     = { type = "timestamp", doc = "when it ended; null while it is open or unknown" }
-- ended_by     = { type = "string", doc = "what says so" }
-- asked_for    = { type = "string", doc = "storage that the accepted start asked for, for people" }
-- believed     = { type = "string", doc = "storage that the customer's record names, and since when" }
-- files_at     = { type = "string", doc = "where its files are, and how many" }
-- upload       = { type = "string", doc = "uploaded, backuped, unknown; null when nothing was said" }
-- looked_into  = { type = "string", doc = "what looks into the stores found" }
-- told_at      = { type = "string", doc = "where the service's own upload status has it, if that was imported" }
-- state        = { type = "string", doc = "wrong_place, wrong_bucket, present, in_backup, not_seen, unknown" }
-- verdict      = { type = "string", doc = "what follows, in a sentence or two" }
-- ---
SELECT
    sessions.sid,
    sessions.uid,
    sessions.requested_at,
    sessions.ended_at,
    sessions.ended_by,
    sessions.storage AS asked_for,
    CASE
        WHEN sessions.record_vendor_name IS NOT NULL THEN concat(
            coalesce(record_vendor.vendor_title, sessions.record_vendor_name),
            CASE WHEN sessions.record_bucket IS NOT NULL THEN concat(' bucket ', sessions.record_bucket) END,
            ' (since ', to_char(sessions.record_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC)'
        )
    END AS believed,
    CASE
        WHEN sessions.files > 0 THEN concat(
            coalesce(file_vendor.vendor_title, 'unnamed storage'), ' bucket ', sessions.file_bucket, ' (', sessions.files,
            CASE WHEN sessions.files = 1 THEN ' file)' ELSE ' files)' END,
            CASE
                WHEN cardinality(sessions.places) > 1
                    THEN concat('; all places: ', array_to_string(sessions.places, ', '))
            END
        )
    END AS files_at,
    sessions.upload_verdict AS upload,
    looks.says AS looked_into,
    concat_ws(' bucket ', told_vendor.vendor_title, told.bucket) AS told_at,
    CASE
        WHEN sessions.files > 0 AND sessions.record_vendor_name IS NOT NULL
            AND NOT array_contains(session_landings.vendors, sessions.record_vendor_name)
            THEN 'wrong_place'
        WHEN sessions.files > 0 AND sessions.record_vendor_name IS NOT NULL
            AND sessions.record_bucket IS NOT NULL
            AND NOT array_contains(
                sessions.places, concat(sessions.record_vendor_name, ':', sessions.record_bucket)
            )
            THEN 'wrong_bucket'
        WHEN sessions.files > 0 THEN 'present'
        WHEN sessions.upload_verdict = 'backuped' THEN 'in_backup'
        WHEN sessions.announced_at IS NOT NULL THEN 'not_seen'
        ELSE 'unknown'
    END AS state,
    concat(
        CASE
            WHEN sessions.files > 0 AND sessions.record_vendor_name IS NOT NULL
                AND NOT array_contains(session_landings.vendors, sessions.record_vendor_name)
                THEN concat(
                    'The recording is not lost. Its files are in ', coalesce(file_vendor.vendor_title, 'unnamed storage'), ' bucket ',
                    sessions.file_bucket, '; the customer''s record looks in ',
                    coalesce(record_vendor.vendor_title, sessions.record_vendor_name),
                    CASE
                        WHEN sessions.record_bucket IS NOT NULL THEN concat(' bucket ', sessions.record_bucket)
                    END,
                    '.',
                    CASE
                        WHEN sessions.vendor_name = sessions.file_vendor_name AND sessions.bucket = sessions.file_bucket
                            THEN concat(
                                ' The accepted start of ', to_char(sessions.requested_at, '%Y-%m-%d %H:%M:%S%.3f'),
                                ' UTC sent them there.'
                            )
                    END
                )
            WHEN sessions.files > 0 AND sessions.record_vendor_name IS NOT NULL
                AND sessions.record_bucket IS NOT NULL
                AND NOT array_contains(
                    sessions.places, concat(sessions.record_vendor_name, ':', sessions.record_bucket)
                )
                THEN concat(
                    'The recording is not lost. Its files are in bucket ', sessions.file_bucket,
                    '; the customer''s record looks in bucket ', sessions.record_bucket, ' of the same vendor.',
                    CASE
                        WHEN sessions.vendor_name = sessions.file_vendor_name AND sessions.bucket = sessions.file_bucket
                            THEN concat(
                                ' The accepted start of ', to_char(sessions.requested_at, '%Y-%m-%d %H:%M:%S%.3f'),
                                ' UTC sent them there.'
                            )
                    END
                )
            WHEN sessions.files > 0 AND sessions.record_vendor_name IS NOT NULL
                THEN concat(
                    'Its files are where the customer''s record says, in ', coalesce(file_vendor.vendor_title, 'unnamed storage'), ' bucket ',
                    sessions.file_bucket, '.'
                )
            WHEN sessions.files > 0
                THEN concat(
                    'Its files are in ', coalesce(file_vendor.vendor_title, 'unnamed storage'), ' bucket ', sessions.file_bucket,
                    '; no record of the customer is known that says where it looks.'
                )
            WHEN sessions.upload_verdict = 'backuped'
                THEN concat(
                    'At least one file waits in the service''s backup cloud since ',
                    to_char(sessions.backuped_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC; none was seen in a bucket yet.'
                )
            WHEN sessions.announced_at IS NOT NULL
                THEN concat(
                    'Announced as uploaded at ', to_char(sessions.announced_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC',
                    CASE WHEN sessions.storage IS NOT NULL THEN concat(' into ', sessions.storage) END,
                    ', but no file of it was seen. ',
                    CASE
                        WHEN intended.empty_at IS NOT NULL THEN concat(
                            'A look into that bucket at ', to_char(intended.empty_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC found nothing.'
                        )
                        WHEN monitored_buckets.bucket IS NULL AND intended.answer IS NOT NULL
                            THEN 'That bucket has never sent an event and refused to be looked into, so nothing can be said of what it holds.'
                        WHEN monitored_buckets.bucket IS NULL
                            THEN 'That bucket has never sent an event, so nothing can be said of what it holds.'
                        ELSE concat(
                            'That bucket is watched from ',
                            to_char(monitored_buckets.first_at, '%Y-%m-%d %H:%M:%S%.3f'), ' to ',
                            to_char(monitored_buckets.last_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC.'
                        )
                    END,
                    CASE
                        WHEN told.bucket IS NOT NULL THEN concat(
                            ' The service''s own upload status says that it is in ', told_vendor.vendor_title, ' bucket ',
                            told.bucket, '.'
                        )
                    END
                )
            WHEN sessions.start_id IS NULL
                THEN 'No accepted start, no announced upload and no file of it are in the log.'
            WHEN sessions.ended_at IS NULL OR sessions.ended_by = 'expiry'
                THEN concat(
                    'Accepted into ', coalesce(sessions.storage, 'no storage'),
                    ', but no stream tells of its end or of its upload.'
                )
            ELSE concat(
                'Accepted into ', coalesce(sessions.storage, 'no storage'), ' and ended (', sessions.ended_by,
                '), but nothing announces an upload and no file was seen.'
            )
        END,
        CASE
            WHEN looks.missing > 0 AND sessions.files > 0 THEN concat(
                ' Looks into the buckets missed ', looks.missing, CASE WHEN looks.missing = 1 THEN ' file' ELSE ' files' END,
                ' of it that had been promised.'
            )
        END
    ) AS verdict
FROM sessions
LEFT JOIN session_landings ON session_landings.sid = sessions.sid
LEFT JOIN monitored_buckets
    ON monitored_buckets.vendor_name = sessions.vendor_name
    AND monitored_buckets.bucket = sessions.bucket
-- What the looks into each store found, and that into the bucket that the start named.
LEFT JOIN (
    SELECT
        sid,
        string_agg(
            concat(
                vendor_name, ':', bucket, ' at ', to_char(at, '%Y-%m-%d %H:%M:%S'), ': ',
                CASE
                    WHEN files > 0 THEN concat(files, CASE WHEN files = 1 THEN ' file' ELSE ' files' END)
                    WHEN empty_at IS NOT NULL THEN 'nothing'
                    ELSE 'refused'
                END,
                CASE WHEN missing > 0 THEN concat(', ', missing, ' promised missing') END
            ),
            '; ' ORDER BY vendor_name, bucket
        ) AS says,
        sum(missing) AS missing
    FROM bucket_looks
    GROUP BY sid
) AS looks ON looks.sid = sessions.sid
LEFT JOIN bucket_looks AS intended
    ON intended.sid = sessions.sid
    AND intended.vendor_name = sessions.vendor_name
    AND intended.bucket = sessions.bucket
LEFT JOIN (
    SELECT sid, vendor_name, bucket
    FROM session_whereabouts
    WHERE witness = 'upload_status'
) AS told ON told.sid = sessions.sid
LEFT JOIN vendors AS told_vendor ON told_vendor.vendor_name = told.vendor_name
LEFT JOIN vendors AS record_vendor ON record_vendor.vendor_name = sessions.record_vendor_name
LEFT JOIN vendors AS file_vendor ON file_vendor.vendor_name = sessions.file_vendor_name
WHERE sessions.sid = $sid
    OR (
        coalesce(sessions.requested_at, sessions.first_seen_at) >= $from
        AND coalesce(sessions.requested_at, sessions.first_seen_at) < $until
    )
ORDER BY coalesce(sessions.requested_at, sessions.first_seen_at), sessions.sid
