//! A notification as the service writes it (`domain/webhooks.md`, sections 3 and 4), and its row.

use std::borrow::Cow;

use serde::Deserialize;

use super::super::file_list::FileList;
use super::super::scalar::{Int, List, Long, Object, Scalar, Text, lower_case};
use super::super::time::Instant;
use crate::table::webhooks::WebhookRow;
use crate::vendor;

/// Product number of Cloud Recording. Event numbers of other products collide with its own.
const CLOUD_RECORDING: i32 = 3;

/// `payload`, the same for all events.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Payload<'a> {
    #[serde(borrow)]
    pub(super) cname: Text<'a>,
    pub(super) uid: Text<'a>,
    pub(super) sid: Text<'a>,
    pub(super) sequence: Long,
    pub(super) sendts: Instant,
    pub(super) service_type: Int,
    pub(super) service_scene: Text<'a>,
    pub(super) details: Object<Details<'a>>,
}

/// `payload.details`: the fields of all events together.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Details<'a> {
    #[serde(borrow)]
    msg_name: Text<'a>,
    status: Scalar<'a>,
    file_list: FileList<'a>,
    module: Int,
    error_level: Int,
    error_code: Int,
    error_msg: Text<'a>,
    warn_code: Int,
    exit_status: Int,
    new_uid: Text<'a>,
    progress: Int,
    leave_code: Int,
    stream_uid: Text<'a>,
    state: Int,
    /// 45 and 90: one name, or several joined by semicolons.
    file_name: Text<'a>,
    filename: Text<'a>,
    /// 71: why the web page recorder stopped.
    code: Int,
    limit_type: Text<'a>,
    reason: Text<'a>,
    result: Text<'a>,
    uids: List<Object<TranscodedUid<'a>>>,
    vendor: Int,
    region: Int,
    bucket: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct TranscodedUid<'a> {
    #[serde(borrow)]
    file_list: FileList<'a>,
}

/// The table of event types. A type that is not here is kept, under the name that it says itself.
const EVENT_NAMES: [(i32, &str); 33] = [
    (1, "cloud_recording_error"),
    (2, "cloud_recording_warning"),
    (3, "cloud_recording_status_update"),
    (4, "cloud_recording_file_infos"),
    (11, "session_exit"),
    (12, "session_failover"),
    (30, "uploader_started"),
    (31, "uploaded"),
    (32, "backuped"),
    (33, "uploading_progress"),
    (34, "STSExpired"),
    (40, "recorder_started"),
    (41, "recorder_leave"),
    (42, "recorder_slice_start"),
    (43, "recorder_audio_stream_state_changed"),
    (44, "recorder_video_stream_state_changed"),
    (45, "recorder_snapshot_file"),
    (46, "recorder_audio_info_changed"),
    (47, "recorder_video_info_changed"),
    (60, "vod_started"),
    (61, "vod_triggered"),
    (70, "web_recorder_started"),
    (71, "web_recorder_stopped"),
    (72, "web_recorder_capability_limit"),
    (73, "web_recorder_reload"),
    (80, "transcoder_started"),
    (81, "transcoder_completed"),
    (90, "download_failed"),
    (100, "rtmp_publish_status"),
    (110, "cloud_transcoder_started"),
    (111, "cloud_transcoder_stopped"),
    (112, "cloud_transcoder_status"),
    (113, "cloud_transcoder_updated"),
];
const FINAL_RESULT: (i32, &str) = (1001, "postpone_transcode_final_result");

/// Names an event of Cloud Recording, or of the time before products had numbers.
fn event_name(product_id: Option<i32>, event_type: i32) -> Option<&'static str> {
    if product_id.is_some_and(|product_id| product_id != CLOUD_RECORDING) {
        return None;
    }
    let mut names = EVENT_NAMES.iter().chain([&FINAL_RESULT]);
    let (_, name) = names.find(|(known, _)| *known == event_type)?;
    Some(name)
}

/// Says whether the console's test button sent this.
fn is_test(cname: Option<&str>, uid: Option<&str>) -> bool {
    matches!(cname, Some("test_webhook" | "test")) || uid == Some("12121212")
}

/// Fills the columns that come from `payload`; `row.sid` keeps what the envelope said where the payload has none.
pub(super) fn fill<'a>(row: &mut WebhookRow<'a>, event_type: i32, payload: Payload<'a>) {
    row.cname = payload.cname.filled();
    row.uid = payload.uid.filled();
    row.is_test = Some(is_test(row.cname.as_deref(), row.uid.as_deref()));
    let sid = payload.sid.filled().or_else(|| row.sid.take());
    row.sid = sid.map(lower_case);
    row.sequence = payload.sequence.0;
    row.sent_at = payload.sendts.micros();
    row.service_type = payload.service_type.0;
    row.service_scene = payload.service_scene.filled();
    let details = payload.details.0.unwrap_or_default();
    let known = event_name(row.product_id, event_type).map(Cow::Borrowed);
    fill_details(row, event_type, details);
    row.event_name = known.or_else(|| row.event_name.take());
}

fn fill_details<'a>(row: &mut WebhookRow<'a>, event_type: i32, details: Details<'a>) {
    row.event_name = details.msg_name.filled();
    row.leave_code = details.leave_code.0;
    row.exit_status = details.exit_status.0;
    row.module = details.module.0;
    row.error_code = details.error_code.0;
    row.error_level = details.error_level.0;
    row.error_message = details.error_msg.filled();
    row.warn_code = details.warn_code.0;
    row.status = details.status.int();
    row.progress = details.progress.0;
    row.new_uid = details.new_uid.filled();
    row.stream_uid = details.stream_uid.filled();
    row.stream_state = details.state.0;
    let (vendor, region) = (details.vendor.0, details.region.0);
    let region_code = vendor.zip(region);
    let region_code = region_code.and_then(|(vendor, region)| vendor::region_code(vendor, region));
    row.vendor = vendor;
    row.vendor_name = vendor.and_then(vendor::slug).map(Cow::Borrowed);
    row.region = region;
    row.region_code = region_code.map(Cow::Borrowed);
    row.bucket = details.bucket.filled();
    row.stop_code = details.code.0.filter(|_| event_type == 71);
    row.result = match event_type {
        100 => details.status.into_text(),
        72 => details.limit_type.filled(),
        73 => details.reason.filled(),
        _ => details.result.filled(),
    };
    let mut files = details.file_list;
    let named = details.file_name.filled().or(details.filename.filled());
    files.append(FileList(named.map(|named| match event_type {
        90 => split_names(named),
        _ => vec![named],
    })));
    for uid in details
        .uids
        .into_items()
        .into_iter()
        .filter_map(|Object(uid)| uid)
    {
        files.append(uid.file_list);
    }
    row.files = files.0;
}

fn split_names(joined: Cow<'_, str>) -> Vec<Cow<'_, str>> {
    let is_name = |name: &&str| !name.is_empty();
    match joined {
        Cow::Borrowed(joined) => joined
            .split(';')
            .filter(is_name)
            .map(Cow::Borrowed)
            .collect(),
        Cow::Owned(joined) => {
            let names = joined.split(';').filter(is_name);
            names.map(|name| Cow::Owned(name.to_owned())).collect()
        }
    }
}
