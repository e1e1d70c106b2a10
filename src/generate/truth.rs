//! What was planted: the faults with the findings they must lead to, and what must not be found.

use std::collections::BTreeMap;

use serde::Serialize;

use super::story::{Channel, Story, rfc3339};
use super::world::Storage;
use super::{JUDGED, Settings};

/// One finding that a planted fault must lead to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExpectedFinding {
    pub detection: &'static str,
    /// The detection's sub-case, where it has some.
    pub variant: Option<&'static str>,
    /// The plot that led here; one plot can lead to several findings.
    pub case: &'static str,
    pub app_id: &'static str,
    pub cname: String,
    /// In order of start; empty where no session came of it.
    pub sids: Vec<String>,
    pub expected_vendor: Option<&'static str>,
    pub actual_vendor: Option<&'static str>,
    pub root_cause: &'static str,
}

/// Something that looks like a fault and is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NearMiss {
    pub case: &'static str,
    pub app_id: &'static str,
    pub cname: String,
    pub sids: Vec<String>,
}

/// A session that no verdict is possible about, which must be said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotJudged {
    pub detection: &'static str,
    pub case: &'static str,
    pub app_id: &'static str,
    pub cname: String,
    pub sid: String,
}

/// The truth about a fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Truth {
    pub seed: u64,
    pub start: String,
    /// Wishes to record, each a story of its own.
    pub sessions: u32,
    /// The detections that `expected` is complete for.
    pub judged: Vec<&'static str>,
    /// Messages by stream.
    pub messages: BTreeMap<&'static str, u64>,
    /// Messages by stream that cannot be an event.
    pub dead_letters: BTreeMap<&'static str, u64>,
    /// Messages by stream that mean nothing by right.
    pub skipped: BTreeMap<&'static str, u64>,
    pub expected: Vec<ExpectedFinding>,
    pub near_misses: Vec<NearMiss>,
    pub not_judged: Vec<NotJudged>,
}

impl Truth {
    pub(super) fn new(settings: &Settings) -> Self {
        Truth {
            seed: settings.seed,
            start: rfc3339(settings.start),
            sessions: settings.sessions,
            judged: JUDGED.to_vec(),
            messages: BTreeMap::new(),
            dead_letters: BTreeMap::new(),
            skipped: BTreeMap::new(),
            expected: Vec::new(),
            near_misses: Vec::new(),
            not_judged: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, story: &Story) {
        for message in &story.messages {
            *self.messages.entry(message.stream.stem()).or_default() += 1;
        }
        for stream in &story.dead_letters {
            *self.dead_letters.entry(stream.stem()).or_default() += 1;
        }
        for stream in &story.skipped {
            *self.skipped.entry(stream.stem()).or_default() += 1;
        }
        self.expected.extend_from_slice(&story.expected);
        self.near_misses.extend_from_slice(&story.near_misses);
        self.not_judged.extend_from_slice(&story.not_judged);
    }
}

impl Story {
    pub(super) fn looks_like_a_fault(
        &mut self,
        case: &'static str,
        channel: &Channel,
        sids: &[&str],
    ) {
        self.near_misses.push(NearMiss {
            case,
            app_id: channel.app.id,
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
        story.expected.push(ExpectedFinding {
            detection,
            variant,
            case: self.case,
            app_id: self.channel.app.id,
            cname: self.channel.cname.clone(),
            sids: self.sids.clone(),
            expected_vendor: self.expected.map(|storage| storage.slug),
            actual_vendor: self.actual.map(|storage| storage.slug),
            root_cause: self.root_cause,
        });
    }
}
