//! The examples of `domain/storage-events.md`, sections 5 to 9, and what is special about each cloud.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::*;

const COS: &str = r#"{"Records":[{"cos":{"cosSchemaVersion":"1.0","cosObject":{"url":"http://acme-rec-1250000000.cos.ap-chengdu.myqcloud.com/tenantA/5b1de9c07a2f4e6c8d90b1a2c3d4e5f6_room_42.m3u8","meta":{"x-cos-request-id":"REQ","Content-Type":""},"vid":"","key":"/1250000000/acme-rec/tenantA/5b1de9c07a2f4e6c8d90b1a2c3d4e5f6_room_42.m3u8","size":812},"cosBucket":{"region":"cd","name":"acme-rec","appid":"1250000000"},"cosNotificationId":"unkown"},"event":{"eventName":"cos:ObjectCreated:Put","eventVersion":"1.0","eventTime":1764000605,"eventSource":"qcs::cos","requestParameters":{"requestSourceIP":"203.0.113.7","requestHeaders":{"Authorization":"REDACTED"}},"eventQueue":"q","reservedInfo":"","reqid":179398952}}]}"#;
const OBS: &str = r#"{"Records":[{"eventVersion":"3.0","eventSource":"OBS","eventRegion":"cn-north-4","eventTime":"2025-11-24T16:10:05.418Z","eventName":"ObjectCreated:Put","userIdentity":{"ID":"u1"},"requestParameters":{"sourceIPAddress":"203.0.113.7"},"responseElements":{"x-obs-request-id":"r1","x-obs-id-2":"h1"},"obs":{"Version":"1.0","configurationId":"rule1","bucket":{"name":"acme-rec","ownerIdentity":{"ID":"u1"},"bucket":"acme-rec"},"object":{"key":"tenantA%2F5b1de9c07a2f4e6c8d90b1a2c3d4e5f6_room_42.m3u8","eTag":"aa","size":812,"versionId":"null","sequencer":"1"}}}]}"#;
const AZURE: &str = r#"[{"topic":"/subscriptions/s1/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/acmestore","subject":"/blobServices/default/containers/acme-rec/blobs/tenantA/5b1de9c07a2f4e6c8d90b1a2c3d4e5f6_room_42.m3u8","eventType":"Microsoft.Storage.BlobCreated","eventTime":"2025-11-24T16:10:05.9584103Z","id":"e-1","data":{"api":"PutBlockList","clientRequestId":"c1","requestId":"q1","eTag":"0x8DC70D257E6452E","contentType":"application/x-mpegURL","contentLength":812,"blobType":"BlockBlob","url":"https://acmestore.blob.core.windows.net/acme-rec/tenantA/5b1de9c07a2f4e6c8d90b1a2c3d4e5f6_room_42.m3u8","sequencer":"00000000000000000000000000000001000000000000abcd"},"dataVersion":"","metadataVersion":"1"}]"#;
const BOS: &str = r#"{"version":"1.0","eventId":"b-1","eventOrigin":"bos:realtime","eventTime":"2025-11-24T16:10:05Z","eventType":"PutObject","content":{"userId":"u","domain":"gz.bcebos.com","bucket":"acme-rec","object":"tenantA/5b1de9c07a2f4e6c8d90b1a2c3d4e5f6_room_42.m3u8","eTag":"aa","contentType":"application/x-mpegURL","filesize":812,"lastModified":"2025-11-24T16:10:05Z"}}"#;
const KEY: &str = "tenantA/5b1de9c07a2f4e6c8d90b1a2c3d4e5f6_room_42.m3u8";

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// The row of that object, from this provider.
fn row(provider: &str, vendor: i32, vendor_name: &str) -> StorageEventRow<'static> {
    StorageEventRow {
        provider: text(provider),
        vendor: Some(vendor),
        vendor_name: text(vendor_name),
        bucket: text("acme-rec"),
        kind: text("created"),
        size: Some(812),
        prefix: text("tenantA"),
        file_name: text("5b1de9c07a2f4e6c8d90b1a2c3d4e5f6_room_42.m3u8"),
        sid: text(SID),
        cname: text("room_42"),
        file_type: text("m3u8"),
        ..StorageEventRow::default()
    }
}

