//! Planted against found: which faults were seen, and which findings have no fault behind them.

use std::collections::BTreeSet;

use arrow::array::{Array, AsArray};
use arrow::record_batch::RecordBatch;

use super::truth::{ExpectedFinding, Truth};

/// What of a finding tells which fault it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub detection: String,
    pub variant: Option<String>,
    pub app_id: String,
    pub cname: String,
    pub sids: Vec<String>,
    pub expected_vendor: Option<String>,
    pub actual_vendor: Option<String>,
    pub root_cause: Option<String>,
    pub explanation: String,
}

/// How one detection did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Score<'t> {
    pub detection: &'t str,
    pub planted: usize,
    pub found: usize,
    /// Planted and not found.
    pub missed: Vec<&'t ExpectedFinding>,
    /// Found and not planted, or found once more than planted.
    pub extra: Vec<Found>,
    /// Found, with another variant, vendor or cause than planted: what was planted, and the difference.
    pub differing: Vec<(&'t ExpectedFinding, String)>,
}

impl Found {
    /// Reads the table of findings (design, section 5).
    ///
    /// Panics when a column of that table is missing or of another type: it has one schema, ours.
    pub fn from_rows(rows: &RecordBatch) -> Vec<Found> {
        let text = |name: &str, row: usize| {
            let column = rows[name].as_string::<i32>();
            column.is_valid(row).then(|| column.value(row).to_string())
        };
        (0..rows.num_rows())
            .map(|row| {
                let sids = rows["sids"].as_list::<i32>();
                let sids = match sids.is_valid(row) {
                    true => sids
                        .value(row)
                        .as_string::<i32>()
                        .iter()
                        .flatten()
                        .map(str::to_string)
                        .collect(),
                    false => Vec::new(),
                };
                Found {
                    detection: text("detection", row).unwrap_or_default(),
                    variant: text("variant", row),
                    app_id: text("app_id", row).unwrap_or_default(),
                    cname: text("cname", row).unwrap_or_default(),
                    sids,
                    expected_vendor: text("expected_vendor", row),
                    actual_vendor: text("actual_vendor", row),
                    root_cause: text("root_cause", row),
                    explanation: text("explanation", row).unwrap_or_default(),
                }
            })
            .collect()
    }

    /// Says whether this is about the planted fault: same detection, same channel, a session in common.
    fn is_about(&self, planted: &ExpectedFinding) -> bool {
        let sids: BTreeSet<&String> = self.sids.iter().collect();
        self.detection == planted.detection
            && self.app_id == planted.app_id
            && self.cname == planted.cname
            && (self.sids.is_empty() || planted.sids.iter().any(|sid| sids.contains(sid)))
    }

    fn difference(&self, planted: &ExpectedFinding) -> Option<String> {
        let told = [
            ("variant", self.variant.as_deref(), planted.variant),
            (
                "expected_vendor",
                self.expected_vendor.as_deref(),
                planted.expected_vendor,
            ),
            (
                "actual_vendor",
                self.actual_vendor.as_deref(),
                planted.actual_vendor,
            ),
            (
                "root_cause",
                self.root_cause.as_deref(),
                Some(planted.root_cause),
            ),
        ];
        let differences: Vec<String> = told
            .into_iter()
            .filter(|(column, found, planted)| {
                found != planted && (*column != "variant" || planted.is_some())
            })
            .map(|(column, found, planted)| {
                format!(
                    "{column} {} instead of {}",
                    found.unwrap_or("null"),
                    planted.unwrap_or("null")
                )
            })
            .collect();
        (!differences.is_empty()).then(|| differences.join(", "))
    }
}

impl Score<'_> {
    /// Returns the share of the planted faults that were found, in percent.
    pub fn recall_percent(&self) -> f64 {
        percent(self.planted - self.missed.len(), self.planted)
    }

    /// Returns the share of the findings that have a fault behind them, in percent.
    pub fn precision_percent(&self) -> f64 {
        percent(self.found - self.extra.len(), self.found)
    }

    pub fn is_perfect(&self) -> bool {
        self.missed.is_empty() && self.extra.is_empty() && self.differing.is_empty()
    }
}

