//! Reads typed values from the outline of a message, without looking at its text again but for the leaves.
//!
//! What it reads is what `serde_json` reads from the same text. What it cannot read alike is an error, and so is
//! what is wrong with a message: whoever gets one reads the text instead, which says what is wrong and where.

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::Error;

use crate::redact::outline::{Children, Outlined, Quoted, Value};

/// Reads a typed value.
pub(super) fn from_outline<'de, T: Deserialize<'de>>(outlined: &Outlined<'de>) -> Result<T, Error> {
    T::deserialize(Reader(outlined.root()))
}

/// Reads one value of an outline.
#[derive(Clone, Copy)]
struct Reader<'o, 'de>(Value<'o, 'de>);

impl<'de> Deserializer<'de> for Reader<'_, 'de> {
    type Error = Error;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Reader(value) = self;
        match value.first_byte() {
            b'"' => string(value.quoted(), visitor),
            b'{' => {
                let mut members = Inside::of(value);
                let object = visitor.visit_map(&mut members)?;
                members.end().map(|()| object)
            }
            b'[' => {
                let mut elements = Inside::of(value);
                let list = visitor.visit_seq(&mut elements)?;
                elements.end().map(|()| list)
            }
            b't' => visitor.visit_bool(true),
            b'f' => visitor.visit_bool(false),
            b'n' => visitor.visit_unit(),
            _ => number(value.text(), visitor),
        }
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.first_byte() {
            b'n' => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    #[inline]
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match name {
            // A raw value asks for itself under a name of its own, and must have the text.
            "$serde_json::private::RawValue" => Err(Error::custom("a raw value")),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    // An enum does not take what `deserialize_any` offers it: an error, as is right.
    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map struct enum identifier
    }
}

/// A key: a string, whatever is asked for.
struct Key<'de>(Quoted<'de>);

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = Error;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        string(self.0, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map struct enum identifier option newtype_struct ignored_any
    }
}

/// What is in a container, handed out one by one.
struct Inside<'o, 'de> {
    children: Children<'o, 'de>,
    /// The member whose key is read, and whose value is not.
    member: Option<Value<'o, 'de>>,
}

impl<'o, 'de> Inside<'o, 'de> {
    #[inline]
    fn of(container: Value<'o, 'de>) -> Self {
        Inside {
            children: container.children(),
            member: None,
        }
    }

    /// A reader must take everything.
    #[inline]
    fn end(mut self) -> Result<(), Error> {
        match self.children.next() {
            None => Ok(()),
            Some(_) => Err(Error::custom("more than was asked for")),
        }
    }
}

impl<'de> MapAccess<'de> for &mut Inside<'_, 'de> {
    type Error = Error;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        self.member = self.children.next();
        match self.member {
            Some(member) => seed.deserialize(Key(member.key())).map(Some),
            None => Ok(None),
        }
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let member = self.member.take();
        let member = member.ok_or_else(|| Error::custom("a value before its key"))?;
        seed.deserialize(Reader(member))
    }
}

impl<'de> SeqAccess<'de> for &mut Inside<'_, 'de> {
    type Error = Error;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let element = self.children.next();
        element
            .map(|element| seed.deserialize(Reader(element)))
            .transpose()
    }
}

#[inline]
fn string<'de, V: Visitor<'de>>(string: Quoted<'de>, visitor: V) -> Result<V::Value, Error> {
    match string {
        Quoted::Plain(inside) => visitor.visit_borrowed_str(inside),
        Quoted::Escaped(text) => by_text(text, visitor),
    }
}

#[inline]
fn number<'de, V: Visitor<'de>>(text: &'de str, visitor: V) -> Result<V::Value, Error> {
    match integer(text.as_bytes()) {
        Some(number) => visitor.visit_u64(number),
        None => by_text(text, visitor),
    }
}