/// Checks what becomes of a message when this text stands in place of that one.
fn check_kinds(message: &str, written: &str, kinds: &[(&str, &str)]) {
    assert!(message.contains(written));
    for (name, kind) in kinds {
        let message = message.replace(written, name);
        assert_eq!(one(&message).3.kind, text(kind), "{name}");
    }
}

#[test]
fn zos_is_read() {
    let mut record = s3_record(KEY);
    record["eventSource"] = json!("ctyun:s3");
    record["eventTime"] = json!("2025-11-24 16:10:05.317204Z");
    record["awsRegion"] = json!("huabei-2");
    record["s3"]["object"]["size"] = json!("812");
    let (_, occurred_at, key, given) = one(&json!({"Records": [record]}).to_string());
    assert_eq!((occurred_at, key.as_str()), (Some(AT + 317_204), KEY));
    let expected = StorageEventRow {
        region_code: text("huabei-2"),
        event_name: text("ObjectCreated:Put"),
        ..row("zos", 11, "s3compat")
    };
    assert_eq!(given, expected);
}

#[test]
fn cos_is_read() {
    let (event_id, occurred_at, key, given) = one(COS);
    assert_eq!(event_id, format!("REQ/{KEY}"));
    assert_eq!((occurred_at, key.as_str()), (Some(AT), KEY));
    let expected = StorageEventRow {
        account: text("1250000000"),
        bucket: text("acme-rec-1250000000"),
        region_code: text("ap-chengdu"),
        event_name: text("cos:ObjectCreated:Put"),
        ..row("cos", 3, "cos")
    };
    assert_eq!(given, expected);

    let mut without_id = json_of(COS);
    without_id["Records"][0]["cos"]["cosObject"]["meta"] = json!({});
    assert_eq!(one(&without_id.to_string()).0, format!("179398952/{KEY}"));
    check_kinds(
        COS,
        "cos:ObjectCreated:Put",
        &[
            ("cos:ObjectCreated:*", "created"),
            ("cos:ObjectCreated:CompleteMultipartUpload", "created"),
            ("cos:ObjectRemove:Delete", "removed"),
            ("cos:ObjectRemove:DeleteMarkerCreated", "removed"),
            ("cos:ObjectRestore:Post", "other"),
        ],
    );
}

#[test]
fn cos_keys_and_regions_are_found_in_all_their_dresses() {
    let with = |key: &str, url: &str, region: &str| {
        let mut message = json_of(COS);
        let cos = &mut message["Records"][0]["cos"];
        cos["cosObject"]["key"] = json!(key);
        cos["cosObject"]["url"] = json!(url);
        cos["cosBucket"]["region"] = json!(region);
        let (_, _, key, row) = one(&message.to_string());
        (key, row.region_code.map(Cow::into_owned))
    };
    let host = "http://acme-rec-1250000000.cos.ap-chengdu.myqcloud.com";
    let spaced = format!("tenant A/{SID}_a+b%.ts");
    let encoded = format!("tenant%20A/{SID}_a%2Bb%25.ts");
    let path = "/1250000000/acme-rec/";
    for key in [
        format!("{path}{spaced}"),
        format!("{path}{encoded}"),
        format!("/{spaced}"),
        format!("/{encoded}"),
        String::new(),
        path.to_string(),
    ] {
        let url = format!("{host}/{encoded}?x=1");
        assert_eq!(with(&key, &url, "cd").0, spaced, "{key}");
    }
    assert_eq!(with(&format!("{path}50%25.ts"), "", "cd").0, "50%25.ts");
    for (url, field, code) in [
        (host, "bj", "ap-chengdu"),
        ("http://acme-rec-1.cosbj.myqcloud.com/a", "", "ap-beijing"),
        (
            "http://acme-rec-1.cos-ap-seoul.myqcloud.com/a",
            "",
            "ap-seoul",
        ),
        ("https://files.acme.example/a", "gz", "ap-guangzhou"),
        ("", "ap-nanjing", "ap-nanjing"),
    ] {
        let region = with(&format!("{path}a.ts"), url, field).1;
        assert_eq!(region.as_deref(), Some(code), "{url} {field}");
    }
    let mut whole = json_of(COS);
    whole["Records"][0]["cos"]["cosBucket"]["name"] = json!("acme-rec-1250000000");
    assert_eq!(
        one(&whole.to_string()).3.bucket,
        text("acme-rec-1250000000")
    );
}

