//! Messages that hold no session record, by right or by fault.

use super::*;

#[test]
fn messages_about_no_row_are_skipped() {
    for (message, reason) in [
        (
            r#"{"before":null,"after":null,"source":{"table":"t"},"op":"t","ts_ms":1}"#,
            SkipReason::ControlMessage,
        ),
        (
            r#"{"op":"m","ts_ms":1,"source":{},"message":{"prefix":"p","content":"x"}}"#,
            SkipReason::ControlMessage,
        ),
        (r#"{"ts_ms":1764000606120}"#, SkipReason::ControlMessage),
        (
            r#"{"source":{"server":"app"},"databaseName":"app","ddl":"CREATE TABLE t","tableChanges":[]}"#,
            SkipReason::ControlMessage,
        ),
        (
            r#"{"status":"END","id":"571","event_count":2,"data_collections":[],"ts_ms":1}"#,
            SkipReason::ControlMessage,
        ),
        (r#"{"schema":null,"payload":null}"#, SkipReason::Tombstone),
        ("null", SkipReason::Tombstone),
        ("[]", SkipReason::EmptyList),
    ] {
        assert_eq!(
            given(message, None, &[]),
            Ok(vec![Given::Skipped(reason)]),
            "{message}"
        );
    }
}

#[test]
fn what_is_no_session_record_says_why() {
    for (message, code) in [
        ("7", RejectCode::NotAnObject),
        ("{}", RejectCode::NoMapping),
        (r#"{"id":1,"name":"a user"}"#, RejectCode::NoMapping),
        (
            r#"{"channel":"room_42","status":"open"}"#,
            RejectCode::NoMapping,
        ),
        (r#"{"session_id":"17","bucket":"b"}"#, RejectCode::NoMapping),
        (r#"{"op":"x","after":{}}"#, RejectCode::InvalidField),
        (r#"{"op":"c","after":null}"#, RejectCode::MissingField),
        (r#"{"op":"c","after":[1]}"#, RejectCode::InvalidField),
        (r#"{"op":"c","after":"no json"}"#, RejectCode::InvalidJson),
        (r#"{"__op":"x"}"#, RejectCode::InvalidField),
        (r#"{"schema":{},"payload":7}"#, RejectCode::NotAnObject),
    ] {
        assert_eq!(given(message, None, &[]), Err(code), "{message}");
    }
}
