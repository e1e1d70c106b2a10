use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;

fn fleet(sessions: u32, seed: u64) -> (Vec<Produced>, Truth) {
    let mut fleet = Fleet::new(Settings {
        sessions,
        seed,
        ..Settings::default()
    });
    let messages: Vec<Produced> = fleet.by_ref().collect();
    (messages, fleet.into_truth())
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_gives_others() {
    let (messages, truth) = fleet(120, 3);
    assert_eq!((messages.clone(), truth), fleet(120, 3));
    assert_ne!(messages, fleet(120, 4).0);
}

/// Pins the generator across machines and releases: a changed id here changes every recorded demo.
#[test]
fn the_first_session_id_is_what_it_always_was() {
    let settings = Settings::default();
    let mut story = Story::new(&settings, 0, settings.start);
    assert_eq!(story.sid(), "86961bcf0b41304ba0bae9b00a9cdb7b");
}

#[test]
fn messages_come_in_order_of_arrival() {
    let (messages, _) = fleet(150, 1);
    assert!(messages.is_sorted_by_key(|message| message.at));
}

#[test]
fn all_but_the_planted_dead_letters_and_tombstones_are_json_objects_or_lists() {
    let (messages, truth) = fleet(500, 1);
    let broken = messages
        .iter()
        .filter_map(|message| message.value.as_deref())
        .filter(|value| {
            !matches!(
                serde_json::from_slice(value),
                Ok(Value::Object(_) | Value::Array(_))
            )
        })
        .count() as u64;
    let dead: u64 = truth.dead_letters.values().sum();
    // Two more are JSON of no shape that means anything.
    assert!(broken > 0 && broken < dead, "{broken} of {dead}");
}

#[test]
fn the_truth_counts_what_was_given() {
    let (messages, truth) = fleet(200, 1);
    let mut counts = BTreeMap::new();
    for message in &messages {
        *counts.entry(message.stream.stem()).or_insert(0) += 1;
    }
    assert_eq!(truth.messages, counts);
    assert_eq!(counts.len(), Stream::ALL.len());
}

#[test]
fn even_the_smallest_fleet_has_every_fault_and_every_near_miss() {
    let (_, truth) = fleet(SESSIONS_MIN, 1);
    let faults: BTreeSet<&str> = truth.expected.iter().map(|finding| finding.case).collect();
    assert_eq!(faults, fault::plots().map(|(name, _)| name).collect());
    let near_misses: BTreeSet<&str> = truth.near_misses.iter().map(|miss| miss.case).collect();
    assert_eq!(
        near_misses,
        near_miss::plots().map(|(name, _)| name).collect()
    );
    let detections: BTreeSet<&str> = truth
        .expected
        .iter()
        .map(|finding| finding.detection)
        .collect();
    assert_eq!(detections, JUDGED.iter().copied().collect());
}

#[test]
fn no_channel_is_planted_twice_and_no_near_miss_is_a_fault() {
    let (_, truth) = fleet(1_000, 1);
    let faulty: BTreeSet<_> = truth
        .expected
        .iter()
        .map(|finding| (finding.app_id, &finding.cname))
        .collect();
    let harmless: BTreeSet<_> = truth
        .near_misses
        .iter()
        .map(|miss| (miss.app_id, &miss.cname))
        .collect();
    assert!(faulty.is_disjoint(&harmless));
    let plots: BTreeSet<_> = truth
        .expected
        .iter()
        .map(|finding| (finding.app_id, &finding.cname, finding.case))
        .collect();
    assert_eq!(plots.len(), faulty.len());
}

#[test]
fn every_bucket_with_notices_is_heard_of_a_day_after_the_last_fault() {
    let settings = Settings::default();
    let (messages, truth) = fleet(300, 1);
    let faults_end = settings.start + SPREAD * i64::from(FAULTY_PERCENT) / 100 + MICROS_PER_DAY;
    let late: String = messages
        .iter()
        .filter(|message| message.stream == Stream::StorageEvents && message.at > faults_end)
        .filter_map(|message| message.value.as_deref())
        .map(String::from_utf8_lossy)
        .collect();
    for app in &world::APPS {
        assert!(late.contains(app.home.bucket), "{}", app.home.bucket);
    }
    assert!(!truth.not_judged.is_empty());
}

#[test]
fn a_fleet_is_small_enough_to_show() {
    let (messages, _) = fleet(500, 1);
    let bytes: usize = messages
        .iter()
        .filter_map(|message| message.value.as_ref())
        .map(Vec::len)
        .sum();
    let per_session = messages.len() / 500;
    assert!(
        (15..40).contains(&per_session),
        "{per_session} messages a session"
    );
    assert!(
        bytes / messages.len() < 1_500,
        "{} bytes a message",
        bytes / messages.len()
    );
}

#[test]
fn credentials_are_marked_and_everywhere_in_calls() {
    let (messages, _) = fleet(100, 1);
    for message in messages
        .iter()
        .filter(|message| message.stream == Stream::ApiCalls)
    {
        let text = String::from_utf8_lossy(message.value.as_deref().unwrap_or_default());
        assert!(!text.contains("Authorization") || text.contains(SECRET_MARK));
    }
}
