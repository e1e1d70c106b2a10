//! Drift of every scalar.

use super::*;

#[derive(Debug, Default, PartialEq, serde::Deserialize)]
#[serde(default)]
struct Inner {
    a: Int,
}

fn read<'a, T: Deserialize<'a>>(json: &'a str) -> T {
    serde_json::from_str(json).expect("drift is accepted")
}

#[test]
fn text_is_read_from_scalars() {
    for (json, text) in [
        ("\"a\"", Some("a")),
        ("\"a\\n\"", Some("a\n")),
        ("12", Some("12")),
        ("-3", Some("-3")),
        ("1.5", Some("1.5")),
        ("true", Some("true")),
        ("null", None),
        ("[1,[2]]", None),
        ("{\"a\":{}}", None),
    ] {
        assert_eq!(read::<Text<'_>>(json).as_deref(), text, "{json}");
    }
    assert!(matches!(
        read::<Text<'_>>("\"plain\""),
        Text(Some(Cow::Borrowed(_)))
    ));
}

#[test]
fn integers_are_read_from_numbers_and_numeric_text() {
    for (json, number) in [
        ("7", Some(7)),
        ("\" -7 \"", Some(-7)),
        ("7.0", Some(7)),
        ("\"7.0\"", Some(7)),
        ("7.5", None),
        ("\"seven\"", None),
        ("\"inf\"", None),
        ("\"\"", None),
        ("1e300", None),
        ("18446744073709551615", None),
        ("true", None),
        ("null", None),
        ("{}", None),
    ] {
        assert_eq!(read::<Long>(json).0, number, "{json}");
    }
    assert_eq!(read::<Int>("4294967296").0, None);
}

#[test]
fn flags_are_read_from_words_and_numbers() {
    for (json, flag) in [
        ("true", Some(true)),
        ("\"False\"", Some(false)),
        ("1", Some(true)),
        ("2", None),
        ("\"yes\"", None),
        ("[]", None),
    ] {
        assert_eq!(read::<Flag>(json).0, flag, "{json}");
    }
}

#[test]
fn what_is_no_object_is_absent() {
    assert_eq!(
        read::<Object<Inner>>("{\"a\":\"1\",\"b\":2}").0,
        Some(Inner { a: Int(Some(1)) })
    );
    for json in ["[1]", "\"x\"", "1", "-1", "1.5", "false", "null"] {
        assert_eq!(read::<Object<Inner>>(json).0, None, "{json}");
    }
}

#[test]
fn a_single_value_is_a_list_of_one() {
    let texts = |json| {
        read::<List<Text<'_>>>(json)
            .into_items()
            .into_iter()
            .filter_map(|text| text.0)
    };
    assert_eq!(texts("[\"a\",1,null]").collect::<Vec<_>>(), ["a", "1"]);
    assert_eq!(texts("\"a\"").collect::<Vec<_>>(), ["a"]);
    assert_eq!(texts("3").collect::<Vec<_>>(), ["3"]);
    assert_eq!(texts("null").count(), 0);
    assert_eq!(
        read::<List<Object<Inner>>>("{\"a\":1}").into_items().len(),
        1
    );
}
