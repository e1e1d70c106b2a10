//! What was planted: the faults with the findings they must lead to, and what must not be found.
//!
//! Written as NDJSON, one thing a line, so that fleets of other makers can be scored, too (`schemas/truth.v1.json`).

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

use serde::{Deserialize, Deserializer, Serialize};

use super::story::{Channel, Story, rfc3339};
use super::world::Storage;
use super::{JUDGED, Settings};

/// What a finding must say in one column: nothing is asked where this is none, no value where it is `Some(None)`.
pub type Stated = Option<Option<String>>;

/// One finding that a planted fault must lead to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExpectedFinding {
    pub detection: String,
    /// The detection's sub-case, where it has some.
    #[serde(deserialize_with = "stated", skip_serializing_if = "Option::is_none")]
    pub variant: Stated,
    /// The plot that led here; one plot can lead to several findings.
    pub case: String,
    /// Recording mode; informs only.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mode: String,
    pub app_id: String,
    pub cname: String,
    /// In order of start; empty where no session came of it.
    pub sids: Vec<String>,
    #[serde(deserialize_with = "stated", skip_serializing_if = "Option::is_none")]
    pub expected_vendor: Stated,
    #[serde(deserialize_with = "stated", skip_serializing_if = "Option::is_none")]
    pub actual_vendor: Stated,
    #[serde(deserialize_with = "stated", skip_serializing_if = "Option::is_none")]
    pub root_cause: Stated,
}

/// Something that looks like a fault and is none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NearMiss {
    pub case: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mode: String,
    pub app_id: String,
    pub cname: String,
    pub sids: Vec<String>,
}

/// A session that no verdict is possible about, which must be said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NotJudged {
    pub detection: String,
    pub case: String,
    pub app_id: String,
    pub cname: String,
    pub sid: String,
}

/// The fleet as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Made {
    pub seed: u64,
    pub start: String,
    pub days: u32,
    pub noise: u8,
    /// Wishes to record, each a story of its own.
    pub sessions: u32,
    /// The detections that the truth is complete for: what they find beyond it is wrong. Empty means all.
    pub judged: Vec<String>,
    /// Messages by stream.
    pub messages: BTreeMap<String, u64>,
    /// Messages by stream that cannot be an event.
    pub dead_letters: BTreeMap<String, u64>,
    /// Messages by stream that mean nothing by right.
    pub skipped: BTreeMap<String, u64>,
}

/// The truth about a fleet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Truth {
    pub fleet: Made,
    pub expected: Vec<ExpectedFinding>,
    pub near_misses: Vec<NearMiss>,
    pub not_judged: Vec<NotJudged>,
}

/// One line of a truth.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Line {
    Fleet(Made),
    Finding(ExpectedFinding),
    NearMiss(NearMiss),
    NotJudged(NotJudged),
}

/// A null that is written says "no value"; a field that is left out says nothing.
fn stated<'de, D: Deserializer<'de>>(from: D) -> Result<Stated, D::Error> {
    Option::deserialize(from).map(Some)
}

impl Truth {
    pub(super) fn new(settings: &Settings) -> Self {
        Truth {
            fleet: Made {
                seed: settings.seed,
                start: rfc3339(settings.start),
                days: settings.days,
                noise: settings.noise,
                sessions: settings.sessions,
                judged: JUDGED.map(str::to_string).to_vec(),
                ..Made::default()
            },
            ..Truth::default()
        }
    }

    pub(super) fn add(&mut self, story: &Story) {
        let count = |counts: &mut BTreeMap<String, u64>, stem: &str| match counts.get_mut(stem) {
            Some(count) => *count += 1,
            None => {
                counts.insert(stem.to_string(), 1);
            }
        };
        for message in &story.messages {
            count(&mut self.fleet.messages, message.stream.stem());
        }
        for stream in &story.dead_letters {
            count(&mut self.fleet.dead_letters, stream.stem());
        }
        for stream in &story.skipped {
            count(&mut self.fleet.skipped, stream.stem());
        }
        self.expected.extend_from_slice(&story.expected);
        self.near_misses.extend_from_slice(&story.near_misses);
        self.not_judged.extend_from_slice(&story.not_judged);
    }

