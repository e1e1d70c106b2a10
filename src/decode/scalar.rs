//! Scalars that accept type drift: producers write `"3"` for `3`, `1.0` for `1`, `"true"` for `true`, and
//! objects where a text should be.
//!
//! A value that cannot be read as its type is absent, like `null`: one odd leaf of a field that only informs
//! must not cost the whole event. Fields an event cannot do without are checked by its decoder.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer};
use serde::de::{
    Deserialize, Deserializer, Error, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};

/// Visitor methods by which `null` and containers leave the value absent.
macro_rules! absent_unless_scalar {
    () => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("any value")
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            while list.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
}

/// Text from a string, a number or a bool; borrowed where the message has it unescaped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text<'a>(pub Option<Cow<'a, str>>);

impl<'a> Text<'a> {
    pub fn as_deref(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Returns the text where there is one that is not empty.
    pub fn filled(self) -> Option<Cow<'a, str>> {
        self.0.filter(|text| !text.is_empty())
    }
}

/// A 32-bit integer from a number without fraction or a numeric string.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Int(pub Option<i32>);

/// A 64-bit integer from a number without fraction or a numeric string.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Long(pub Option<i64>);

/// A bool from a bool, `"true"`, `"false"`, or the numbers 0 and 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flag(pub Option<bool>);

/// A number or a text, where a field of one name is both; without copying either.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Scalar<'a> {
    #[default]
    Absent,
    Int(i64),
    Text(Cow<'a, str>),
}

impl<'a> Scalar<'a> {
    pub fn int(&self) -> Option<i32> {
        let number = match self {
            Scalar::Absent => None,
            Scalar::Int(number) => Some(*number),
            Scalar::Text(text) => integer(text),
        };
        number.and_then(|number| i32::try_from(number).ok())
    }

    pub fn into_text(self) -> Option<Cow<'a, str>> {
        match self {
            Scalar::Absent => None,
            Scalar::Int(number) => Some(Cow::Owned(number.to_string())),
            Scalar::Text(text) => Some(text).filter(|text| !text.is_empty()),
        }
    }
}

/// An object, or nothing where something else stands in its place.
///
/// Unlike a derived struct it does not take an array for its fields in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object<T>(pub Option<T>);

impl<T> Default for Object<T> {
    fn default() -> Self {
        Object(None)
    }
}

/// A list of what can be read as `T`; a single value counts as a list of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List<T>(pub Option<Vec<T>>);

impl<T> Default for List<T> {
    fn default() -> Self {
        List(None)
    }
}

impl<T> List<T> {
    pub fn into_items(self) -> Vec<T> {
        self.0.unwrap_or_default()
    }
}

/// Reads an integer from text: digits with a sign, or a decimal without fraction.
pub fn integer(text: &str) -> Option<i64> {
    let text = text.trim();
    text.parse().ok().or_else(|| {
        let starts_as_number = text.starts_with(|c: char| c.is_ascii_digit() || c == '-');
        whole(text.parse().ok().filter(|_| starts_as_number)?)
    })
}

/// Returns a text in ASCII lower case, copied only where it is not already.
pub fn lower_case(text: Cow<'_, str>) -> Cow<'_, str> {
    // Without an early exit, which the compiler turns into vector instructions.
    let is_upper = |any, byte: u8| any | byte.is_ascii_uppercase();
    match text.bytes().fold(false, is_upper) {
        true => Cow::Owned(text.to_ascii_lowercase()),
        false => text,
    }
}

/// Returns a float as an integer where it has no fraction and every integer near it is exact.
pub fn whole(number: f64) -> Option<i64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    (number.fract() == 0.0 && number.abs() <= EXACT_MAX).then_some(number as i64)
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            absent_unless_scalar!();

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Borrowed(text))))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Owned(text.to_owned()))))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Owned(number.to_string()))))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Owned(number.to_string()))))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Owned(number.to_string()))))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Text<'de>, E> {
                Ok(Text(Some(Cow::Borrowed(if value {
                    "true"
                } else {
                    "false"
                }))))
            }
        }
        from.deserialize_any(TextVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct ScalarVisitor;

        impl<'de> Visitor<'de> for ScalarVisitor {
            type Value = Scalar<'de>;
            absent_unless_scalar!();

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Scalar<'de>, E> {
                Ok(i64::try_from(number).map_or(Scalar::Absent, Scalar::Int))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Int(number))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Scalar<'de>, E> {
                Ok(whole(number).map_or(Scalar::Absent, Scalar::Int))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Scalar<'de>, E> {
                Ok(Scalar::Absent)
            }
        }
        from.deserialize_any(ScalarVisitor)
    }
}

