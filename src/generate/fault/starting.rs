//! Starts that are doubled, lost, repeated or contradicted (failure patterns P01 to P11 and P32).

use super::two_sessions;
use crate::event::Micros;
use crate::generate::Plot;
use crate::generate::api_calls::{self, Answer, Start, Ticket};
use crate::generate::session::{
    self, Files, Session, accepted, complete, duration, run, single, upload,
};
use crate::generate::story::{Channel, MILLI, MINUTE, SECOND, Story};
use crate::generate::truth::Planted;
use crate::generate::webhooks::{self, Lifecycle};
use crate::generate::world::{Mode, Storage};

pub(super) const PLOTS: [Plot; 15] = [
    ("same_ticket_again", same_ticket_again),
    ("same_ticket_by_endpoint", same_ticket_by_endpoint),
    ("refused_twin", refused_twin),
    ("accepted_twin", accepted_twin),
    ("undeclared_twin", undeclared_twin),
    ("ghost_beside_retry", ghost_beside_retry),
    ("ghost_alone", ghost_alone),
    ("retry_loop", retry_loop),
    ("storm_of_twins", storm_of_twins),
    ("storm_of_uids", storm_of_uids),
    ("announced_elsewhere", announced_elsewhere),
    ("announced_elsewhere_refused", announced_elsewhere_refused),
    (
        "announced_elsewhere_unanswered",
        announced_elsewhere_unanswered,
    ),
    ("two_environments", two_environments),
    ("two_environments_by_channel", two_environments_by_channel),
];

/// Another recorder of the same channel.
fn twin_of(channel: &Channel) -> Channel {
    Channel {
        uid: channel.uid + 100_000,
        ..channel.clone()
    }
}

/// A session on this ticket from then on, with a row that is right.
pub(super) fn go_on(
    story: &mut Story,
    channel: &Channel,
    ticket: &Ticket,
    sid: &str,
    from: Micros,
) {
    let session = Session::ordinary(story, channel, ticket, sid, channel.app.home, from);
    let ended = run(story, &session);
    session::believe(story, &session, channel.app.home, &ended);
}

/// A start on a ticket that records already, to the same place with other keys (P01).
fn same_ticket_again(story: &mut Story) {
    let channel = story.channel_in_turn();
    let home = channel.app.home;
    let sid = story.sid();
    let (ticket, from) = accepted(story, &channel, home, story.starts_at, &sid);
    let again = Start::new(story, home, from + 20 * SECOND, Answer::AlreadyStarted);
    api_calls::start(story, &channel, &ticket, &again);
    go_on(story, &channel, &ticket, &sid, from);
    let planted = Planted::new("same_ticket_again", &channel, &[&sid], home, home, "race");
    planted.expect(story, "redundant_starts", Some("same_ticket"));
}

/// The same, where the second start names Amazon S3 by its endpoint, as S3-compatible storage (storage vendors, vendor 11).
fn same_ticket_by_endpoint(story: &mut Story) {
    let (app, _, s3) = story.oss_and_s3_app();
    let channel = story.channel(app);
    let sid = story.sid();
    let (ticket, from) = accepted(story, &channel, s3, story.starts_at, &sid);
    let endpoint = match s3.region_code {
        "ap-south-1" => "https://s3.ap-south-1.amazonaws.com",
        "ap-southeast-1" => "s3.ap-southeast-1.amazonaws.com",
        _ => "s3.dualstack.eu-central-1.amazonaws.com:443",
    };
    let compatible = Storage {
        vendor: 11,
        region: 0,
        endpoint: Some(endpoint),
        ..*s3
    };
    let at = from + 20 * SECOND;
    let again = Start::new(story, &compatible, at, Answer::AlreadyStarted);
    api_calls::start(story, &channel, &ticket, &again);
    let session = Session::ordinary(story, &channel, &ticket, &sid, s3, from);
    let ended = run(story, &session);
    session::believe(story, &session, s3, &ended);
    let case = "same_ticket_by_endpoint";
    let planted = Planted::new(case, &channel, &[&sid], s3, s3, "race");
    planted.expect(story, "redundant_starts", Some("same_ticket"));
}

