-- ---
-- name        = "api_calls"
-- title       = "Calls of the recording API"
-- description = "One row per API call as its log told it, request and response. Events only; what could not be read is in `dead_letters`, everything in `log_api_calls`. A redelivered or replayed call has more than one row here: `starts` holds each start once."
--
-- [columns]
-- topic                                  = { type = "string", doc = "Kafka topic, or `import` for files" }
-- partition                              = { type = "int64", doc = "Kafka partition; null for files" }
-- offset                                 = { type = "int64", doc = "Kafka offset; for files the line, from 1" }
-- record_index                           = { type = "int64", doc = "place of the event in its message, from 0" }
-- source_id                              = { type = "string", doc = "for files: SHA-256 of the decompressed content" }
-- event_id                               = { type = "string", doc = "the producer's id, else derived from the redacted content; unique per stream and app" }
-- occurred_at                            = { type = "timestamp", doc = "event time by its producer's clock, UTC" }
-- time_trusted                           = { type = "bool", doc = "2014 <= occurred_at <= received_at + 1 day, judged once at ingest" }
-- received_at                            = { type = "timestamp", doc = "the Kafka record's timestamp; null for files" }
-- timestamp_type                         = { type = "string", doc = "who set received_at: broker or producer" }
-- event_date                             = { type = "date", doc = "UTC date of a trusted occurred_at, else of received_at, else 1970-01-01" }
-- payload                                = { type = "string", doc = "the redacted original, JSON text" }
-- replay_of                              = { type = "string", doc = "for rows that replay made: the position they came from, `topic/partition@offset#record_index`" }
-- app_id                                 = { type = "string", doc = "App ID, from the path or the message" }
-- operation                              = { type = "string", doc = "acquire, start, update, update_layout, query, stop, other" }
-- mode                                   = { type = "string", doc = "individual, mix, web, raw; null for acquire" }
-- cname                                  = { type = "string", doc = "channel name as sent" }
-- uid                                    = { type = "string", doc = "the recorder's uid as text" }
-- resource_id                            = { type = "string", doc = "the ticket that acquire gave" }
-- sid                                    = { type = "string", doc = "recording session id, lower case; null where none was given or it came back empty" }
-- requested_at                           = { type = "timestamp", doc = "when the caller sent the request" }
-- responded_at                           = { type = "timestamp", doc = "when the caller had the response; null when none came" }
-- http_status                            = { type = "int64", doc = "HTTP status of the response" }
-- code                                   = { type = "int64", doc = "the API's own code of an error response" }
-- reason_text                            = { type = "string", doc = "the API's reason or the gateway's message, scrubbed" }
-- outcome                                = { type = "string", doc = "of a start: ok, already_running, conflict, indeterminate, rejected; of another call: ok, indeterminate, rejected" }
-- error                                  = { type = "string", doc = "transport error, scrubbed" }
-- vendor                                 = { type = "int64", doc = "storageConfig.vendor: Agora's vendor number" }
-- vendor_name                            = { type = "string", doc = "slug of the vendor: s3, oss, cos, azblob, gcs, obs, bos, qiniu, ks3, s3compat" }
-- region                                 = { type = "int64", doc = "storageConfig.region: Agora's region number" }
-- region_code                            = { type = "string", doc = "the vendor's own region code for that number" }
-- bucket                                 = { type = "string", doc = "storageConfig.bucket" }
-- endpoint                               = { type = "string", doc = "storageConfig.extensionParams.endpoint, host only, lower case" }
-- prefix                                 = { type = "string", doc = "storageConfig.fileNamePrefix joined by slashes" }
-- access_key_fingerprint                 = { type = "string", doc = "keyed hash of storageConfig.accessKey, as `key id:hash`" }
-- sts_expires_at                         = { type = "timestamp", doc = "when the temporary storage credentials end" }
-- start_parameter_vendor                 = { type = "int64", doc = "acquire.startParameter.storageConfig.vendor" }
-- start_parameter_vendor_name            = { type = "string", doc = "its slug" }
-- start_parameter_region                 = { type = "int64", doc = "acquire.startParameter.storageConfig.region" }
-- start_parameter_region_code            = { type = "string", doc = "its region code" }
-- start_parameter_bucket                 = { type = "string", doc = "acquire.startParameter.storageConfig.bucket" }
-- start_parameter_endpoint               = { type = "string", doc = "acquire.startParameter.storageConfig.extensionParams.endpoint, host only" }
-- start_parameter_prefix                 = { type = "string", doc = "acquire.startParameter.storageConfig.fileNamePrefix joined by slashes" }
-- start_parameter_access_key_fingerprint = { type = "string", doc = "keyed hash of acquire.startParameter.storageConfig.accessKey" }
-- exclude_resource_ids                   = { type = "strings", doc = "acquire.excludeResourceIds: asked-for redundancy" }
-- resource_expired_hour                  = { type = "int64", doc = "acquire.resourceExpiredHour" }
-- recorder_region                        = { type = "string", doc = "acquire.region or regionAffinity, as text" }
-- av_file_types                          = { type = "strings", doc = "recordingFileConfig.avFileType" }
-- uploading_status                       = { type = "string", doc = "uploaded, backuped, unknown, stranded: what a stop or query response said" }
-- recording_status                       = { type = "int64", doc = "serverResponse.status of a query" }
-- files                                  = { type = "strings", doc = "file names that a stop or query response listed" }
-- request_host                           = { type = "string", doc = "host the request went to, lower case; never part of an identity" }
-- request_hash                           = { type = "string", doc = "hash of the redacted request body, to tell a mirrored call from a changed one; starts only" }
-- caller_service                         = { type = "string", doc = "backend service that made the call" }
-- caller_host                            = { type = "string", doc = "its host" }
-- caller_ip                              = { type = "string", doc = "its ip" }
-- caller_region                          = { type = "string", doc = "its region" }
-- caller_environment                     = { type = "string", doc = "its environment" }
-- caller_version                         = { type = "string", doc = "its version" }
-- caller_trace_id                        = { type = "string", doc = "its trace id" }
-- caller_attempt                         = { type = "int64", doc = "which attempt of the caller this is, from 1" }
-- context_user_region                    = { type = "string", doc = "region of the end user on whose behalf the storage was chosen" }
-- context_user_ip                        = { type = "string", doc = "the end user's ip" }
-- context_environment                    = { type = "string", doc = "environment of the end user" }
-- ---
SELECT
    topic,
    "partition",
    "offset",
    record_index,
    source_id,
    event_id,
    occurred_at,
    time_trusted,
    received_at,
    timestamp_type,
    event_date,
    payload,
    replay_of,
    app_id,
    operation,
    mode,
    cname,
    uid,
    resource_id,
    sid,
    requested_at,
    responded_at,
    http_status,
    code,
    reason_text,
    outcome,
    error,
    vendor,
    vendor_name,
    region,
    region_code,
    bucket,
    endpoint,
    prefix,
    access_key_fingerprint,
    sts_expires_at,
    start_parameter_vendor,
    start_parameter_vendor_name,
    start_parameter_region,
    start_parameter_region_code,
    start_parameter_bucket,
    start_parameter_endpoint,
    start_parameter_prefix,
    start_parameter_access_key_fingerprint,
    exclude_resource_ids,
    resource_expired_hour,
    recorder_region,
    av_file_types,
    uploading_status,
    recording_status,
    files,
    request_host,
    request_hash,
    caller_service,
    caller_host,
    caller_ip,
    caller_region,
    caller_environment,
    caller_version,
    caller_trace_id,
    caller_attempt,
    context_user_region,
    context_user_ip,
    context_environment
FROM log_api_calls
WHERE disposition = 'event'