fn obs_row() -> StorageEventRow<'static> {
    StorageEventRow {
        account: text("u1"),
        region_code: text("cn-north-4"),
        event_name: text("ObjectCreated:Put"),
        etag: text("aa"),
        ..row("obs", 7, "obs")
    }
}

#[test]
fn obs_is_read() {
    let (event_id, occurred_at, key, given) = one(OBS);
    assert_eq!(event_id, format!("r1/h1/{KEY}"));
    assert_eq!((occurred_at, key.as_str()), (Some(AT + 418_000), KEY));
    assert_eq!(given, obs_row());
    check_kinds(
        OBS,
        "ObjectCreated:Put",
        &[
            ("ObjectCreated:CompleteMultipartUpload", "created"),
            ("ObjectRemoved:DeleteMarkerCreated", "removed"),
            ("ObjectRestore:Post", "other"),
        ],
    );
}

#[test]
fn obs_by_smn_is_read_and_its_confirmations_are_skipped() {
    let smn = |kind: &str, message: &str| {
        json!({"type": kind, "topic_urn": "urn:smn:cn-north-4:1:obs", "message_id": "m", "message": message,
            "subject": "OBS", "timestamp": "2025-11-24T16:10:06Z", "signature": "s"})
        .to_string()
    };
    assert_eq!(one(&smn("Notification", OBS)).3, obs_row());
    let confirmation = smn("SubscriptionConfirmation", "You are invited to subscribe");
    let skipped = Given::Skipped(SkipReason::ControlMessage, confirmation.clone());
    assert_eq!(given(&confirmation), Ok(vec![skipped]));
}

#[test]
fn obs_by_eventgrid_is_read_and_its_clock_is_set_right() {
    let event = |of_record: &str, of_event: &str| {
        let mut record = json_of(OBS)["Records"][0].take();
        record["eventTime"] = json!(of_record);
        // With the setting that leaves it as it is.
        record["obs"]["object"]["key"] = json!("tenantA/100%41.ts");
        json!({"specversion": "1.0", "id": "g-1", "source": "HC.OBS.DWR", "type": "OBS:DWR:ObjectCreated:PUT",
            "time": of_event, "subject": KEY, "datacontenttype": "application/json", "data": record})
    };
    let local = event("2025-11-25T00:10:05.418Z", "2025-11-24T16:10:06.131174Z");
    let (event_id, occurred_at, key, given) = one(&local.to_string());
    assert_eq!((event_id.as_str(), key.as_str()), ("g-1", KEY));
    assert_eq!(occurred_at, Some(AT + 418_000));
    assert_eq!(given, obs_row());
    let right = event("2025-11-24T16:10:05.418Z", "2025-11-24T16:10:06.131174Z");
    assert_eq!(one(&right.to_string()).1, Some(AT + 418_000));

    let mut bare = event("", "2025-11-24T16:10:05Z");
    bare["data"]["eventName"] = Value::Null;
    let (_, occurred_at, _, given) = one(&bare.to_string());
    assert_eq!(occurred_at, Some(AT));
    assert_eq!(given.event_name, text("ObjectCreated:PUT"));
    assert_eq!(given.kind, text("created"));
}

