-- Updates with a storageConfig of which nobody can say whether they moved the session.
SELECT
    coalesce(accepted_starts.app_id, updates.app_id) AS app_id,
    coalesce(accepted_starts.cname, updates.cname) AS cname,
    updates.sid,
    CASE
        WHEN accepted_starts.sid IS NULL
            THEN 'an update names storage, but the accepted start of the session is not in the log: whether it moved is not known'
        WHEN accepted_starts.vendor IS NULL
            THEN 'an update names storage, but neither the accepted start nor its acquire does: whether it moved is not known'
        ELSE concat(
            'an update asked for other storage (', coalesce(updates.vendor_name, accepted_starts.vendor_name), ':',
            coalesce(updates.bucket, accepted_starts.bucket),
            '), its outcome is not known, and no file was seen there'
        )
    END AS why
FROM (
    SELECT
        sid,
        outcome,
        vendor,
        vendor_name,
        region,
        bucket,
        endpoint,
        prefix,
        min(app_id) AS app_id,
        min(cname) AS cname
    FROM api_calls
    WHERE operation = 'update'
        AND outcome IN ('ok', 'indeterminate')
        AND sid IS NOT NULL
        AND coalesce(vendor_name, bucket) IS NOT NULL
    GROUP BY sid, outcome, vendor, vendor_name, region, bucket, endpoint, prefix
) AS updates
LEFT JOIN accepted_starts ON accepted_starts.sid = updates.sid
LEFT JOIN session_places
    ON session_places.sid = updates.sid
    AND session_places.vendor_name = coalesce(updates.vendor_name, accepted_starts.vendor_name)
    AND session_places.bucket = coalesce(updates.bucket, accepted_starts.bucket)
WHERE accepted_starts.vendor IS NULL
    OR (
        updates.outcome = 'indeterminate'
        AND (
            session_places.sid IS NULL
            OR (
                updates.bucket = accepted_starts.bucket
                AND coalesce(updates.vendor, accepted_starts.vendor) = accepted_starts.vendor
            )
        )
        AND (
            updates.vendor <> accepted_starts.vendor
            OR updates.bucket <> accepted_starts.bucket
            OR (accepted_starts.vendor = 11 AND updates.endpoint <> accepted_starts.endpoint)
            OR (accepted_starts.vendor NOT IN (5, 6, 11) AND updates.region <> accepted_starts.region)
            OR updates.prefix <> coalesce(accepted_starts.prefix, '')
        )
    )
GROUP BY
    updates.sid, updates.app_id, updates.cname, accepted_starts.sid, accepted_starts.app_id, accepted_starts.cname,
    accepted_starts.vendor, accepted_starts.vendor_name, accepted_starts.bucket, updates.vendor_name, updates.bucket
ORDER BY app_id, cname, sid
