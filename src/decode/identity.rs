//! An identity for events whose producer gave none: the same content, however it was written down, gets the
//! same id, so that a redelivery is recognised.
//!
//! The id is a sum over the leaves of the JSON tree. Each leaf is hashed with a seed that stands for its path,
//! object members by their key and list elements by their place, so that neither the order of members nor
//! whitespace matters, and every changed leaf does.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use twox_hash::XxHash3_128;

/// What a delivery adds to an event; never part of its identity. `access_key_fingerprint` is a product of the
/// configured key, which may be rotated.
pub const DELIVERY_FIELDS: &[&str] = &[
    "notifyMs",
    "received_at",
    "response_status",
    "headers",
    "access_key_fingerprint",
];

/// Derives an id of 32 hex digits from JSON text, leaving out the members named in `ignore` at any level.
pub fn derive_event_id(text: &str, ignore: &[&str]) -> String {
    format!("{:032x}", hash(text, ignore))
}

fn hash(text: &str, ignore: &[&str]) -> u128 {
    let mut sum = 0;
    let node = Node {
        seed: 0,
        ignore,
        sum: &mut sum,
    };
    let mut json = serde_json::Deserializer::from_str(text);
    match node.deserialize(&mut json).and_then(|()| json.end()) {
        Ok(()) => sum,
        // Nested deeper than the parser goes: the bytes as they are.
        Err(_) => XxHash3_128::oneshot(text.as_bytes()),
    }
}

/// One value of the tree on its way into the sum.
struct Node<'n> {
    /// Stands for the path to this value.
    seed: u64,
    ignore: &'n [&'n str],
    sum: &'n mut u128,
}

/// Keeps values of different types apart that are written with the same bytes.
#[derive(Clone, Copy)]
enum Kind {
    Null = 1,
    Bool,
    Integer,
    Float,
    Text,
    EmptyList,
    EmptyObject,
}

impl Node<'_> {
    fn add(self, kind: Kind, bytes: &[u8]) {
        let seed = self.seed ^ (kind as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let leaf = XxHash3_128::oneshot_with_seed(seed, bytes);
        *self.sum = self.sum.wrapping_add(leaf);
    }
}

