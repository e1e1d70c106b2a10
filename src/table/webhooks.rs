//! Columns of `webhooks`: one row per notification of the service.

use super::columns::{Flag, Int, Long, Names, Text, Time, columns};

columns! {
    /// One notification (`domain/webhooks.md`).
    WebhookRow, WebhookColumns {
        /// App ID, when the deliverer says it
        app_id: Text,
        /// noticeId; identifies the notification
        notice_id: Text,
        /// productId: 3 is Cloud Recording
        product_id: Int,
        /// eventType; unknown types are kept
        event_type: Int,
        /// its name, by the table of event types, else details.msgName
        event_name: Text,
        /// recording session id, lower case
        sid: Text,
        /// channel name
        cname: Text,
        /// the recorder's uid as text; changes after a fail-over
        uid: Text,
        /// number of the event in its session, from 0
        sequence: Long,
        /// payload.sendts: when it happened
        sent_at: Time,
        /// notifyMs: when this delivery was tried
        notified_at: Time,
        /// 0 service, 1 recorder, 2 uploader, 4 extensions, 6 web page recorder, 7 postponed transcoding, 8 downloader
        service_type: Int,
        /// payload.serviceScene
        service_scene: Text,
        /// valid, invalid, unchecked
        signature: Text,
        /// id of the secret that the signature fits
        signature_key_id: Text,
        /// sent by the console's test button
        is_test: Flag,
        /// 41: bit mask, 2 SIGINT, 4 no users, 8 ignore, 16 client leave
        leave_code: Int,
        /// 11: 0 normal, 1 abnormal
        exit_status: Int,
        /// 1, 2: 0 recorder, 1 uploader, 2 service, 6 web page
        module: Int,
        /// 1: error code, read together with module
        error_code: Int,
        /// 1: 1 debug .. 5 fatal
        error_level: Int,
        /// 1: text of the error, scrubbed
        error_message: Text,
        /// 2: warning code
        warn_code: Int,
        /// status of 3, 30, 31, 32, 40
        status: Int,
        /// 33: 0..10000
        progress: Int,
        /// 12: the recorder's uid after the fail-over
        new_uid: Text,
        /// 71: why the web page recorder stopped
        stop_code: Int,
        /// 81, 1001: result of the transcoding; 100: status of the publishing; 72, 73: what was hit
        result: Text,
        /// 42, 43, 44: uid of the recorded user
        stream_uid: Text,
        /// 43, 44: 0 receiving, 1 not
        stream_state: Int,
        /// file names that the notification lists
        files: Names,
        /// 90: Agora's vendor number
        vendor: Int,
        /// 90: slug of the vendor
        vendor_name: Text,
        /// 90: Agora's region number
        region: Int,
        /// 90: the vendor's own region code
        region_code: Text,
        /// 90: bucket
        bucket: Text,
        /// when the receiver took it, where the wrapper says so
        delivered_at: Time,
        /// HTTP status that the receiver answered, where the wrapper says so
        response_status: Int,
    }
}