impl<'de> Deserialize<'de> for Long {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct LongVisitor;

        impl<'de> Visitor<'de> for LongVisitor {
            type Value = Long;
            absent_unless_scalar!();

            fn visit_str<E>(self, text: &str) -> Result<Long, E> {
                Ok(Long(integer(text)))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Long, E> {
                Ok(Long(i64::try_from(number).ok()))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Long, E> {
                Ok(Long(Some(number)))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Long, E> {
                Ok(Long(whole(number)))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Long, E> {
                Ok(Long(None))
            }
        }
        from.deserialize_any(LongVisitor)
    }
}

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let Long(number) = Long::deserialize(from)?;
        Ok(Int(number.and_then(|number| i32::try_from(number).ok())))
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct FlagVisitor;

        impl<'de> Visitor<'de> for FlagVisitor {
            type Value = Flag;
            absent_unless_scalar!();

            fn visit_str<E>(self, text: &str) -> Result<Flag, E> {
                let is = |word: &str| text.trim().eq_ignore_ascii_case(word);
                Ok(Flag(match () {
                    () if is("true") || is("1") => Some(true),
                    () if is("false") || is("0") => Some(false),
                    () => None,
                }))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Flag, E> {
                Ok(Flag(match number {
                    0 => Some(false),
                    1 => Some(true),
                    _ => None,
                }))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Flag, E> {
                Ok(Flag(None))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Flag, E> {
                Ok(Flag(None))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Flag, E> {
                Ok(Flag(Some(value)))
            }
        }
        from.deserialize_any(FlagVisitor)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|object| Object(Some(object)))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Object<T>, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Object(None))
            }
            fn visit_unit<E>(self) -> Result<Object<T>, E> {
                Ok(Object(None))
            }
            fn visit_str<E>(self, _: &str) -> Result<Object<T>, E> {
                Ok(Object(None))
            }
            fn visit_u64<E>(self, _: u64) -> Result<Object<T>, E> {
                Ok(Object(None))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Object<T>, E> {
                Ok(Object(None))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Object<T>, E> {
                Ok(Object(None))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Object<T>, E> {
                Ok(Object(None))
            }
        }
        from.deserialize_any(ObjectVisitor(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct ListVisitor<T>(PhantomData<T>);

        fn one<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
            from: D,
        ) -> Result<List<T>, D::Error> {
            T::deserialize(from).map(|item| List(Some(vec![item])))
        }

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
            type Value = List<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<List<T>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    items.push(item);
                }
                Ok(List(Some(items)))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<List<T>, A::Error> {
                one(MapAccessDeserializer::new(map))
            }
            fn visit_unit<E>(self) -> Result<List<T>, E> {
                Ok(List(None))
            }
            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<List<T>, E> {
                one(BorrowedStrDeserializer::new(text))
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<List<T>, E> {
                one(text.into_deserializer())
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<List<T>, E> {
                one(number.into_deserializer())
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<List<T>, E> {
                one(number.into_deserializer())
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<List<T>, E> {
                one(number.into_deserializer())
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<List<T>, E> {
                one(value.into_deserializer())
            }
        }
        from.deserialize_any(ListVisitor(PhantomData))
    }
}

#[cfg(test)]
mod tests;
