//! New objects as each cloud announces them (storage event facts).

mod cloud;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::story::{MILLI, Story, millis, rfc3339};
use super::world::{Notices, Storage};
use crate::event::{Micros, Stream};

/// An object as it stands after one write.
#[derive(Clone, Copy)]
pub(super) struct Object<'a> {
    pub(super) storage: &'a Storage,
    /// Plain; each form encodes it in its own way.
    pub(super) key: &'a str,
    pub(super) size: i64,
    pub(super) at: Micros,
    pub(super) change: Change,
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Written,
    Removed,
}

impl Change {
    /// The name that S3 and its likes give the event.
    const fn s3_name(self) -> &'static str {
        match self {
            Change::Written => "ObjectCreated:Put",
            Change::Removed => "ObjectRemoved:Delete",
        }
    }

    const fn oss_name(self) -> &'static str {
        match self {
            Change::Written => "ObjectCreated:PutObject",
            Change::Removed => "ObjectRemoved:DeleteObject",
        }
    }
}

/// Announces a write, if anybody listens to the bucket.
pub(super) fn announce(story: &mut Story, object: &Object<'_>) {
    let written_at = object.at;
    // Each bucket has its own clock.
    let object = &Object {
        at: written_at + story.skew(object.storage.bucket, 500 * MILLI),
        ..*object
    };
    let mut key = None;
    let value = match object.storage.notices {
        Notices::None => return,
        Notices::S3 => s3_records(story, object),
        Notices::S3Sns => {
            let message = s3_records(story, object);
            sns(story, object, &message)
        }
        Notices::S3Sqs => {
            let body = s3_records(story, object);
            sqs(story, object, &body)
        }
        Notices::S3EventBridge => s3_event_bridge(story, object),
        Notices::Minio => {
            key = Some(format!("{}/{}", object.storage.bucket, object.key));
            minio(story, object)
        }
        Notices::Oss => json!({"events": [oss_event(story, object)]}),
        Notices::OssEventBridge => oss_event_bridge(story, object),
        Notices::OssMns => oss_mns(story, object),
        Notices::Cos => cloud::cos(story, object),
        Notices::ObsSmn => cloud::obs_by_smn(story, object),
        Notices::AzureEventGrid => cloud::azure_by_event_grid(story, object),
        Notices::GcsPubSub => cloud::gcs_by_pub_sub(story, object),
        Notices::Neutral => neutral(story, object),
    };
    let arrives = written_at + 400 * MILLI + story.transit() + story.twist.reported_late;
    story.emit(Stream::StorageEvents, key, &value, arrives);
}

/// Section 1: the key is form-encoded, `/` stays.
fn s3_records(story: &mut Story, object: &Object<'_>) -> Value {
    let storage = object.storage;
    json!({"Records": [{
        "eventVersion": "2.5",
        "eventSource": "aws:s3",
        "awsRegion": storage.region_code,
        "eventTime": rfc3339(object.at),
        "eventName": object.change.s3_name(),
        "userIdentity": {"principalId": "AWS:AIDAEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "203.0.113.7"},
        "responseElements": {"x-amz-request-id": story.hex(16).to_uppercase(), "x-amz-id-2": story.hex(40)},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "recordings",
            "bucket": {"name": storage.bucket, "ownerIdentity": {"principalId": "A1EXAMPLE"},
                "arn": format!("arn:aws:s3:::{}", storage.bucket)},
            "object": {"key": form_encode(object.key).replace("%2F", "/"), "size": object.size,
                "eTag": story.hex(32), "sequencer": sequencer(object.at)},
        },
    }]})
}

fn sns(story: &mut Story, object: &Object<'_>, message: &Value) -> Value {
    let topic = format!(
        "arn:aws:sns:{}:123456789012:recordings",
        object.storage.region_code
    );
    json!({
        "Type": "Notification",
        "MessageId": uuid(story),
        "TopicArn": topic,
        "Subject": "Amazon S3 Notification",
        "Message": message.to_string(),
        "Timestamp": rfc3339(object.at + 300 * MILLI),
        "SignatureVersion": "1",
        "Signature": story.secret("SNS"),
        "SigningCertURL": "https://sns.example/cert.pem",
        "UnsubscribeURL": "https://sns.example/unsubscribe",
    })
}

fn sqs(story: &mut Story, object: &Object<'_>, body: &Value) -> Value {
    json!({
        "messageId": uuid(story),
        "receiptHandle": story.hex(64),
        "body": body.to_string(),
        "attributes": {"ApproximateReceiveCount": "1",
            "SentTimestamp": millis(object.at + 300 * MILLI).to_string()},
        "messageAttributes": {},
        "md5OfBody": story.hex(32),
        "eventSource": "aws:sqs",
        "eventSourceARN": format!("arn:aws:sqs:{}:123456789012:recordings", object.storage.region_code),
        "awsRegion": object.storage.region_code,
    })
}

/// The key is not encoded here, and the time has whole seconds.
fn s3_event_bridge(story: &mut Story, object: &Object<'_>) -> Value {
    let storage = object.storage;
    let time = rfc3339(object.at / 1_000_000 * 1_000_000).replace(".000Z", "Z");
    json!({
        "version": "0",
        "id": uuid(story),
        "detail-type": match object.change {
            Change::Written => "Object Created",
            Change::Removed => "Object Deleted",
        },
        "source": "aws.s3",
        "account": "123456789012",
        "time": time,
        "region": storage.region_code,
        "resources": [format!("arn:aws:s3:::{}", storage.bucket)],
        "detail": {
            "version": "0",
            "bucket": {"name": storage.bucket},
            "object": {"key": object.key, "size": object.size, "etag": story.hex(32),
                "sequencer": sequencer(object.at)},
            "request-id": story.hex(16).to_uppercase(),
            "requester": "123456789012",
            "source-ip-address": "203.0.113.7",
            "reason": match object.change {
                Change::Written => "PutObject",
                Change::Removed => "DeleteObject",
            },
        },
    })
}

