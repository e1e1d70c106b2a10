//! Vendors as the configuration names them: by Agora's number, or by the name that `vendor_name` has.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error};

use crate::vendor;

#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(i64),
    Name(String),
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i32, D::Error> {
    let written = Written::deserialize(from);
    let written =
        written.map_err(|_| D::Error::custom(format!("this is no vendor; {}", cure())))?;
    number(written).map_err(D::Error::custom)
}

/// A key that is left out is none; one that is there must be a vendor.
pub(super) fn optional<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i32>, D::Error> {
    deserialize(from).map(Some)
}

/// The vendors of what the customer writes.
pub(super) fn map<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, i32>, D::Error> {
    let written = BTreeMap::<String, Written>::deserialize(from);
    let written =
        written.map_err(|_| D::Error::custom(format!("these are no vendors; {}", cure())))?;
    let numbered = written.into_iter().map(|(name, vendor)| {
        let vendor = number(vendor).map_err(|why| D::Error::custom(format!("{name}: {why}")))?;
        Ok((name, vendor))
    });
    numbered.collect()
}

fn number(written: Written) -> Result<i32, String> {
    let text = match written {
        Written::Number(number) => number.to_string(),
        Written::Name(name) => name,
    };
    vendor::from_text(&text).ok_or_else(|| format!("`{text}` is no vendor; {}", cure()))
}

fn cure() -> String {
    let known = vendor::vendors().iter();
    let known: Vec<String> = known
        .filter_map(|vendor| Some(format!("{} or \"{}\"", vendor.id, vendor.slug?)))
        .collect();
    format!("write {}", known.join(", "))
}