fn percent(part: usize, whole: usize) -> f64 {
    match whole {
        0 => 100.0,
        whole => part as f64 * 100.0 / whole as f64,
    }
}

impl Truth {
    /// Compares the findings of the judged detections with what was planted, one score a detection.
    pub fn score(&self, found: &[Found]) -> Vec<Score<'_>> {
        self.judged
            .iter()
            .map(|detection| self.score_of(detection, found))
            .collect()
    }

    fn score_of<'t>(&'t self, detection: &'t str, found: &[Found]) -> Score<'t> {
        let mut extra: Vec<Found> = found
            .iter()
            .filter(|found| found.detection == detection)
            .cloned()
            .collect();
        let mut score = Score {
            detection,
            planted: 0,
            found: extra.len(),
            missed: Vec::new(),
            extra: Vec::new(),
            differing: Vec::new(),
        };
        for planted in self
            .expected
            .iter()
            .filter(|planted| planted.detection == detection)
        {
            score.planted += 1;
            match extra.iter().position(|found| found.is_about(planted)) {
                None => score.missed.push(planted),
                Some(position) => {
                    if let Some(difference) = extra.remove(position).difference(planted) {
                        score.differing.push((planted, difference));
                    }
                }
            }
        }
        score.extra = extra;
        score
    }
}

#[cfg(test)]
mod tests {
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
            detection: planted.detection.to_string(),
            variant: planted.variant.map(str::to_string),
            app_id: planted.app_id.to_string(),
            cname: planted.cname.clone(),
            sids: planted.sids.clone(),
            expected_vendor: planted.expected_vendor.map(str::to_string),
            actual_vendor: planted.actual_vendor.map(str::to_string),
            root_cause: Some(planted.root_cause.to_string()),
            explanation: String::new(),
        }
    }

    #[test]
    fn all_that_was_planted_and_no_more_is_perfect() {
        let truth = truth();
        let found: Vec<Found> = truth.expected.iter().map(as_found).collect();
        let scores = truth.score(&found);
        assert!(scores.iter().all(Score::is_perfect));
        assert_eq!(
            scores.iter().map(|score| score.planted).sum::<usize>(),
            truth.expected.len()
        );
    }

    #[test]
    fn a_missed_fault_lowers_recall_and_a_second_finding_of_one_fault_precision() {
        let truth = truth();
        let mut found: Vec<Found> = truth.expected.iter().map(as_found).collect();
        let detection = found[0].detection.clone();
        found.remove(0);
        let again = found
            .iter()
            .find(|found| found.detection == detection)
            .expect("another one")
            .clone();
        found.push(again.clone());
        let scores = truth.score(&found);
        let score = scores
            .iter()
            .find(|score| score.detection == detection)
            .expect("judged");
        assert_eq!((score.missed.len(), &score.extra), (1, &vec![again]));
        assert!(score.recall_percent() < 100.0 && score.precision_percent() < 100.0);
    }

    #[test]
    fn a_finding_with_another_cause_is_told_apart() {
        let truth = truth();
        let mut found: Vec<Found> = truth.expected.iter().map(as_found).collect();
        found[0].root_cause = Some("service".to_string());
        let scores = truth.score(&found);
        let differing: Vec<_> = scores.iter().flat_map(|score| &score.differing).collect();
        assert_eq!(differing.len(), 1);
        assert!(differing[0].1.starts_with("root_cause service instead of"));
    }

    #[test]
    fn what_is_not_judged_counts_nowhere() {
        let truth = truth();
        let mut stranger = as_found(&truth.expected[0]);
        stranger.detection = "of_our_own".to_string();
        assert!(
            truth
                .score(&[stranger])
                .iter()
                .all(|score| score.found == 0)
        );
    }
}
