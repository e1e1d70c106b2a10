//! Members whose JSON is kept unread.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The JSON of a member; unlike in an `Option<&RawValue>`, `null` is not the same as nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Raw<'a>(pub Option<&'a RawValue>);

impl<'a> Raw<'a> {
    pub fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Returns the JSON text, `null` included.
    pub fn json(&self) -> Option<&'a str> {
        self.0.map(RawValue::get)
    }

    /// Returns the JSON text of an object.
    pub fn object(&self) -> Option<&'a str> {
        self.json().filter(|json| json.starts_with('{'))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(from).map(|raw| Raw(Some(raw)))
    }
}
