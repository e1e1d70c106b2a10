//! Bodies of requests and responses, read in the same pass as the call around them.
//!
//! A body may be an object, or a string that holds one. What else stands in its place is no body.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::super::reject_in;
use crate::event::{Reject, RejectCode};

/// A body as far as the pass over its call has read it.
#[derive(Debug, Default)]
pub(super) enum Body<'a, T> {
    #[default]
    Absent,
    Read(T),
    /// The text of an object, not read yet.
    Unread(Cow<'a, str>),
}

impl<'a, T> Body<'a, T> {
    fn from_string(text: Cow<'a, str>) -> Self {
        match text.trim_ascii_start().starts_with('{') {
            true => Body::Unread(text),
            false => Body::Absent,
        }
    }

    /// Returns what is read, and the text of what is not.
    pub(super) fn split(self) -> (Option<T>, Option<Cow<'a, str>>) {
        match self {
            Body::Absent => (None, None),
            Body::Read(body) => (Some(body), None),
            Body::Unread(text) => (None, Some(text)),
        }
    }
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Body<'a, T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct BodyVisitor<'a, T>(PhantomData<Body<'a, T>>);

        impl<'de: 'a, 'a, T: Deserialize<'de>> Visitor<'de> for BodyVisitor<'a, T> {
            type Value = Body<'a, T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Body::Read)
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Body::from_string(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Body::from_string(Cow::Owned(text.to_owned())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Body::Absent)
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Body::Absent)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Body::Absent)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Body::Absent)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Body::Absent)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Body::Absent)
            }
        }
        from.deserialize_any(BodyVisitor(PhantomData))
    }
}

/// A body that is left unread, so that one that cannot be read does not cost the call.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(transparent)]
pub(super) struct Apart<'a>(#[serde(borrow)] Option<&'a RawValue>);

impl<'a, T> From<Apart<'a>> for Body<'a, T> {
    fn from(Apart(body): Apart<'a>) -> Self {
        let Some(text) = body.map(RawValue::get) else {
            return Body::Absent;
        };
        match text.as_bytes().first() {
            Some(b'{') => Body::Unread(Cow::Borrowed(text)),
            Some(b'"') => serde_json::from_str(text)
                .map_or(Body::Absent, |text: String| Body::from_string(text.into())),
            _ => Body::Absent,
        }
    }
}

/// Reads a body as far as it goes: a broken one, of a proxy for example, leaves the row with what is known.
pub(super) fn read<'a, T: Default + Deserialize<'a>>(
    text: Option<&'a str>,
    field: &str,
) -> Result<T, Reject> {
    match text.map(serde_json::from_str) {
        None => Ok(T::default()),
        Some(Ok(body)) => Ok(body),
        Some(Err(error)) => match reject_in(&error, field) {
            // One of two values would be taken by chance.
            twice if twice.code == RejectCode::DuplicateKey => Err(twice),
            _ => Ok(T::default()),
        },
    }
}