fn azure_row() -> StorageEventRow<'static> {
    StorageEventRow {
        account: text("acmestore"),
        event_name: text("Microsoft.Storage.BlobCreated"),
        etag: text("0x8DC70D257E6452E"),
        sequencer: text("00000000000000000000000000000001000000000000abcd"),
        ..row("azblob", 5, "azblob")
    }
}

#[test]
fn azure_is_read_in_both_schemas() {
    let (event_id, occurred_at, key, given) = one(AZURE);
    assert_eq!((event_id.as_str(), key.as_str()), ("e-1", KEY));
    assert_eq!(occurred_at, Some(AT + 958_410));
    assert_eq!(given, azure_row());

    let event = json_of(AZURE)[0].take();
    let cloud_event = json!({"specversion": "1.0", "source": event["topic"], "type": event["eventType"], "id": "e-1",
        "time": event["eventTime"], "subject": event["subject"], "data": event["data"]});
    let again = one(&cloud_event.to_string());
    assert_eq!(
        (again.0, again.1, again.2, again.3),
        (event_id, occurred_at, key, azure_row())
    );

    // From what is left when one of the two names is missing.
    let mut by_url = event.clone();
    by_url["subject"] = Value::Null;
    by_url["topic"] = Value::Null;
    by_url["data"]["url"] =
        json!("https://acmestore.blob.core.windows.net/acme-rec/a%20b/c%2Bd.ts?x=1");
    let (_, _, key, given) = one(&by_url.to_string());
    assert_eq!(key, "a b/c+d.ts");
    assert_eq!(
        (given.account, given.bucket),
        (text("acmestore"), text("acme-rec"))
    );
}

#[test]
fn only_whole_azure_blobs_count() {
    check_kinds(
        AZURE,
        "PutBlockList",
        &[
            ("PutBlob", "created"),
            ("CopyBlob", "created"),
            ("FlushWithClose", "created"),
            ("CreateFile", "other"),
            ("SftpCreate", "other"),
        ],
    );
    check_kinds(
        AZURE,
        "Microsoft.Storage.BlobCreated",
        &[
            ("Microsoft.Storage.BlobDeleted", "removed"),
            ("Microsoft.Storage.BlobTierChanged", "other"),
            ("Microsoft.Storage.DirectoryCreated", "other"),
        ],
    );
    let mut policy = json_of(AZURE)[0].take();
    policy["eventType"] = json!("Microsoft.Storage.LifecyclePolicyCompleted");
    policy["subject"] = json!("BlobDataManagement/LifeCycleManagement/SummaryReport");
    policy["data"] = json!({});
    let policy = policy.to_string();
    let skipped = Given::Skipped(SkipReason::ControlMessage, policy.clone());
    assert_eq!(given(&policy), Ok(vec![skipped]));
}

fn attributes() -> Value {
    json!({"bucketId": "acme-rec", "eventTime": "2025-11-24T16:10:05.277455Z", "eventType": "OBJECT_FINALIZE",
        "notificationConfig": "projects/_/buckets/acme-rec/notificationConfigs/3",
        "objectGeneration": "1764000605277455", "objectId": KEY, "payloadFormat": "JSON_API_V1"})
}

fn resource() -> Value {
    json!({"kind": "storage#object", "id": format!("acme-rec/{KEY}/1764000605277455"), "bucket": "acme-rec", "name": KEY,
        "generation": "1764000605277455", "size": "812", "etag": "CM/x", "updated": "2025-11-24T16:10:05.277Z",
        "timeCreated": "2025-11-24T16:10:05.277Z"})
}

fn gcs_row() -> StorageEventRow<'static> {
    StorageEventRow {
        event_name: text("OBJECT_FINALIZE"),
        etag: text("CM/x"),
        version: text("1764000605277455"),
        sequencer: text("00000000000000001764000605277455"),
        ..row("gcs", 6, "gcs")
    }
}