    /// Writes the truth as NDJSON, the fleet first.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let expected = self.expected.iter().cloned().map(Line::Finding);
        let near_misses = self.near_misses.iter().cloned().map(Line::NearMiss);
        let not_judged = self.not_judged.iter().cloned().map(Line::NotJudged);
        let fleet = Line::Fleet(self.fleet.clone());
        let lines = [fleet].into_iter().chain(expected);
        for line in lines.chain(near_misses).chain(not_judged) {
            serde_json::to_writer(&mut *to, &line)?;
            to.write_all(b"\n")?;
        }
        to.flush()
    }

    /// Reads what [`Truth::write`] wrote, or somebody else, in any order of lines.
    ///
    /// The error names the line.
    pub fn read(from: impl BufRead) -> io::Result<Truth> {
        let mut truth = Truth::default();
        for (index, line) in from.lines().enumerate() {
            let line = line?;
            if line.trim().is_empty() {
                continue;
            }
            let read = serde_json::from_str(&line)
                .map_err(|error| io::Error::other(format!("line {}: {error}", index + 1)))?;
            match read {
                Line::Fleet(fleet) => truth.fleet = fleet,
                Line::Finding(finding) => truth.expected.push(finding),
                Line::NearMiss(near_miss) => truth.near_misses.push(near_miss),
                Line::NotJudged(not_judged) => truth.not_judged.push(not_judged),
            }
        }
        Ok(truth)
    }
}

impl Story {
    /// Says that nothing must be judged of this session by a detection, and that this must be said.
    pub(super) fn cannot_be_judged(
        &mut self,
        detection: &'static str,
        case: &'static str,
        channel: &Channel,
        sid: &str,
    ) {
        self.not_judged.push(NotJudged {
            detection: detection.to_string(),
            case: case.to_string(),
            app_id: channel.app.id.to_string(),
            cname: channel.cname.clone(),
            sid: sid.to_string(),
        });
    }

    pub(super) fn looks_like_a_fault(
        &mut self,
        case: &'static str,
        channel: &Channel,
        sids: &[&str],
    ) {
        self.near_misses.push(NearMiss {
            case: case.to_string(),
            mode: channel.app.mode.as_str().to_string(),
            app_id: channel.app.id.to_string(),
            cname: channel.cname.clone(),
            sids: sids.iter().map(ToString::to_string).collect(),
        });
    }
}

/// One fault, of which each detection sees its side.
pub(super) struct Planted<'a> {
    case: &'static str,
    channel: &'a Channel,
    sids: Vec<String>,
    expected: Option<&'static Storage>,
    actual: Option<&'static Storage>,
    root_cause: &'static str,
}

impl<'a> Planted<'a> {
    pub(super) fn new(
        case: &'static str,
        channel: &'a Channel,
        sids: &[&str],
        expected: impl Into<Option<&'static Storage>>,
        actual: impl Into<Option<&'static Storage>>,
        root_cause: &'static str,
    ) -> Self {
        Planted {
            case,
            channel,
            sids: sids.iter().map(ToString::to_string).collect(),
            expected: expected.into(),
            actual: actual.into(),
            root_cause,
        }
    }

    pub(super) fn expect(
        &self,
        story: &mut Story,
        detection: &'static str,
        variant: Option<&'static str>,
    ) {
        let slug =
            |storage: Option<&Storage>| Some(storage.map(|storage| storage.slug.to_string()));
        story.expected.push(ExpectedFinding {
            detection: detection.to_string(),
            variant: Some(variant.map(str::to_string)),
            case: self.case.to_string(),
            mode: self.channel.app.mode.as_str().to_string(),
            app_id: self.channel.app.id.to_string(),
            cname: self.channel.cname.clone(),
            sids: self.sids.clone(),
            expected_vendor: slug(self.expected),
            actual_vendor: slug(self.actual),
            root_cause: Some(Some(self.root_cause.to_string())),
        });
    }
}