/// A second worker asks for the recording that runs, and is refused (P02).
fn refused_twin(story: &mut Story) {
    let channel = story.channel_in_turn();
    let home = channel.app.home;
    let sid = story.sid();
    let (ticket, from) = accepted(story, &channel, home, story.starts_at, &sid);
    let second = api_calls::acquire(story, &channel, from + 2 * SECOND, &[]);
    let refused = Start::new(story, home, second.at + 200 * MILLI, Answer::Conflict);
    api_calls::start(story, &channel, &second, &refused);
    go_on(story, &channel, &ticket, &sid, from);
    let planted = Planted::new("refused_twin", &channel, &[&sid], home, home, "race");
    planted.expect(story, "redundant_starts", Some("same_identity_rejected"));
}

/// The same, accepted (P03).
fn accepted_twin(story: &mut Story) {
    let channel = story.channel_in_turn();
    let home = channel.app.home;
    let sids = two_sessions(story, [&channel, &channel], [home, home], [home, home]);
    let sids = [sids[0].as_str(), &sids[1]];
    let planted = Planted::new("accepted_twin", &channel, &sids, home, home, "race");
    planted.expect(story, "redundant_starts", Some("same_identity_accepted"));
}

/// Two recorders with the same storage that nothing declares as redundancy (P05).
fn undeclared_twin(story: &mut Story) {
    let channel = story.channel_in_turn();
    let home = channel.app.home;
    let twin = twin_of(&channel);
    let sids = two_sessions(story, [&channel, &twin], [home, home], [home, home]);
    let sids = [sids[0].as_str(), &sids[1]];
    let planted = Planted::new("undeclared_twin", &channel, &sids, home, home, "race");
    planted.expect(story, "redundant_starts", Some("other_uid"));
}

/// A start whose session nobody learns of: it records, and no call names it. Returns its id and when the start was
/// given up.
fn ghost(story: &mut Story, channel: &Channel, answer: Answer<'_>) -> (String, Micros) {
    let sid = story.sid();
    let home = channel.app.home;
    let ticket = api_calls::acquire(story, channel, story.starts_at, &[]);
    let start = Start::new(story, home, ticket.at + 200 * MILLI, answer);
    api_calls::start(story, channel, &ticket, &start);
    let from = start.at + SECOND;
    let session = Session::ordinary(story, channel, &ticket, &sid, home, from);
    let uploaded_at = session.until + MINUTE;
    let index = upload(story, &session, uploaded_at);
    let index = match channel.app.mode {
        Mode::Web => index.rsplit('/').next().unwrap_or(&index),
        _ => &index,
    };
    // It idles out when everybody has left.
    story.twist.leave_code = 4;
    let lifecycle = Lifecycle {
        channel,
        sid: &sid,
        index,
        started_at: from,
        stopped_at: session.until,
        uploaded_at,
    };
    webhooks::tell(story, &lifecycle);
    story.twist.leave_code = 24;
    (sid, start.answered_at())
}

/// A start of unknown outcome, and a retry with a new uid that is accepted (P07).
fn ghost_beside_retry(story: &mut Story) {
    let channel = story.channel_in_turn();
    let home = channel.app.home;
    let (ghost, given_up_at) = ghost(story, &channel, Answer::Unknown);
    let sid = story.sid();
    let retried_at = given_up_at + 3 * SECOND;
    complete(story, &twin_of(&channel), home, retried_at, &sid);
    let sids = [ghost.as_str(), &sid];
    let planted = Planted::new("ghost_beside_retry", &channel, &sids, home, home, "service");
    planted.expect(story, "ghost_start", Some("beside_retry"));
}

