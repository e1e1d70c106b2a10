-- ---
-- name        = "record_versions"
-- title       = "Every version of the customer's session rows"
-- kept        = true
-- description = """
-- One row per change of a row in the customer's database, each change once. A row is known by its table and key; where the
-- message has no key, by session, else by channel, uid and ticket.
-- """
--
-- [columns]
-- record_id   = { type = "string", doc = "which row: table and key" }
-- version_at  = { type = "timestamp", doc = "since when the database believed this; of a delete, when it was made" }
-- changed_at  = { type = "timestamp", doc = "when the database made the change, or read it for a snapshot; else version_at: the order of versions" }
-- received_at = { type = "timestamp", doc = "when Kafka had it" }
-- position    = { type = "int64", doc = "Kafka offset, the order of changes of one time" }
-- event_id    = { type = "string", doc = "event id of the change" }
-- change      = { type = "string", doc = "insert, update, delete, snapshot; null where the message does not say" }
-- app_id      = { type = "string", doc = "App ID" }
-- cname       = { type = "string", doc = "channel name" }
-- uid         = { type = "string", doc = "the recorder's uid" }
-- resource_id = { type = "string", doc = "the ticket" }
-- sid         = { type = "string", doc = "recording session id" }
-- vendor_name = { type = "string", doc = "slug of the vendor believed" }
-- bucket      = { type = "string", doc = "bucket believed" }
-- region      = { type = "string", doc = "region as the customer wrote it" }
-- prefix      = { type = "string", doc = "path believed" }
-- url         = { type = "string", doc = "where the file is expected" }
-- status      = { type = "string", doc = "the customer's own status" }
-- emptied     = { type = "string", doc = "those of these fields (vendor for vendor_name) that an update says are null, separated by commas; else null" }
-- ---
SELECT DISTINCT
    concat(
        coalesce(source_table, ''), '#',
        coalesce(row_key, sid, concat(app_id, '/', cname, '/', uid, '/', resource_id))
    ) AS record_id,
    CASE
        -- What a deleted row says last of itself is older than its end.
        WHEN change = 'delete' THEN coalesce(occurred_at, recorded_at, received_at)
        ELSE coalesce(recorded_at, occurred_at, received_at)
    END AS version_at,
    coalesce(occurred_at, recorded_at, received_at) AS changed_at,
    received_at,
    "offset" AS position,
    event_id,
    change,
    app_id,
    cname,
    uid,
    resource_id,
    sid,
    vendor_name,
    bucket,
    region,
    prefix,
    url,
    status,
    emptied
FROM session_records
