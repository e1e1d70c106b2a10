//! The name of a recorded file -> session, channel, recorded user (`domain/cloud-recording-api.md`, section 8).
//!
//! The key must be decoded before it comes here: how depends on who sent it. A part that the grammar does not
//! settle stays unknown, because a wrong channel name is worse than none and joins go over the sid.

use std::borrow::Cow;

/// What the key of a recorded file says. Nothing of it is required: any object can lie in a bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectKey<'k> {
    /// Path before the file name, no slashes at the ends; none without one.
    pub prefix: Option<&'k str>,
    /// Last segment; none where the key ends in a slash.
    pub file_name: Option<&'k str>,
    /// 32 hexadecimal digits, lower case.
    pub sid: Option<Cow<'k, str>>,
    pub cname: Option<&'k str>,
    /// The *recorded* user's uid (rule 10), not the recorder's.
    pub recorded_uid: Option<&'k str>,
    pub file_type: Option<&'static str>,
    /// n of `bak<n>_`: the n-th fail-over of the recording wrote this file.
    pub failover_index: Option<i32>,
}

const SID_LEN: usize = 32;
/// `yyyyMMddHHmmssSSS`.
const SLICE_TIME_LEN: usize = 17;
const UID_START: &str = "__uid_s_";
const UID_END: &str = "__uid_e_";

const FILE_TYPES: [&str; 9] = [
    "m3u8", "ts", "mp4", "webm", "mpd", "jpg", "mp3", "m4a", "aac",
];

/// Reads a decoded object key.
pub fn parse(key: &str) -> ObjectKey<'_> {
    let (prefix, name) = match key.rfind('/') {
        Some(slash) => (key[..slash].trim_matches('/'), &key[slash + 1..]),
        None => ("", key),
    };
    let (stem, file_type) = split_extension(name);
    let (failover_index, stem) = strip_failover(stem);
    let mut parsed = ObjectKey {
        prefix: Some(prefix).filter(|prefix| !prefix.is_empty()),
        file_name: Some(name).filter(|name| !name.is_empty()),
        file_type,
        failover_index,
        ..ObjectKey::default()
    };
    if let (Some((sid, rest)), Some(file_type)) = (strip_sid(stem), file_type) {
        parsed.sid = Some(lower_case(sid));
        match split_user(rest) {
            Some((cname, uid)) => {
                parsed.cname = Some(cname);
                parsed.recorded_uid = Some(uid);
            }
            None => parsed.cname = channel_of_mix(rest, file_type),
        }
        parsed.cname = parsed.cname.filter(|cname| !cname.is_empty());
    } else if let Some((sid, _)) = strip_sid(stem) {
        // An extension that the service never writes: somebody's own file about this session.
        parsed.sid = Some(lower_case(sid));
    }
    parsed
}

/// Splits off an extension that the service writes; any other stays part of the stem.
fn split_extension(name: &str) -> (&str, Option<&'static str>) {
    let Some((stem, extension)) = name.rsplit_once('.') else {
        return (name, None);
    };
    let known = FILE_TYPES
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(extension));
    match known {
        Some(file_type) => (stem, Some(file_type)),
        None => (name, None),
    }
}

/// Rule 2: `bak<n>_`.
fn strip_failover(stem: &str) -> (Option<i32>, &str) {
    let parts = stem
        .strip_prefix("bak")
        .and_then(|rest| rest.split_once('_'))
        .filter(|(digits, _)| is_digits(digits));
    match parts.and_then(|(digits, rest)| Some((digits.parse().ok()?, rest))) {
        Some((index, rest)) => (Some(index), rest),
        None => (None, stem),
    }
}

/// Rule 3, without the sids known from starts: those are a join's business.
fn strip_sid(stem: &str) -> Option<(&str, &str)> {
    let bytes = stem.as_bytes();
    let is_sid = bytes.len() > SID_LEN
        && bytes[SID_LEN] == b'_'
        && bytes[..SID_LEN].iter().all(u8::is_ascii_hexdigit);
    is_sid.then(|| (&stem[..SID_LEN], &stem[SID_LEN + 1..]))
}

/// Rule 5: `<cname>__uid_s_<uid>__uid_e_<tail>`, on the last `__uid_s_`.
///
/// Only the whole form counts: `__uid_s_` alone may belong to the name of a mixed channel.
fn split_user(rest: &str) -> Option<(&str, &str)> {
    let (cname, user) = rest.rsplit_once(UID_START)?;
    let (uid, tail) = user.split_once(UID_END)?;
    (is_digits(uid) && !tail.is_empty()).then_some((cname, uid))
}