/// A start without an answer that nobody retries.
fn ghost_alone(story: &mut Story) {
    let channel = story.channel_in_turn();
    let home = channel.app.home;
    let (ghost, _) = ghost(story, &channel, Answer::Silence);
    let planted = Planted::new("ghost_alone", &channel, &[&ghost], home, home, "service");
    planted.expect(story, "ghost_start", Some("alone"));
}

/// The same call again and again until it is accepted (P09).
fn retry_loop(story: &mut Story) {
    let channel = story.channel_in_turn();
    let home = channel.app.home;
    let sid = story.sid();
    let ticket = api_calls::acquire(story, &channel, story.starts_at, &[]);
    let mut at = ticket.at + 200 * MILLI;
    for attempt in 1..=3 {
        let mut failed = Start::new(story, home, at, Answer::TimedOut);
        failed.attempt = attempt;
        api_calls::start(story, &channel, &ticket, &failed);
        at = failed.answered_at() + 3 * SECOND;
    }
    let start = Start::new(story, home, at, Answer::Started(&sid));
    api_calls::start(story, &channel, &ticket, &start);
    go_on(story, &channel, &ticket, &sid, start.answered_at());
    let planted = Planted::new("retry_loop", &channel, &[&sid], home, home, "service");
    planted.expect(story, "start_storm", Some("one_ticket"));
}

/// Three workers at once, each with a ticket of its own, of which one is accepted (P09, P02).
fn storm_of_twins(story: &mut Story) {
    let channel = story.channel_in_turn();
    let home = channel.app.home;
    let sid = story.sid();
    let (ticket, from) = accepted(story, &channel, home, story.starts_at, &sid);
    for later in [5 * SECOND, 9 * SECOND] {
        let second = api_calls::acquire(story, &channel, from + later, &[]);
        let refused = Start::new(story, home, second.at + 200 * MILLI, Answer::Conflict);
        api_calls::start(story, &channel, &second, &refused);
    }
    go_on(story, &channel, &ticket, &sid, from);
    let planted = Planted::new("storm_of_twins", &channel, &[&sid], home, home, "race");
    planted.expect(story, "start_storm", Some("new_tickets"));
    planted.expect(story, "redundant_starts", Some("same_identity_rejected"));
    planted.expect(story, "redundant_starts", Some("same_identity_rejected"));
}

/// Three workers at once, each with a ticket and a uid of its own: all are accepted (P09, P05).
fn storm_of_uids(story: &mut Story) {
    let channel = story.channel_in_turn();
    let home = channel.app.home;
    let mut sids = Vec::new();
    let lasts = duration(story);
    for number in 0..3 {
        let recorder = Channel {
            uid: channel.uid + 100_000 * number,
            ..channel.clone()
        };
        let sid = story.sid();
        let at = story.starts_at + 4 * SECOND * Micros::from(number);
        let (ticket, from) = accepted(story, &recorder, home, at, &sid);
        let session = Session {
            channel: &recorder,
            ticket: &ticket,
            sid: &sid,
            storage: home,
            from,
            until: at + MINUTE + lasts,
            files: Files::Arrive,
        };
        let ended = run(story, &session);
        session::believe(story, &session, home, &ended);
        sids.push(sid);
    }
    let case = "storm_of_uids";
    let all: Vec<&str> = sids.iter().map(String::as_str).collect();
    let planted = Planted::new(case, &channel, &all, home, home, "race");
    planted.expect(story, "start_storm", Some("new_uids"));
    for twin in [1, 2] {
        let planted = Planted::new(case, &channel, &[&sids[twin]], home, home, "race");
        planted.expect(story, "redundant_starts", Some("other_uid"));
    }
}

/// The acquire announces one storage, the start asks for another and is accepted all the same (P11).
fn announced_elsewhere(story: &mut Story) {
    let (app, home, other) = story.app_in_turn();
    let channel = story.channel(app);
    story.twist.announced = Some(other);
    let sid = single(story, &channel, home, home, Files::Arrive);
    let case = "announced_elsewhere";
    let planted = Planted::new(case, &channel, &[&sid], home, home, "state_mismatch");
    planted.expect(story, "acquire_start_disagreement", Some("accepted"));
}

