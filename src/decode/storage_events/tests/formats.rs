//! The examples of `domain/storage-events.md`, row by row.

use super::*;

const S3: &str = r#"{"Records":[{"eventVersion":"2.5","eventSource":"aws:s3","awsRegion":"eu-west-1","eventTime":"2025-11-24T16:10:05.317Z","eventName":"ObjectCreated:Put","userIdentity":{"principalId":"AWS:AIDAEXAMPLE"},"requestParameters":{"sourceIPAddress":"203.0.113.7"},"responseElements":{"x-amz-request-id":"REQ1","x-amz-id-2":"HOST1"},"s3":{"s3SchemaVersion":"1.0","configurationId":"rec","bucket":{"name":"acme-rec","ownerIdentity":{"principalId":"A1"},"arn":"arn:aws:s3:::acme-rec"},"object":{"key":"tenantA/5b1de9c07a2f4e6c8d90b1a2c3d4e5f6_room_42.m3u8","size":812,"eTag":"9b2cf535f27731c974343645a3985328","sequencer":"0065A1B2C3D4E5F607"}}}]}"#;
const MINIO: &str = r#"{"EventName":"s3:ObjectCreated:Put","Key":"acme-rec/tenantA/5b1de9c07a2f4e6c8d90b1a2c3d4e5f6_room_42_0.mp4","Records":[{"eventVersion":"2.0","eventSource":"minio:s3","awsRegion":"","eventTime":"2025-11-24T16:12:00.101Z","eventName":"s3:ObjectCreated:Put","userIdentity":{"principalId":"agora"},"requestParameters":{"principalId":"agora","region":"","sourceIPAddress":"203.0.113.7"},"responseElements":{"x-amz-request-id":"187A","x-minio-deployment-id":"d-1"},"s3":{"s3SchemaVersion":"1.0","configurationId":"Config","bucket":{"name":"acme-rec","ownerIdentity":{"principalId":"agora"},"arn":"arn:aws:s3:::acme-rec"},"object":{"key":"tenantA%2F5b1de9c07a2f4e6c8d90b1a2c3d4e5f6_room_42_0.mp4","size":1048576,"eTag":"e1","contentType":"video/mp4","userMetadata":{"content-type":"video/mp4"},"sequencer":"187A9F0C3B2D1E00"}},"source":{"host":"203.0.113.7","port":"","userAgent":"aws-sdk"}}]}"#;
const CEPH: &str = r#"{"Records":[{"eventVersion":"2.1","eventSource":"ceph:s3","awsRegion":"zg1","eventTime":"2025-11-24T16:10:05.317204Z","eventName":"ObjectCreated:Put","userIdentity":{"principalId":"agora"},"requestParameters":{"sourceIPAddress":""},"responseElements":{"x-amz-request-id":"r1","x-amz-id-2":"z1"},"s3":{"s3SchemaVersion":"1.0","configurationId":"n1","bucket":{"name":"acme-rec","ownerIdentity":{"principalId":"agora"},"arn":"arn:aws:s3:zg1::acme-rec","id":"b1"},"object":{"key":"tenantA/x.ts","size":1024,"eTag":"aa","versionId":"","sequencer":"F7E6D75DC742D108","metadata":[],"tags":[]}},"eventId":"1.2.aa","opaqueData":""}]}"#;
const OSS: &str = r#"{"events":[{"eventName":"ObjectCreated:PutObject","eventSource":"acs:oss","eventTime":"2025-11-24T16:10:05.000Z","eventVersion":"1.0","oss":{"bucket":{"arn":"acs:oss:cn-hangzhou:100200300:acme-rec","name":"acme-rec","ownerIdentity":"100200300"},"object":{"deltaSize":812,"eTag":"9B2CF535F27731C974343645A3985328","key":"tenantA/5b1de9c07a2f4e6c8d90b1a2c3d4e5f6_room_42.m3u8","size":812},"ossSchemaVersion":"1.0","ruleId":"r-1"},"region":"cn-hangzhou","requestParameters":{"sourceIPAddress":"203.0.113.7"},"responseElements":{"requestId":"REQ-1"},"userIdentity":{"principalId":"100200300"}}]}"#;

