//! Planted against found: which faults were seen, which were seen as something else, and which findings have no
//! fault behind them.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray};
use arrow::record_batch::RecordBatch;

use super::truth::{ExpectedFinding, Stated, Truth};

/// What of a finding tells which fault it is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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

/// How one detection did, or one variant of it.
///
/// A finding is right when it is the only one about a planted fault and says the variant, vendors and cause that
/// were planted; only these count towards recall and precision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Score {
    pub detection: String,
    /// None for the detection as a whole.
    pub variant: Option<String>,
    pub planted: usize,
    pub found: usize,
    pub right: usize,
    pub missed: usize,
    /// About a planted fault, with another variant, vendor or cause than planted.
    pub differing: usize,
    /// About a planted fault that another finding tells already.
    pub duplicate: usize,
    /// About nothing that was planted.
    pub spurious: usize,
}

/// Sessions that a detection could not judge: detection and sid.
pub type NotJudgedSessions = BTreeSet<(String, String)>;

/// All scores, and all that is wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scoring {
    /// Each detection as a whole, followed by its variants.
    pub scores: Vec<Score>,
    pub mistakes: Vec<Mistake>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MistakeKind {
    Missed,
    Differing,
    Duplicate,
    Spurious,
    /// No verdict is possible about a session, and `not_judged` does not say so.
    Unsaid,
}

/// One fault that was not seen as it was planted, or one finding too many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    pub kind: MistakeKind,
    pub detection: String,
    /// As planted, or as found where nothing was.
    pub variant: Option<String>,
    /// The plot, or the near-miss that was taken for a fault; empty where neither is known.
    pub case: String,
    pub app_id: String,
    pub cname: String,
    pub sids: Vec<String>,
    /// How it differs, or what the finding says.
    pub what: String,
}

impl MistakeKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            MistakeKind::Missed => "missed",
            MistakeKind::Differing => "differing",
            MistakeKind::Duplicate => "duplicate",
            MistakeKind::Spurious => "spurious",
            MistakeKind::Unsaid => "unsaid",
        }
    }
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

    /// Reads the sessions of the table of what could not be judged.
    pub fn not_judged_from_rows(rows: &RecordBatch) -> NotJudgedSessions {
        let texts = |name: &str| rows[name].as_string::<i32>().iter();
        let owned = |text: Option<&str>| text.unwrap_or_default().to_string();
        texts("detection")
            .zip(texts("sid"))
            .map(|(detection, sid)| (owned(detection), owned(sid)))
            .collect()
    }

    /// Says whether this is about the planted fault: same channel, and a session in common where both name some.
    /// What the truth leaves out it does not ask for.
    fn is_about(&self, planted: &ExpectedFinding) -> bool {
        let is_asked = |asked: &str, is: &str| asked.is_empty() || asked == is;
        is_asked(&planted.app_id, &self.app_id)
            && is_asked(&planted.cname, &self.cname)
            && (self.sids.is_empty()
                || planted.sids.is_empty()
                || self.sids.iter().any(|sid| planted.sids.contains(sid)))
    }

    fn has_sids_of(&self, planted: &ExpectedFinding) -> bool {
        let own: BTreeSet<&String> = self.sids.iter().collect();
        own == planted.sids.iter().collect()
    }

    /// Returns what is said otherwise than planted; empty where all is right.
    fn difference(&self, planted: &ExpectedFinding) -> String {
        let told: [(&str, &Option<String>, &Stated); 4] = [
            ("variant", &self.variant, &planted.variant),
            (
                "expected_vendor",
                &self.expected_vendor,
                &planted.expected_vendor,
            ),
            ("actual_vendor", &self.actual_vendor, &planted.actual_vendor),
            ("root_cause", &self.root_cause, &planted.root_cause),
        ];
        let differences = told.into_iter().filter_map(|(column, found, stated)| {
            let stated = stated.as_ref()?;
            (found != stated).then(|| {
                let or_null = |text: &Option<String>| text.clone().unwrap_or("null".to_string());
                format!("{column} {} instead of {}", or_null(found), or_null(stated))
            })
        });
        differences.collect::<Vec<_>>().join(", ")
    }
}