/// The same, refused as documented, and started again in agreement.
fn announced_elsewhere_refused(story: &mut Story) {
    let (app, home, other) = story.app_in_turn();
    let channel = story.channel(app);
    let sid = story.sid();
    story.twist.announced = Some(other);
    let ticket = api_calls::acquire(story, &channel, story.starts_at, &[]);
    let refused = Start::new(
        story,
        home,
        ticket.at + 200 * MILLI,
        Answer::InvalidParameter,
    );
    api_calls::start(story, &channel, &ticket, &refused);
    story.twist.announced = Some(home);
    complete(
        story,
        &channel,
        home,
        refused.answered_at() + 10 * SECOND,
        &sid,
    );
    let case = "announced_elsewhere_refused";
    let planted = Planted::new(case, &channel, &[], home, None, "state_mismatch");
    planted.expect(story, "acquire_start_disagreement", Some("refused"));
}

/// The same without an answer, and started again in agreement, with another ticket.
fn announced_elsewhere_unanswered(story: &mut Story) {
    let (app, home, other) = story.app_in_turn();
    let channel = story.channel(app);
    let sid = story.sid();
    story.twist.announced = Some(other);
    let ticket = api_calls::acquire(story, &channel, story.starts_at, &[]);
    let unanswered = Start::new(story, home, ticket.at + 200 * MILLI, Answer::Silence);
    api_calls::start(story, &channel, &ticket, &unanswered);
    story.twist.announced = Some(home);
    let again_at = unanswered.answered_at() + 10 * SECOND;
    complete(story, &channel, home, again_at, &sid);
    let case = "announced_elsewhere_unanswered";
    let planted = Planted::new(case, &channel, &[], home, None, "state_mismatch");
    planted.expect(story, "acquire_start_disagreement", Some("unknown"));
}

/// Two environments share a channel, each with its vendor (P32).
fn two_environments(story: &mut Story) {
    let (app, home, other) = story.app_in_turn();
    let channel = story.channel(app);
    let mut sids = Vec::new();
    let mut at = story.starts_at;
    for (environment, storage) in [("production", home), ("staging", other)].repeat(2) {
        let sid = story.sid();
        story.twist.environment = environment;
        let (_, over_at) = complete(story, &channel, storage, at, &sid);
        at = over_at + 4 * MINUTE;
        sids.push(sid);
    }
    let sids: Vec<&str> = sids.iter().map(String::as_str).collect();
    let case = "two_environments";
    let planted = Planted::new(case, &channel, &sids, home, other, "environment_switching");
    planted.expect(story, "environment_switching", Some("channel"));
}

/// The same, with a channel each time, whose names differ in a number.
fn two_environments_by_channel(story: &mut Story) {
    let (app, home, other) = story.app_in_turn();
    let stem: String = (story.index.to_string().bytes())
        .map(|digit| char::from(digit - b'0' + b'k'))
        .collect();
    let (mut elsewhere, mut sids) = (None, Vec::new());
    let environments = [("production", home), ("staging", other)].repeat(2);
    let last = ("production", home);
    for (number, (environment, storage)) in environments.into_iter().chain([last]).enumerate() {
        let channel = Channel {
            cname: format!("{}{stem}-{number}", app.channel_stem),
            ..story.channel(app)
        };
        let sid = story.sid();
        story.twist.environment = environment;
        let at = story.starts_at + 10 * MINUTE * number as Micros;
        complete(story, &channel, storage, at, &sid);
        if storage == other {
            elsewhere.get_or_insert(channel);
            sids.push(sid);
        }
    }
    let channel = elsewhere.expect("two went elsewhere");
    let sids: Vec<&str> = sids.iter().map(String::as_str).collect();
    let case = "two_environments_by_channel";
    let planted = Planted::new(case, &channel, &sids, home, other, "environment_switching");
    planted.expect(story, "environment_switching", Some("family"));
}
