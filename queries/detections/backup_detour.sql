-- ---
-- name        = "backup_detour"
-- title       = "Files went to the service's backup cloud first"
-- severity    = "medium"
-- category    = "upload"
-- status      = "stable"
-- patterns    = ["P24"]
-- description = """
-- Finds sessions of which files could not be written to the configured storage and went to the service's backup: webhook 32
-- instead of 31, a stop or query that answers backuped or stranded, a warning that a slice went there which no webhook 31 follows, or
-- an index that came back and bears the tick of its return. Variants: returned (a new file, a returned index or webhook 31 came
-- after, severity low), waiting (none came so far). What has not come home in time is a finding of `backup_never_returned`, too.
-- A warning that a slice was uploaded again to the configured storage (code 31) is no detour.
-- """
-- false_positives = ["a store that was slow or unreachable for minutes: the service forwards the files by itself"]
-- response = """
-- Wait for the files to come home before anything reads them, and take the index with the highest number. If detours repeat, look at
-- region and availability of the bucket and at its credentials.
-- """
-- identity = ["app_id", "cname", "sid"]
--
-- [params]
-- tolerance = { type = "duration", default = "2s", doc = "how far the clocks of producers may differ" }
--
-- [columns]
-- sid = { type = "string", doc = "recording session id" }
-- ---
WITH detours AS (
    SELECT
        session_backups.sid,
        coalesce(accepted_starts.app_id, session_lifecycles.app_id) AS app_id,
        coalesce(accepted_starts.cname, session_lifecycles.cname, session_landings.cname) AS cname,
        coalesce(accepted_starts.uid, session_lifecycles.uid) AS uid,
        session_backups.said_by,
        session_backups.said_id,
        session_backups.first_said_at,
        CASE
            WHEN session_backups.index_at IS NOT NULL THEN session_backups.index_at
            WHEN session_backups.last_new_at > session_backups.last_said_at + $tolerance
                THEN session_backups.last_new_at
            WHEN session_backups.uploaded_at IS NOT NULL
                THEN greatest(session_backups.uploaded_at, session_backups.last_said_at)
        END AS returned_at,
        CASE
            WHEN session_backups.index_at IS NOT NULL THEN session_backups.index_id
            WHEN session_backups.last_new_at > session_backups.last_said_at + $tolerance
                THEN session_backups.last_new_id
        END AS returned_id,
        accepted_starts.start_id,
        accepted_starts.requested_at,
        accepted_starts.storage,
        CASE
            WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.vendor_name
            ELSE accepted_starts.vendor_name
        END AS expected_vendor,
        CASE WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.bucket ELSE accepted_starts.bucket END
            AS expected_bucket,
        CASE
            WHEN session_landings.vendor_name IS NOT NULL THEN session_landings.vendor_name
            ELSE accepted_starts.vendor_name
        END AS actual_vendor,
        CASE WHEN session_landings.vendor_name IS NOT NULL THEN session_landings.bucket ELSE accepted_starts.bucket END
            AS actual_bucket
    FROM session_backups
    LEFT JOIN accepted_starts ON accepted_starts.sid = session_backups.sid
    LEFT JOIN session_lifecycles ON session_lifecycles.sid = session_backups.sid
    LEFT JOIN session_beliefs ON session_beliefs.sid = session_backups.sid
    LEFT JOIN session_landings ON session_landings.sid = session_backups.sid
)

SELECT
    CASE WHEN returned_at IS NOT NULL THEN 'low' ELSE 'medium' END AS severity,
    CASE WHEN returned_at IS NOT NULL THEN 'returned' ELSE 'waiting' END AS variant,
    app_id,
    cname,
    uid,
    make_array(sid) AS sids,
    least(requested_at, first_said_at) AS first_at,
    greatest(first_said_at, returned_at) AS last_at,
    expected_vendor,
    expected_bucket,
    actual_vendor,
    actual_bucket,
    'service' AS root_cause,
    concat(
        'Files of channel ', cname, ' (sid ', sid, ') went to the service''s backup cloud',
        CASE WHEN storage IS NOT NULL THEN concat(' instead of ', storage) END, ': ',
        CASE said_by
            WHEN 'webhook 32' THEN 'webhook 32 (backuped) said so at '
            WHEN 'warning' THEN 'the uploader warned so (code 32) at '
            WHEN 'index' THEN 'an index that bears the tick of its return was written at '
            ELSE concat('the answer to a ', said_by, ' said so at ')
        END,
        to_char(first_said_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC',
        CASE
            WHEN said_by = 'index' THEN '.'
            WHEN returned_at IS NOT NULL THEN concat(
                '; they came home by ', to_char(returned_at, '%Y-%m-%d %H:%M:%S%.3f'), ', ',
                (arrow_cast(returned_at, 'Int64') - arrow_cast(first_said_at, 'Int64')) / 60000000, ' minutes later.'
            )
            ELSE '; no file has come home since.'
        END
    ) AS explanation,
    array_distinct(
        array_remove_all(make_array(coalesce(start_id, ''), said_id, coalesce(returned_id, '')), '')
    ) AS evidence,
    sid
FROM detours
ORDER BY first_at, app_id, cname, sid
