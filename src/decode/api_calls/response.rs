//! Body of a response, and what became of the call (API facts, sections 4 and 5).

use serde::Deserialize;

use super::super::file_list::FileList;
use super::super::scalar::{Int, List, Object, Text};
use super::path::Operation;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ResponseBody<'a> {
    #[serde(borrow)]
    pub(super) resource_id: Text<'a>,
    pub(super) sid: Text<'a>,
    pub(super) cname: Text<'a>,
    pub(super) uid: Text<'a>,
    pub(super) code: Int,
    pub(super) reason: Text<'a>,
    /// What a gateway says instead of `reason`.
    pub(super) message: Text<'a>,
    pub(super) server_response: Object<Box<ServerResponse<'a>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ServerResponse<'a> {
    pub(super) status: Int,
    #[serde(borrow)]
    uploading_status: Text<'a>,
    file_list: FileList<'a>,
    extension_service_state: List<Object<ServiceState<'a>>>,
}

/// State of one extension: the web page recorder, its uploader, the publisher.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ServiceState<'a> {
    #[serde(borrow)]
    payload: Object<ServicePayload<'a>>,
    /// A spelling of `payload` that a middleware of the vendor writes.
    playload: Object<ServicePayload<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ServicePayload<'a> {
    #[serde(borrow)]
    uploading_status: Text<'a>,
    file_list: FileList<'a>,
}

impl<'a> ServerResponse<'a> {
    /// Returns the upload status and the files, wherever this mode has them.
    pub(super) fn into_upload(self) -> (Option<std::borrow::Cow<'a, str>>, FileList<'a>) {
        let mut status = self.uploading_status.filled();
        let mut files = self.file_list;
        let states = self.extension_service_state.into_items();
        for state in states.into_iter().filter_map(|Object(state)| state) {
            for payload in [state.payload.0, state.playload.0].into_iter().flatten() {
                status = status.or(payload.uploading_status.filled());
                files.append(payload.file_list);
            }
        }
        // The Chinese pages spell it without the last letter.
        let status = status.map(|status| {
            if status == "unknow" {
                "unknown".into()
            } else {
                status
            }
        });
        (status, files)
    }
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Ok,
    /// The same ticket was used twice; the first start lives on.
    AlreadyRunning,
    /// A task with this channel and uid exists.
    Conflict,
    /// Nobody knows: no answer, a time-out behind the gateway, or success without a session id.
    Indeterminate,
    Rejected,
}

impl Outcome {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::AlreadyRunning => "already_running",
            Outcome::Conflict => "conflict",
            Outcome::Indeterminate => "indeterminate",
            Outcome::Rejected => "rejected",
        }
    }
}

/// Judges a call by operation, HTTP status and code together: the codes alone collide (API facts, section 5).
pub(super) fn outcome(
    operation: Operation,
    status: Option<i32>,
    code: Option<i32>,
    has_sid: bool,
) -> Outcome {
    let Some(status) = status else {
        return Outcome::Indeterminate;
    };
    match operation {
        Operation::Start => outcome_of_start(status, code, has_sid),
        _ => match (status, code) {
            // On acquire, 62 says that recording is not enabled for the app.
            (400..=499, Some(62)) if operation != Operation::Acquire => Outcome::Indeterminate,
            // The upload did not end within the wait of a synchronous stop.
            (_, Some(50)) if operation == Operation::Stop => Outcome::Indeterminate,
            (206, _) | (200..=299, Some(62 | 65)) => Outcome::Indeterminate,
            (200..=299, _) => Outcome::Ok,
            (400..=499, _) => Outcome::Rejected,
            _ => Outcome::Indeterminate,
        },
    }
}

fn outcome_of_start(status: i32, code: Option<i32>, has_sid: bool) -> Outcome {
    match (status, code) {
        (201, _) | (200..=499, Some(7)) => Outcome::AlreadyRunning,
        (200..=499, Some(53)) => Outcome::Conflict,
        (206, _) | (_, Some(62 | 65)) => Outcome::Indeterminate,
        (200, _) if has_sid => Outcome::Ok,
        (400..=499, _) => Outcome::Rejected,
        _ => Outcome::Indeterminate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_judged_by_status_code_and_sid() {
        for (status, code, has_sid, expected) in [
            (Some(200), None, true, "ok"),
            (Some(200), Some(0), true, "ok"),
            (Some(200), None, false, "indeterminate"),
            (Some(201), Some(7), false, "already_running"),
            (Some(201), None, true, "already_running"),
            (Some(400), Some(7), false, "already_running"),
            (Some(400), Some(53), false, "conflict"),
            (Some(206), Some(65), false, "indeterminate"),
            (Some(206), None, true, "indeterminate"),
            (Some(500), Some(62), false, "indeterminate"),
            (Some(400), Some(62), false, "indeterminate"),
            (Some(500), Some(15), false, "indeterminate"),
            (Some(500), Some(53), false, "indeterminate"),
            (Some(503), None, true, "indeterminate"),
            (None, None, false, "indeterminate"),
            (Some(400), Some(2), false, "rejected"),
            (Some(400), Some(432), false, "rejected"),
            (Some(401), None, false, "rejected"),
            (Some(429), None, false, "rejected"),
            (Some(302), None, false, "indeterminate"),
        ] {
            let judged = outcome(Operation::Start, status, code, has_sid);
            assert_eq!(judged.as_str(), expected, "{status:?} {code:?} {has_sid}");
        }
    }

    #[test]
    fn other_calls_are_ok_rejected_or_indeterminate() {
        use Operation::{Acquire, Other, Query, Stop, Update};
        for (operation, status, code, expected) in [
            (Acquire, Some(200), None, "ok"),
            (Acquire, Some(400), Some(62), "rejected"),
            (Acquire, Some(400), Some(53), "rejected"),
            (Acquire, Some(500), Some(501), "indeterminate"),
            (Query, Some(404), Some(404), "rejected"),
            (Query, Some(206), Some(65), "indeterminate"),
            (Update, Some(504), Some(62), "indeterminate"),
            (Stop, Some(200), None, "ok"),
            (Stop, Some(200), Some(50), "indeterminate"),
            (Stop, Some(400), Some(49), "rejected"),
            (Stop, None, None, "indeterminate"),
            (Other, Some(201), Some(7), "ok"),
            (Other, Some(404), None, "rejected"),
        ] {
            let judged = outcome(operation, status, code, false);
            assert_eq!(
                judged.as_str(),
                expected,
                "{operation:?} {status:?} {code:?}"
            );
        }
    }
}
