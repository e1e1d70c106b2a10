//! An identity for events whose producer gave none: the same content, however it was written down, gets the
//! same id, so that a redelivery is recognised.
//!
//! The id is a sum over the leaves of the JSON tree. Each leaf is hashed with a seed that stands for its path,
//! object members by their key and list elements by their place, so that neither the order of members nor
//! whitespace matters, and every changed leaf does.

use std::borrow::Cow;

use memchr::memchr2;
use twox_hash::XxHash3_128;

use crate::redact::outline::{Quoted, Value};

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

/// Derives the id of the member at `path`, the one that [`derive_event_id`] gives for its text; none where there is
/// no such member. For valid JSON only.
pub fn derive_member_id(text: &str, path: &[&str], ignore: &[&str]) -> Option<String> {
    let mut scanner = Scanner {
        text: text.as_bytes(),
        at: 0,
        ignore,
        sum: 0,
    };
    for name in path {
        scanner.enter_member(name)?;
    }
    scanner.skip_whitespace();
    let start = scanner.at;
    match scanner.value(0, 0) {
        Some(()) => Some(format!("{:032x}", scanner.sum)),
        // Nested deeper than is followed.
        None => {
            scanner.at = start;
            let value = scanner.skip_value()?;
            Some(format!("{:032x}", XxHash3_128::oneshot(value)))
        }
    }
}

/// Derives the id of an outlined value, the one that [`derive_event_id`] gives for its text.
pub fn derive_outlined_id(value: Value<'_, '_>, ignore: &[&str]) -> String {
    let mut sum = 0;
    let hash = match add_outlined(&mut sum, value, 0, ignore) {
        Some(()) => sum,
        None => XxHash3_128::oneshot(value.text().as_bytes()),
    };
    format!("{hash:032x}")
}

fn hash(text: &str, ignore: &[&str]) -> u128 {
    let mut scanner = Scanner {
        text: text.as_bytes(),
        at: 0,
        ignore,
        sum: 0,
    };
    let root = scanner.value(0, 0);
    scanner.skip_whitespace();
    match root {
        Some(()) if scanner.at == text.len() => scanner.sum,
        // Nested deeper than any event is, or no JSON: the bytes as they are.
        _ => XxHash3_128::oneshot(text.as_bytes()),
    }
}

/// Levels of nesting that are followed.
const DEPTH_MAX: usize = 128;

/// Keeps values of different types apart that are written with the same bytes.
#[derive(Clone, Copy)]
enum Kind {
    Null = 1,
    Bool,
    /// As it is written: `1` and `1.0` differ.
    Number,
    Text,
    EmptyList,
    EmptyObject,
}

/// Walks over JSON that is known to be valid. A general parser would check again, at three times the cost, what
/// every message with a derived id has behind it.
struct Scanner<'t> {
    text: &'t [u8],
    at: usize,
    ignore: &'t [&'t str],
    sum: u128,
}

impl<'t> Scanner<'t> {
    /// Adds the value that begins here to the sum; `seed` stands for its path. `None`: this is no JSON.
    fn value(&mut self, seed: u64, depth: usize) -> Option<()> {
        self.skip_whitespace();
        let start = self.at;
        match *self.text.get(start)? {
            b'{' if depth < DEPTH_MAX => self.object(seed, depth)?,
            b'[' if depth < DEPTH_MAX => self.list(seed, depth)?,
            b'"' => {
                let text = self.string()?;
                self.add(seed, Kind::Text, &text);
            }
            first => {
                let is_scalar =
                    |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
                let rest = &self.text[start..];
                let length = rest.iter().position(|byte| !is_scalar(byte));
                let scalar = &rest[..length.unwrap_or(rest.len())];
                self.at += scalar.len();
                let kind = match (first, scalar) {
                    (_, b"null") => Kind::Null,
                    (_, b"true" | b"false") => Kind::Bool,
                    (b'-' | b'0'..=b'9', _) => Kind::Number,
                    _ => return None,
                };
                self.add(seed, kind, scalar);
            }
        }
        Some(())
    }

