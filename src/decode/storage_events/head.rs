//! The top level of a notification or of a wrapper, read once: by it formats recognize themselves.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::decode::raw::Raw;
use crate::decode::scalar::{Object, Text};
use crate::event::SkipReason;

/// The members that tell formats and wrappers apart. A value of another type counts as absent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Head<'a> {
    /// Records of S3 and of those who follow it: `aws:s3`, `minio:s3`, `acs:oss`, ...
    #[serde(borrow, rename = "eventSource")]
    pub event_source: Text<'a>,
    /// CloudEvents and EventBridge: `aws.s3`, `acs.oss`, ...
    #[serde(borrow)]
    pub source: Text<'a>,
    #[serde(borrow, rename = "detail-type")]
    pub detail_type: Text<'a>,
    #[serde(borrow, rename = "type")]
    pub cloud_event_type: Text<'a>,
    #[serde(borrow, rename = "eventType")]
    pub event_type: Text<'a>,
    #[serde(borrow, rename = "eventName")]
    pub event_name: Text<'a>,
    /// `s3:TestEvent`.
    #[serde(borrow, rename = "Event")]
    test_event: Text<'a>,
    /// Qiniu, and test messages that follow S3's.
    #[serde(borrow)]
    pub event: Text<'a>,
    /// Baidu BOS.
    #[serde(borrow, rename = "eventOrigin")]
    pub event_origin: Text<'a>,
    /// Tencent COS.
    #[serde(borrow)]
    pub cos: Raw<'a>,
    /// Google Cloud Storage through Pub/Sub.
    #[serde(borrow)]
    pub attributes: Object<Attributes<'a>>,
    /// The neutral form.
    #[serde(borrow)]
    pub kind: Text<'a>,
    #[serde(borrow)]
    pub bucket: Text<'a>,
    #[serde(borrow)]
    pub key: Text<'a>,
    #[serde(borrow)]
    pub occurred_at: Text<'a>,

    /// S3, MinIO, Ceph, SQS, ...
    #[serde(borrow, rename = "Records")]
    pub records: Items<'a>,
    /// Alibaba OSS.
    #[serde(borrow)]
    pub events: Items<'a>,
    /// What `sqs receive-message` answers.
    #[serde(borrow, rename = "Messages")]
    pub messages: Items<'a>,
    /// MinIO: `<bucket>/<key>` beside `Records`.
    #[serde(borrow, rename = "Key")]
    pub outer_key: Text<'a>,

    /// SNS: `Notification`, `SubscriptionConfirmation`, `UnsubscribeConfirmation`.
    #[serde(borrow, rename = "Type")]
    sns_type: Text<'a>,
    /// SNS and MNS over HTTP.
    #[serde(borrow, rename = "Message")]
    sns_message: Text<'a>,
    /// SMN writes a text here, Pub/Sub an object.
    #[serde(borrow)]
    message: Raw<'a>,
    /// SMN: as SNS writes `Type`.
    #[serde(borrow, rename = "topic_urn")]
    topic_urn: Text<'a>,
    /// CloudEvents of whoever has no format of its own.
    #[serde(borrow)]
    specversion: Text<'a>,
    #[serde(borrow)]
    data: Raw<'a>,
    #[serde(borrow)]
    data_base64: Text<'a>,
    /// SQS as a Lambda function gets it.
    #[serde(borrow)]
    body: Text<'a>,
    /// SQS as its API answers.
    #[serde(borrow, rename = "Body")]
    sqs_body: Text<'a>,
    /// MNS queues.
    #[serde(borrow, rename = "MessageBody")]
    mns_body: Text<'a>,
    /// SNS as a Lambda function gets it.
    #[serde(borrow, rename = "Sns")]
    sns: Object<Sns<'a>>,
    /// Kafka Connect: `{schema, payload}`.
    #[serde(borrow)]
    schema: Raw<'a>,
    #[serde(borrow)]
    payload: Raw<'a>,
}

/// What tells an object's change from any other message of Pub/Sub.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Attributes<'a> {
    #[serde(borrow, rename = "bucketId")]
    pub bucket: Text<'a>,
    #[serde(borrow, rename = "objectId")]
    pub object: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Sns<'a> {
    #[serde(borrow, rename = "Message")]
    message: Text<'a>,
}

impl Head<'_> {
    /// Says why this layer means nothing by right, if so.
    pub fn skip_reason(&self) -> Option<SkipReason> {
        let is_test = |name: &Text<'_>| {
            name.as_deref()
                .is_some_and(|name| name.ends_with("TestEvent"))
        };
        let is_validation = |name: &Text<'_>| {
            name.as_deref() == Some("Microsoft.EventGrid.SubscriptionValidationEvent")
        };
        if is_test(&self.test_event)
            || is_test(&self.event)
            || is_test(&self.event_name)
            || is_validation(&self.event_type)
            || is_validation(&self.cloud_event_type)
        {
            return Some(SkipReason::TestMessage);
        }
        let kind_of_delivery = match self.topic_urn.0 {
            Some(_) => &self.cloud_event_type,
            None => &self.sns_type,
        };
        match kind_of_delivery.as_deref() {
            Some("SubscriptionConfirmation" | "UnsubscribeConfirmation") => {
                Some(SkipReason::ControlMessage)
            }
            _ => None,
        }
    }

    /// Returns the notification that this layer carries as text.
    pub fn wrapped_text(&self) -> Option<&str> {
        let sns = self.sns.0.as_ref().and_then(|sns| sns.message.as_deref());
        sns.or_else(|| {
            [
                &self.body,
                &self.sqs_body,
                &self.sns_message,
                &self.mns_body,
                &self.data_base64,
            ]
            .into_iter()
            .find_map(|text| text.as_deref())
        })
    }

    /// Returns the notification that this layer carries as JSON: an object, a list, or a text that holds one.
    pub fn wrapped_json(&self) -> Option<&str> {
        let connector = self.payload.json().filter(|_| self.schema.is_there());
        let cloud_event = self.data.json().filter(|_| self.specversion.0.is_some());
        let is_there = |json: &&str| *json != "null";
        connector
            .or(self.message.json().filter(is_there))
            .or(cloud_event.filter(is_there))
    }

    /// Says whether `eventSource` is `name`, spaces around it aside.
    pub fn is_from(&self, name: &str) -> bool {
        self.event_source.as_deref().map(str::trim) == Some(name)
    }
}

/// A list whose elements are not read yet.
#[derive(Debug, Default)]
pub(super) enum Items<'a> {
    #[default]
    Absent,
    NotAList,
    List(Vec<&'a RawValue>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct ItemsVisitor;

        impl<'de> Visitor<'de> for ItemsVisitor {
            type Value = Items<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Items<'de>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(Items::List(items))
            }
            fn visit_unit<E>(self) -> Result<Items<'de>, E> {
                Ok(Items::Absent)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Items<'de>, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Items::NotAList)
            }
            fn visit_str<E>(self, _: &str) -> Result<Items<'de>, E> {
                Ok(Items::NotAList)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Items<'de>, E> {
                Ok(Items::NotAList)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Items<'de>, E> {
                Ok(Items::NotAList)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Items<'de>, E> {
                Ok(Items::NotAList)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Items<'de>, E> {
                Ok(Items::NotAList)
            }
        }
        from.deserialize_any(ItemsVisitor)
    }
}
