use super::*;
use crate::generate::{Fleet, SESSIONS_MIN, Settings};

fn truth() -> Truth {
    let mut fleet = Fleet::new(Settings {
        sessions: SESSIONS_MIN,
        ..Settings::default()
    });
    fleet.by_ref().for_each(drop);
    fleet.into_truth()
}

fn as_found(planted: &ExpectedFinding) -> Found {
    Found {
        detection: planted.detection.clone(),
        variant: planted.variant.clone().flatten(),
        app_id: planted.app_id.clone(),
        cname: planted.cname.clone(),
        sids: planted.sids.clone(),
        expected_vendor: planted.expected_vendor.clone().flatten(),
        actual_vendor: planted.actual_vendor.clone().flatten(),
        root_cause: planted.root_cause.clone().flatten(),
        explanation: String::new(),
    }
}

fn all_found(truth: &Truth) -> Vec<Found> {
    truth.expected.iter().map(as_found).collect()
}

fn not_judged(truth: &Truth) -> NotJudgedSessions {
    let of = |must: &crate::generate::NotJudged| (must.detection.clone(), must.sid.clone());
    truth.not_judged.iter().map(of).collect()
}

fn score_of<'s>(scoring: &'s Scoring, detection: &str, variant: Option<&str>) -> &'s Score {
    let score = scoring
        .scores
        .iter()
        .find(|score| score.detection == detection && score.variant.as_deref() == variant);
    score.expect("it was scored")
}

#[test]
fn all_that_was_planted_and_no_more_is_perfect() {
    let truth = truth();
    let scoring = truth.score(&all_found(&truth), &not_judged(&truth), &[]);
    assert!(scoring.is_perfect(), "{:?}", scoring.mistakes);
    let planted: usize = scoring.totals().map(|score| score.planted).sum();
    assert_eq!(planted, truth.expected.len());
    assert!(scoring.scores.iter().all(|score| score.recall() == 1.0));
}

#[test]
fn a_missed_fault_lowers_recall_and_a_second_finding_of_one_fault_precision() {
    let truth = truth();
    let mut found = all_found(&truth);
    let first = found.remove(0);
    let again = found
        .iter()
        .find(|found| found.detection == first.detection);
    found.push(again.expect("another one").clone());
    let scoring = truth.score(&found, &not_judged(&truth), &[]);
    let score = score_of(&scoring, &first.detection, None);
    assert_eq!((score.missed, score.duplicate, score.spurious), (1, 1, 0));
    assert!(score.recall() < 1.0 && score.precision() < 1.0);
    let kinds: Vec<MistakeKind> = scoring
        .mistakes
        .iter()
        .map(|mistake| mistake.kind)
        .collect();
    assert_eq!(kinds, [MistakeKind::Missed, MistakeKind::Duplicate]);
}

#[test]
fn another_variant_vendor_or_cause_is_a_mistake_of_both_variants() {
    let truth = truth();
    let change: [fn(&mut Found); 3] = [
        |found| found.variant = Some("of another kind".to_string()),
        |found| found.actual_vendor = Some("floppy".to_string()),
        |found| found.root_cause = Some("weather".to_string()),
    ];
    for change in change {
        let mut found = all_found(&truth);
        change(&mut found[0]);
        let scoring = truth.score(&found, &not_judged(&truth), &[]);
        assert_eq!(scoring.mistakes.len(), 1, "{:?}", scoring.mistakes);
        assert_eq!(scoring.mistakes[0].kind, MistakeKind::Differing);
        assert!(scoring.mistakes[0].what.contains(" instead of "));
        let planted = truth.expected[0].variant.clone().flatten();
        let score = score_of(&scoring, &found[0].detection, planted.as_deref());
        assert!(score.recall() < 1.0);
        let score = score_of(&scoring, &found[0].detection, found[0].variant.as_deref());
        assert!(score.precision() < 1.0);
    }
}

#[test]
fn a_finding_about_a_near_miss_is_spurious_and_says_which() {
    let truth = truth();
    let mut found = all_found(&truth);
    let near_miss = &truth.near_misses[0];
    found.push(Found {
        detection: "vendor_mismatch".to_string(),
        app_id: near_miss.app_id.clone(),
        cname: near_miss.cname.clone(),
        ..Found::default()
    });
    let scoring = truth.score(&found, &not_judged(&truth), &[]);
    assert_eq!(scoring.mistakes.len(), 1);
    assert_eq!(scoring.mistakes[0].kind, MistakeKind::Spurious);
    assert_eq!(scoring.mistakes[0].case, near_miss.case);
}

#[test]
fn what_is_not_judged_counts_nowhere() {
    let truth = truth();
    let mut found = all_found(&truth);
    found.push(Found {
        detection: "of_our_own".to_string(),
        ..Found::default()
    });
    assert!(
        truth
            .score(&found, &not_judged(&truth), &["of_our_own"])
            .is_perfect()
    );
}

#[test]
fn a_session_without_a_possible_verdict_must_be_named() {
    let truth = truth();
    let scoring = truth.score(&all_found(&truth), &NotJudgedSessions::new(), &[]);
    assert_eq!(scoring.mistakes.len(), truth.not_judged.len());
    assert!(
        scoring
            .mistakes
            .iter()
            .all(|mistake| mistake.kind == MistakeKind::Unsaid)
    );
}

#[test]
fn a_truth_is_what_was_written() {
    let truth = truth();
    let mut written = Vec::new();
    truth.write(&mut written).expect("memory takes it");
    assert_eq!(Truth::read(written.as_slice()).expect("is a truth"), truth);
}

#[test]
fn somebody_elses_truth_asks_only_for_what_it_states() {
    let lines = r#"{"kind": "finding", "detection": "vendor_mismatch", "sids": ["a1"], "actual_vendor": "s3"}"#;
    let truth = Truth::read(lines.as_bytes()).expect("is a truth");
    let found = Found {
        detection: "vendor_mismatch".to_string(),
        variant: Some("record_wrong".to_string()),
        app_id: "app".to_string(),
        cname: "room".to_string(),
        sids: vec!["a1".to_string()],
        actual_vendor: Some("s3".to_string()),
        ..Found::default()
    };
    let all = ["vendor_mismatch", "missing_upload"];
    let none = NotJudgedSessions::new();
    let score = |found: &Found| truth.score(std::slice::from_ref(found), &none, &all);
    assert!(score(&found).is_perfect());
    let elsewhere = Found {
        actual_vendor: Some("oss".to_string()),
        ..found
    };
    assert!(!score(&elsewhere).is_perfect());

    let error = Truth::read(&b"\n{\"kind\": \"rumour\"}"[..]).expect_err("no line of a truth");
    assert!(error.to_string().starts_with("line 2: "), "{error}");
}