impl Score {
    /// Returns the share of the planted faults that were found as planted.
    pub fn recall(&self) -> f64 {
        share(self.right, self.planted)
    }

    /// Returns the share of the findings that are right.
    pub fn precision(&self) -> f64 {
        share(self.right, self.found)
    }
}

fn share(part: usize, whole: usize) -> f64 {
    match whole {
        0 => 1.0,
        whole => part as f64 / whole as f64,
    }
}

impl Scoring {
    pub fn is_perfect(&self) -> bool {
        self.mistakes.is_empty()
    }

    /// Returns the scores of the detections as wholes.
    pub fn totals(&self) -> impl Iterator<Item = &Score> {
        self.scores.iter().filter(|score| score.variant.is_none())
    }
}

/// What was planted for one detection and what it found, being matched.
struct Match<'t> {
    planted: Vec<&'t ExpectedFinding>,
    found: Vec<&'t Found>,
    /// For each planted fault the finding about it.
    by: Vec<Option<usize>>,
    /// Findings that are about a fault by now.
    taken: Vec<bool>,
}

impl<'t> Match<'t> {
    fn new(planted: Vec<&'t ExpectedFinding>, found: Vec<&'t Found>) -> Self {
        let mut matched = Match {
            by: vec![None; planted.len()],
            taken: vec![false; found.len()],
            planted,
            found,
        };
        // The best pairs first, so that two faults of one channel do not take each other's findings.
        matched.pair(|found, planted| {
            found.has_sids_of(planted) && found.difference(planted).is_empty()
        });
        matched.pair(|found, planted| found.difference(planted).is_empty());
        matched.pair(Found::has_sids_of);
        matched.pair(|_, _| true);
        matched
    }

    fn pair(&mut self, fits: impl Fn(&Found, &ExpectedFinding) -> bool) {
        let mut channels: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, found) in self.found.iter().enumerate() {
            channels.entry(&found.cname).or_default().push(index);
        }
        let all: Vec<usize> = (0..self.found.len()).collect();
        for (number, planted) in self.planted.iter().enumerate() {
            if self.by[number].is_some() {
                continue;
            }
            let near = match planted.cname.is_empty() {
                true => Some(&all),
                false => channels.get(planted.cname.as_str()),
            };
            let best = near.into_iter().flatten().copied().find(|&index| {
                let found = self.found[index];
                !self.taken[index] && found.is_about(planted) && fits(found, planted)
            });
            if let Some(index) = best {
                self.by[number] = Some(index);
                self.taken[index] = true;
            }
        }
    }
}

impl Truth {
    /// Compares what was found with what was planted. `all` names the detections that count where the truth does not say
    /// which it is complete for.
    pub fn score(&self, found: &[Found], not_judged: &NotJudgedSessions, all: &[&str]) -> Scoring {
        let judged = self.fleet.judged.iter().map(String::as_str);
        let judged: BTreeSet<&str> = match self.fleet.judged.is_empty() {
            true => all.iter().copied().collect(),
            false => judged.collect(),
        };
        let mut scoring = Scoring::default();
        for detection in &judged {
            self.score_of(detection, found, &mut scoring);
        }
        let unsaid = self
            .not_judged
            .iter()
            .filter(|must| !not_judged.contains(&(must.detection.clone(), must.sid.clone())));
        scoring.mistakes.extend(unsaid.map(|must| Mistake {
            kind: MistakeKind::Unsaid,
            detection: must.detection.clone(),
            variant: None,
            case: must.case.clone(),
            app_id: must.app_id.clone(),
            cname: must.cname.clone(),
            sids: vec![must.sid.clone()],
            what: "no verdict is possible, and `not_judged` does not say so".to_string(),
        }));
        scoring.mistakes.sort_by_key(|mistake| mistake.kind);
        scoring
    }

