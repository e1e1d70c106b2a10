//! The names that customers usually give the columns of a session record (`domain/state-records.md`, section 4).

use std::borrow::Cow;

use serde_json::Value;

use super::change::Row;
use super::mapping::{Column, FIELD_COUNT, Field, is_empty, is_known};

/// Lower case without `_` and `-`, so that `recording_sid`, `recordingSid` and `RecordingSid` are one name.
/// Names of one field stand in order of preference: what says "recording" before what may be about a user.
const COLUMNS: [(Field, &[&str]); FIELD_COUNT] = [
    (Field::AppId, &["agoraappid", "appid"]),
    (
        Field::Cname,
        &[
            "cname",
            "channelname",
            "channel",
            "agorachannel",
            "agorachannelname",
        ],
    ),
    (
        Field::Uid,
        &["recuid", "recorderuid", "recordinguid", "uid"],
    ),
    (
        Field::ResourceId,
        &[
            "recordingresourceid",
            "agoraresourceid",
            "agorarecordingresourceid",
            "resourceid",
        ],
    ),
    (
        Field::Sid,
        &[
            "recordingsid",
            "agorarecordingsid",
            "agorasid",
            "cloudrecordingsid",
            "sid",
            SESSION_ID,
        ],
    ),
    (
        Field::Vendor,
        &[
            "storagevendor",
            "vendor",
            "storageprovider",
            "cloudvendor",
            "provider",
        ],
    ),
    (Field::Bucket, &["bucket", "bucketname", "storagebucket"]),
    (Field::Region, &["storageregion", "bucketregion", "region"]),
    (
        Field::Prefix,
        &[
            "fileprefix",
            "objectprefix",
            "storageprefix",
            "filenameprefix",
            "prefix",
        ],
    ),
    (
        Field::Url,
        &[
            "recordingurl",
            "fileurl",
            "audiofileurl",
            "videofileurl",
            "url",
            "recordingfileurl",
            "objectkey",
        ],
    ),
    (Field::Status, &["recordingstatus", "status"]),
    (Field::RecordedAt, &["updatedat", "recordedat", "createdat"]),
];

/// Mostly the customer's own id, so it is a sid only where it looks like one.
const SESSION_ID: &str = "sessionid";

/// No name above is longer.
const NAME_LEN_MAX: usize = 24;

/// Finds the fields among the columns of a row; of several names for one the preferred with a known value.
pub(super) fn find(row: &Row) -> [Option<Column<'_>>; FIELD_COUNT] {
    let mut found: [Option<(usize, &str, &Value)>; FIELD_COUNT] = [None; FIELD_COUNT];
    for (column, value) in row {
        let mut buffer = [0; NAME_LEN_MAX];
        let Some(name) = plain_name(column, &mut buffer) else {
            continue;
        };
        let place = COLUMNS.iter().find_map(|(field, names)| {
            let rank = names.iter().position(|known| known.as_bytes() == name)?;
            Some((*field, rank))
        });
        let Some((field, rank)) = place.filter(|_| is_known(value)) else {
            continue;
        };
        if name == SESSION_ID.as_bytes() && !looks_like_sid(value) {
            continue;
        }
        let best = &mut found[field as usize];
        if best.is_none_or(|(best_rank, ..)| rank < best_rank) {
            *best = Some((rank, column.as_str(), value));
        }
    }
    found.map(|best| {
        best.map(|(_, path, value)| Column {
            path,
            value: Cow::Borrowed(value),
        })
    })
}

/// Says whether the columns that are usually called so for a field are there and empty.
pub(super) fn is_emptied(row: &Row, field: Field) -> bool {
    let (_, names) = COLUMNS[field as usize];
    // A `session_id` is mostly the customer's own, and nobody knows whose an empty one is.
    let is_name = |name: &[u8]| {
        let mut known = names.iter().filter(|known| **known != SESSION_ID);
        known.any(|known| known.as_bytes() == name)
    };
    let mut found = row.iter().filter(|(column, _)| {
        let mut buffer = [0; NAME_LEN_MAX];
        plain_name(column, &mut buffer).is_some_and(is_name)
    });
    let first = found.next();
    first.is_some_and(|(_, value)| is_empty(value)) && found.all(|(_, value)| is_empty(value))
}

/// Writes the name without case, `_` and `-` into `buffer`; none where it is too long to be one of ours.
fn plain_name<'b>(column: &str, buffer: &'b mut [u8; NAME_LEN_MAX]) -> Option<&'b [u8]> {
    let mut len = 0;
    for byte in column.bytes().filter(|byte| !matches!(byte, b'_' | b'-')) {
        *buffer.get_mut(len)? = byte.to_ascii_lowercase();
        len += 1;
    }
    Some(&buffer[..len])
}

fn looks_like_sid(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(row: Value, field: Field) -> Option<Value> {
        let row = row.as_object().expect("written as an object");
        let column = find(row)[field as usize].clone();
        column.map(|column| column.value.into_owned())
    }

    #[test]
    fn names_are_plain_and_short_enough() {
        for (place, (field, names)) in COLUMNS.iter().enumerate() {
            assert_eq!(*field as usize, place);
            for name in *names {
                let mut buffer = [0; NAME_LEN_MAX];
                assert_eq!(plain_name(name, &mut buffer), Some(name.as_bytes()));
            }
        }
    }

    #[test]
    fn the_writing_of_a_name_does_not_matter() {
        for column in [
            "recording_sid",
            "recordingSid",
            "RecordingSid",
            "RECORDING_SID",
        ] {
            let row = Value::Object(
                [(column.to_string(), Value::from("s1"))]
                    .into_iter()
                    .collect(),
            );
            assert_eq!(found(row, Field::Sid), Some(Value::from("s1")), "{column}");
        }
    }

    #[test]
    fn the_preferred_name_with_a_value_wins() {
        let row = serde_json::json!({"uid": "customer", "rec_uid": "900001", "status": "open", "recording_status": null});
        assert_eq!(found(row.clone(), Field::Uid), Some(Value::from("900001")));
        assert_eq!(found(row, Field::Status), Some(Value::from("open")));
    }

    #[test]
    fn a_session_id_is_a_sid_only_if_it_looks_like_one() {
        assert_eq!(
            found(serde_json::json!({"session_id": 17}), Field::Sid),
            None
        );
        let sid = "5b1de9c07a2f4e6c8d90b1a2c3d4e5f6";
        assert_eq!(
            found(serde_json::json!({"session_id": sid}), Field::Sid),
            Some(Value::from(sid))
        );
    }
}
