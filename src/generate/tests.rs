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
    let dead: u64 = truth.fleet.dead_letters.values().sum();
    // Two more are JSON of no shape that means anything.
    assert!(broken > 0 && broken < dead, "{broken} of {dead}");
}

#[test]
fn the_truth_counts_what_was_given() {
    let (messages, truth) = fleet(200, 1);
    let mut counts = BTreeMap::new();
    for message in &messages {
        *counts.entry(message.stream.to_string()).or_insert(0) += 1;
    }
    assert_eq!(truth.fleet.messages, counts);
    assert_eq!(counts.len(), Stream::ALL.len());
}

#[test]
fn even_the_smallest_fleet_has_every_fault_and_every_near_miss() {
    let (_, truth) = fleet(SESSIONS_MIN, 1);
    let cases =
        |of: &mut dyn Iterator<Item = &String>| -> BTreeSet<String> { of.cloned().collect() };
    let named = |plots: &mut dyn Iterator<Item = Plot>| -> BTreeSet<String> {
        plots.map(|(name, _)| name.to_string()).collect()
    };
    assert_eq!(
        cases(&mut truth.expected.iter().map(|finding| &finding.case)),
        named(&mut fault::plots().chain(fault::tail_plots()))
    );
    assert_eq!(
        cases(&mut truth.near_misses.iter().map(|near_miss| &near_miss.case)),
        named(&mut near_miss::plots())
    );
    assert_eq!(
        cases(&mut truth.expected.iter().map(|finding| &finding.detection)),
        JUDGED.map(str::to_string).into()
    );
}

/// Tells every one of these plots once in each mode.
fn told_in_every_mode(plots: impl Iterator<Item = Plot>) -> Truth {
    let settings = Settings::default();
    let mut truth = Truth::new(&settings);
    for (number, (_, tell)) in plots.enumerate() {
        for mode_turn in 0..Mode::ALL.len() {
            let index = (number * Mode::ALL.len() + mode_turn) as u32;
            let mut story = Story::new(&settings, index, settings.start);
            story.mode_turn = mode_turn;
            tell(&mut story);
            truth.add(&story);
        }
    }
    truth
}

const ALL_MODES: &[&str] = &["individual", "mix", "raw", "web"];

/// In which modes a variant can occur (failure patterns; API facts, section 8).
fn modes_of(detection: &str, variant: &str) -> &'static [&'static str] {
    match (detection, variant) {
        // A web page has no users to collide with and no idle channel.
        ("session_failures", "uid_collision" | "idle_flapping") => &["individual", "mix", "raw"],
        ("session_failures", "web_page") => &["web"],
        // Individual recording makes its mp4 only of postponed transcoding.
        ("incomplete_files", "no_mp4") => &["mix", "raw", "web"],
        _ => ALL_MODES,
    }
}

/// The variants that the detections name in their headers.
const VARIANTS: [(&str, &[&str]); 23] = [
    (
        "acquire_start_disagreement",
        &["accepted", "refused", "unknown"],
    ),
    ("backup_detour", &["returned", "waiting"]),
    ("backup_never_returned", &[""]),
    (
        "conflicting_starts",
        &[
            "other_uid",
            "same_identity_accepted",
            "same_identity_rejected",
            "same_ticket",
        ],
    ),
    ("destination_mismatch", &["bucket", "prefix", "region"]),
    ("environment_switching", &["channel", "family"]),
    ("failed_then_switched", &["indeterminate", "rejected"]),
    ("ghost_start", &["alone", "beside_retry"]),
    ("incomplete_files", &["no_index", "no_mp4", "no_slices"]),
    (
        "incomplete_payload",
        &["resource_id", "sid", "status", "storage_config"],
    ),
    ("missing_upload", &["late", "missing"]),
    ("orphan_files", &["unknown_session"]),
    ("record_before_response", &["failed_storage", "too_early"]),
    (
        "redundant_starts",
        &[
            "other_uid",
            "same_identity_accepted",
            "same_identity_rejected",
            "same_ticket",
        ],
    ),
    (
        "session_failures",
        &[
            "capacity",
            "expired_ticket",
            "fail_over",
            "false_end",
            "idle_flapping",
            "not_enabled",
            "nothing_recorded",
            "token",
            "uid_collision",
            "web_page",
        ],
    ),
    (
        "slow_or_cross_region_upload",
        &["behind", "late", "timeout"],
    ),
    ("start_storm", &["new_tickets", "new_uids", "one_ticket"]),
    ("storage_credentials", &["expired", "rejected"]),
    ("storage_switched_by_update", &["bucket", "path", "vendor"]),
    ("unannounced_upload", &["no_verdict", "silent"]),
    (
        "unstopped_session",
        &["never_stopped", "stop_named_another", "stop_refused"],
    ),
    (
        "vendor_mismatch",
        &[
            "all_differ",
            "files_elsewhere",
            "moved_by_update",
            "record_wrong",
            "start_unknown",
        ],
    ),
    (
        "webhook_hygiene",
        &["bad_signature", "disordered", "gap", "repeated"],
    ),
];

#[test]
fn every_variant_is_planted_in_every_mode_where_it_can_occur() {
    let truth = told_in_every_mode(fault::plots().chain(fault::tail_plots()));
    let mut planted: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for finding in &truth.expected {
        let variant = finding.variant.clone().flatten().unwrap_or_default();
        let modes = planted.entry((finding.detection.clone(), variant));
        modes.or_default().insert(finding.mode.clone());
    }
    let mut must = BTreeMap::new();
    for (detection, variants) in VARIANTS {
        for variant in variants {
            let modes = modes_of(detection, variant).iter().map(ToString::to_string);
            must.insert(
                (detection.to_string(), variant.to_string()),
                modes.collect(),
            );
        }
    }
    for (variant, modes) in &must {
        assert_eq!(planted.get(variant), Some(modes), "{variant:?}");
    }
    assert_eq!(
        planted.len(),
        must.len(),
        "a variant that no detection names"
    );
}

