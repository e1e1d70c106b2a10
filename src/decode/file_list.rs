//! `fileList` as the recording service writes it: a string, a list of names, or a list of objects with
//! `fileName` (web pages: `filename`).

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::scalar::{List, Text};

/// The names in the order of the list; none where there is no list at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileList<'a>(pub Option<Vec<Cow<'a, str>>>);

impl<'a> FileList<'a> {
    /// Puts the names of `other` behind these.
    pub fn append(&mut self, other: FileList<'a>) {
        match (&mut self.0, other.0) {
            (Some(names), Some(more)) => names.extend(more),
            (names @ None, more) => *names = more,
            (Some(_), None) => {}
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for FileList<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let List(entries) = List::<Entry<'a>>::deserialize(from)?;
        let names = |entries: Vec<Entry<'a>>| entries.into_iter().filter_map(|Entry(name)| name);
        Ok(FileList(entries.map(|entries| names(entries).collect())))
    }
}

/// One element of the list.
struct Entry<'a>(Option<Cow<'a, str>>);

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct EntryObject<'a> {
    #[serde(borrow)]
    file_name: Text<'a>,
    filename: Text<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Entry<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct EntryVisitor;

        impl<'de> Visitor<'de> for EntryVisitor {
            type Value = Entry<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a file name, or an object with one")
            }
            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Entry<'de>, E> {
                Ok(Entry(
                    Some(Cow::Borrowed(name)).filter(|_| !name.is_empty()),
                ))
            }
            fn visit_str<E>(self, name: &str) -> Result<Entry<'de>, E> {
                Ok(Entry(
                    Some(Cow::Owned(name.to_owned())).filter(|_| !name.is_empty()),
                ))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry<'de>, A::Error> {
                let entry = EntryObject::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Entry(entry.file_name.filled().or(entry.filename.filled())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Entry<'de>, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Entry(None))
            }
            fn visit_unit<E>(self) -> Result<Entry<'de>, E> {
                Ok(Entry(None))
            }
            fn visit_u64<E>(self, _: u64) -> Result<Entry<'de>, E> {
                Ok(Entry(None))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Entry<'de>, E> {
                Ok(Entry(None))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Entry<'de>, E> {
                Ok(Entry(None))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Entry<'de>, E> {
                Ok(Entry(None))
            }
        }
        from.deserialize_any(EntryVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: Option<&[&str]>) {
        let FileList(names) = serde_json::from_str(json).expect("drift is accepted");
        let names: Option<Vec<&str>> = names
            .as_ref()
            .map(|names| names.iter().map(|name| name.as_ref()).collect());
        assert_eq!(names.as_deref(), expected, "{json}");
    }

    #[test]
    fn every_form_of_the_list_is_read() {
        check("\"a/b.m3u8\"", Some(&["a/b.m3u8"]));
        check("\"a\\/b.m3u8\"", Some(&["a/b.m3u8"]));
        check("[\"a\",\"b\"]", Some(&["a", "b"]));
        check(
            "[{\"fileName\":\"a\",\"uid\":\"0\"},{\"filename\":\"b\"}]",
            Some(&["a", "b"]),
        );
        check("{\"fileName\":\"a\"}", Some(&["a"]));
        check("[]", Some(&[]));
        check("\"\"", Some(&[]));
        check("[null,1,-1,1.5,true,[\"x\"],{}]", Some(&[]));
        check("null", None);
    }
}
