//! Uploads that look wrong and are right (failure patterns P23 to P31).

use serde_json::json;

use crate::generate::Plot;
use crate::generate::api_calls::{self, Ticket};
use crate::generate::session::{
    self, Files, Session, duration, remove_file, run, unusual, write_file,
};
use crate::generate::story::{HOUR, MINUTE, SECOND, Story, digits17};
use crate::generate::world::{APPS, Mode};

pub(super) const PLOTS: [Plot; 14] = [
    ("announced_hours_late", announced_hours_late),
    ("exit_alone", exit_alone),
    ("slice_sent_again", slice_sent_again),
    ("warning_made_good", warning_made_good),
    ("complaint_passed", complaint_passed),
    ("keys_renewed", keys_renewed),
    ("upload_in_time", upload_in_time),
    ("files_reported_late", files_reported_late),
    ("files_of_other_tools", files_of_other_tools),
    ("start_not_logged", start_not_logged),
    ("mp4_made", mp4_made),
    ("mp4_postponed", mp4_postponed),
    ("index_removed", index_removed),
    ("screenshots_alone", screenshots_alone),
];

/// 31 and 11 wait for hours somewhere between service and Kafka.
fn announced_hours_late(story: &mut Story) {
    let channel = story.channel_in_turn();
    let times = (story.starts_at, duration(story));
    let told = unusual(story, &channel, times, Files::Arrive, |twist, _, _| {
        twist.held_up = (&[31, 11], 5 * HOUR);
    });
    story.looks_like_a_fault("announced_hours_late", &channel, &[&told.sid]);
}

/// No 31, but 11: a notification speaks of the end.
fn exit_alone(story: &mut Story) {
    let channel = story.channel_in_turn();
    let times = (story.starts_at, duration(story));
    let told = unusual(story, &channel, times, Files::Arrive, |twist, _, _| {
        twist.untold = &[31];
    });
    story.looks_like_a_fault("exit_alone", &channel, &[&told.sid]);
}

/// A slice was uploaded again to where it belongs (warning 31).
fn slice_sent_again(story: &mut Story) {
    let channel = story.channel_in_turn();
    let times = (story.starts_at, duration(story));
    let told = unusual(story, &channel, times, Files::Arrive, |twist, from, _| {
        let details = json!({"msgName": "cloud_recording_warning", "module": 1, "warnCode": 31});
        twist.more(2, from + 90 * SECOND, details);
    });
    story.looks_like_a_fault("slice_sent_again", &channel, &[&told.sid]);
}

/// A slice went to the backup (warning 32), and in the end 31 says that all is in its place.
fn warning_made_good(story: &mut Story) {
    let channel = story.channel_in_turn();
    let times = (story.starts_at, duration(story));
    let told = unusual(story, &channel, times, Files::Arrive, |twist, from, _| {
        let details = json!({"msgName": "cloud_recording_warning", "module": 1, "warnCode": 32});
        twist.more(2, from + 90 * SECOND, details);
    });
    story.looks_like_a_fault("warning_made_good", &channel, &[&told.sid]);
}

/// The uploader complains once, mildly, and goes on.
fn complaint_passed(story: &mut Story) {
    let channel = story.channel_in_turn();
    let times = (story.starts_at, duration(story));
    let told = unusual(story, &channel, times, Files::Arrive, |twist, from, _| {
        let details = json!({"msgName": "cloud_recording_error", "module": 1, "errorLevel": 2,
            "errorCode": 47, "stat": 0, "errorMsg": "retrying"});
        twist.more(1, from + 70 * SECOND, details);
    });
    story.looks_like_a_fault("complaint_passed", &channel, &[&told.sid]);
}

/// Temporary keys that end before the recording does, renewed in time.
fn keys_renewed(story: &mut Story) {
    let channel = story.channel_in_turn();
    story.twist.credentials_end = Some((story.starts_at / SECOND + 4 * 3_600) * SECOND);
    let times = (story.starts_at, 4 * HOUR + 30 * MINUTE);
    let told = unusual(story, &channel, times, Files::Arrive, |_, _, _| {});
    let at = told.from + HOUR;
    let storage = channel.app.home;
    api_calls::update_storage(story, &channel, &told.ticket, &told.sid, storage, at);
    story.looks_like_a_fault("keys_renewed", &channel, &[&told.sid]);
}

/// Complete a quarter of an hour after the end: slow, and within what is normal.
fn upload_in_time(story: &mut Story) {
    let channel = story.channel_in_turn();
    let times = (story.starts_at, duration(story));
    let late = Files::Late(12 * MINUTE);
    let told = unusual(story, &channel, times, late, |twist, _, _| {
        twist.upload_takes = 15 * MINUTE;
    });
    story.looks_like_a_fault("upload_in_time", &channel, &[&told.sid]);
}

