//! A planted secret never survives (`planted`, `broken`), what is needed does (`kept`), for any input (`properties`).

mod broken;
mod kept;
mod planted;
pub(crate) mod properties;

use super::*;

/// No run of six characters of it may be left anywhere.
const MARK: &str = "q7Zk2WvX9sJ4mN8pR3tY6";

pub(crate) fn redactor() -> Redactor {
    Redactor::new(Some(FingerprintKey {
        id: "k1".to_string(),
        secret: b"a key for tests".to_vec(),
    }))
}

/// Returns the redacted message, after checking that redacting it again changes nothing.
fn json(message: &str) -> String {
    let redactor = redactor();
    let mut out = String::new();
    if let Err(reject) = redactor.json(message.as_bytes(), &mut out) {
        panic!("{reject:?}: {message}");
    }
    let mut again = String::new();
    redactor
        .json(out.as_bytes(), &mut again)
        .expect("the output is JSON");
    assert_eq!(again, out, "not stable: {message}");
    serde_json::from_str::<Box<serde_json::value::RawValue>>(&out).expect("the output is JSON");
    out
}

/// Messages with a planted secret each, as they come.
pub(crate) fn planted_messages() -> impl Iterator<Item = String> {
    planted::MESSAGES.into_iter().map(planted::planted)
}

/// Fails if a piece of the mark is left.
fn assert_clean(out: &str, message: &str) {
    for start in 0..=MARK.len() - 6 {
        let piece = &MARK[start..start + 6];
        assert!(
            !out.contains(piece),
            "`{piece}` is left\n  of {message}\n  in {out}"
        );
    }
}