    fn object(&mut self, seed: u64, depth: usize) -> Option<()> {
        self.at += 1;
        let mut is_empty = true;
        if self.next_is(b'}') {
            self.add(seed, Kind::EmptyObject, &[]);
            return Some(());
        }
        loop {
            self.skip_whitespace();
            let key = self.string()?;
            self.next_is(b':').then_some(())?;
            if self.ignore.iter().any(|name| name.as_bytes() == &*key) {
                let sum = self.sum;
                self.value(0, depth + 1)?;
                self.sum = sum;
            } else {
                is_empty = false;
                self.value(seed_of_member(seed, &key), depth + 1)?;
            }
            if self.next_is(b'}') {
                break;
            }
            self.next_is(b',').then_some(())?;
        }
        if is_empty {
            self.add(seed, Kind::EmptyObject, &[]);
        }
        Some(())
    }

    fn list(&mut self, seed: u64, depth: usize) -> Option<()> {
        self.at += 1;
        if self.next_is(b']') {
            self.add(seed, Kind::EmptyList, &[]);
            return Some(());
        }
        for place in 0.. {
            self.value(seed_of_element(seed, place), depth + 1)?;
            if self.next_is(b']') {
                break;
            }
            self.next_is(b',').then_some(())?;
        }
        Some(())
    }

    /// Goes into the object that begins here, to the value of its member `name`.
    fn enter_member(&mut self, name: &str) -> Option<()> {
        self.next_is(b'{').then_some(())?;
        loop {
            self.skip_whitespace();
            let key = self.string()?;
            self.next_is(b':').then_some(())?;
            if name.as_bytes() == &*key {
                return Some(());
            }
            self.skip_value()?;
            self.next_is(b',').then_some(())?;
        }
    }

