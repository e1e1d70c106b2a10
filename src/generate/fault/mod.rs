//! The planted faults, each a story of its own with the findings that it must lead to (failure patterns,
//! sections 1 to 3). One file a group of detections.

mod routing;
mod storing;
mod failing;
mod starting;
mod ending;
mod moving;
mod logging;
mod believing;

use super::Plot;
use super::api_calls::{self, Answer, Start};
use super::session::{self, Files, Session, duration, run};
use super::story::{Channel, MILLI, SECOND, Story};
use super::world::Storage;
use crate::event::Micros;

/// Every fault by the name that the truth calls it.
const GROUPS: &[&[Plot]] = &[
    &routing::PLOTS,
    &storing::PLOTS,
    &failing::PLOTS,
    &starting::PLOTS,
    &ending::PLOTS,
    &moving::PLOTS,
    &logging::PLOTS,
    &believing::PLOTS,
];

pub(super) fn plots() -> impl Iterator<Item = Plot> {
    GROUPS.iter().copied().flatten().copied()
}

/// The faults that the end of the fleet catches in the middle.
pub(super) fn tail_plots() -> impl Iterator<Item = Plot> {
    routing::TAIL_PLOTS.into_iter()
}

/// Two accepted starts whose requests overlap, and whose sessions live side by side. Returns their ids in the
/// order of their starts.
pub(super) fn two_sessions(
    story: &mut Story,
    channels: [&Channel; 2],
    storages: [&'static Storage; 2],
    believed: [&'static Storage; 2],
) -> [String; 2] {
    let gap = story.span(150 * MILLI, 700 * MILLI);
    let lasts = duration(story);
    let mut sids = [String::new(), String::new()];
    for number in 0..2 {
        let sid = story.sid();
        let later = gap * number as Micros;
        let (channel, storage) = (channels[number], storages[number]);
        let ticket = api_calls::acquire(story, channel, story.starts_at + later, &[]);
        // The same pause for both, so that the starts keep the order of the acquires.
        let sent_at = story.starts_at + 500 * MILLI + later;
        let start = Start::new(story, storage, sent_at, Answer::Started(&sid));
        api_calls::start(story, channel, &ticket, &start);
        let session = Session {
            channel,
            ticket: &ticket,
            sid: &sid,
            storage,
            from: start.answered_at(),
            until: story.starts_at + 5 * SECOND + lasts + later,
            files: Files::Arrive,
        };
        let ended = run(story, &session);
        session::believe(story, &session, believed[number], &ended);
        sids[number] = sid;
    }
    sids
}