fn index_of_room_42() -> StorageEventRow<'static> {
    StorageEventRow {
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

fn s3_row() -> StorageEventRow<'static> {
    StorageEventRow {
        provider: text("s3"),
        vendor: Some(1),
        vendor_name: text("s3"),
        account: text("A1"),
        region_code: text("eu-west-1"),
        event_name: text("ObjectCreated:Put"),
        etag: text("9b2cf535f27731c974343645a3985328"),
        sequencer: text("000000000000000065A1B2C3D4E5F607"),
        ..index_of_room_42()
    }
}

fn oss_row() -> StorageEventRow<'static> {
    StorageEventRow {
        provider: text("oss"),
        vendor: Some(2),
        vendor_name: text("oss"),
        account: text("100200300"),
        region_code: text("cn-hangzhou"),
        event_name: text("ObjectCreated:PutObject"),
        etag: text("9B2CF535F27731C974343645A3985328"),
        ..index_of_room_42()
    }
}

const KEY: &str = "tenantA/5b1de9c07a2f4e6c8d90b1a2c3d4e5f6_room_42.m3u8";

#[test]
fn s3_is_read() {
    let (event_id, occurred_at, key, row) = one(S3);
    assert_eq!(event_id, format!("REQ1/HOST1/{KEY}"));
    assert_eq!(occurred_at, Some(AT + 317_000));
    assert_eq!(key, KEY);
    assert_eq!(row, s3_row());
}

#[test]
fn a_removed_s3_object_has_no_size() {
    let mut message: serde_json::Value = serde_json::from_str(S3).expect("JSON");
    let record = &mut message["Records"][0];
    record["eventName"] = json!("ObjectRemoved:DeleteMarkerCreated");
    let object = record["s3"]["object"].as_object_mut().expect("an object");
    object.remove("size");
    object.remove("eTag");
    object.insert("versionId".into(), json!("v2"));
    let (_, _, _, row) = one(&message.to_string());
    assert_eq!(row.kind, text("removed"));
    assert_eq!((row.size, row.etag, row.version), (None, None, text("v2")));
}

#[test]
fn s3_through_eventbridge_is_read() {
    let message = json!({"version": "0", "id": "e-1", "detail-type": "Object Created", "source": "aws.s3",
        "account": "123456789012", "time": "2025-11-24T16:10:05Z", "region": "eu-west-1",
        "resources": ["arn:aws:s3:::acme-rec"],
        "detail": {"version": "0", "bucket": {"name": "acme-rec"},
            "object": {"key": KEY, "size": 812, "etag": "9b2cf535f27731c974343645a3985328", "version-id": "v1", "sequencer": "65A1B2C3D4E5F607"},
            "request-id": "R", "requester": "123456789012", "source-ip-address": "203.0.113.7", "reason": "PutObject"}});
    let (event_id, occurred_at, key, row) = one(&message.to_string());
    assert_eq!(
        (event_id.as_str(), occurred_at, key.as_str()),
        ("e-1", Some(AT), KEY)
    );
    let expected = StorageEventRow {
        account: text("123456789012"),
        event_name: text("Object Created"),
        version: text("v1"),
        ..s3_row()
    };
    assert_eq!(row, expected);
    for (detail_type, kind) in [
        ("Object Deleted", "removed"),
        ("Object Tags Added", "other"),
    ] {
        let mut message = message.clone();
        message["detail-type"] = json!(detail_type);
        assert_eq!(one(&message.to_string()).3.kind, text(kind));
    }
}

#[test]
fn minio_is_read() {
    let (event_id, occurred_at, key, row) = one(MINIO);
    let name = "5b1de9c07a2f4e6c8d90b1a2c3d4e5f6_room_42_0.mp4";
    assert_eq!(key, format!("tenantA/{name}"));
    assert_eq!(event_id, format!("187A/187A9F0C3B2D1E00/{key}"));
    assert_eq!(occurred_at, Some(AT + 114_784_000 + 317_000));
    let expected = StorageEventRow {
        provider: text("minio"),
        vendor: Some(11),
        vendor_name: text("s3compat"),
        account: text("agora"),
        bucket: text("acme-rec"),
        kind: text("created"),
        event_name: text("s3:ObjectCreated:Put"),
        size: Some(1_048_576),
        etag: text("e1"),
        sequencer: text("0000000000000000187A9F0C3B2D1E00"),
        prefix: text("tenantA"),
        file_name: text(name),
        sid: text(SID),
        cname: text("room_42"),
        file_type: text("mp4"),
        ..StorageEventRow::default()
    };
    assert_eq!(row, expected);
}

