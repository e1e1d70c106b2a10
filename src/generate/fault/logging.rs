//! Calls whose log lacks what it must have (payload integrity).

use serde_json::{Value, json};

use super::starting::go_on;
use crate::generate::Plot;
use crate::generate::api_calls::{self, Answer, Start};
use crate::generate::session::accepted;
use crate::generate::story::{Channel, MILLI, SECOND, Story};
use crate::generate::truth::Planted;

pub(super) const PLOTS: [Plot; 4] = [
    ("storage_not_logged", storage_not_logged),
    ("status_not_logged", status_not_logged),
    ("answer_not_logged", answer_not_logged),
    ("ticket_not_logged", ticket_not_logged),
];

/// Plants a call that lacks something; nothing says where its files were to go.
fn plant(
    story: &mut Story,
    case: &'static str,
    channel: &Channel,
    sids: &[&str],
    variant: &'static str,
) {
    let planted = Planted::new(case, channel, sids, None, None, "unknown");
    planted.expect(story, "incomplete_payload", Some(variant));
}

/// The log of a start has no `storageConfig`.
fn storage_not_logged(story: &mut Story) {
    let channel = story.channel_in_turn();
    let home = channel.app.home;
    let sid = story.sid();
    let (ticket, from) = accepted(story, &channel, home, story.starts_at, &sid);
    api_calls::edit_last(story, |logged| {
        let body = &mut logged["request"]["body"];
        let without = |body: &mut Value| {
            let request = body["clientRequest"].as_object_mut();
            request.expect("a start has one").remove("storageConfig");
        };
        match body.as_str().map(serde_json::from_str) {
            None => without(body),
            Some(text) => {
                let mut read: Value = text.expect("a body is JSON");
                without(&mut read);
                *body = json!(read.to_string());
            }
        }
    });
    go_on(story, &channel, &ticket, &sid, from);
    plant(
        story,
        "storage_not_logged",
        &channel,
        &[&sid],
        "storage_config",
    );
}

/// The log of a query has no response, and no transport error either.
fn status_not_logged(story: &mut Story) {
    let channel = story.channel_in_turn();
    let home = channel.app.home;
    let sid = story.sid();
    let (ticket, from) = accepted(story, &channel, home, story.starts_at, &sid);
    api_calls::query(story, &channel, &ticket, &sid, "", from + 30 * SECOND);
    api_calls::edit_last(story, |logged| {
        logged["response"] = Value::Null;
        logged["responded_at"] = Value::Null;
    });
    go_on(story, &channel, &ticket, &sid, from);
    plant(story, "status_not_logged", &channel, &[&sid], "status");
}

/// The log of an accepted start has the status of its answer and not the body: the session's id is lost.
fn answer_not_logged(story: &mut Story) {
    let channel = story.channel_in_turn();
    let home = channel.app.home;
    let sid = story.sid();
    let (ticket, from) = accepted(story, &channel, home, story.starts_at, &sid);
    api_calls::edit_last(story, |logged| logged["response"]["body"] = Value::Null);
    go_on(story, &channel, &ticket, &sid, from);
    let case = "answer_not_logged";
    let planted = Planted::new(case, &channel, &[], home, None, "unknown");
    planted.expect(story, "incomplete_payload", Some("sid"));
}

/// The same of an acquire: the ticket is lost.
fn ticket_not_logged(story: &mut Story) {
    let channel = story.channel_in_turn();
    let home = channel.app.home;
    let sid = story.sid();
    let ticket = api_calls::acquire(story, &channel, story.starts_at, &[]);
    api_calls::edit_last(story, |logged| logged["response"]["body"] = Value::Null);
    let sent_at = ticket.at + 200 * MILLI;
    let start = Start::new(story, home, sent_at, Answer::Started(&sid));
    api_calls::start(story, &channel, &ticket, &start);
    go_on(story, &channel, &ticket, &sid, start.answered_at());
    plant(story, "ticket_not_logged", &channel, &[], "resource_id");
}
