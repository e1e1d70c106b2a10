-- ---
-- name        = "storage_switched_by_update"
-- title       = "An update moved a live session to other storage"
-- severity    = "high"
-- category    = "routing"
-- status      = "stable"
-- patterns    = ["P10"]
-- description = """
-- Finds sessions whose `update` carried a storageConfig that conflicts with that of the accepted start: the field is there to refresh
-- temporary credentials, but nothing forbids another place, and the files of one session end in two. Only what the update names is
-- compared, so a refresh that leaves out the path, or changes the keys alone, is none. An update whose outcome nobody knows counts
-- once files were seen at its place. One finding per session. Variants: vendor (severity high), bucket (medium, endpoint included),
-- path (low: region or path).
-- """
-- false_positives = ["a planned move of running sessions to another bucket"]
-- response = """
-- Make the code that refreshes credentials take the storage from the session it refreshes, not from today's configuration, and
-- collect the session's files from both places.
-- """
-- identity = ["app_id", "cname", "sid"]
--
-- [columns]
-- sid = { type = "string", doc = "recording session id" }
-- ---
WITH updates AS (
    SELECT DISTINCT
        sid,
        event_id,
        outcome,
        requested_at,
        vendor,
        vendor_name,
        region,
        region_code,
        bucket,
        endpoint,
        prefix,
        concat_ws('/', caller_environment, caller_region, context_environment, context_user_region) AS origin
    FROM api_calls
    WHERE operation = 'update'
        AND outcome IN ('ok', 'indeterminate')
        AND sid IS NOT NULL
        AND coalesce(vendor_name, bucket) IS NOT NULL
),

moves AS (
    SELECT
        accepted_starts.sid,
        accepted_starts.app_id,
        accepted_starts.cname,
        accepted_starts.uid,
        accepted_starts.requested_at AS started_at,
        accepted_starts.event_ids,
        accepted_starts.vendor_name AS start_vendor_name,
        accepted_starts.bucket AS start_bucket,
        accepted_starts.storage AS start_storage,
        accepted_starts.origin AS start_origin,
        updates.event_id,
        updates.outcome,
        updates.requested_at,
        coalesce(updates.vendor_name, accepted_starts.vendor_name) AS vendor_name,
        coalesce(updates.bucket, accepted_starts.bucket) AS bucket,
        updates.region_code,
        updates.endpoint,
        coalesce(updates.prefix, accepted_starts.prefix) AS prefix,
        updates.origin,
        CASE
            WHEN updates.vendor <> accepted_starts.vendor THEN 'vendor'
            WHEN updates.bucket <> accepted_starts.bucket THEN 'bucket'
            WHEN accepted_starts.vendor = 11 AND updates.endpoint <> accepted_starts.endpoint THEN 'bucket'
            -- A number of a region says nothing at Azure, Google and S3-compatible stores.
            WHEN accepted_starts.vendor NOT IN (5, 6, 11) AND updates.region <> accepted_starts.region THEN 'path'
            WHEN updates.prefix <> coalesce(accepted_starts.prefix, '') THEN 'path'
        END AS difference
    FROM updates
    INNER JOIN accepted_starts ON accepted_starts.sid = updates.sid
    WHERE accepted_starts.vendor IS NOT NULL
),

proven AS (
    SELECT
        moves.sid,
        moves.app_id,
        moves.cname,
        moves.uid,
        moves.started_at,
        moves.event_ids,
        moves.start_vendor_name,
        moves.start_bucket,
        moves.start_storage,
        moves.start_origin,
        moves.event_id,
        moves.requested_at,
        moves.vendor_name,
        moves.bucket,
        moves.region_code,
        moves.endpoint,
        moves.prefix,
        moves.origin,
        moves.difference,
        session_places.files,
        session_places.first_at AS file_at,
        session_places.event_id AS file_event_id
    FROM moves
    LEFT JOIN session_places
        ON session_places.sid = moves.sid
        AND session_places.vendor_name = moves.vendor_name
        AND session_places.bucket = moves.bucket
        AND moves.difference <> 'path'
    WHERE moves.difference IS NOT NULL
        AND (moves.outcome = 'ok' OR session_places.sid IS NOT NULL)
),