/// Written in time, and reported hours later by the bucket.
fn files_reported_late(story: &mut Story) {
    let channel = story.channel_in_turn();
    let times = (story.starts_at, duration(story));
    story.twist.reported_late = 6 * HOUR;
    let told = unusual(story, &channel, times, Files::Arrive, |_, _, _| {});
    story.looks_like_a_fault("files_reported_late", &channel, &[&told.sid]);
}

/// Others store in the bucket, too, under names that begin as a session's do.
fn files_of_other_tools(story: &mut Story) {
    let channel = story.channel_in_turn();
    let times = (story.starts_at, duration(story));
    let told = unusual(story, &channel, times, Files::Arrive, |_, _, _| {});
    for (folder, tail) in [
        ("thumbs", "small.jpg"),
        ("exports", "report_3.mp4"),
        ("logs", "page.txt"),
    ] {
        let key = format!("{folder}/{}_{tail}", story.hex(32));
        write_file(story, channel.app.home, &key, told.from + MINUTE);
    }
    story.looks_like_a_fault("files_of_other_tools", &channel, &[&told.sid]);
}

/// The start was never logged; calls and callbacks tell of the session.
fn start_not_logged(story: &mut Story) {
    let channel = story.channel_in_turn();
    let sid = story.sid();
    let ticket = Ticket {
        resource_id: story.resource_id(),
        at: story.starts_at,
    };
    let from = story.starts_at + SECOND;
    let session = Session::ordinary(story, &channel, &ticket, &sid, channel.app.home, from);
    run(story, &session);
    story.looks_like_a_fault("start_not_logged", &channel, &[&sid]);
    story.cannot_be_judged("orphan_files", "start_not_logged", &channel, &sid);
}

/// An mp4 was asked for, and came.
fn mp4_made(story: &mut Story) {
    let channel = match story.channel_in_turn() {
        channel if channel.app.mode == Mode::Individual => story.mixed_channel(),
        channel => channel,
    };
    story.twist.file_types = &["hls", "mp4"];
    let times = (story.starts_at, duration(story));
    let told = unusual(story, &channel, times, Files::Arrive, |_, _, _| {});
    let stem = told.index_key.trim_end_matches(".m3u8");
    let key = match channel.app.mode {
        Mode::Raw => format!("{}0_h264.mp4", stem.trim_end_matches("h264")),
        _ => format!("{stem}_0.mp4"),
    };
    write_file(story, channel.app.home, &key, told.until + 50 * SECOND);
    story.looks_like_a_fault("mp4_made", &channel, &[&told.sid]);
}

/// The mp4 of an individual recording comes of postponed transcoding: too early to miss it.
fn mp4_postponed(story: &mut Story) {
    let channel = story.channel(&APPS[2]);
    story.twist.file_types = &["hls", "mp4"];
    let times = (story.starts_at, duration(story));
    let told = unusual(story, &channel, times, Files::Arrive, |_, _, _| {});
    let stem = told.index_key.trim_end_matches("audio.m3u8");
    let key = format!("{stem}0.mp4");
    write_file(story, channel.app.home, &key, told.until + 30 * HOUR);
    story.looks_like_a_fault("mp4_postponed", &channel, &[&told.sid]);
}

/// A converter takes the index away an hour after it came.
fn index_removed(story: &mut Story) {
    let channel = story.channel_in_turn();
    let times = (story.starts_at, duration(story));
    let told = unusual(story, &channel, times, Files::Arrive, |_, _, _| {});
    let at = told.until + HOUR;
    remove_file(story, channel.app.home, &told.index_key, at);
    story.looks_like_a_fault("index_removed", &channel, &[&told.sid]);
}

/// Nothing but screenshots was asked for.
fn screenshots_alone(story: &mut Story) {
    let app = if story.chance(50) { &APPS[2] } else { &APPS[7] };
    let channel = story.channel(app);
    let times = (story.starts_at, duration(story));
    let told = unusual(story, &channel, times, Files::Arrive, |twist, _, _| {
        twist.has_index = false;
        twist.has_slices = false;
        twist.untold = &[4];
    });
    let folder: String = session::folder(story, &channel);
    for after in [10, 20, 30] {
        let at = told.from + after * SECOND;
        let time = digits17(at);
        let tail = match app.mode {
            Mode::Raw => time,
            _ => format!("video_{time}"),
        };
        let key = format!(
            "{folder}{}_{}__uid_s_1000__uid_e_{tail}.jpg",
            told.sid, channel.cname
        );
        write_file(story, app.home, &key, at + SECOND);
    }
    story.looks_like_a_fault("screenshots_alone", &channel, &[&told.sid]);
}