#[test]
fn ceph_is_read() {
    let (event_id, occurred_at, key, row) = one(CEPH);
    assert_eq!(event_id, "r1/z1/1.2.aa/tenantA/x.ts");
    assert_eq!(occurred_at, Some(AT + 317_204));
    assert_eq!(key, "tenantA/x.ts");
    let expected = StorageEventRow {
        provider: text("ceph"),
        vendor: Some(11),
        vendor_name: text("s3compat"),
        account: text("agora"),
        bucket: text("acme-rec"),
        region_code: text("zg1"),
        kind: text("created"),
        event_name: text("ObjectCreated:Put"),
        size: Some(1024),
        etag: text("aa"),
        sequencer: text("0000000000000000F7E6D75DC742D108"),
        prefix: text("tenantA"),
        file_name: text("x.ts"),
        file_type: text("ts"),
        ..StorageEventRow::default()
    };
    assert_eq!(row, expected);
    let older = CEPH
        .replace("\"eTag\"", "\"etag\"")
        .replace("1024", "\"1024\"");
    assert_eq!(one(&older).3, expected);
}

#[test]
fn oss_is_read() {
    let (event_id, occurred_at, key, row) = one(OSS);
    assert_eq!(event_id, format!("REQ-1/{KEY}"));
    assert_eq!((occurred_at, key.as_str()), (Some(AT), KEY));
    assert_eq!(row, oss_row());
}

#[test]
fn oss_regions_are_cleaned_and_not_trusted_blindly() {
    for (region, arn_region, code) in [
        ("oss-cn-hangzhou", "", Some("cn-hangzhou")),
        (" cn-hangzhou ", "cn-beijing", Some("cn-hangzhou")),
        ("ch-china", "cn-beijing", Some("cn-beijing")),
        ("ch-china", "", Some("ch-china")),
        ("", "oss-cn-beijing", Some("cn-beijing")),
        ("", "cn-new-1", Some("cn-new-1")),
        ("", "", None),
    ] {
        let message = OSS
            .replace(
                "\"region\":\"cn-hangzhou\"",
                &format!("\"region\":\"{region}\""),
            )
            .replace("acs:oss:cn-hangzhou:", &format!("acs:oss:{arn_region}:"));
        assert_eq!(
            one(&message).3.region_code.as_deref(),
            code,
            "{region} {arn_region}"
        );
    }
    let spaced = OSS
        .replace("\"acs:oss\"", "\"acs:oss \"")
        .replace("\"name\":\"acme-rec\"", "\"name\":\"acme-rec \"");
    assert_eq!(one(&spaced).3, oss_row());
}

#[test]
fn oss_through_eventbridge_is_read() {
    let record: serde_json::Value = serde_json::from_str(OSS).expect("JSON");
    let whole = json!({"id": "e-1", "source": "acs.oss", "specversion": "1.0", "type": "oss:ObjectCreated:PutObject",
        "datacontenttype": "application/json", "time": "2025-11-24T16:10:05Z",
        "subject": format!("acs:oss:cn-hangzhou:100200300:acme-rec/{KEY}"), "aliyunaccountid": "100200300",
        "aliyunregionid": "cn-hangzhou", "aliyuneventbusname": "default", "data": record["events"][0]});
    let (event_id, occurred_at, key, row) = one(&whole.to_string());
    assert_eq!(
        (event_id.as_str(), occurred_at, key.as_str()),
        ("e-1", Some(AT), KEY)
    );
    assert_eq!(row, oss_row());

    // The exact data body is not documented: the event around it is enough.
    let mut bare = whole;
    bare["data"] = json!({});
    let (_, occurred_at, key, row) = one(&bare.to_string());
    assert_eq!((occurred_at, key.as_str()), (Some(AT), KEY));
    let expected = StorageEventRow {
        size: None,
        etag: None,
        ..oss_row()
    };
    assert_eq!(row, expected);
}

