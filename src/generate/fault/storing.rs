//! Uploads that go wrong: unannounced, by way of the backup, with wrong credentials, slowly, in parts, by nobody
//! known (failure patterns P23 to P31).

use serde_json::json;

use crate::generate::Plot;
use crate::generate::api_calls::{self, Ticket};
use crate::generate::session::{self, Files, Session, duration, unusual, write_file};
use crate::generate::story::{Channel, HOUR, MINUTE, SECOND, Story};
use crate::generate::truth::Planted;
use crate::generate::twist::Stop;
use crate::generate::world::Mode;

pub(super) const PLOTS: [Plot; 15] = [
    ("announcement_lost", announcement_lost),
    ("silent_session", silent_session),
    ("backup_returned", backup_returned),
    ("backup_stuck", backup_stuck),
    ("index_came_back", index_came_back),
    ("wrong_keys", wrong_keys),
    ("expired_keys", expired_keys),
    ("keys_renewed_too_late", keys_renewed_too_late),
    ("upload_timed_out", upload_timed_out),
    ("upload_late", upload_late),
    ("upload_behind", upload_behind),
    ("unknown_environment", unknown_environment),
    ("index_lost", index_lost),
    ("slices_lost", slices_lost),
    ("mp4_never_made", mp4_never_made),
];

/// Every event type of an ordinary session.
const ALL_EVENTS: &[i32] = &[4, 11, 30, 31, 33, 40, 41, 42, 43, 44, 70, 71];

fn planted<'a>(
    case: &'static str,
    channel: &'a Channel,
    sid: &str,
    root_cause: &'static str,
) -> Planted<'a> {
    let storage = channel.app.home;
    Planted::new(case, channel, &[sid], storage, storage, root_cause)
}

/// Whoever is asked for an upload's cause: two apps record in Asia and store in China.
fn cause_of_slowness(channel: &Channel) -> &'static str {
    match channel.app.geography {
        "AP" => "unknown",
        _ => "service",
    }
}

/// The last two notifications never come, the files do (P23).
fn announcement_lost(story: &mut Story) {
    let channel = story.channel_in_turn();
    let times = (story.starts_at, duration(story));
    let told = unusual(story, &channel, times, Files::Arrive, |twist, _, _| {
        twist.lost = &[31, 11];
    });
    let planted = planted("announcement_lost", &channel, &told.sid, "unknown");
    planted.expect(story, "unannounced_upload", Some("no_verdict"));
}

/// No notification of the session comes at all (P23).
fn silent_session(story: &mut Story) {
    let channel = story.channel_in_turn();
    let times = (story.starts_at, duration(story));
    let told = unusual(story, &channel, times, Files::Arrive, |twist, _, _| {
        twist.lost = ALL_EVENTS;
    });
    let planted = planted("silent_session", &channel, &told.sid, "unknown");
    planted.expect(story, "unannounced_upload", Some("silent"));
}

/// What a stop says of files in the backup: the newest mode has a word of its own.
fn backup_status(channel: &Channel) -> &'static str {
    match channel.app.mode {
        Mode::Raw => "stranded",
        _ => "backuped",
    }
}

/// The files went to the service's backup and come home at night (P24).
fn backup_returned(story: &mut Story) {
    let channel = story.channel_in_turn();
    let times = (story.starts_at, duration(story));
    let status = backup_status(&channel);
    let late = Files::Late(10 * HOUR);
    let told = unusual(story, &channel, times, late, |twist, _, _| {
        twist.verdict = 32;
        twist.stop = Stop::Answered(status);
    });
    let planted = planted("backup_returned", &channel, &told.sid, "service");
    planted.expect(story, "backup_detour", Some("returned"));
}

/// The same, and they never come home (P25).
fn backup_stuck(story: &mut Story) {
    let channel = story.channel_in_turn();
    let times = (story.starts_at, duration(story));
    let status = backup_status(&channel);
    let told = unusual(story, &channel, times, Files::Never, |twist, _, _| {
        twist.verdict = 32;
        twist.stop = Stop::Answered(status);
    });
    let planted = planted("backup_stuck", &channel, &told.sid, "service");
    planted.expect(story, "backup_detour", Some("waiting"));
    planted.expect(story, "backup_never_returned", None);
}

