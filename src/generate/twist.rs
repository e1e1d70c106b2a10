//! What is unlike nearly all sessions in the session that is about to be told.
//!
//! A plot sets it on its story; calls, callbacks and files look here, and what no plot sets is as it mostly is.

use serde_json::Value;

use super::world::Storage;
use crate::event::Micros;

#[derive(Debug, Clone)]
pub(super) struct Twist {
    /// Event types that happened and whose callbacks were lost: their numbers are missing.
    pub(super) lost: &'static [i32],
    /// Event types that never happened.
    pub(super) untold: &'static [i32],
    /// Events beyond the usual.
    pub(super) more: Vec<Happening>,
    /// 31, or 32 where files went to the backup.
    pub(super) verdict: i32,
    pub(super) leave_code: i32,
    pub(super) exit_status: i32,
    /// `resourceExpiredHour` of the acquire.
    pub(super) ticket_hours: i64,
    /// Storage in the acquire's `startParameter`.
    pub(super) announced: Option<&'static Storage>,
    /// Who calls, where it is not the app's production.
    pub(super) environment: &'static str,
    /// Added to the time between acquire and start.
    pub(super) ticket_kept: Micros,
    /// How much later than usual the bucket reports its files.
    pub(super) reported_late: Micros,
    /// Why the web page recorder stopped (71).
    pub(super) page_code: i32,
    /// Added to the time until the upload is complete.
    pub(super) upload_takes: Micros,
    /// Callbacks of these types reach the receiver so much later.
    pub(super) held_up: (&'static [i32], Micros),
    pub(super) deliveries: Deliveries,
    pub(super) stop: Stop,
    /// `avFileType` of the start.
    pub(super) file_types: &'static [&'static str],
    /// When temporary credentials end; none where the start brings permanent ones.
    pub(super) credentials_end: Option<Micros>,
    pub(super) has_index: bool,
    pub(super) has_slices: bool,
    /// Nothing is written any more from here on.
    pub(super) writes_end: Option<Micros>,
    /// Files recorded from here on are named `bak0_`.
    pub(super) fails_over_at: Option<Micros>,
    /// Path of the files, where it is not the app's.
    pub(super) path: Option<&'static str>,
    /// One callback before the last gets lost, whichever.
    pub(super) loses_one: bool,
    /// How well the clocks of the callers' hosts agree.
    pub(super) clocks: Clocks,
}

/// An event that not every session has.
#[derive(Debug, Clone)]
pub(super) struct Happening {
    pub(super) event_type: i32,
    pub(super) at: Micros,
    pub(super) details: Value,
}

/// How callbacks reach their receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deliveries {
    /// Mostly once and in order.
    Usual,
    /// Each of them twice.
    Doubled,
    /// The last first, minutes apart.
    Reversed,
    /// Signed with a secret that is not the receiver's, which keeps the bytes that a signature is of.
    Forged,
    /// One of them is not acknowledged until the last retry, two others overtake each other.
    Clumsy,
}

/// How well the clocks of a caller's hosts agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clocks {
    /// Each has a time of its own.
    Apart,
    /// Close enough that they tell the order of calls: what races is judged by it.
    Close,
}

/// What becomes of the stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Answered with this `uploadingStatus`.
    Answered(&'static str),
    /// Answered with this status, code and reason.
    Refused(u16, i32, &'static str),
    /// Nobody sends one.
    Omitted,
}

impl Default for Twist {
    fn default() -> Self {
        Twist {
            lost: &[],
            untold: &[],
            more: Vec::new(),
            verdict: 31,
            leave_code: 24,
            exit_status: 0,
            ticket_hours: 72,
            announced: None,
            environment: "production",
            ticket_kept: 0,
            reported_late: 0,
            page_code: 0,
            upload_takes: 0,
            held_up: (&[], 0),
            deliveries: Deliveries::Usual,
            stop: Stop::Answered("uploaded"),
            file_types: &["hls"],
            credentials_end: None,
            has_index: true,
            has_slices: true,
            writes_end: None,
            fails_over_at: None,
            path: None,
            loses_one: false,
            clocks: Clocks::Close,
        }
    }
}

impl Twist {
    pub(super) fn more(&mut self, event_type: i32, at: Micros, details: Value) {
        self.more.push(Happening {
            event_type,
            at,
            details,
        });
    }
}
