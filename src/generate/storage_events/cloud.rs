//! New objects as the clouds beside Amazon and Alibaba announce them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Change, Object, form_encode, uuid};
use crate::generate::story::{MILLI, SECOND, Story, rfc3339};

/// Section 7: the path before the key, an encoded URL, whole seconds, the whole request with its signature.
pub(super) fn cos(story: &mut Story, object: &Object<'_>) -> Value {
    let storage = object.storage;
    let (name, account) = storage
        .bucket
        .rsplit_once('-')
        .expect("a bucket of COS ends in its account");
    json!({"Records": [{
        "cos": {
            "cosSchemaVersion": "1.0",
            "cosObject": {
                "url": format!("http://{}.cos.{}.myqcloud.com/{}", storage.bucket, storage.region_code,
                    path_encode(object.key)),
                "meta": {"x-cos-request-id": story.hex(32), "Content-Type": ""},
                "vid": "",
                "key": format!("/{account}/{name}/{}", object.key),
                "size": object.size,
            },
            "cosBucket": {"region": storage.region_code, "name": name, "appid": account},
            "cosNotificationId": "unkown",
        },
        "event": {
            "eventName": match object.change {
                Change::Written => "cos:ObjectCreated:Put",
                Change::Removed => "cos:ObjectRemove:Delete",
            },
            "eventVersion": "1.0",
            "eventTime": object.at / SECOND,
            "eventSource": "qcs::cos",
            "requestParameters": {"requestSourceIP": "203.0.113.7",
                "requestHeaders": {"Authorization": story.secret("COS")}},
            "eventQueue": "recordings",
            "reservedInfo": "",
            "reqid": object.at % 1_000_000_000,
        },
    }]})
}

/// Section 8: the key form-encoded with its slashes, in a text of the message service.
pub(super) fn obs_by_smn(story: &mut Story, object: &Object<'_>) -> Value {
    let storage = object.storage;
    let notification = json!({"Records": [{
        "eventVersion": "3.0",
        "eventSource": "OBS",
        "eventRegion": storage.region_code,
        "eventTime": rfc3339(object.at),
        "eventName": object.change.s3_name(),
        "userIdentity": {"ID": "u1example"},
        "requestParameters": {"sourceIPAddress": "203.0.113.7"},
        "responseElements": {"x-obs-request-id": story.hex(32), "x-obs-id-2": story.hex(40)},
        "obs": {
            "Version": "1.0",
            "configurationId": "recordings",
            "bucket": {"name": storage.bucket, "ownerIdentity": {"ID": "u1example"}, "bucket": storage.bucket},
            "object": {"key": form_encode(object.key), "eTag": story.hex(32), "size": object.size,
                "versionId": "null", "sequencer": "1"},
        },
    }]});
    json!({
        "type": "Notification",
        "topic_urn": format!("urn:smn:{}:1:recordings", storage.region_code),
        "message_id": story.hex(32),
        "subject": "OBS",
        "message": notification.to_string(),
        "timestamp": rfc3339(object.at + 200 * MILLI),
        "signature": story.secret("SMN"),
    })
}

/// Section 5: a list of one, the plain name in the subject, a time of seven digits.
pub(super) fn azure_by_event_grid(story: &mut Story, object: &Object<'_>) -> Value {
    let container = object.storage.bucket;
    let mut data = json!({
        "api": match object.change {
            Change::Written => "PutBlockList",
            Change::Removed => "DeleteBlob",
        },
        "clientRequestId": uuid(story),
        "requestId": uuid(story),
        "contentType": "application/octet-stream",
        "blobType": "BlockBlob",
        "url": format!("https://acmestore.blob.core.windows.net/{container}/{}", path_encode(object.key)),
        "sequencer": format!("{:048x}", object.at),
        "storageDiagnostics": {"batchId": uuid(story)},
    });
    if object.change == Change::Written {
        data["eTag"] = json!(format!("0x{}", story.hex(15).to_uppercase()));
        data["contentLength"] = json!(object.size);
    }
    json!([{
        "topic": "/subscriptions/s1/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/acmestore",
        "subject": format!("/blobServices/default/containers/{container}/blobs/{}", object.key),
        "eventType": match object.change {
            Change::Written => "Microsoft.Storage.BlobCreated",
            Change::Removed => "Microsoft.Storage.BlobDeleted",
        },
        "eventTime": rfc3339(object.at).replace('Z', "4103Z"),
        "id": uuid(story),
        "data": data,
        "dataVersion": "",
        "metadataVersion": "1",
    }])
}

/// Section 6: attributes beside the object in base64; the generation is a time and orders the writes.
pub(super) fn gcs_by_pub_sub(story: &mut Story, object: &Object<'_>) -> Value {
    let bucket = object.storage.bucket;
    let generation = object.at.to_string();
    let resource = json!({
        "kind": "storage#object",
        "id": format!("{bucket}/{}/{generation}", object.key),
        "name": object.key,
        "bucket": bucket,
        "generation": generation,
        "contentType": "application/octet-stream",
        "timeCreated": rfc3339(object.at),
        "updated": rfc3339(object.at),
        "size": object.size.to_string(),
        "etag": story.hex(12),
        // Somebody's own; the service keeps what it is given.
        "metadata": {"upload_token": story.secret("GCS")},
    });
    json!({
        "message": {
            "attributes": {
                "bucketId": bucket,
                "objectId": object.key,
                "objectGeneration": generation,
                "eventType": match object.change {
                    Change::Written => "OBJECT_FINALIZE",
                    Change::Removed => "OBJECT_DELETE",
                },
                "eventTime": rfc3339(object.at),
                "notificationConfig": format!("projects/_/buckets/{bucket}/notificationConfigs/1"),
                "payloadFormat": "JSON_API_V1",
            },
            "data": STANDARD.encode(resource.to_string()),
            "messageId": story.between(10_i64.pow(16), 10_i64.pow(17) - 1).to_string(),
            "publishTime": rfc3339(object.at + 30 * MILLI),
        },
        "subscription": "projects/ridewell/subscriptions/recordings",
    })
}

/// Encodes a key as a URL's path: slashes stay.
fn path_encode(key: &str) -> String {
    form_encode(key).replace('+', "%20").replace("%2F", "/")
}