/// Which detections a near-miss comes close to.
fn looks_like(case: &str) -> &'static [&'static str] {
    match case {
        "restart_elsewhere" => &["conflicting_starts"],
        "asked_for_redundancy" => &["redundant_starts"],
        "credentials_refreshed" => &["storage_switched_by_update"],
        "same_channel_in_two_apps" => &["conflicting_starts"],
        "record_corrected" => &["vendor_mismatch"],
        "late_files" | "unmonitored_bucket" => &["missing_upload"],
        "mirrored_call" => &["redundant_starts"],
        "retried_in_place" | "retried_long_after" => &["failed_then_switched"],
        "announced_hours_late" | "exit_alone" => &["unannounced_upload"],
        "slice_sent_again" => &["backup_detour"],
        "warning_made_good" => &["backup_detour", "backup_never_returned"],
        "complaint_passed" | "keys_renewed" => &["storage_credentials"],
        "upload_in_time" | "files_reported_late" => &["slow_or_cross_region_upload"],
        "files_of_other_tools" | "start_not_logged" => &["orphan_files"],
        "mp4_made" | "mp4_postponed" | "index_removed" | "screenshots_alone" => {
            &["incomplete_files"]
        }
        "left_idle_at_last" | "restarted_after_idling" | "stopped_twice" => &["session_failures"],
        "asked_after_the_end" | "participants_of_other_uids" => &["session_failures"],
        "ticket_used_late" | "worker_found_on_retry" | "page_reloaded_once" => {
            &["session_failures"]
        }
        "notices_retried" => &["webhook_hygiene"],
        "retried_on_its_ticket" => &["start_storm"],
        "ghost_found_again" => &["ghost_start"],
        "announced_as_started" => &["acquire_start_disagreement"],
        "left_by_itself" | "stopped_without_answer" => &["unstopped_session"],
        "migrated" => &["environment_switching"],
        "intent_confirmed" => &["record_before_response"],
        "path_is_shorter" => &["destination_mismatch"],
        "error_logged" => &["incomplete_payload"],
        _ => &[],
    }
}

#[test]
fn every_detection_has_a_near_miss_in_every_mode() {
    let truth = told_in_every_mode(near_miss::plots());
    let mut missed: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for near_miss in &truth.near_misses {
        let detections = looks_like(&near_miss.case);
        assert!(
            !detections.is_empty(),
            "{} looks like nothing",
            near_miss.case
        );
        for detection in detections {
            missed.entry(detection).or_default().insert(&near_miss.mode);
        }
    }
    let all = BTreeSet::from_iter(ALL_MODES.iter().copied());
    assert_eq!(
        missed,
        JUDGED.map(|detection| (detection, all.clone())).into()
    );
}

#[test]
fn no_channel_is_planted_twice_and_no_near_miss_is_a_fault() {
    let (_, truth) = fleet(1_000, 1);
    let faulty: BTreeSet<_> = (truth.expected.iter())
        .map(|finding| (&finding.app_id, &finding.cname))
        .collect();
    let harmless: BTreeSet<_> = (truth.near_misses.iter())
        .map(|near_miss| (&near_miss.app_id, &near_miss.cname))
        .collect();
    assert!(faulty.is_disjoint(&harmless));
    let plots: BTreeSet<_> = (truth.expected.iter())
        .map(|finding| (&finding.app_id, &finding.cname, &finding.case))
        .collect();
    assert_eq!(plots.len(), faulty.len());
}

/// Noise changes how messages come, never what they are about.
#[test]
fn noise_plants_nothing_but_lost_callbacks() {
    let made = |noise| {
        let mut fleet = Fleet::new(Settings {
            sessions: SESSIONS_MIN,
            noise,
            ..Settings::default()
        });
        let messages = fleet.by_ref().count();
        let mut truth = fleet.into_truth();
        truth
            .expected
            .retain(|finding| finding.case != "callback_lost");
        (messages, truth)
    };
    let (quiet, truth) = made(0);
    let (noisy, same) = made(100);
    assert!(noisy > quiet);
    assert!(truth.fleet.dead_letters.is_empty() && !same.fleet.dead_letters.is_empty());
    assert_eq!(truth.expected, same.expected);
    assert_eq!(truth.near_misses, same.near_misses);
}

#[test]
fn slices_are_as_many_as_asked_for() {
    let made = |slices_max| {
        let settings = Settings {
            slices_max,
            noise: 0,
            ..Settings::default()
        };
        let mut story = Story::new(&settings, 40, settings.start);
        session::ordinary(&mut story);
        let of = |stream| {
            story
                .messages
                .iter()
                .filter(|it| it.stream == stream)
                .count()
        };
        (of(Stream::StorageEvents), of(Stream::ApiCalls))
    };
    let (few, calls) = made(3);
    let (all, more_calls) = made(100_000);
    assert!(few <= 12 && all > 10 * few, "{few} and {all}");
    assert!(more_calls > calls);
}

#[test]
fn every_bucket_with_notices_is_heard_of_a_day_after_the_last_fault() {
    let settings = Settings::default();
    let (messages, truth) = fleet(300, 1);
    let faults_end = settings.start + settings.spread() - QUIET + MICROS_PER_DAY;
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
