//! Columns of `api_calls`: one row per call of the recording API.

use super::columns::{Int, Names, Text, Time, columns};

columns! {
    /// One API call, request and response (`domain/cloud-recording-api.md`).
    ApiCallRow, ApiCallColumns {
        /// App ID, from the path or the message
        app_id: Text,
        /// acquire, start, update, update_layout, query, stop, other
        operation: Text,
        /// individual, mix, web, raw; null for acquire
        mode: Text,
        /// channel name as sent
        cname: Text,
        /// the recorder's uid as text
        uid: Text,
        /// the ticket that acquire gave
        resource_id: Text,
        /// recording session id, lower case; null where none was given or it came back empty
        sid: Text,
        /// when the caller sent the request
        requested_at: Time,
        /// when the caller had the response; null when none came
        responded_at: Time,
        /// HTTP status of the response
        http_status: Int,
        /// the API's own code of an error response
        code: Int,
        /// the API's reason or the gateway's message, scrubbed
        reason_text: Text,
        /// of a start: ok, already_running, conflict, indeterminate, rejected; of another call: ok, indeterminate, rejected
        outcome: Text,
        /// transport error, scrubbed
        error: Text,
        /// storageConfig.vendor: Agora's vendor number
        vendor: Int,
        /// slug of the vendor: s3, oss, cos, azblob, gcs, obs, bos, qiniu, ks3, s3compat
        vendor_name: Text,
        /// storageConfig.region: Agora's region number
        region: Int,
        /// the vendor's own region code for that number
        region_code: Text,
        /// storageConfig.bucket
        bucket: Text,
        /// storageConfig.extensionParams.endpoint, host only, lower case
        endpoint: Text,
        /// storageConfig.fileNamePrefix joined by slashes
        prefix: Text,
        /// keyed hash of storageConfig.accessKey, as `key id:hash`
        access_key_fingerprint: Text,
        /// when the temporary storage credentials end
        sts_expires_at: Time,
        /// acquire.startParameter.storageConfig.vendor
        start_parameter_vendor: Int,
        /// its slug
        start_parameter_vendor_name: Text,
        /// acquire.startParameter.storageConfig.region
        start_parameter_region: Int,
        /// its region code
        start_parameter_region_code: Text,
        /// acquire.startParameter.storageConfig.bucket
        start_parameter_bucket: Text,
        /// acquire.startParameter.storageConfig.extensionParams.endpoint, host only
        start_parameter_endpoint: Text,
        /// acquire.startParameter.storageConfig.fileNamePrefix joined by slashes
        start_parameter_prefix: Text,
        /// keyed hash of acquire.startParameter.storageConfig.accessKey
        start_parameter_access_key_fingerprint: Text,
        /// acquire.excludeResourceIds: asked-for redundancy
        exclude_resource_ids: Names,
        /// acquire.resourceExpiredHour
        resource_expired_hour: Int,
        /// acquire.region or regionAffinity, as text
        recorder_region: Text,
        /// recordingFileConfig.avFileType
        av_file_types: Names,
        /// uploaded, backuped, unknown, stranded: what a stop or query response said
        uploading_status: Text,
        /// serverResponse.status of a query
        recording_status: Int,
        /// file names that a stop or query response listed
        files: Names,
        /// host the request went to, lower case; never part of an identity
        request_host: Text,
        /// hash of the redacted request body, to tell a mirrored call from a changed one; starts only
        request_hash: Text,
        /// backend service that made the call
        caller_service: Text,
        /// its host
        caller_host: Text,
        /// its ip
        caller_ip: Text,
        /// its region
        caller_region: Text,
        /// its environment
        caller_environment: Text,
        /// its version
        caller_version: Text,
        /// its trace id
        caller_trace_id: Text,
        /// which attempt of the caller this is, from 1
        caller_attempt: Int,
        /// region of the end user on whose behalf the storage was chosen
        context_user_region: Text,
        /// the end user's ip
        context_user_ip: Text,
        /// environment of the end user
        context_environment: Text,
    }
}