/// Reads digits, so few that they cannot overflow.
#[inline]
fn integer(text: &[u8]) -> Option<u64> {
    const DIGITS_MAX: usize = 19;
    if text.len() > DIGITS_MAX {
        return None;
    }
    text.iter().try_fold(0, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| number * 10 + u64::from(digit))
    })
}

/// Leaves to the parser what takes one: escapes, fractions, signs.
#[cold]
fn by_text<'de, V: Visitor<'de>>(text: &'de str, visitor: V) -> Result<V::Value, Error> {
    serde_json::Deserializer::from_str(text).deserialize_any(visitor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;
    use crate::redact::outline::Outline;
    use crate::redact::tests::properties::{SUSPECT, TELL_TALE, value};
    use crate::redact::tests::{planted_messages, redactor};

    type Json = serde_json::Value;

    /// Redacts a message and reads the output in both ways; none where there is no outline.
    fn read(message: &str) -> Option<Result<Json, Error>> {
        let (mut text, mut outline) = (String::new(), Outline::default());
        let outcome = redactor().json_with_outline(message.as_bytes(), &mut text, &mut outline);
        outcome.expect("the message is JSON");
        let outlined = from_outline::<Json>(&outline.of(&text)?);
        match (&outlined, serde_json::from_str::<Json>(&text)) {
            (Ok(outlined), Ok(parsed)) => assert_eq!(*outlined, parsed, "{text}"),
            (Err(_), Err(_)) => {}
            (outlined, parsed) => panic!("{outlined:?}, but {parsed:?} of {text}"),
        }
        Some(outlined)
    }

    #[test]
    fn what_is_planted_is_outlined_as_it_was_written() {
        let outlined = planted_messages().filter(|message| read(message).is_some());
        // Without those of pairs.
        assert!(outlined.count() > 30);
    }

    #[test]
    fn leaves_are_what_the_parser_says() {
        for leaf in [
            "0",
            "-0",
            "7",
            "-7",
            "0.0",
            "1e2",
            "1E-400",
            "-1.5e+3",
            "18446744073709551615",
            "18446744073709551616",
            "9999999999999999999",
            "-9223372036854775808",
            "123456789012345678901234567890",
            "true",
            "false",
            "null",
            r#""""#,
            r#""\"\u00e9\ud83d\ude00\/""#,
            r#""é""#,
            "[]",
            "{}",
            " [ 1 , { } ] ",
            r#"{"secret":1,"a\"b":"secretKey=x","token":{"x":[1]},"c":[2]}"#,
        ] {
            for message in [
                leaf.to_string(),
                format!("[{leaf},{leaf}]"),
                format!(r#"{{"a":{leaf} ,"b":[{leaf}]}}"#),
            ] {
                assert!(matches!(read(&message), Some(Ok(_))), "{message}");
            }
        }
        for wrong in [r#""\ud800""#, r#"{"\udc00":1}"#, "1e999"] {
            assert!(matches!(read(wrong), Some(Err(_))), "{wrong}");
        }
    }

    #[test]
    fn what_was_rewritten_or_is_too_long_has_no_outline() {
        assert!(read(r#"{"name":"Authorization","value":"x"}"#).is_none());
        assert!(read(&format!("[{}0]", "0,".repeat(1 << 20))).is_none());
    }

    #[test]
    fn who_needs_the_text_is_told_so() {
        let (mut text, mut outline) = (String::new(), Outline::default());
        let outcome = redactor().json_with_outline(b"[1,2]", &mut text, &mut outline);
        outcome.expect("the message is JSON");
        let outlined = outline.of(&text).expect("it is short");
        assert!(from_outline::<&RawValue>(&outlined).is_err());
        assert!(
            from_outline::<(u8,)>(&outlined).is_err(),
            "one is left over"
        );
        assert_eq!(from_outline::<(u8, u8)>(&outlined).expect("a pair"), (1, 2));
    }

    proptest! {
        #[test]
        fn any_message_is_what_the_parser_says(value in value(SUSPECT, TELL_TALE)) {
            read(&value.to_string());
            read(&format!("{value:#}"));
        }
    }
}