/// Only the name of an index tells that it was in the backup (API facts, section 8).
fn index_came_back(story: &mut Story) {
    let channel = story.channel_in_turn();
    let times = (story.starts_at, duration(story));
    let told = unusual(story, &channel, times, Files::Arrive, |twist, _, _| {
        twist.untold = &[31];
        twist.stop = Stop::Answered("unknown");
    });
    let back_at = told.until + 2 * HOUR;
    let stem = told.index_key.trim_end_matches(".m3u8").to_string();
    let key = format!("{stem}_{}_0.m3u8", back_at / SECOND);
    write_file(story, channel.app.home, &key, back_at);
    let planted = planted("index_came_back", &channel, &told.sid, "service");
    planted.expect(story, "backup_detour", Some("returned"));
}

/// The bucket refuses the keys: nothing is written, the session exits, and calls do not find it (P26).
fn wrong_keys(story: &mut Story) {
    let channel = story.channel_in_turn();
    let times = (story.starts_at, 4 * MINUTE);
    let code = if story.chance(70) { 32 } else { 47 };
    let told = unusual(story, &channel, times, Files::Never, |twist, from, _| {
        twist.more(1, from + 24 * SECOND, uploader_error(code, 5));
        twist.untold = &[4, 31, 33];
        twist.exit_status = 1;
        twist.stop = Stop::Refused(404, 404, "failed to find worker");
    });
    let planted = planted("wrong_keys", &channel, &told.sid, "credentials");
    planted.expect(story, "storage_credentials", Some("rejected"));
}

/// Temporary keys end half an hour before the recording does, and nobody renews them (P27).
fn expired_keys(story: &mut Story) {
    let channel = story.channel_in_turn();
    let end = (story.starts_at / SECOND + 4 * 3_600) * SECOND;
    story.twist.credentials_end = Some(end);
    let times = (story.starts_at, 4 * HOUR + 30 * MINUTE);
    let says_so = story.chance(50);
    let told = unusual(story, &channel, times, Files::Arrive, |twist, _, _| {
        twist.writes_end = Some(end);
        twist.untold = &[31];
        twist.stop = Stop::Answered("unknown");
        if says_so {
            twist.more(34, end + SECOND, json!({"msgName": "STSExpired"}));
        }
        twist.more(1, end + 20 * SECOND, uploader_error(47, 4));
    });
    let planted = planted("expired_keys", &channel, &told.sid, "credentials");
    planted.expect(story, "storage_credentials", Some("expired"));
}

/// The same, and an update renews them when an upload has failed already (P27).
fn keys_renewed_too_late(story: &mut Story) {
    let channel = story.channel_in_turn();
    let end = (story.starts_at / SECOND + 4 * 3_600) * SECOND;
    story.twist.credentials_end = Some(end);
    let times = (story.starts_at, 4 * HOUR + 30 * MINUTE);
    let told = unusual(story, &channel, times, Files::Arrive, |twist, _, _| {
        twist.writes_end = Some(end);
        twist.untold = &[31];
        twist.stop = Stop::Answered("unknown");
        twist.more(1, end + 20 * SECOND, uploader_error(47, 5));
    });
    let (ticket, sid, at) = (&told.ticket, &told.sid, end + 5 * MINUTE);
    api_calls::update_storage(story, &channel, ticket, sid, channel.app.home, at);
    let planted = planted("keys_renewed_too_late", &channel, sid, "credentials");
    planted.expect(story, "storage_credentials", Some("expired"));
}

fn uploader_error(code: i32, level: i32) -> serde_json::Value {
    json!({"msgName": "cloud_recording_error", "module": 1, "errorLevel": level, "errorCode": code,
        "stat": 0, "errorMsg": "upload failed"})
}

