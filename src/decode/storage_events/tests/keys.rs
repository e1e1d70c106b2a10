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

fn cos(key: &str, url_path: &str) -> serde_json::Value {
    json!({"cos": {"cosBucket": {"name": "acme-rec", "appid": "1250000000", "region": "cd"},
        "cosObject": {"key": key, "url": format!("http://acme-rec-1250000000.cos.ap-chengdu.myqcloud.com/{url_path}")}},
        "event": {"eventName": "cos:ObjectCreated:Put", "eventSource": "qcs::cos"}})
}

fn obs(key: &str) -> serde_json::Value {
    json!({"eventSource": "OBS", "eventName": "ObjectCreated:Put",
        "obs": {"bucket": {"name": "b"}, "object": {"key": key}}})
}

fn azure(subject: serde_json::Value, url_path: &str) -> serde_json::Value {
    json!({"eventType": "Microsoft.Storage.BlobCreated", "id": "e", "subject": subject,
        "data": {"api": "PutBlob", "url": format!("https://acme.blob.core.windows.net/b/{url_path}")}})
}

fn base64(value: &serde_json::Value) -> String {
    base64::Engine::encode(
        &base64::engine::general_purpose::STANDARD,
        value.to_string(),
    )
}

/// The same object as each provider writes it.
fn messages(key: &str) -> Vec<serde_json::Value> {
    let query_escaped = form(key, "-_.~");
    // Slashes stand for themselves in a URL.
    let path = percent(key).replace("%2F", "/");
    let outer = format!("acme-rec/{key}");
    let below = |key: &str| format!("/1250000000/acme-rec/{key}");
    let resource = json!({"kind": "storage#object", "bucket": "b", "name": key});
    let attributes = json!({"eventType": "OBJECT_FINALIZE", "bucketId": "b", "objectId": key});
    vec![
        record("aws:s3", &form(key, "/-_.*")),
        json!({"Key": outer, "Records": [record("minio:s3", &query_escaped)]}),
        record("minio:s3", &query_escaped),
        // Decoded by a bridge on the way.
        json!({"Key": outer, "Records": [record("minio:s3", key)]}),
        record("ceph:s3", key),
        record("ctyun:s3", key),
        oss(key),
        json!({"source": "acs.oss", "type": "oss:ObjectCreated:PutObject", "data": oss(key)}),
        json!({"source": "acs.oss", "type": "oss:ObjectCreated:PutObject", "subject": format!("acs:oss:r:1:b/{key}")}),
        json!({"MessageBody": base64(&json!({"events": [oss(key)]}))}),
        json!({"source": "aws.s3", "detail-type": "Object Created",
            "detail": {"bucket": {"name": "b"}, "object": {"key": key}}}),
        cos(&below(key), &path),
        cos(&below(&path), &path),
        cos("", &path),
        json!({"Records": [obs(&query_escaped)]}),
        json!({"type": "Notification", "topic_urn": "t", "message": json!({"Records": [obs(&query_escaped)]}).to_string()}),
        json!({"source": "HC.OBS.DWR", "specversion": "1.0", "subject": key, "data": obs(key)}),
        azure(
            json!(format!("/blobServices/default/containers/b/blobs/{key}")),
            &path,
        ),
        azure(json!(null), &path),
        json!({"message": {"attributes": attributes, "data": base64(&resource), "messageId": "1"}}),
        json!({"message": {"attributes": attributes, "messageId": "1"}}),
        attributes,
        json!({"type": "google.cloud.storage.object.v1.finalized", "specversion": "1.0",
            "source": "//storage.googleapis.com/projects/_/buckets/b", "subject": format!("objects/{key}"), "data": resource}),
        json!({"eventOrigin": "bos:realtime", "eventType": "PutObject", "content": {"bucket": "b", "object": key}}),
        json!({"Message": json!({"event": "put", "bucket": "b", "key": key}).to_string(), "Subject": "Qiniu KODO Notification"}),
        json!({"kind": "created", "bucket": "b", "key": key}),
    ]
}

proptest! {
    #[test]
    fn keys_survive_each_provider(sid in "[0-9a-f]{32}", cname in cname(), prefix in prefix(), time in "[0-9]{17}") {
        let key = format!("{prefix}{sid}_{cname}_{time}.ts");
        for message in messages(&key) {
            let (_, _, decoded, row) = one(&message.to_string());
            prop_assert_eq!(&decoded, &key, "{}", message);
            prop_assert_eq!(row.kind.as_deref(), Some("created"), "{}", message);
            prop_assert_eq!(row.cname.as_deref(), Some(cname.as_str()));
            prop_assert_eq!(row.sid.as_deref(), Some(sid.as_str()));
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
