//! For any input.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;

pub(crate) fn value(strings: &'static str, keys: &'static str) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        strings.prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((keys, inner), 0..6)
                .prop_map(|members| Value::from(Map::from_iter(members))),
        ]
    })
}

/// Puts the mark under each tell-tale key, at any depth.
fn plant(value: &mut Value) {
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(plant),
        Value::Object(members) => {
            for (key, member) in members.iter_mut() {
                if names::is_sensitive(key.as_bytes()) {
                    *member = serde_json::json!([MARK, { "x": MARK }]);
                } else {
                    plant(member);
                }
            }
        }
        _ => {}
    }
}

pub(crate) const TELL_TALE: &str =
    "(my_?)?(token|Secret|apiKey|api-key|accessKey|access_key|password|x)(Id|_2)?";

/// Strings that could hide a secret.
pub(crate) const SUSPECT: &str =
    "[{}\\[\\]\":=,/\\\\ '?@#%&a-ceo]{0,20}|(token|secret)[=: \"]{1,3}.{0,9}|https?://.{0,12}";

proptest! {
    #[test]
    fn what_is_not_sensitive_stays(value in value("[a-z0-9 ,._/é\"\\\\\n-]{0,12}", "[g-n\"é]{0,8}")) {
        let text = value.to_string();
        prop_assert_eq!(json(&text), text);
    }

    #[test]
    fn a_mark_under_a_tell_tale_key_never_survives(mut value in value(".{0,12}", TELL_TALE)) {
        plant(&mut value);
        let text = value.to_string();
        assert_clean(&json(&text), &text);
        let wrapped = format!("[{}]", escape::escape(&text));
        assert_clean(&json(&wrapped), &wrapped);
    }

    #[test]
    fn any_json_is_redacted_to_json_that_is_stable(
        value in value(SUSPECT, TELL_TALE)
    ) {
        json(&value.to_string());
    }

    #[test]
    fn it_agrees_with_the_parser_about_what_is_json(text in "[\\[\\]{}\":,0-9eE+.truefalsn\\\\u -]{0,12}") {
        let parses = serde_json::from_str::<Box<serde_json::value::RawValue>>(&text).is_ok();
        let mut out = String::new();
        prop_assert_eq!(redactor().json(text.as_bytes(), &mut out).is_ok(), parses, "{}", text);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let redactor = redactor();
        let mut out = String::new();
        let _ = redactor.json(&bytes, &mut out);
        redactor.bytes(&bytes);
        redactor.text(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn text_and_bytes_are_stable(text in "((token|secretKey|Authorization|value|https://|rtmp://|Basic |eyJ)?[\"':=,{}\\[\\]\\\\/?@#&%a-cé \n]{0,6}){0,6}") {
        let redactor = redactor();
        let once = redactor.text(&text).into_owned();
        prop_assert_eq!(redactor.text(&once).into_owned(), once.clone(), "text {:?}", text);
        let once = redactor.bytes(text.as_bytes());
        prop_assert_eq!(redactor.bytes(once.as_bytes()), once, "bytes {:?}", text);
    }
}

#[test]
fn a_url_that_is_left_without_a_host_is_not_taken_for_another_the_next_time() {
    let redactor = redactor();
    for url in ["https://@/]", "https://user:pass@/path", "https://user@"] {
        let once = redactor.bytes(url.as_bytes());
        assert!(!once.contains(":pass"), "{once}");
        assert_eq!(redactor.bytes(once.as_bytes()), once, "{url}");
        let once = redactor.text(url).into_owned();
        assert_eq!(redactor.text(&once), once, "{url}");
    }
}

#[test]
fn a_name_that_has_a_value_only_when_the_next_one_is_gone_loses_it_at_once() {
    let redactor = redactor();
    let once = redactor.bytes(b"token\"\"secretKey:\":");
    assert_eq!(redactor.bytes(once.as_bytes()), once);
}