#[test]
fn the_neutral_form_is_read() {
    let message = json!({"event_id": "n-1", "occurred_at": AT / 1000, "kind": "created", "vendor": "s3", "bucket": "acme-rec",
        "region": "eu-west-1", "key": KEY, "size": 812, "etag": "9b2cf535f27731c974343645a3985328", "sequencer": "7"});
    let (event_id, occurred_at, key, row) = one(&message.to_string());
    assert_eq!(
        (event_id.as_str(), occurred_at, key.as_str()),
        ("n-1", Some(AT), KEY)
    );
    let expected = StorageEventRow {
        provider: text("neutral"),
        account: None,
        event_name: None,
        sequencer: text("00000000000000000000000000000007"),
        ..s3_row()
    };
    assert_eq!(row, expected);

    let least = one(r#"{"kind":"removed","bucket":"b","key":"k","vendor":2,"region":3}"#);
    assert_eq!((least.0.len(), least.1), (32, None));
    assert_eq!(
        (least.3.vendor_name, least.3.region_code),
        (text("oss"), text("cn-beijing"))
    );
    let unknown = one(r#"{"kind":"created","bucket":"b","key":"k","vendor":99}"#).3;
    assert_eq!((unknown.vendor, unknown.vendor_name), (Some(99), None));
}

#[test]
fn only_finished_objects_count_as_created() {
    let kinds = |message: &str, written: &str, names: &[(&str, &str)]| {
        for (name, kind) in names {
            let message = message.replace(written, name);
            assert_eq!(one(&message).3.kind, text(kind), "{name}");
        }
    };
    kinds(
        S3,
        "ObjectCreated:Put",
        &[
            ("ObjectCreated:Post", "created"),
            ("ObjectCreated:Copy", "created"),
            ("ObjectCreated:CompleteMultipartUpload", "created"),
            ("ObjectRemoved:Delete", "removed"),
            ("ObjectTagging:Put", "other"),
            ("ObjectRestore:Post", "other"),
        ],
    );
    kinds(
        MINIO,
        "s3:ObjectCreated:Put",
        &[
            ("s3:ObjectCreated:PutTagging", "other"),
            ("s3:ObjectCreated:PutRetention", "other"),
            ("s3:ObjectAccessed:Get", "other"),
            ("s3:ObjectRemoved:Delete", "removed"),
        ],
    );
    kinds(
        CEPH,
        "ObjectCreated:Put",
        &[("ObjectCreated:Post", "other")],
    );
    kinds(
        OSS,
        "ObjectCreated:PutObject",
        &[
            ("ObjectCreated:AppendObject", "created"),
            ("ObjectCreated:UploadPart", "other"),
            ("ObjectCreated:InitiateMultipartUpload", "other"),
            ("ObjectCreated:PutSymlink", "other"),
            ("ObjectRemoved:DeleteObject", "removed"),
            ("ObjectRemoved:AbortMultipartUpload", "other"),
        ],
    );
}

#[test]
fn redelivered_events_have_one_id() {
    let without_ids = S3.replace("REQ1", "");
    let (event_id, ..) = one(&without_ids);
    assert_eq!(event_id.len(), 32);
    let sns = json!({"Type": "Notification", "MessageId": "m", "Message": without_ids});
    assert_eq!(one(&sns.to_string()).0, event_id);
    assert_ne!(one(&without_ids.replace("812", "813")).0, event_id);
}

#[test]
fn text_order_of_sequencers_is_the_order_of_writes() {
    let sequencer = |written: &str| {
        let message = S3.replace("0065A1B2C3D4E5F607", written);
        one(&message).3.sequencer.expect("given")
    };
    assert!(sequencer("9") < sequencer("10"));
    assert!(sequencer("FF") < sequencer("0100"));
    assert_eq!(sequencer(&"A".repeat(40)).len(), 40);
}