/// The seed of the element at `place` of a list whose own seed is `seed`: the finalizer of SplitMix64.
fn seed_of_element(seed: u64, place: u64) -> u64 {
    let mut mixed = seed ^ (place + 1).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A member's key on its way to a seed; none for an ignored one.
struct Key<'k> {
    seed: u64,
    ignore: &'k [&'k str],
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = Option<u64>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Option<u64>, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = Option<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E>(self, key: &str) -> Result<Option<u64>, E> {
        let is_kept = !self.ignore.contains(&key);
        Ok(is_kept.then(|| XxHash3_128::oneshot_with_seed(self.seed, key.as_bytes()) as u64))
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        self.add(Kind::Null, &[]);
        Ok(())
    }
    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.add(Kind::Bool, &[u8::from(value)]);
        Ok(())
    }
    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.add(Kind::Integer, &i128::from(number).to_le_bytes());
        Ok(())
    }
    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.add(Kind::Integer, &i128::from(number).to_le_bytes());
        Ok(())
    }
    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.add(Kind::Float, &number.to_le_bytes());
        Ok(())
    }
    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.add(Kind::Text, text.as_bytes());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut place = 0;
        while let Some(()) = list.next_element_seed(Node {
            seed: seed_of_element(self.seed, place),
            ignore: self.ignore,
            sum: &mut *self.sum,
        })? {
            place += 1;
        }
        if place == 0 {
            self.add(Kind::EmptyList, &[]);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut is_empty = true;
        while let Some(seed) = map.next_key_seed(Key {
            seed: self.seed,
            ignore: self.ignore,
        })? {
            match seed {
                None => drop(map.next_value::<IgnoredAny>()?),
                Some(seed) => {
                    is_empty = false;
                    map.next_value_seed(Node {
                        seed,
                        ignore: self.ignore,
                        sum: &mut *self.sum,
                    })?;
                }
            }
        }
        if is_empty {
            self.add(Kind::EmptyObject, &[]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn same(left: &str, right: &str) -> bool {
        derive_event_id(left, DELIVERY_FIELDS) == derive_event_id(right, DELIVERY_FIELDS)
    }

    #[test]
    fn an_id_is_32_hex_digits_and_stays_what_it_is() {
        assert_eq!(
            derive_event_id("{\"a\":[1,\"b\"]}", &[]),
            "622baaecf2477722c1acc52e6925b0a5"
        );
    }

    #[test]
    fn the_way_of_writing_does_not_matter() {
        assert!(same(
            "{\"a\":1,\"b\":[2,3]}",
            " { \"b\" : [ 2 , 3 ] , \"a\" : 1 } "
        ));
        assert!(same("{\"a\":\"\\u0041/\"}", "{\"a\":\"A\\/\"}"));
        assert!(same(
            "{\"a\":{\"notifyMs\":1,\"b\":2}}",
            "{\"a\":{\"b\":2,\"notifyMs\":9}}"
        ));
        assert!(same("{\"a\":{\"headers\":[1]}}", "{\"a\":{}}"));
    }

    #[test]
    fn every_leaf_and_its_place_matters() {
        let different = [
            "{}",
            "[]",
            "null",
            "0",
            "false",
            "\"\"",
            "[[]]",
            "[{}]",
            "{\"a\":{}}",
            "{\"a\":[]}",
            "{\"a\":null}",
            "{\"a\":0}",
            "{\"a\":0.5}",
            "{\"a\":\"0\"}",
            "{\"a\":false}",
            "{\"b\":false}",
            "{\"a\":[0,1]}",
            "{\"a\":[1,0]}",
            "{\"a\":{\"b\":1,\"c\":2}}",
            "{\"a\":{\"b\":2,\"c\":1}}",
            "{\"a\":{\"b\":1},\"c\":2}",
            "{\"a.b\":1,\"c\":2}",
            "{\"a\":-1}",
        ];
        for (index, left) in different.iter().enumerate() {
            for right in &different[index + 1..] {
                assert!(!same(left, right), "{left} {right}");
            }
        }
    }

    #[test]
    fn nesting_beyond_the_parser_still_gives_an_id() {
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        assert_eq!(derive_event_id(&deep, &[]).len(), 32);
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z\"\\\\é]{0,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map("[a-e]{1,2}", inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// Writes the value with its members in reverse and spaces between all tokens.
    fn reversed(value: &Value) -> String {
        match value {
            Value::Array(items) => {
                let items: Vec<_> = items.iter().map(reversed).collect();
                format!("[ {} ]", items.join(" , "))
            }
            Value::Object(members) => {
                let members: Vec<_> = members
                    .iter()
                    .rev()
                    .map(|(key, value)| {
                        format!("{} :\n{}", Value::from(key.as_str()), reversed(value))
                    })
                    .collect();
                format!("{{ {} }}", members.join(" ,\t"))
            }
            leaf => leaf.to_string(),
        }
    }

    /// Changes the leaf that is `place`-th in order; returns how many leaves there are.
    fn change_leaf(value: &mut Value, place: usize, seen: &mut usize) {
        match value {
            Value::Array(items) if !items.is_empty() => {
                items
                    .iter_mut()
                    .for_each(|item| change_leaf(item, place, seen));
            }
            Value::Object(members) if !members.is_empty() => {
                members
                    .values_mut()
                    .for_each(|member| change_leaf(member, place, seen));
            }
            leaf => {
                if *seen == place {
                    *leaf = Value::from(format!("{leaf}!"));
                }
                *seen += 1;
            }
        }
    }

    proptest! {
        #[test]
        fn member_order_and_whitespace_do_not_matter(value in json()) {
            prop_assert!(same(&value.to_string(), &reversed(&value)));
        }

        #[test]
        fn a_changed_leaf_does(value in json(), place in 0..40_usize) {
            let mut leaves = 0;
            change_leaf(&mut value.clone(), usize::MAX, &mut leaves);
            let mut changed = value.clone();
            change_leaf(&mut changed, place % leaves, &mut 0);
            prop_assert!(!same(&value.to_string(), &changed.to_string()));
        }
    }
}