/// Section 2: prefixed event name, `/` encoded too in the inner key, plain outer key.
fn minio(story: &mut Story, object: &Object<'_>) -> Value {
    let storage = object.storage;
    json!({
        "EventName": format!("s3:{}", object.change.s3_name()),
        "Key": format!("{}/{}", storage.bucket, object.key),
        "Records": [{
            "eventVersion": "2.0",
            "eventSource": "minio:s3",
            "awsRegion": "",
            "eventTime": rfc3339(object.at),
            "eventName": format!("s3:{}", object.change.s3_name()),
            "userIdentity": {"principalId": "agora"},
            "requestParameters": {"principalId": "agora", "region": "", "sourceIPAddress": "203.0.113.7"},
            "responseElements": {"x-amz-request-id": story.hex(16).to_uppercase(),
                "x-minio-deployment-id": "d-1",
                "x-minio-origin-endpoint": "https://minio.harbor.example"},
            "s3": {
                "s3SchemaVersion": "1.0",
                "configurationId": "Config",
                "bucket": {"name": storage.bucket, "ownerIdentity": {"principalId": "agora"},
                    "arn": format!("arn:aws:s3:::{}", storage.bucket)},
                "object": {"key": form_encode(object.key), "size": object.size, "eTag": story.hex(32),
                    "contentType": "application/octet-stream",
                    "userMetadata": {"content-type": "application/octet-stream"},
                    "sequencer": sequencer(object.at)},
            },
            "source": {"host": "203.0.113.7", "port": "", "userAgent": "aws-sdk"},
        }],
    })
}

/// Section 4: plain key, whole seconds, upper-case tag, no sequencer.
fn oss_event(story: &mut Story, object: &Object<'_>) -> Value {
    let storage = object.storage;
    json!({
        "eventName": object.change.oss_name(),
        "eventSource": "acs:oss",
        "eventTime": rfc3339(object.at / 1_000_000 * 1_000_000),
        "eventVersion": "1.0",
        "oss": {
            "bucket": {"arn": format!("acs:oss:{}:100200300:{}", storage.region_code, storage.bucket),
                "name": storage.bucket, "ownerIdentity": "100200300"},
            "object": {"deltaSize": object.size, "eTag": story.hex(32).to_uppercase(), "key": object.key,
                "size": object.size},
            "ossSchemaVersion": "1.0",
            "ruleId": "recordings",
        },
        "region": storage.region_code,
        "requestParameters": {"sourceIPAddress": "203.0.113.7"},
        "responseElements": {"requestId": story.hex(24).to_uppercase()},
        "userIdentity": {"principalId": "100200300"},
    })
}

fn oss_mns(story: &mut Story, object: &Object<'_>) -> Value {
    let notification = json!({"events": [oss_event(story, object)]});
    json!({
        "MessageId": story.hex(32).to_uppercase(),
        "MessageBody": STANDARD.encode(notification.to_string()),
        "MessageBodyMD5": story.hex(32).to_uppercase(),
    })
}

fn oss_event_bridge(story: &mut Story, object: &Object<'_>) -> Value {
    let storage = object.storage;
    json!({
        "id": uuid(story),
        "source": "acs.oss",
        "specversion": "1.0",
        "type": format!("oss:{}", object.change.oss_name()),
        "datacontenttype": "application/json; charset=utf-8",
        "time": rfc3339(object.at),
        "subject": format!("acs:oss:{}:100200300:{}/{}", storage.region_code, storage.bucket, object.key),
        "aliyunaccountid": "100200300",
        "aliyunregionid": storage.region_code,
        "aliyuneventbusname": "default",
        "aliyunpublishtime": rfc3339(object.at + 200 * MILLI),
        "data": oss_event(story, object),
    })
}

/// Our own form, for every cloud without a decoder of its own (design, section 2).
fn neutral(story: &mut Story, object: &Object<'_>) -> Value {
    let storage = object.storage;
    let mut event = json!({
        "event_id": story.hex(32),
        "occurred_at": rfc3339(object.at),
        "kind": match object.change {
            Change::Written => "created",
            Change::Removed => "removed",
        },
        "vendor": storage.slug,
        "bucket": storage.bucket,
        "key": object.key,
        "size": object.size,
        "etag": story.hex(32),
        "sequencer": sequencer(object.at),
    });
    if !storage.region_code.is_empty() {
        event["region"] = json!(storage.region_code);
    }
    event
}

/// What a cloud sends when its notifications are switched on: no event, and no fault.
pub(super) fn test_message(story: &mut Story, storage: &Storage, at: Micros) {
    let value = json!({
        "Service": "Amazon S3", "Event": "s3:TestEvent", "Time": rfc3339(at), "Bucket": storage.bucket,
        "RequestId": story.hex(16).to_uppercase(), "HostId": story.hex(40),
    });
    story.emit(Stream::StorageEvents, None, &value, at + 500 * MILLI);
    story.skipped.push(Stream::StorageEvents);
}

/// Hexadecimal, larger for later writes of a key.
fn sequencer(at: Micros) -> String {
    format!("{:018X}", i128::from(at) * 1_000)
}

fn form_encode(key: &str) -> String {
    form_urlencoded::byte_serialize(key.as_bytes()).collect()
}

fn uuid(story: &mut Story) -> String {
    let parts = [8, 4, 4, 4, 12].map(|digits| story.hex(digits));
    parts.join("-")
}
