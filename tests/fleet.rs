//! The synthetic fleet, with all its noise, through redaction, decoding and every judged detection, without a broker: what was
//! planted is found, what only looks like a fault is not, and no secret is left.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::record_batch::RecordBatch;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use tapetrail::config::Config;
use tapetrail::detection::library::Library;
use tapetrail::detection::run::{RunOptions, run};
use tapetrail::engine::{Engine, EngineOptions};
use tapetrail::event::{Stream, TimestampType};
use tapetrail::generate::{self, Fleet, Found, JUDGED, SECRET_MARK, Settings, Truth};
use tapetrail::intake::{Intake, Message};
use tapetrail::table::rows::{Origin, Rows};

const SESSIONS: u32 = 300;
const PARTITIONS: usize = 4;

/// Returns what every secret of a fleet begins with, plain and as base64 writes it.
fn marks_of_secrets() -> [String; 4] {
    let spelled = |before: usize| {
        let padded = [&vec![b' '; before][..], SECRET_MARK.as_bytes()].concat();
        let encoded = STANDARD_NO_PAD.encode(&padded);
        encoded[(before * 8).div_ceil(6)..padded.len() * 8 / 6].to_string()
    };
    [SECRET_MARK.to_string(), spelled(0), spelled(1), spelled(2)]
}

/// Takes a fleet in as the consumer would, keyed messages spread over partitions.
fn taken_in(seed: u64) -> (Vec<(Stream, Vec<RecordBatch>)>, Truth) {
    let mut config = Config::default();
    config.session_records.mappings = vec![generate::mapping()];
    let secret = generate::SIGNING_SECRET.to_string();
    config.secrets.webhook_secrets = vec![(generate::SIGNING_KEY_ID.to_string(), secret)];
    config.secrets.fingerprint_key = Some("a key of the test".to_string());
    let mut intake = Intake::new(&config);
    let mut tables: BTreeMap<Stream, Rows> = Stream::ALL
        .into_iter()
        .map(|stream| (stream, Rows::new(stream)))
        .collect();
    let mut next_offsets: BTreeMap<(Stream, usize), i64> = BTreeMap::new();

    let mut fleet = Fleet::new(Settings {
        sessions: SESSIONS,
        seed,
        noise: 100,
        ..Settings::default()
    });
    for message in fleet.by_ref() {
        let spread = message
            .key
            .iter()
            .flatten()
            .map(|byte| usize::from(*byte))
            .sum::<usize>();
        let partition = spread % PARTITIONS;
        let offset = next_offsets.entry((message.stream, partition)).or_default();
        let origin = Origin {
            topic: message.stream.default_topic().into(),
            partition: Some(partition as i32),
            offset: *offset,
            received_at: Some(message.at),
            timestamp_type: Some(TimestampType::Producer),
            ..Origin::default()
        };
        *offset += 1;
        let rows = tables
            .get_mut(&message.stream)
            .expect("all streams are there");
        let message = Message {
            value: message.value.as_deref(),
            key: message.key.as_deref(),
            headers: None,
        };
        intake.take(rows, &origin, &message);
    }
    let tables = tables
        .into_iter()
        .map(|(stream, mut rows)| (stream, vec![rows.finish()]));
    (tables.collect(), fleet.into_truth())
}

async fn engine(tables: Vec<(Stream, Vec<RecordBatch>)>, library: &Library) -> Engine {
    let options = EngineOptions {
        views: library.views(),
        kept: library.kept_views(&[]).expect("the queries are SQL"),
        ..EngineOptions::default()
    };
    Engine::memory(tables, options)
        .await
        .expect("the views can be planned")
}

#[tokio::test]
async fn planted_faults_are_found_and_nothing_else_is() {
    for seed in [7] {
        let (tables, truth) = taken_in(seed);
        // From disk rather than as embedded: a changed query needs no build.
        let library =
            Library::with_directory(Some(Path::new("queries"))).expect("the queries are right");
        let engine = engine(tables, &library).await;
        let options = RunOptions {
            only: JUDGED.iter().map(ToString::to_string).collect(),
            ..RunOptions::default()
        };
        let findings = run(&Arc::new(engine), &library, &options)
            .await
            .expect("detections run");
        let found = Found::from_rows(&findings.rows);
        let mut report = String::new();
        let not_judged = Found::not_judged_from_rows(&findings.not_judged);
        for mistake in truth.score(&found, &not_judged, &[]).mistakes {
            report += &format!("{mistake:?}\n");
        }
        assert!(report.is_empty(), "seed {seed}\n{report}");
    }
}

#[test]
fn every_message_leaves_the_rows_it_must_and_no_secret() {
    let marks = marks_of_secrets();
    let (tables, truth) = taken_in(7);
    for (stream, batches) in &tables {
        let batch = &batches[0];
        let dispositions = batch["disposition"].as_string_view();
        let count = |wanted: &str| {
            dispositions
                .iter()
                .flatten()
                .filter(|is| *is == wanted)
                .count() as u64
        };
        let of = |counts: &BTreeMap<String, u64>| counts.get(stream.stem()).copied().unwrap_or(0);
        let dead = batch["detail"]
            .as_string_view()
            .iter()
            .flatten()
            .collect::<Vec<_>>();
        assert_eq!(
            count("dead"),
            of(&truth.fleet.dead_letters),
            "{stream}: {dead:?}"
        );
        assert_eq!(count("skipped"), of(&truth.fleet.skipped), "{stream}");
        for column in batch.columns() {
            let Some(texts) = column.as_string_view_opt() else {
                continue;
            };
            let leak = texts
                .iter()
                .flatten()
                .find(|text| marks.iter().any(|mark| text.contains(mark)));
            assert_eq!(leak, None, "{stream}");
        }
    }
}
