-- ---
-- name        = "sessions"
-- title       = "Recording sessions"
-- description = """
-- One row per session id that any stream knows: what the accepted start asked for, the lifecycle, what was said of the upload,
-- where the files are, and what the customer's database says last. A session runs from the answer to its start (else from its
-- first sign) to the earliest of webhook 41, 11, 31, 32, the answer to a stop and the expiry of its ticket.
-- """
--
-- [columns]
-- sid               = { type = "string", doc = "recording session id" }
-- app_id            = { type = "string", doc = "App ID: of the start, else as others say" }
-- cname             = { type = "string", doc = "channel name: of the start, else as others say" }
-- uid               = { type = "string", doc = "the recorder's uid" }
-- mode              = { type = "string", doc = "individual, mix, web, raw" }
-- resource_id       = { type = "string", doc = "the ticket" }
-- start_id          = { type = "string", doc = "start_id of the accepted start; null when none is known" }
-- requested_at      = { type = "timestamp", doc = "when the accepted start was sent" }
-- started_at        = { type = "timestamp", doc = "when it was answered" }
-- vendor_name       = { type = "string", doc = "slug of the vendor that the accepted start asked for" }
-- bucket            = { type = "string", doc = "bucket asked for" }
-- prefix            = { type = "string", doc = "path asked for" }
-- storage_identity  = { type = "string", doc = "all of the storage asked for, to compare" }
-- storage           = { type = "string", doc = "the same for people" }
-- first_seen_at     = { type = "timestamp", doc = "earliest sign of the session" }
-- ended_at          = { type = "timestamp", doc = "when it ended; null while it is open or unknown" }
-- ended_by          = { type = "string", doc = "what says so: stop, webhook 41, ..., expiry" }
-- stop_requested_at = { type = "timestamp", doc = "when the first stop that took effect was sent" }
-- upload_verdict    = { type = "string", doc = "uploaded, backuped, unknown; null when nothing was said" }
-- announced_at      = { type = "timestamp", doc = "when the upload was announced as complete" }
-- announced_by      = { type = "string", doc = "webhook 31, stop, query or upload_status" }
-- announced_id      = { type = "string", doc = "event id of that" }
-- backuped_at       = { type = "timestamp", doc = "when files were said to wait in the service's backup" }
-- files             = { type = "int64", doc = "files in buckets now" }
-- first_file_at     = { type = "timestamp", doc = "first write of them" }
-- last_file_at      = { type = "timestamp", doc = "last write of them" }
-- file_vendor_name  = { type = "string", doc = "slug of the vendor where most of them are" }
-- file_bucket       = { type = "string", doc = "bucket where most of them are" }
-- file_event_id     = { type = "string", doc = "event id of a write there" }
-- places            = { type = "strings", doc = "all buckets that hold files of it, as vendor:bucket" }
-- record_id         = { type = "string", doc = "row of the customer's database that is about it" }
-- record_matched_by = { type = "string", doc = "sid, resource_id or channel" }
-- record_vendor_name = { type = "string", doc = "slug of the vendor that the row names last" }
-- record_bucket     = { type = "string", doc = "bucket that the row names last" }
-- record_prefix     = { type = "string", doc = "path that the row names last" }
-- record_status     = { type = "string", doc = "the customer's own status" }
-- record_at         = { type = "timestamp", doc = "since when the row names that vendor, else its last version" }
-- record_event_id   = { type = "string", doc = "event id of that version" }
-- ---
WITH signs AS (
    SELECT sid, min(app_id) AS app_id, min(cname) AS cname, min(uid) AS uid, min(requested_at) AS at
    FROM api_calls
    WHERE sid IS NOT NULL
    GROUP BY sid
    UNION ALL
    SELECT
        sid,
        min(app_id) AS app_id,
        min(cname) AS cname,
        first_value(uid ORDER BY sent_at, event_id) AS uid,
        min(coalesce(sent_at, occurred_at)) AS at
    FROM webhooks
    WHERE sid IS NOT NULL AND coalesce(product_id, 3) = 3 AND coalesce(is_test, false) = false
    GROUP BY sid
    UNION ALL
    SELECT sid, NULL AS app_id, min(cname) AS cname, NULL AS uid, min(occurred_at) AS at
    FROM storage_events
    WHERE sid IS NOT NULL AND kind IN ('created', 'removed')
    GROUP BY sid
    UNION ALL
    SELECT sid, min(app_id) AS app_id, min(cname) AS cname, min(uid) AS uid, min(first_at) AS at
    FROM session_beliefs
    GROUP BY sid
    UNION ALL
    SELECT sid, NULL AS app_id, NULL AS cname, NULL AS uid, min(at) AS at
    FROM file_upload_statuses
    GROUP BY sid
),

known AS (
    SELECT
        sid,
        min(app_id) AS app_id,
        first_value(cname ORDER BY at, cname) FILTER (WHERE cname IS NOT NULL) AS cname,
        first_value(uid ORDER BY at, uid) FILTER (WHERE uid IS NOT NULL) AS uid,
        min(at) AS first_seen_at
    FROM signs
    GROUP BY sid
)

SELECT
    known.sid,
    coalesce(accepted_starts.app_id, known.app_id) AS app_id,
    coalesce(accepted_starts.cname, known.cname) AS cname,
    coalesce(accepted_starts.uid, known.uid) AS uid,
    accepted_starts.mode,
    accepted_starts.resource_id,
    accepted_starts.start_id,
    accepted_starts.requested_at,
    coalesce(accepted_starts.responded_at, accepted_starts.requested_at) AS started_at,
    accepted_starts.vendor_name,
    accepted_starts.bucket,
    accepted_starts.prefix,
    accepted_starts.storage_identity,
    accepted_starts.storage,
    known.first_seen_at,
    coalesce(accepted_starts.ended_at, session_ends.ended_at) AS ended_at,
    coalesce(accepted_starts.ended_by, session_ends.ended_by) AS ended_by,
    session_ends.stop_requested_at,
    session_uploads.verdict AS upload_verdict,
    session_uploads.announced_at,
    session_uploads.announced_by,
    session_uploads.announced_id,
    session_uploads.backuped_at,
    coalesce(session_landings.files, 0) AS files,
    session_landings.first_at AS first_file_at,
    session_landings.last_at AS last_file_at,
    session_landings.vendor_name AS file_vendor_name,
    session_landings.bucket AS file_bucket,
    session_landings.event_id AS file_event_id,
    session_landings.buckets AS places,
    session_beliefs.record_id,
    session_beliefs.matched_by AS record_matched_by,
    session_beliefs.vendor_name AS record_vendor_name,
    session_beliefs.bucket AS record_bucket,
    session_beliefs.prefix AS record_prefix,
    session_beliefs.status AS record_status,
    coalesce(session_beliefs.vendor_at, session_beliefs.last_at) AS record_at,
    session_beliefs.event_id AS record_event_id
FROM known
LEFT JOIN accepted_starts ON accepted_starts.sid = known.sid
LEFT JOIN session_ends ON session_ends.sid = known.sid
LEFT JOIN session_uploads ON session_uploads.sid = known.sid
LEFT JOIN session_landings ON session_landings.sid = known.sid
LEFT JOIN session_beliefs ON session_beliefs.sid = known.sid