/// Rules 6 and 7: mixed and web page recordings, where only the extension tells what follows the channel.
fn channel_of_mix<'k>(rest: &'k str, file_type: &str) -> Option<&'k str> {
    match file_type {
        "ts" => strip_number(rest)
            .and_then(|(cname, time)| (time.len() == SLICE_TIME_LEN).then_some(cname)),
        "mp4" | "mp3" | "m4a" | "aac" => strip_number(rest).map(|(cname, _)| cname),
        // `_<tick>_<index>` marks an index that came back from the backup cloud, or is part of the name:
        // only the start of that sid can tell.
        "m3u8" => match strip_number(rest).and_then(|(left, _)| strip_number(left)) {
            Some(_) => None,
            None => Some(rest),
        },
        // The other types exist for single users only; the name of a merged one is documented nowhere.
        _ => None,
    }
}

/// Splits `<left>_<digits>`.
fn strip_number(text: &str) -> Option<(&str, &str)> {
    text.rsplit_once('_')
        .filter(|(_, digits)| is_digits(digits))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn lower_case(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SID: &str = "5b1de9c07a2f4e6c8d90b1a2c3d4e5f6";

    /// Parses `<sid>` + `tail` and returns channel, recorded user, type.
    fn named(tail: &str) -> (Option<String>, Option<String>, Option<&'static str>) {
        let key = format!("a/b/{SID}{tail}");
        let parsed = parse(&key);
        assert_eq!(parsed.sid.as_deref(), Some(SID), "{key}");
        assert_eq!(parsed.prefix, Some("a/b"));
        let owned = |text: Option<&str>| text.map(str::to_string);
        (
            owned(parsed.cname),
            owned(parsed.recorded_uid),
            parsed.file_type,
        )
    }

    fn mixed(
        cname: &str,
        file_type: &'static str,
    ) -> (Option<String>, Option<String>, Option<&'static str>) {
        (Some(cname.to_string()), None, Some(file_type))
    }

    fn single(
        cname: &str,
        uid: &str,
        file_type: &'static str,
    ) -> (Option<String>, Option<String>, Option<&'static str>) {
        (
            Some(cname.to_string()),
            Some(uid.to_string()),
            Some(file_type),
        )
    }

    #[test]
    fn every_documented_form_is_read() {
        assert_eq!(named("_room_42.m3u8"), mixed("room_42", "m3u8"));
        assert_eq!(
            named("_room_42_20251124161005317.ts"),
            mixed("room_42", "ts")
        );
        assert_eq!(named("_room_42_0.mp4"), mixed("room_42", "mp4"));
        assert_eq!(named("_room_3.m4a"), mixed("room", "m4a"));
        for tail in [
            "video.m3u8",
            "audio_20251124161005317.ts",
            "video_20251124161005317.webm",
            "0.mp4",
            "video_20251124161005317.jpg",
            "vp8.m3u8",
            "vp8.mpd",
            "20251124161005317_h264.ts",
            "0_h264.mp4",
            "0_12_vp8.webm",
            "20251124161005317.jpg",
            "video_1764000605_2.m3u8",
        ] {
            let file_type = FILE_TYPES
                .into_iter()
                .find(|known| tail.ends_with(&format!(".{known}")))
                .expect("listed");
            let name = format!("_ride_17822__uid_s_1000__uid_e_{tail}");
            assert_eq!(
                named(&name),
                single("ride_17822", "1000", file_type),
                "{name}"
            );
        }
    }

    #[test]
    fn a_fail_over_prefix_is_stripped_and_kept() {
        let key = format!("bak2_{SID}_room.m3u8");
        let parsed = parse(&key);
        assert_eq!(parsed.failover_index, Some(2));
        assert_eq!(parsed.sid.as_deref(), Some(SID));
        assert_eq!(parsed.cname, Some("room"));
        assert_eq!(parsed.prefix, None);
        assert_eq!(parse("bak_x.ts").failover_index, None);
        assert_eq!(parse("bak99999999999_x.ts").failover_index, None);
    }

    #[test]
    fn what_the_grammar_does_not_settle_stays_unknown() {
        assert_eq!(named("_room_1764000605_2.m3u8"), (None, None, Some("m3u8")));
        assert_eq!(named("_room_2025.ts"), (None, None, Some("ts")));
        assert_eq!(named("_room.mp4"), (None, None, Some("mp4")));
        assert_eq!(named("_room.mpd"), (None, None, Some("mpd")));
        assert_eq!(named("_room.txt"), (None, None, None));
        assert_eq!(named("_.m3u8"), (None, None, Some("m3u8")));
        assert_eq!(named("___uid_s_5__uid_e_video.m3u8").0, None);
    }

    #[test]
    fn a_mark_inside_the_channel_name_is_part_of_it() {
        assert_eq!(named("_a__uid_s_b.m3u8"), mixed("a__uid_s_b", "m3u8"));
        let tail = "_a__uid_s_b__uid_s_7__uid_e_video.m3u8";
        assert_eq!(named(tail), single("a__uid_s_b", "7", "m3u8"));
    }

    #[test]
    fn upper_case_sids_are_lowered_and_other_names_have_none() {
        let key = format!("{}_room.m3u8", SID.to_uppercase());
        assert_eq!(parse(&key).sid.as_deref(), Some(SID));
        assert_eq!(parse("sid713476478245_room.m3u8").sid, None);
        assert_eq!(parse(&format!("{SID}0_room.m3u8")).sid, None);
        assert_eq!(parse(&format!("{SID}.m3u8")).sid, None);
    }

    #[test]
    fn prefixes_lose_the_slashes_at_their_ends() {
        assert_eq!(parse("/a//b/c.ts").prefix, Some("a//b"));
        assert_eq!(parse("/c.ts").prefix, None);
        let folder = parse("a/b/");
        assert_eq!((folder.prefix, folder.file_name), (Some("a/b"), None));
        assert_eq!(parse(""), ObjectKey::default());
    }

    prop_compose! {
        /// Any channel name that the API allows (error 1013).
        fn cname()(text in r"[a-zA-Z0-9 !#$%&()+\-:;<=.>?@\[\]^_{}|~,]{1,63}") -> String { text }
    }

    fn tail_of_one_user() -> impl Strategy<Value = String> {
        prop_oneof![
            "(audio|video)\\.m3u8",
            "(audio|video)_[0-9]{17}\\.(ts|webm)",
            "[0-9]{1,3}\\.mp4",
            "video_[0-9]{17}\\.jpg",
            "(vp8|h264|av1)\\.(m3u8|mpd)",
            "[0-9]{17}_(vp8|h264)\\.ts",
            "[0-9]{1,3}_(vp8|h264)\\.mp4",
            "[0-9]_[0-9]{1,3}_vp8\\.webm",
            "[0-9]{17}\\.jpg",
            "(audio|video)_[0-9]{10,13}_[0-9]{1,2}\\.m3u8",
        ]
    }

    proptest! {
        #[test]
        fn single_users_parse_back(
            sid in "[0-9a-fA-F]{32}",
            cname in cname(),
            uid in 1u32..,
            prefix in proptest::collection::vec("[A-Za-z0-9-]{1,12}", 0..4),
            failover in proptest::option::of(0i32..3),
            tail in tail_of_one_user(),
        ) {
            let bak = failover.map_or(String::new(), |n| format!("bak{n}_"));
            let name = format!("{bak}{sid}_{cname}__uid_s_{uid}__uid_e_{tail}");
            let prefix = prefix.join("/");
            let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
            let parsed = parse(&key);
            let uid = uid.to_string();
            let sid = sid.to_ascii_lowercase();
            prop_assert_eq!(parsed.prefix.unwrap_or(""), prefix);
            prop_assert_eq!(parsed.file_name, Some(name.as_str()));
            prop_assert_eq!(parsed.sid.as_deref(), Some(sid.as_str()));
            prop_assert_eq!(parsed.cname, Some(cname.as_str()));
            prop_assert_eq!(parsed.recorded_uid, Some(uid.as_str()));
            prop_assert_eq!(parsed.failover_index, failover);
        }

        #[test]
        fn mixed_and_web_names_parse_back_or_stay_unknown(
            sid in "[0-9a-f]{32}",
            cname in cname(),
            tail in prop_oneof!["\\.m3u8", "_[0-9]{17}\\.ts", "_[0-9]{1,3}\\.(mp4|mp3|m4a|aac)"],
        ) {
            // Names in the form of a single user's file cannot be told from one.
            prop_assume!(!cname.contains(UID_START));
            let key = format!("{sid}_{cname}{tail}");
            let parsed = parse(&key);
            let ambiguous = tail == ".m3u8"
                && strip_number(&cname).and_then(|(left, _)| strip_number(left)).is_some();
            prop_assert_eq!(parsed.sid.as_deref(), Some(sid.as_str()));
            prop_assert_eq!(parsed.cname, Some(cname.as_str()).filter(|_| !ambiguous));
            prop_assert_eq!(parsed.recorded_uid, None);
        }

        #[test]
        fn no_key_panics(key in any::<String>()) {
            parse(&key);
        }
    }
}
