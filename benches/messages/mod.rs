//! The messages that benches measure with: API calls of about 1 KB, as customers' backends log them.

use std::fmt::Write as _;

const APPS: u64 = 40;
pub const CALLS_PER_SESSION: u64 = 5;

/// Writes call `n`: acquire, start, two queries and a stop for each session in turn.
pub fn api_call(out: &mut String, n: u64) {
    let session = n / CALLS_PER_SESSION;
    let app = session % APPS;
    // Scattered bits, so that ids compress no better than real ones do.
    let noise = (session + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let at = 1_795_132_800_000 + session * 3 + (n % CALLS_PER_SESSION) * 60_000;
    let base = format!(
        "/v1/apps/{:016x}{:016x}/cloud_recording",
        app * 0x1234_5678_9abc,
        app ^ 0xfeed_beef
    );
    let resource = format!(
        "{noise:016x}{:016x}{:016x}",
        noise.rotate_left(13),
        noise.rotate_left(29)
    );
    let resource = format!("JyvK8nXHuV1BE64GDkAaBG{resource}");
    let sid = format!(
        "{:016x}{:016x}",
        noise.rotate_left(41),
        noise.rotate_left(7)
    );
    let uid = 100_000 + session % 900_000;
    let (path, method, body, answer) = match n % CALLS_PER_SESSION {
        0 => (
            "acquire".to_string(),
            "POST",
            format!(
                r#"{{"cname":"class-{session}","uid":"{uid}","clientRequest":{{"scene":0,"resourceExpiredHour":24,"region":"AP"}}}}"#
            ),
            format!(r#"{{"resourceId":"{resource}","cname":"class-{session}","uid":"{uid}"}}"#),
        ),
        1 => (
            format!("resourceid/{resource}/mode/mix/start"),
            "POST",
            format!(
                r#"{{"cname":"class-{session}","uid":"{uid}","clientRequest":{{"token":"006{sid}IAB{resource}","recordingConfig":{{"channelType":1,"streamTypes":2,"maxIdleTime":120,"transcodingConfig":{{"width":1280,"height":720,"fps":15,"bitrate":1130,"mixedVideoLayout":1}}}},"recordingFileConfig":{{"avFileType":["hls","mp4"]}},"storageConfig":{{"vendor":{},"region":3,"bucket":"recordings-{app}","accessKey":"LTAI5t{:012x}","secretKey":"Qk{sid}","fileNamePrefix":["calls","2026","11"]}}}}}}"#,
                1 + session % 2,
                app * 0x77_7777
            ),
            format!(
                r#"{{"resourceId":"{resource}","sid":"{sid}","cname":"class-{session}","uid":"{uid}"}}"#
            ),
        ),
        4 => (
            format!("resourceid/{resource}/sid/{sid}/mode/mix/stop"),
            "POST",
            format!(
                r#"{{"cname":"class-{session}","uid":"{uid}","clientRequest":{{"async_stop":false}}}}"#
            ),
            format!(
                r#"{{"resourceId":"{resource}","sid":"{sid}","serverResponse":{{"fileListMode":"json","fileList":[{{"fileName":"calls/2026/11/{sid}_class-{session}.m3u8","uid":"0","mixedAllUser":true,"isPlayable":true,"sliceStartTime":{at}}}],"uploadingStatus":"uploaded"}}}}"#
            ),
        ),
        _ => (
            format!("resourceid/{resource}/sid/{sid}/mode/mix/query"),
            "GET",
            "null".to_string(),
            format!(
                r#"{{"resourceId":"{resource}","sid":"{sid}","cname":"class-{session}","uid":"{uid}","serverResponse":{{"fileListMode":"json","fileList":[{{"fileName":"calls/2026/11/{sid}_class-{session}.m3u8","uid":"0","mixedAllUser":true,"isPlayable":true,"sliceStartTime":{at}}}],"status":5,"sliceStartTime":{at}}}}}"#
            ),
        ),
    };
    let answered = at + 150 + noise % 400;
    write!(
        out,
        r#"{{"event_id":"{noise:016x}-{n}","requested_at":{at},"responded_at":{answered},"request":{{"method":"{method}","url":"https://api.agora.io{base}/{path}","headers":{{"Content-Type":"application/json"}},"body":{body}}},"response":{{"status":200,"body":{answer}}},"caller":{{"service":"classroom-api","host":"classroom-api-{}","region":"ap-southeast-1","environment":"production","version":"4.{}.0","trace_id":"{:016x}","attempt":1}},"context":{{"user_region":"SG"}}}}"#,
        session % 12,
        session / 400_000,
        noise.rotate_left(17)
    )
    .expect("a string takes all");
}