#[test]
fn gcs_through_pub_sub_is_read_however_it_is_delivered() {
    // As the service writes it.
    let data = STANDARD.encode(serde_json::to_string_pretty(&resource()).expect("JSON"));
    let pull = json!({"attributes": attributes(), "data": data, "message_id": "157810539096020",
        "publish_time": "2025-11-24T16:10:05.300Z"});
    let push = json!({"message": {"attributes": attributes(), "data": data, "messageId": "157810539096020",
        "message_id": "157810539096020", "publishTime": "2025-11-24T16:10:05.300Z"}, "subscription": "projects/p/subscriptions/s"});
    let pushed_by_eventarc = json!({"specversion": "1.0", "id": "x", "type": "google.cloud.pubsub.topic.v1.messagePublished",
        "source": "//pubsub.googleapis.com/projects/p/topics/t", "data": push});
    for message in [&pull, &push, &pushed_by_eventarc] {
        let (event_id, occurred_at, key, given) = one(&message.to_string());
        assert_eq!((event_id.as_str(), key.as_str()), ("157810539096020", KEY));
        assert_eq!(occurred_at, Some(AT + 277_455));
        assert_eq!(given, gcs_row());
    }
    let mut fields = attributes();
    fields["message"] = json!(resource().to_string());
    assert_eq!(one(&fields.to_string()).3, gcs_row());

    // Without the object, and with one that cannot be read.
    let unknown = StorageEventRow {
        size: None,
        etag: None,
        ..gcs_row()
    };
    let mut bare = pull.clone();
    bare.as_object_mut().expect("an object").remove("data");
    assert_eq!(one(&bare.to_string()).3, unknown);
    bare["data"] = json!("e?");
    assert_eq!(one(&bare.to_string()).3, unknown);
    assert_eq!(one(&attributes().to_string()).3, unknown);
}

#[test]
fn a_gcs_object_that_is_replaced_does_not_go() {
    let message = json!({"attributes": attributes(), "message_id": "1"});
    let kind = |event_type: &str, replaced: bool| {
        let mut message = message.clone();
        message["attributes"]["eventType"] = json!(event_type);
        if replaced {
            message["attributes"]["overwrittenByGeneration"] = json!("1764000605277456");
        }
        one(&message.to_string())
            .3
            .kind
            .expect("always there")
            .into_owned()
    };
    assert_eq!(kind("OBJECT_DELETE", false), "removed");
    assert_eq!(kind("OBJECT_ARCHIVE", false), "removed");
    assert_eq!(kind("OBJECT_DELETE", true), "other");
    assert_eq!(kind("OBJECT_ARCHIVE", true), "other");
    assert_eq!(kind("OBJECT_METADATA_UPDATE", false), "other");
}

#[test]
fn a_gcs_object_of_which_nothing_happened_is_no_new_one() {
    let (_, occurred_at, key, given) = one(&resource().to_string());
    assert_eq!((occurred_at, key.as_str()), (Some(AT + 277_000), KEY));
    let expected = StorageEventRow {
        kind: text("other"),
        event_name: None,
        ..gcs_row()
    };
    assert_eq!(given, expected);
}

#[test]
fn gcs_through_eventarc_is_read() {
    let mut object = resource();
    object["size"] = json!(812);
    object["generation"] = json!(1_764_000_605_277_455_i64);
    let event = json!({"specversion": "1.0", "id": "a-1", "type": "google.cloud.storage.object.v1.finalized",
        "source": "//storage.googleapis.com/projects/_/buckets/acme-rec", "subject": format!("objects/{KEY}"),
        "time": "2025-11-24T16:10:05.277455Z", "data": object});
    let (event_id, occurred_at, key, given) = one(&event.to_string());
    assert_eq!((event_id.as_str(), key.as_str()), ("a-1", KEY));
    assert_eq!(occurred_at, Some(AT + 277_455));
    let expected = StorageEventRow {
        event_name: text("google.cloud.storage.object.v1.finalized"),
        ..gcs_row()
    };
    assert_eq!(given, expected);
    let mut bare = event.clone();
    bare["data"] = Value::Null;
    let (_, _, key, given) = one(&bare.to_string());
    assert_eq!((key.as_str(), given.bucket), (KEY, text("acme-rec")));
    check_kinds(
        &event.to_string(),
        "v1.finalized",
        &[
            ("v1.deleted", "removed"),
            ("v1.archived", "removed"),
            ("v1.metadataUpdated", "other"),
        ],
    );
}

