-- ---
-- name        = "witnesses"
-- title       = "Sessions that show what the streams tell of any session"
-- description = """
-- Whether a bucket reports slices at all, or an app's callbacks are logged at all, only other sessions show. The two nearest before and after
-- the case, outside its own time, of each mode and kind of file, in the app, in the buckets of the case, and in both. Few sessions make an
-- mp4, and some of those were never started by a known call: the one nearest to the case, in its buckets before elsewhere.
-- """
--
-- [params]
-- app_id    = { type = "string", doc = "App ID of the case; null where it is not known" }
-- buckets   = { type = "string", doc = "buckets of the case, separated by commas" }
-- at        = { type = "timestamp", doc = "time of the case" }
-- from      = { type = "timestamp", doc = "begin of the case's own time" }
-- until     = { type = "timestamp", doc = "end of it" }
-- read_from = { type = "timestamp", doc = "earliest day that is read" }
-- read_to   = { type = "timestamp", doc = "latest day that is read" }
--
-- [columns]
-- sid = { type = "string", doc = "recording session id" }
-- ---
SELECT sid
FROM (
    SELECT
        sid,
        row_number() OVER (
            PARTITION BY is_of_app, is_in_bucket, mode, wants_mp4, requested_at < $at
            ORDER BY abs(arrow_cast(requested_at, 'Int64') - arrow_cast($at, 'Int64')), sid
        ) AS place
    FROM (
        SELECT
            sid,
            bool_or(coalesce(app_id = $app_id, false)) AS is_of_app,
            bool_or(coalesce(array_contains(string_to_array($buckets, ','), CAST(bucket AS STRING)), false)) AS is_in_bucket,
            min(mode) AS mode,
            bool_or(coalesce(array_contains(av_file_types, 'mp4'), false)) AS wants_mp4,
            min(requested_at) AS requested_at
        FROM api_calls
        WHERE operation = 'start'
            AND outcome = 'ok'
            AND sid IS NOT NULL
            AND event_date >= CAST($read_from AS DATE)
            AND event_date <= CAST($read_to AS DATE)
        GROUP BY sid
    )
    WHERE (is_of_app OR is_in_bucket)
        AND (requested_at < $from OR requested_at >= $until)
)
WHERE place <= 2
UNION
SELECT sid
FROM (
    SELECT
        sid,
        row_number() OVER (
            ORDER BY is_in_bucket DESC, abs(arrow_cast(first_at, 'Int64') - arrow_cast($at, 'Int64')), sid
        ) AS place
    FROM (
        SELECT
            sid,
            bool_or(coalesce(array_contains(string_to_array($buckets, ','), CAST(bucket AS STRING)), false)) AS is_in_bucket,
            min(occurred_at) AS first_at
        FROM storage_events
        WHERE file_type = 'mp4'
            AND sid IS NOT NULL
            AND event_date >= CAST($read_from AS DATE)
            AND event_date <= CAST($read_to AS DATE)
        GROUP BY sid
    )
    WHERE first_at < $from OR first_at >= $until
)
WHERE place = 1
ORDER BY sid