    fn score_of(&self, detection: &str, found: &[Found], scoring: &mut Scoring) {
        let planted = self.expected.iter();
        let found = found.iter();
        let matched = Match::new(
            planted
                .filter(|planted| planted.detection == detection)
                .collect(),
            found.filter(|found| found.detection == detection).collect(),
        );
        let mut tally = Tally::new(detection);
        for (planted, by) in matched.planted.iter().zip(&matched.by) {
            let variant = planted.variant.clone().flatten();
            tally.count(&variant, |score| score.planted += 1);
            let Some(found) = by.map(|index| matched.found[index]) else {
                tally.count(&variant, |score| score.missed += 1);
                scoring.mistakes.push(missed(planted));
                continue;
            };
            let difference = found.difference(planted);
            if difference.is_empty() {
                tally.count(&found.variant, |score| score.right += 1);
            } else {
                tally.count(&variant, |score| score.differing += 1);
                scoring.mistakes.push(Mistake {
                    kind: MistakeKind::Differing,
                    what: difference,
                    ..missed(planted)
                });
            }
        }
        for (found, taken) in matched.found.iter().zip(&matched.taken) {
            tally.count(&found.variant, |score| score.found += 1);
            if !taken {
                let about = matched
                    .planted
                    .iter()
                    .find(|planted| found.is_about(planted));
                let mistake = self.too_many(found, about.copied());
                tally.count(&found.variant, |score| match mistake.kind {
                    MistakeKind::Duplicate => score.duplicate += 1,
                    _ => score.spurious += 1,
                });
                scoring.mistakes.push(mistake);
            }
        }
        scoring.scores.extend(tally.into_scores());
    }

    fn too_many(&self, found: &Found, about: Option<&ExpectedFinding>) -> Mistake {
        let near_miss = self
            .near_misses
            .iter()
            .find(|near_miss| near_miss.app_id == found.app_id && near_miss.cname == found.cname);
        let (kind, case) = match (about, near_miss) {
            (Some(planted), _) => (MistakeKind::Duplicate, planted.case.clone()),
            (None, Some(near_miss)) => (MistakeKind::Spurious, near_miss.case.clone()),
            (None, None) => (MistakeKind::Spurious, String::new()),
        };
        Mistake {
            kind,
            detection: found.detection.clone(),
            variant: found.variant.clone(),
            case,
            app_id: found.app_id.clone(),
            cname: found.cname.clone(),
            sids: found.sids.clone(),
            what: found.explanation.clone(),
        }
    }
}

fn missed(planted: &ExpectedFinding) -> Mistake {
    Mistake {
        kind: MistakeKind::Missed,
        detection: planted.detection.clone(),
        variant: planted.variant.clone().flatten(),
        case: planted.case.clone(),
        app_id: planted.app_id.clone(),
        cname: planted.cname.clone(),
        sids: planted.sids.clone(),
        what: String::new(),
    }
}

/// Counts for a detection and for each of its variants.
struct Tally {
    whole: Score,
    variants: BTreeMap<String, Score>,
}

impl Tally {
    fn new(detection: &str) -> Self {
        Tally {
            whole: Score {
                detection: detection.to_string(),
                ..Score::default()
            },
            variants: BTreeMap::new(),
        }
    }

    fn count(&mut self, variant: &Option<String>, add: impl Fn(&mut Score)) {
        add(&mut self.whole);
        if let Some(variant) = variant {
            add(self
                .variants
                .entry(variant.clone())
                .or_insert_with(|| Score {
                    detection: self.whole.detection.clone(),
                    variant: Some(variant.clone()),
                    ..Score::default()
                }));
        }
    }

    fn into_scores(self) -> impl Iterator<Item = Score> {
        [self.whole].into_iter().chain(self.variants.into_values())
    }
}

#[cfg(test)]
mod tests;