/// A stop waits in vain for the upload, or the service itself says that it took too long (P29).
fn upload_timed_out(story: &mut Story) {
    let channel = story.channel_in_turn();
    let times = (story.starts_at, duration(story));
    let by_stop = story.chance(50);
    let told = unusual(story, &channel, times, Files::Arrive, |twist, _, until| {
        twist.upload_takes = 6 * MINUTE;
        if by_stop {
            twist.stop = Stop::Refused(200, 50, "upload not finished");
        } else {
            let details = json!({"msgName": "cloud_recording_error", "module": 2, "errorLevel": 4,
                "errorCode": 50, "stat": 0, "errorMsg": "upload timed out"});
            twist.more(1, until + 2 * MINUTE, details);
        }
    });
    let cause = cause_of_slowness(&channel);
    let planted = planted("upload_timed_out", &channel, &told.sid, cause);
    planted.expect(story, "slow_or_cross_region_upload", Some("timeout"));
}

/// Complete more than half an hour after the end (P28).
fn upload_late(story: &mut Story) {
    let channel = story.channel_in_turn();
    let times = (story.starts_at, duration(story));
    let told = unusual(story, &channel, times, Files::Arrive, |twist, _, _| {
        twist.upload_takes = 33 * MINUTE;
        twist.stop = Stop::Answered("unknown");
    });
    let cause = cause_of_slowness(&channel);
    let planted = planted("upload_late", &channel, &told.sid, cause);
    planted.expect(story, "slow_or_cross_region_upload", Some("late"));
}

/// The upload falls behind the recording, and catches up in the end (P28).
fn upload_behind(story: &mut Story) {
    let channel = story.channel_in_turn();
    let times = (story.starts_at, 40 * MINUTE);
    let told = unusual(story, &channel, times, Files::Arrive, |twist, from, _| {
        for (minute, progress) in [(15, 1_100), (25, 1_300), (35, 1_900)] {
            let details = json!({"msgName": "uploading_progress", "progress": progress});
            twist.more(33, from + minute * MINUTE, details);
        }
    });
    let cause = cause_of_slowness(&channel);
    let planted = planted("upload_behind", &channel, &told.sid, cause);
    planted.expect(story, "slow_or_cross_region_upload", Some("behind"));
}

/// Somebody else records into the app's bucket: neither a call nor a callback knows the session (P30).
fn unknown_environment(story: &mut Story) {
    let channel = story.channel_in_turn();
    let sid = story.sid();
    let ticket = Ticket {
        resource_id: String::new(),
        at: story.starts_at,
    };
    let lasts = duration(story);
    let storage = channel.app.home;
    let session = Session {
        channel: &channel,
        ticket: &ticket,
        sid: &sid,
        storage,
        from: story.starts_at,
        until: story.starts_at + lasts,
        files: Files::Arrive,
    };
    session::upload(story, &session, session.until + 40 * SECOND);
    let case = "unknown_environment";
    let planted = Planted::new(case, &channel, &[&sid], None, storage, "unknown");
    planted.expect(story, "orphan_files", Some("unknown_session"));
}

/// The slices are there, the index never came (P31).
fn index_lost(story: &mut Story) {
    let channel = story.channel_in_turn();
    let times = (story.starts_at, duration(story));
    let told = unusual(story, &channel, times, Files::Arrive, |twist, _, _| {
        twist.has_index = false;
    });
    let planted = planted("index_lost", &channel, &told.sid, "unknown");
    planted.expect(story, "incomplete_files", Some("no_index"));
}

/// The index is there, the slices never came (P31).
fn slices_lost(story: &mut Story) {
    let channel = story.channel_in_turn();
    let times = (story.starts_at, duration(story));
    let told = unusual(story, &channel, times, Files::Arrive, |twist, _, _| {
        twist.has_slices = false;
    });
    let planted = planted("slices_lost", &channel, &told.sid, "unknown");
    planted.expect(story, "incomplete_files", Some("no_slices"));
}

/// An mp4 was asked for and never came (P31). Individual recordings get theirs of postponed transcoding, days later.
fn mp4_never_made(story: &mut Story) {
    let channel = match story.channel_in_turn() {
        channel if channel.app.mode == Mode::Individual => story.mixed_channel(),
        channel => channel,
    };
    story.twist.file_types = &["hls", "mp4"];
    let times = (story.starts_at, duration(story));
    let told = unusual(story, &channel, times, Files::Arrive, |_, _, _| {});
    let planted = planted("mp4_never_made", &channel, &told.sid, "unknown");
    planted.expect(story, "incomplete_files", Some("no_mp4"));
}
