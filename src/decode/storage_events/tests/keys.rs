//! Round trips of object keys through each provider's own encoding.

use super::*;

prop_compose! {
    /// Any channel name that the API allows (error 1013).
    fn cname()(text in r"[a-zA-Z0-9 !#$%&()+\-:;<=.>?@\[\]^_{}|~,]{1,63}") -> String { text }
}

fn prefix() -> impl Strategy<Value = String> {
    prop::collection::vec("[A-Za-z0-9 +%#-]{1,10}", 0..3).prop_map(|elements| {
        elements
            .iter()
            .map(|element| format!("{element}/"))
            .collect()
    })
}

/// Encodes as an HTML form does; `keep` are the bytes that stand for themselves beside letters and digits.
fn form(text: &str, keep: &str) -> String {
    text.bytes()
        .map(|byte| match char::from(byte) {
            plain if plain.is_ascii_alphanumeric() || keep.contains(plain) => plain.to_string(),
            ' ' => "+".to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn percent(text: &str) -> String {
    form(text, "-_.~").replace('+', "%20")
}

fn record(source: &str, key: &str) -> serde_json::Value {
    let mut record = s3_record(key);
    record["eventSource"] = json!(source);
    record
}

fn oss(key: &str) -> serde_json::Value {
    json!({"eventSource": "acs:oss", "eventName": "ObjectCreated:PutObject", "oss": {"bucket": {"name": "b"}, "object": {"key": key}}})
}

proptest! {
    #[test]
    fn keys_survive_each_provider(cname in cname(), prefix in prefix(), time in "[0-9]{17}") {
        let key = format!("{prefix}{SID}_{cname}_{time}.ts");
        let query_escaped = form(&key, "-_.~");
        let outer = format!("acme-rec/{key}");
        let messages = [
            record("aws:s3", &form(&key, "/-_.*")),
            json!({"Key": outer, "Records": [record("minio:s3", &query_escaped)]}),
            record("minio:s3", &query_escaped),
            // Decoded by a bridge on the way.
            json!({"Key": outer, "Records": [record("minio:s3", &key)]}),
            record("ceph:s3", &key),
            oss(&key),
            json!({"source": "acs.oss", "type": "oss:ObjectCreated:PutObject", "data": oss(&key)}),
            json!({"source": "acs.oss", "type": "oss:ObjectCreated:PutObject", "subject": format!("acs:oss:r:1:b/{key}")}),
            json!({"source": "aws.s3", "detail-type": "Object Created",
                "detail": {"bucket": {"name": "b"}, "object": {"key": key}}}),
            json!({"kind": "created", "bucket": "b", "key": key}),
        ];
        for message in messages {
            let (_, _, decoded, row) = one(&message.to_string());
            prop_assert_eq!(&decoded, &key, "{}", message);
            prop_assert_eq!(row.cname.as_deref(), Some(cname.as_str()));
            prop_assert_eq!(row.sid.as_deref(), Some(SID));
            let prefix = prefix.trim_end_matches('/');
            prop_assert_eq!(row.prefix.as_deref().unwrap_or(""), prefix);
        }
    }

    #[test]
    fn an_oss_key_whose_slashes_are_encoded_is_decoded(cname in cname(), time in "[0-9]{17}") {
        let key = format!("tenant A/{SID}_{cname}_{time}.ts");
        let (_, _, decoded, row) = one(&oss(&percent(&key)).to_string());
        prop_assert_eq!(decoded, key);
        prop_assert_eq!(row.cname.as_deref(), Some(cname.as_str()));
    }
}

#[test]
fn a_key_that_decoding_does_not_explain_stays_as_it_is() {
    for key in ["100%25.ts", "a%2Fb.ts", "%zz.ts", "a+b.ts"] {
        assert_eq!(one(&oss(key).to_string()).2, key);
    }
}

#[test]
fn keys_beyond_ascii_are_read() {
    assert_eq!(
        one(&record("aws:s3", "%E6%88%BF/a.ts").to_string()).2,
        "房/a.ts"
    );
    assert_eq!(one(&record("ceph:s3", "房/a.ts").to_string()).2, "房/a.ts");
}
