//! JSON text -> value, with the one mistake that a value cannot show: a key that stands twice in an object.

use std::cell::RefCell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::redact::MAX_DEPTH;

/// Reads a message as deep as the consumer does; returns the JSON pointers of keys that stand twice, too. The last one counts in the value.
pub(super) fn read(text: &str) -> serde_json::Result<(Value, Vec<String>)> {
    let twice = RefCell::new(Vec::new());
    let mut from = serde_json::Deserializer::from_str(text);
    let seed = Reader {
        path: "",
        depth: 0,
        twice: &twice,
    };
    let value = seed.deserialize(&mut from)?;
    from.end()?;
    Ok((value, twice.into_inner()))
}

#[derive(Clone, Copy)]
struct Reader<'r> {
    path: &'r str,
    /// How many objects and lists are around it.
    depth: usize,
    twice: &'r RefCell<Vec<String>>,
}

impl Reader<'_> {
    /// Returns the depth inside the object or list that is being read.
    fn inner_depth<E: Error>(&self) -> Result<usize, E> {
        match self.depth {
            MAX_DEPTH.. => Err(E::custom(format_args!(
                "nested deeper than {MAX_DEPTH} levels"
            ))),
            depth => Ok(depth + 1),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let depth = self.inner_depth()?;
        let mut items = Vec::new();
        loop {
            let path = format!("{}/{}", self.path, items.len());
            let item = Reader {
                path: &path,
                depth,
                ..self
            };
            match list.next_element_seed(item)? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let depth = self.inner_depth()?;
        let mut object = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let path = format!(
                "{}/{}",
                self.path,
                key.replace('~', "~0").replace('/', "~1")
            );
            let value = map.next_value_seed(Reader {
                path: &path,
                depth,
                ..self
            })?;
            if object.insert(key, value).is_some() {
                self.twice.borrow_mut().push(path);
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_as_serde_json_reads_it() {
        for text in [
            "7",
            "-7",
            "1.5",
            "\"a\\u0062\"",
            "[1, [null, true]]",
            "{\"a\": {\"b\": []}}",
        ] {
            let expected: Value = serde_json::from_str(text).expect("JSON");
            assert_eq!(read(text).expect("JSON"), (expected, Vec::new()));
        }
        for text in ["", "{", "[1,]", "1 2", "{\"a\" 1}", &"[".repeat(1000)] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn json_is_read_as_deep_as_the_consumer_reads_it() {
        let redactor = crate::redact::Redactor::new(None);
        for depth in [MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, MAX_DEPTH + 2] {
            let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            let is_taken = redactor.json(text.as_bytes(), &mut String::new()).is_ok();
            assert_eq!(read(&text).is_ok(), is_taken, "{depth} levels");
        }
    }

    #[test]
    fn a_key_that_stands_twice_is_found_where_it_stands() {
        let (value, twice) =
            read(r#"{"a": 1, "l": [{}, {"x/y": 1, "x/y": 2}], "a": 3}"#).expect("JSON");
        assert_eq!(twice, ["/l/1/x~1y", "/a"]);
        assert_eq!(value["a"], 3);
    }
}
