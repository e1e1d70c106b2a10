//! Single values of a row and what is inferred from them.

use super::*;

#[test]
fn an_unchanged_long_column_is_unknown() {
    let mut message: Value = serde_json::from_str(ENVELOPE).expect("JSON");
    message["after"]["vendor"] = json!("__debezium_unavailable_value");
    message["after"]["bucket"] = json!("__debezium_unavailable_value");
    let (_, _, row) = one(&message.to_string());
    assert_eq!(
        (row.vendor, row.vendor_name, row.bucket),
        (None, None, None)
    );
}

#[test]
fn row_keys_come_from_the_key_else_from_the_row() {
    let of = |key: Option<&str>, row: Value| one_of(&row.to_string(), key, &[]).2.row_key;
    let row = json!({"sid": SID, "id": 5});
    assert_eq!(of(None, row.clone()), text("5"));
    assert_eq!(of(Some("room_42"), row.clone()), text("5"));
    assert_eq!(of(Some(r#"{"id":7}"#), row.clone()), text("7"));
    assert_eq!(
        of(Some(r#"{"app":"a","room":"r"}"#), row.clone()),
        text("a/r")
    );
    assert_eq!(of(Some("{"), row), text("5"));
    assert_eq!(of(None, json!({"sid": SID})), None);
}

#[test]
fn vendors_are_read_in_all_their_writings() {
    for (column, value, vendor) in [
        ("vendor", json!(2), Some(2)),
        ("vendor", json!("1"), Some(1)),
        ("vendor", json!(2.0), Some(2)),
        ("storage_vendor", json!("AWS"), Some(1)),
        ("provider", json!("aliyun"), Some(2)),
        ("vendor", json!("oss"), Some(2)),
        ("vendor", json!(42), Some(42)),
        ("vendor", json!("dropbox"), None),
        (
            "url",
            json!("https://acme.oss-cn-beijing.aliyuncs.com/a/b.mp4"),
            Some(2),
        ),
        (
            "recording_url",
            json!("https://acme.s3.eu-west-1.amazonaws.com/a/b.mp4"),
            Some(1),
        ),
        ("url", json!("https://cdn.acme.example/a/b.mp4"), None),
    ] {
        let message = json!({"sid": SID, column: value}).to_string();
        assert_eq!(one(&message).2.vendor, vendor, "{message}");
    }
}

#[test]
fn region_numbers_are_read_beside_vendor_numbers() {
    for (vendor, region, code) in [
        (json!(1), json!(4), "eu-west-1"),
        (json!("2"), json!("0"), "cn-hangzhou"),
        (json!(2), json!("cn-hangzhou"), "cn-hangzhou"),
        // A code that nobody is sure of, and a number by who knows whose count.
        (json!(2), json!(18), "18"),
        (json!("oss"), json!(1), "1"),
        (json!(5), json!(0), "0"),
    ] {
        let message = json!({"sid": SID, "vendor": vendor, "region": region}).to_string();
        assert_eq!(one(&message).2.region, text(code), "{message}");
    }
}

#[test]
fn buckets_come_from_their_column_else_from_the_url() {
    let url = format!("https://acme.oss-cn-beijing.aliyuncs.com/a/{SID}_room_0.mp4");
    let row = one(&json!({"sid": SID, "url": url}).to_string()).2;
    assert_eq!(row.bucket, text("acme"));
    let row = one(&json!({"sid": SID, "url": url, "bucket": "other"}).to_string()).2;
    assert_eq!(row.bucket, text("other"));
}

#[test]
fn prefixes_come_from_their_column_else_from_the_url() {
    let url = format!(
        "https://u:p@acme.oss-cn-beijing.aliyuncs.com/tenant%20A/b/{SID}_room_0.mp4?Signature=x"
    );
    let row = one(&json!({"sid": SID, "url": url}).to_string()).2;
    assert_eq!(row.prefix, text("tenant A/b"));
    let clean = format!("https://acme.oss-cn-beijing.aliyuncs.com/tenant%20A/b/{SID}_room_0.mp4");
    assert_eq!(row.url, text(&clean));
    let row = one(&json!({"sid": SID, "url": url, "prefix": ["a", "b"]}).to_string()).2;
    assert_eq!(row.prefix, text("a/b"));
    for (written, read) in [
        (r#"["a", "b"]"#, Some("a/b")),
        ("[]", None),
        ("[a]/b", Some("[a]/b")),
        ("[1]", Some("[1]")),
    ] {
        let row = one(&json!({"sid": SID, "prefix": written}).to_string()).2;
        assert_eq!(row.prefix, read.and_then(text), "{written}");
    }
    let row = one(&json!({"sid": SID, "ObjectKey": format!("t/{SID}_room_0.mp4")}).to_string()).2;
    assert_eq!(row.prefix, text("t"));
}