    /// Steps over the value that begins here and returns its text.
    fn skip_value(&mut self) -> Option<&'t [u8]> {
        self.skip_whitespace();
        let start = self.at;
        let mut open = 0_usize;
        loop {
            match self.text.get(self.at)? {
                b'"' => self.skip_string().map(drop)?,
                b'{' | b'[' => {
                    open += 1;
                    self.at += 1;
                }
                b'}' | b']' => {
                    // The end of what this value is in.
                    open = open.checked_sub(1)?;
                    self.at += 1;
                }
                _ => self.at += 1,
            }
            let is_end = || matches!(self.text.get(self.at), None | Some(b',' | b'}' | b']'));
            if open == 0 && is_end() {
                return Some(self.text[start..self.at].trim_ascii_end());
            }
        }
    }

    /// Reads the string that begins here, unescaped.
    fn string(&mut self) -> Option<Cow<'t, [u8]>> {
        let start = self.at;
        let has_escapes = self.skip_string()?;
        let end = self.at - 1;
        if !has_escapes {
            return Some(Cow::Borrowed(&self.text[start + 1..end]));
        }
        let text: String = serde_json::from_slice(&self.text[start..=end]).ok()?;
        Some(Cow::Owned(text.into_bytes()))
    }

    /// Steps over the string that begins here and tells whether it has escapes.
    fn skip_string(&mut self) -> Option<bool> {
        let start = self.at;
        if self.text.get(start) != Some(&b'"') {
            return None;
        }
        let mut has_escapes = false;
        let mut at = start + 1;
        loop {
            at += memchr2(b'"', b'\\', self.text.get(at..)?)?;
            if self.text[at] == b'"' {
                break;
            }
            has_escapes = true;
            at += 2;
        }
        self.at = at + 1;
        Some(has_escapes)
    }

    /// Steps over `byte` where it is the next that is no whitespace.
    fn next_is(&mut self, byte: u8) -> bool {
        self.skip_whitespace();
        let is_next = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn skip_whitespace(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    fn add(&mut self, seed: u64, kind: Kind, leaf: &[u8]) {
        add(&mut self.sum, seed, kind, leaf);
    }
}

/// Adds to the sum what [`Scanner::value`] adds for the text of an outlined value.
fn add_outlined(sum: &mut u128, value: Value<'_, '_>, seed: u64, ignore: &[&str]) -> Option<()> {
    match value.first_byte() {
        b'{' => {
            let mut is_empty = true;
            for member in value.children() {
                let key = unescaped(member.key())?;
                if ignore.contains(&&*key) {
                    add_outlined(&mut 0, member, 0, ignore)?;
                } else {
                    is_empty = false;
                    add_outlined(sum, member, seed_of_member(seed, key.as_bytes()), ignore)?;
                }
            }
            if is_empty {
                add(sum, seed, Kind::EmptyObject, &[]);
            }
        }
        b'[' => {
            let mut place = 0;
            for element in value.children() {
                add_outlined(sum, element, seed_of_element(seed, place), ignore)?;
                place += 1;
            }
            if place == 0 {
                add(sum, seed, Kind::EmptyList, &[]);
            }
        }
        b'"' => add(sum, seed, Kind::Text, unescaped(value.quoted())?.as_bytes()),
        first => {
            let kind = match first {
                b'n' => Kind::Null,
                b't' | b'f' => Kind::Bool,
                _ => Kind::Number,
            };
            add(sum, seed, kind, value.text().as_bytes());
        }
    }
    Some(())
}

fn unescaped(string: Quoted<'_>) -> Option<Cow<'_, str>> {
    match string {
        Quoted::Plain(text) => Some(Cow::Borrowed(text)),
        Quoted::Escaped(text) => serde_json::from_str(text).ok().map(Cow::Owned),
    }
}

fn add(sum: &mut u128, seed: u64, kind: Kind, leaf: &[u8]) {
    let seed = seed ^ (kind as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    *sum = sum.wrapping_add(XxHash3_128::oneshot_with_seed(seed, leaf));
}

/// The seed of the member `key` of an object whose own seed is `seed`.
fn seed_of_member(seed: u64, key: &[u8]) -> u64 {
    XxHash3_128::oneshot_with_seed(seed, key) as u64
}

/// The seed of the element at `place` of a list whose own seed is `seed`: the finalizer of SplitMix64.
fn seed_of_element(seed: u64, place: u64) -> u64 {
    let mut mixed = seed ^ (place + 1).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    use crate::redact::Redactor;
    use crate::redact::outline::Outline;

    fn same(left: &str, right: &str) -> bool {
        derive_event_id(left, DELIVERY_FIELDS) == derive_event_id(right, DELIVERY_FIELDS)
    }

    #[test]
    fn an_id_is_32_hex_digits_and_stays_what_it_is() {
        assert_eq!(
            derive_event_id("{\"a\":[1,\"b\"]}", &[]),
            "5e85b1e34bc21a1bfe9d2779272d6fc1"
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

    #[test]
    fn what_is_no_json_gets_the_hash_of_its_bytes() {
        for text in [
            "",
            " ",
            "{",
            "{\"a\"",
            "{\"a\":",
            "[1,",
            "\"a",
            "\"a\\",
            "nul",
            "{} {}",
            "[1 2]",
            "{1:2}",
            "\"\\ud800\"",
        ] {
            let bytes = XxHash3_128::oneshot(text.as_bytes());
            assert_eq!(hash(text, &[]), bytes, "{text}");
        }
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
        fn nothing_panics(text in r#"[\[\]{}",:\\u0-9a-f ntrue-]{0,40}"#) {
            derive_event_id(&text, DELIVERY_FIELDS);
            derive_member_id(&text, &["a"], DELIVERY_FIELDS);
        }

        #[test]
        fn member_order_and_whitespace_do_not_matter(value in json()) {
            prop_assert!(same(&value.to_string(), &reversed(&value)));
        }

        #[test]
        fn a_member_has_the_id_of_its_text(value in json(), before in json(), after in json()) {
            let wrap = |text: &str| format!(
                r#" {{ "a{{\"":{before}, "b" : {{"x":[{before}],"\u0062":{text} ,"y":{after}}},"c":{after}}}"#
            );
            for text in [value.to_string(), reversed(&value)] {
                let id = derive_member_id(&wrap(&text), &["b", "b"], DELIVERY_FIELDS);
                prop_assert_eq!(id, Some(derive_event_id(&text, DELIVERY_FIELDS)));
                prop_assert_eq!(derive_member_id(&wrap(&text), &["b", "z"], DELIVERY_FIELDS), None);
            }
        }

        #[test]
        fn an_outlined_value_has_the_id_of_its_text(value in json(), ignored in json()) {
            let headers = format!(r#"{{"headers":{ignored}}}"#);
            let text = format!(r#"{{"\u0062":{value},"c":"\ud83d\ude00","d":{headers},"headers":0}}"#);
            let odd = format!(r#"["\ud800",{text}]"#);
            for text in [value.to_string(), reversed(&value), text, odd] {
                let (mut redacted, mut outline) = (String::new(), Outline::default());
                let outcome = Redactor::new(None).json_with_outline(text.as_bytes(), &mut redacted, &mut outline);
                outcome.expect("it is JSON");
                if let Some(outlined) = outline.of(&redacted) {
                    let id = derive_outlined_id(outlined.root(), DELIVERY_FIELDS);
                    prop_assert_eq!(id, derive_event_id(&redacted, DELIVERY_FIELDS));
                }
            }
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
