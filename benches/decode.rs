//! Time to decode one redacted message into a row. Run with `cargo bench --bench decode`.
//!
//! A start is the longest call, and the only one whose body is hashed as well. Without an id of its producer's a
//! whole message is hashed.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tapetrail::decode::{DecodeContext, decode};
use tapetrail::event::Stream;

const START: &str = r#"{"event_id":"01JD9Z8Q4W6T3V5X7Y9A1B3C5D","requested_at":"2025-11-24T16:09:58.214Z","responded_at":"2025-11-24T16:09:58.911Z","request":{"method":"POST","url":"https://api.sd-rtn.com/v1/apps/0123456789abcdef0123456789abcdef/cloud_recording/resourceid/VdxfQy0aRcZ8kLmN3pTgWsBj/mode/mix/start","body":{"cname":"room_42","uid":"900001","clientRequest":{"token":"[redacted]","recordingConfig":{"channelType":0,"streamTypes":2,"maxIdleTime":120},"recordingFileConfig":{"avFileType":["hls","mp4"]},"storageConfig":{"vendor":2,"region":3,"bucket":"acme-oss","accessKey":"[redacted]","access_key_fingerprint":"k1:3f9a1c5e7b2d4860","secretKey":"[redacted]","fileNamePrefix":["tenantA","20251124"]}}}},"response":{"status":200,"body":{"cname":"room_42","uid":"900001","resourceId":"VdxfQy0aRcZ8kLmN3pTgWsBj","sid":"5b1de9c07a2f4e6c8d90b1a2c3d4e5f6"}},"caller":{"service":"recorder","host":"rec-7","region":"eu-west-1","environment":"production","version":"4.12.0","trace_id":"8f3c1d2e","attempt":1},"context":{"user_region":"CN"}}"#;

const UPLOADED: &str = r#"{"noticeId":"0f3c9d1e7b5a4c2d8e6f1a2b3c4d5e6f","productId":3,"eventType":31,"notifyMs":1764000605123,"sid":"5b1de9c07a2f4e6c8d90b1a2c3d4e5f6","payload":{"cname":"room_42","uid":"900001","sid":"5b1de9c07a2f4e6c8d90b1a2c3d4e5f6","sequence":14,"sendts":1764000604870,"serviceType":2,"serviceScene":"rtc_record","details":{"msgName":"uploaded","status":0,"fileList":[{"fileName":"tenantA/20251124/5b1de9c07a2f4e6c8d90b1a2c3d4e5f6_room_42.m3u8","trackType":"audio_and_video","uid":"0","mixedAllUser":true,"isPlayable":true,"sliceStartTime":1764000001000},{"fileName":"tenantA/20251124/5b1de9c07a2f4e6c8d90b1a2c3d4e5f6_room_42_0.mp4","trackType":"audio_and_video","uid":"0","mixedAllUser":true,"isPlayable":true,"sliceStartTime":1764000001000}]}}}"#;

const S3: &str = r#"{"Records":[{"eventVersion":"2.5","eventSource":"aws:s3","awsRegion":"eu-west-1","eventTime":"2025-11-24T16:10:05.317Z","eventName":"ObjectCreated:Put","userIdentity":{"principalId":"AWS:AIDAEXAMPLE"},"requestParameters":{"sourceIPAddress":"203.0.113.7"},"responseElements":{"x-amz-request-id":"REQ1","x-amz-id-2":"HOST1"},"s3":{"s3SchemaVersion":"1.0","configurationId":"rec","bucket":{"name":"acme-rec","ownerIdentity":{"principalId":"A1"},"arn":"arn:aws:s3:::acme-rec"},"object":{"key":"tenantA/5b1de9c07a2f4e6c8d90b1a2c3d4e5f6_room_42_20251124161005317.ts","size":812345,"eTag":"9b2cf535f27731c974343645a3985328","sequencer":"0065A1B2C3D4E5F607"}}}]}"#;

const AZURE: &str = r#"[{"topic":"/subscriptions/s1/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/acmestore","subject":"/blobServices/default/containers/acme-rec/blobs/tenantA/5b1de9c07a2f4e6c8d90b1a2c3d4e5f6_room_42_20251124161005317.ts","eventType":"Microsoft.Storage.BlobCreated","eventTime":"2025-11-24T16:10:05.9584103Z","id":"e-1","data":{"api":"PutBlockList","clientRequestId":"c1","requestId":"q1","eTag":"0x8DC70D257E6452E","contentType":"video/mp2t","contentLength":812345,"blobType":"BlockBlob","url":"https://acmestore.blob.core.windows.net/acme-rec/tenantA/5b1de9c07a2f4e6c8d90b1a2c3d4e5f6_room_42_20251124161005317.ts","sequencer":"00000000000000000000000000000001000000000000abcd"},"dataVersion":"","metadataVersion":"1"}]"#;

const GCS: &str = r#"{"message":{"attributes":{"bucketId":"acme-rec","eventTime":"2025-11-24T16:10:05.277455Z","eventType":"OBJECT_FINALIZE","notificationConfig":"projects/_/buckets/acme-rec/notificationConfigs/3","objectGeneration":"1764000605277455","objectId":"tenantA/5b1de9c07a2f4e6c8d90b1a2c3d4e5f6_room_42_20251124161005317.ts","payloadFormat":"JSON_API_V1"},"data":"eyJraW5kIjoic3RvcmFnZSNvYmplY3QiLCJidWNrZXQiOiJhY21lLXJlYyIsIm5hbWUiOiJ0ZW5hbnRBL3hfcm9vbS5tM3U4Iiwic2l6ZSI6IjgxMiJ9","messageId":"157810539096020","publishTime":"2025-11-24T16:10:05.300Z"},"subscription":"projects/p/subscriptions/s"}"#;

fn messages() -> Vec<(&'static str, Stream, String)> {
    let query = START.replace(
        "/mode/mix/start",
        "/sid/5b1de9c07a2f4e6c8d90b1a2c3d4e5f6/mode/mix/query",
    );
    let without_id = START.replacen("\"event_id\":\"01JD9Z8Q4W6T3V5X7Y9A1B3C5D\",", "", 1);
    let raw_body = serde_json::Value::from(UPLOADED);
    let wrapped =
        format!(r#"{{"received_at":1764000605200,"raw_body":{raw_body},"response_status":200}}"#);
    vec![
        ("start", Stream::ApiCalls, START.to_owned()),
        ("start_without_id", Stream::ApiCalls, without_id),
        ("same_as_query", Stream::ApiCalls, query),
        ("webhook", Stream::Webhooks, UPLOADED.to_owned()),
        ("webhook_wrapped", Stream::Webhooks, wrapped),
        ("s3", Stream::StorageEvents, S3.to_owned()),
        ("azure", Stream::StorageEvents, AZURE.to_owned()),
        ("gcs", Stream::StorageEvents, GCS.to_owned()),
    ]
}

fn bench_decode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    let context = DecodeContext::default();
    for (name, stream, text) in messages() {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                decode(stream, black_box(&text), &context, &mut |one| {
                    drop(black_box(one))
                })
                .expect("the message is right");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench_decode);
criterion_main!(benches);