#[test]
fn bos_is_read() {
    let (event_id, occurred_at, key, given) = one(BOS);
    assert_eq!(
        (event_id.as_str(), occurred_at, key.as_str()),
        ("b-1", Some(AT), KEY)
    );
    let expected = StorageEventRow {
        region_code: text("gz"),
        event_name: text("PutObject"),
        etag: text("aa"),
        ..row("bos", 8, "bos")
    };
    assert_eq!(given, expected);
    let of_trigger = format!("{{\"events\":[{BOS}]}}").replace(
        "\"2025-11-24T16:10:05Z\",\"eventType\"",
        "\"Mon, 24 Nov 2025 16:10:05 GMT\",\"eventType\"",
    );
    let again = one(&of_trigger);
    assert_eq!((again.1, again.3), (Some(AT), expected));
    check_kinds(
        BOS,
        "PutObject",
        &[
            ("CompleteMultipartObject", "created"),
            ("DeleteObject", "removed"),
            ("UploadPart", "other"),
        ],
    );
}

#[test]
fn qiniu_is_read() {
    let inner = json!({"event": "put", "time": (AT + 123) * 1000, "reqid": "R", "source_ip": "203.0.113.7", "user_id": "uid:1",
        "access_key": "[redacted]", "bucket": "acme-rec", "key": KEY, "fsize": 812, "hash": "FhW", "ftype": 0,
        "mimetype": "application/x-mpegURL", "dest_bucket": "", "dest_key": ""});
    let wrapped = |inner: &Value| {
        json!({"Message": inner.to_string(), "Subject": "Qiniu KODO Notification", "Timestamp": "2025-11-24T16:10:06+08:00"})
            .to_string()
    };
    let (event_id, occurred_at, key, given) = one(&wrapped(&inner));
    assert_eq!(event_id, format!("R/{KEY}"));
    assert_eq!((occurred_at, key.as_str()), (Some(AT + 123), KEY));
    let expected = StorageEventRow {
        account: text("uid:1"),
        event_name: text("put"),
        etag: text("FhW"),
        ..row("qiniu", 0, "qiniu")
    };
    assert_eq!(given, expected);
    check_kinds(
        &wrapped(&inner),
        "\\\"put\\\"",
        &[
            ("\\\"mkfile\\\"", "created"),
            ("\\\"append\\\"", "created"),
            ("\\\"delete\\\"", "removed"),
            ("\\\"move\\\"", "removed"),
            ("\\\"restore:completed\\\"", "other"),
        ],
    );
    let mut copy = inner;
    copy["event"] = json!("copy");
    copy["dest_bucket"] = json!("acme-copies");
    copy["dest_key"] = json!("b/a.ts");
    let (_, _, key, given) = one(&wrapped(&copy));
    assert_eq!(
        (key.as_str(), given.bucket, given.kind),
        ("b/a.ts", text("acme-copies"), text("created"))
    );
}

#[test]
fn cloud_events_of_whomever_are_opened() {
    let around = |data: Value| {
        json!({"specversion": "1.0", "id": "x", "type": "cos:created:put", "source": "cos.cloud.example", "data": data})
            .to_string()
    };
    let expected = one(COS);
    assert_eq!(one(&around(json_of(COS))), expected);
    assert_eq!(one(&around(json_of(COS)["Records"][0].take())), expected);
    assert_eq!(one(&around(json!(COS))), expected);
    let in_base64 = json!({"specversion": "1.0", "data_base64": STANDARD.encode(COS)}).to_string();
    assert_eq!(one(&in_base64), expected);
    assert_eq!(given(&around(Value::Null)), Err(RejectCode::UnknownShape));
}
