//! Redaction of one message, a start call of about 1 KB first: a step of the write path, paid for every message.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tapetrail::redact::{FingerprintKey, Redactor};

/// A start as a customer's backend logs it, with its storage, caller and response.
const START: &str = r#"{"event_id":"01JDA8Z6W3R5T7Y9","requested_at":"2026-11-22T10:00:00.123Z","responded_at":"2026-11-22T10:00:00.481Z","app_id":"0123456789abcdef0123456789abcdef","request":{"method":"POST","url":"https://api.sd-rtn.com/v1/apps/0123456789abcdef0123456789abcdef/cloud_recording/resourceid/JyvK8nXHuV1BE64GDkAaBGEscvtHW7v8BrQoRPCHxmeVxwY22-x-kv4GdPcjZeMzoCBUCOr9q-k6wBWMC7SaAkZ_4nO3JLqYwM1bL1n6wKnnD9EC9waxJboci9KUz2WZ/mode/mix/start","headers":{"Content-Type":"application/json","Authorization":"Basic Y3VzdG9tZXI6c2VjcmV0"},"body":{"cname":"room_42","uid":"900001","clientRequest":{"token":"007eJxTYHh9fm9sdGVzdA","recordingConfig":{"channelType":1,"streamTypes":2,"maxIdleTime":120},"storageConfig":{"vendor":1,"region":0,"bucket":"acme-rec","accessKey":"AKIAIOSFODNN7EXAMPLE","secretKey":"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY","fileNamePrefix":["tenantA","20261122"]}}}},"response":{"status":200,"body":{"resourceId":"JyvK8nXHuV1BE64GDkAaBGEs","sid":"5b1de9c07a2f4e6c8d90b1a2c3d4e5f6"}},"error":null,"caller":{"service":"recorder-api","host":"rec-7f9c","region":"eu-west-1","version":"4.2.0","trace_id":"9f86d081884c7d65","attempt":1},"context":{"user_region":"EU"}}"#;

/// A webhook, in which nothing is secret.
const UPLOADED: &str = r#"{"noticeId":"0f3c9d1e7b5a4c2d8e6f1a2b3c4d5e6f","productId":3,"eventType":31,"notifyMs":1764000605123,"payload":{"cname":"room_42","uid":"900001","sid":"5b1de9c07a2f4e6c8d90b1a2c3d4e5f6","sequence":14,"sendts":1764000604870,"serviceType":2,"serviceScene":"rtc_record","details":{"msgName":"uploaded","status":0,"fileList":[{"fileName":"tenantA/20251124/5b1de9c07a2f4e6c8d90b1a2c3d4e5f6_room_42.m3u8","trackType":"audio_and_video","uid":"0","mixedAllUser":true,"isPlayable":true,"sliceStartTime":1764000001000}]}}}"#;

fn redact(criterion: &mut Criterion) {
    let key = FingerprintKey {
        id: "k1".to_string(),
        secret: b"a key for measuring".to_vec(),
    };
    let mut group = criterion.benchmark_group("redact");
    for (name, key, message) in [
        ("start_with_fingerprint", Some(key), START),
        ("start_without_fingerprint", None, START),
        ("webhook", None, UPLOADED),
    ] {
        let redactor = Redactor::new(key);
        let mut out = String::new();
        group.throughput(Throughput::Bytes(message.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                redactor
                    .json(black_box(message.as_bytes()), &mut out)
                    .expect("the sample is JSON");
                black_box(out.len())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, redact);
criterion_main!(benches);