faults AS (
    -- One row per session: the first update that moved it, and how many did.
    SELECT
        sid,
        app_id,
        cname,
        uid,
        started_at,
        array_to_string(event_ids, chr(31)) AS start_event_ids,
        start_vendor_name,
        start_bucket,
        start_storage,
        start_origin,
        count(DISTINCT event_id) AS updates,
        min(requested_at) AS first_moved_at,
        max(requested_at) AS last_moved_at,
        string_agg(event_id, chr(31) ORDER BY requested_at, event_id) AS event_ids,
        first_value(difference ORDER BY requested_at, event_id) AS difference,
        first_value(vendor_name ORDER BY requested_at, event_id) AS vendor_name,
        first_value(bucket ORDER BY requested_at, event_id) AS bucket,
        first_value(region_code ORDER BY requested_at, event_id) AS region_code,
        first_value(endpoint ORDER BY requested_at, event_id) AS endpoint,
        first_value(prefix ORDER BY requested_at, event_id) AS prefix,
        first_value(origin ORDER BY requested_at, event_id) AS origin,
        first_value(files ORDER BY requested_at, event_id) AS files,
        first_value(file_at ORDER BY requested_at, event_id) AS file_at,
        first_value(file_event_id ORDER BY requested_at, event_id) AS file_event_id
    FROM proven
    GROUP BY
        sid, app_id, cname, uid, started_at, array_to_string(event_ids, chr(31)), start_vendor_name, start_bucket,
        start_storage, start_origin
)

SELECT
    CASE faults.difference WHEN 'vendor' THEN 'high' WHEN 'bucket' THEN 'medium' ELSE 'low' END AS severity,
    faults.difference AS variant,
    faults.app_id,
    faults.cname,
    faults.uid,
    make_array(faults.sid) AS sids,
    faults.started_at AS first_at,
    greatest(faults.last_moved_at, faults.file_at) AS last_at,
    coalesce(session_beliefs.vendor_name, faults.start_vendor_name) AS expected_vendor,
    CASE
        WHEN session_beliefs.vendor_name IS NOT NULL THEN session_beliefs.bucket
        ELSE faults.start_bucket
    END AS expected_bucket,
    CASE
        WHEN faults.files IS NULL AND session_landings.sid IS NOT NULL THEN session_landings.vendor_name
        ELSE faults.vendor_name
    END AS actual_vendor,
    CASE
        WHEN faults.files IS NULL AND session_landings.sid IS NOT NULL THEN session_landings.bucket
        ELSE faults.bucket
    END AS actual_bucket,
    CASE
        WHEN faults.origin <> '' AND faults.start_origin <> '' AND faults.origin <> faults.start_origin
            THEN 'environment_switching'
        ELSE 'state_mismatch'
    END AS root_cause,
    concat(
        'Channel ', faults.cname, ' (sid ', faults.sid, ') was started into ', faults.start_storage, ' at ',
        to_char(faults.started_at, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC; ',
        (arrow_cast(faults.first_moved_at, 'Int64') - arrow_cast(faults.started_at, 'Int64')) / 1000000,
        ' s later, at ', to_char(faults.first_moved_at, '%H:%M:%S%.3f'), ', an update gave it ',
        coalesce(vendors.vendor_title, faults.vendor_name), ' bucket ', coalesce(faults.bucket, '(none)'),
        CASE WHEN faults.region_code IS NOT NULL THEN concat(' (', faults.region_code, ')') END,
        CASE WHEN faults.endpoint IS NOT NULL THEN concat(' at ', faults.endpoint) END,
        CASE WHEN faults.prefix <> '' THEN concat(', path ', faults.prefix) END, '.',
        CASE WHEN faults.updates > 1 THEN concat(' ', faults.updates, ' updates moved it.') END,
        CASE
            WHEN faults.files IS NOT NULL THEN concat(' Files seen there: ', faults.files, '.')
            WHEN faults.difference <> 'path' AND session_landings.sid IS NOT NULL
                THEN ' No file was seen there yet.'
        END,
        ' What was written before stays where the start sent it.'
    ) AS explanation,
    string_to_array(
        concat_ws(chr(31), faults.start_event_ids, faults.event_ids, faults.file_event_id), chr(31)
    ) AS evidence,
    faults.sid
FROM faults
LEFT JOIN session_beliefs ON session_beliefs.sid = faults.sid
LEFT JOIN session_landings ON session_landings.sid = faults.sid
LEFT JOIN vendors ON vendors.vendor_name = faults.vendor_name
ORDER BY first_at, app_id, cname, sid
