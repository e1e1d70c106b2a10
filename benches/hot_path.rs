//! What one message costs on its way into the lake, stage by stage: redact, decode, rows, encode. Run with
//! `cargo bench --bench hot_path`; the number of a stage is the time for one message.
//!
//! The messages are those of `benches/throughput.rs`, so the sum is the share of the whole that is not Kafka's.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tapetrail::config::Config;
use tapetrail::decode::{DecodeContext, Decoded, decode};
use tapetrail::event::Stream;
use tapetrail::intake::{Intake, Message};
use tapetrail::lake::encode::encode;
use tapetrail::redact::outline::Outline;
use tapetrail::redact::{FingerprintKey, Redactor};
use tapetrail::table::rows::{Origin, Rows};

mod messages;

/// About what a commit of 128 MB holds.
const MESSAGES: u64 = 100_000;
const PARTITIONS: u64 = 16;

/// So few that they stay in the cache: the message that is decoded is one that was redacted just before.
const REDACTED: usize = 200;

fn origin(n: u64) -> Origin<'static> {
    Origin {
        topic: "recording.api-calls".into(),
        partition: Some(((n / messages::CALLS_PER_SESSION) % PARTITIONS) as i32),
        offset: n as i64,
        received_at: Some(1_795_132_900_000_000 + n as i64 * 1000),
        ..Origin::default()
    }
}

fn redactor() -> Redactor {
    Redactor::new(Some(FingerprintKey {
        id: "k1".to_string(),
        secret: b"a key for measuring".to_vec(),
    }))
}

fn hot_path(criterion: &mut Criterion) {
    let calls: Vec<String> = (0..MESSAGES)
        .map(|n| {
            let mut call = String::new();
            messages::api_call(&mut call, n);
            call
        })
        .collect();
    let redactor = redactor();
    let redacted: Vec<(String, Outline)> = calls
        .iter()
        .take(REDACTED)
        .map(|call| {
            let (mut text, mut outline) = (String::new(), Outline::default());
            let outcome = redactor.json_with_outline(call.as_bytes(), &mut text, &mut outline);
            outcome.expect("a call is JSON");
            (text, outline)
        })
        .collect();

    let mut group = criterion.benchmark_group("hot_path");
    group.throughput(Throughput::Elements(1));
    let (mut text, mut outline) = (String::new(), Outline::default());
    let mut turn = calls.iter().cycle();
    group.bench_function("redact", |bencher| {
        bencher.iter(|| {
            let call = turn.next().expect("a cycle has no end").as_bytes();
            let outcome = redactor.json_with_outline(black_box(call), &mut text, &mut outline);
            outcome.expect("a call is JSON");
        });
    });

    let mut turn = redacted.iter().cycle();
    group.bench_function("decode", |bencher| {
        bencher.iter(|| {
            let (text, outline) = turn.next().expect("a cycle has no end");
            let context = DecodeContext {
                outlined: outline.of(text),
                ..DecodeContext::default()
            };
            let mut emit = |one: Decoded<'_>| drop(black_box(one));
            decode(Stream::ApiCalls, black_box(text), &context, &mut emit).expect("a call");
        });
    });

    let mut intake = Intake::new(&Config::default());
    let mut turn = calls.iter().enumerate().cycle();
    let mut rows = Rows::new(Stream::ApiCalls);
    group.bench_function("redact_decode_rows", |bencher| {
        bencher.iter(|| {
            let (n, call) = turn.next().expect("a cycle has no end");
            let message = Message {
                value: Some(call.as_bytes()),
                ..Message::default()
            };
            intake.take(&mut rows, &origin(n as u64), &message);
            if rows.len() == MESSAGES as usize {
                black_box(rows.finish());
            }
        });
    });

    let mut rows = Rows::new(Stream::ApiCalls);
    for (n, call) in calls.iter().enumerate() {
        let message = Message {
            value: Some(call.as_bytes()),
            ..Message::default()
        };
        intake.take(&mut rows, &origin(n as u64), &message);
    }
    let batch = rows.finish();
    group.throughput(Throughput::Elements(MESSAGES));
    group.sample_size(10);
    group.bench_function(format!("encode_{MESSAGES}"), |bencher| {
        bencher.iter(|| encode(Stream::ApiCalls, black_box(&batch), 0).expect("it is written"));
    });
    group.finish();
}

criterion_group!(benches, hot_path);
criterion_main!(benches);
