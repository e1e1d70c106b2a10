//! The same events, however they travelled.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

fn s3(key: &str) -> String {
    json!({"Records": [s3_record(key)]}).to_string()
}

fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

#[test]
fn one_wrapped_event_is_found_and_keeps_the_whole_message() {
    let inner = s3("tenantA/a+b.ts");
    let record = s3_record("tenantA/a+b.ts");
    let sns = json!({"Type": "Notification", "MessageId": "m", "TopicArn": "t", "Message": inner})
        .to_string();
    let sqs = |body: &str| json!({"messageId": "m", "receiptHandle": "h", "body": body, "eventSource": "aws:sqs"});
    let messages = [
        inner.clone(),
        record.to_string(),
        json!([record]).to_string(),
        sns.clone(),
        sqs(&inner).to_string(),
        sqs(&sns).to_string(),
        json!({"Records": [sqs(&sns)]}).to_string(),
        json!({"MessageId": "m", "ReceiptHandle": "h", "Body": inner}).to_string(),
        json!({"Messages": [{"MessageId": "m", "Body": sns}]}).to_string(),
        json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Type": "Notification", "Message": inner}}]}).to_string(),
        json!({"schema": {"type": "string"}, "payload": inner}).to_string(),
        json!({"schema": null, "payload": {"body": inner}}).to_string(),
        json!({"TopicOwner": "1", "Message": base64(&inner), "MessageMD5": "x"}).to_string(),
        json!({"MessageBody": base64(&inner)}).to_string(),
        json!(base64(&inner)).to_string(),
        json!(inner).to_string(),
    ];
    let expected = one(&inner);
    assert_eq!(expected.2, "tenantA/a b.ts");
    for message in messages {
        assert_eq!(one(&message), expected, "{message}");
    }
}

#[test]
fn each_of_several_events_keeps_what_decodes_to_it_alone() {
    let two = json!({"Records": [s3_record("1.ts"), s3_record("2.ts")]}).to_string();
    let sqs = |body: &str| json!({"messageId": "m", "body": body, "eventSource": "aws:sqs"});
    let messages = [
        two.clone(),
        json!([s3_record("1.ts"), s3_record("2.ts")]).to_string(),
        json!({"Type": "Notification", "Message": two}).to_string(),
        json!({"Records": [sqs(&s3("1.ts")), sqs(&s3("2.ts"))]}).to_string(),
        json!({"Messages": [{"Body": s3("1.ts")}, {"Body": s3("2.ts")}]}).to_string(),
        json!({"MessageBody": base64(&two)}).to_string(),
    ];
    for message in messages {
        let given = given(&message).expect("two events");
        assert_eq!(given.len(), 2);
        for (given, wanted) in given.into_iter().zip(["1.ts", "2.ts"]) {
            let Given::Event {
                event_id,
                payload,
                key,
                ..
            } = given
            else {
                panic!("{message} gave {given:?}");
            };
            assert_eq!(key, wanted);
            let again = one(&payload);
            assert_eq!((again.0, again.2), (event_id, key));
        }
    }
}

#[test]
fn a_bad_message_in_a_batch_is_rejected_alone() {
    let message = json!({"Messages": [{"Body": "hello"}, {"Body": s3("2.ts")}, {"Body": "{\"Event\":\"s3:TestEvent\"}"}]});
    let given = given(&message.to_string()).expect("a batch");
    assert!(matches!(
        given[0],
        Given::Rejected(RejectCode::UnknownShape, _)
    ));
    assert!(matches!(given[1], Given::Event { .. }));
    assert!(matches!(
        given[2],
        Given::Skipped(SkipReason::TestMessage, _)
    ));
}

#[test]
fn base64_that_redaction_does_not_look_into_is_not_opened() {
    let inner = s3("a.ts");
    for text in [
        format!(" {}", base64(&inner)),
        base64(&format!("[{inner}]")),
        base64(&format!(" {inner}")),
    ] {
        let message = json!({"MessageBody": text}).to_string();
        assert_eq!(given(&message), Err(RejectCode::UnknownShape), "{message}");
    }
}

#[test]
fn a_message_that_is_all_base64_is_opened_before_it_is_redacted() {
    let inner = s3("a.ts");
    let encoded = format!("{}\n", base64(&inner));
    let opened = message_in_base64(encoded.as_bytes());
    assert_eq!(opened.as_deref(), Some(inner.as_bytes()));
    for text in [
        inner.clone(),
        base64("[7]"),
        "eyJhbGciOiJIUzI1NiJ9.e30.x".to_string(),
        "e".to_string(),
        String::new(),
    ] {
        assert_eq!(message_in_base64(text.as_bytes()), None, "{text}");
    }
}
