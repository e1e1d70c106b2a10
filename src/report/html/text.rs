//! Values -> the text of HTML.

use serde_json::Value;

use crate::detection::front_matter::ColumnType;
use crate::report::Column;

/// Returns text that means itself, in elements and in quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Control characters and those that turn the direction of what follows are no part of a name.
            c if c.is_control()
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') =>
            {
                escaped.push('\u{fffd}');
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// Returns a cell as people read it, escaped.
pub(super) fn cell(value: &Value, column: &Column) -> String {
    match value {
        Value::Null => "<span class=\"none\">\u{2013}</span>".to_string(),
        Value::Bool(true) => "yes".to_string(),
        Value::Bool(false) => "no".to_string(),
        Value::Number(number) if column.name.ends_with("_seconds") => {
            duration(number.as_f64().unwrap_or_default())
        }
        Value::Number(number) => grouped(&number.to_string()),
        Value::String(text) if column.kind == ColumnType::Timestamp => {
            format!("<time datetime=\"{}\">{}</time>", escape(text), time(text))
        }
        Value::String(text) => escape(text),
        other => escape(&other.to_string()),
    }
}

/// Returns a number with commas between thousands.
pub(super) fn grouped(number: &str) -> String {
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (number, None),
    };
    let (sign, digits) = match whole.strip_prefix('-') {
        Some(digits) => ("\u{2212}", digits),
        None => ("", whole),
    };
    let mut text = sign.to_string();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    match fraction {
        None | Some("0") => text,
        Some(fraction) => text + "." + fraction,
    }
}

/// Returns a length of time in its two largest units.
fn duration(seconds: f64) -> String {
    const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let mut left = seconds.max(0.0).round() as u64;
    let mut parts = Vec::new();
    for (unit, length) in UNITS {
        if left >= length && parts.len() < 2 {
            parts.push(format!("{} {unit}", left / length));
            left %= length;
        }
    }
    match parts.is_empty() {
        true => "0 s".to_string(),
        false => parts.join(" "),
    }
}

/// Returns an RFC 3339 instant without what says nothing: seconds, and a midnight.
pub(super) fn time(text: &str) -> String {
    let day = text.get(..10).unwrap_or(text);
    match text.get(11..16) {
        None | Some("00:00") => escape(day),
        Some(minute) => format!("{} {}", escape(day), escape(minute)),
    }
}

/// Returns a column's name as a heading.
pub(super) fn heading(name: &str) -> String {
    let name = name
        .strip_suffix("_seconds")
        .map_or(name.to_string(), |of| format!("{of}_time"));
    let words = name.replace("1000", "1,000").replace('_', " ");
    let mut chars = words.chars();
    chars.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(chars).collect()
    })
}

/// Returns a word in the quotes of a POSIX shell, bare where it needs none.
pub(super) fn shell(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,".contains(c);
    match !word.is_empty() && !word.starts_with('-') && word.chars().all(is_plain) {
        true => word.to_string(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_name_is_markup() {
        assert_eq!(
            escape("</script><b a=\"'\">&\u{202e}x"),
            "&lt;/script&gt;&lt;b a=&quot;&#39;&quot;&gt;&amp;\u{fffd}x"
        );
    }

    #[test]
    fn numbers_have_commas_between_thousands() {
        assert_eq!(grouped("999"), "999");
        assert_eq!(grouped("1234567"), "1,234,567");
        assert_eq!(grouped("-1234.5"), "\u{2212}1,234.5");
        assert_eq!(grouped("12.0"), "12");
    }

    #[test]
    fn times_say_no_more_than_they_know() {
        assert_eq!(time("2026-09-01T00:00:00Z"), "2026-09-01");
        assert_eq!(time("2026-09-01T02:03:04.5Z"), "2026-09-01 02:03");
        assert_eq!(heading("per_1000_starts"), "Per 1,000 starts");
    }

    #[test]
    fn lengths_of_time_have_two_units_at_most() {
        assert_eq!(duration(0.2), "0 s");
        assert_eq!(duration(1272.0), "21 min 12 s");
        assert_eq!(duration(36_004.3), "10 h 4 s");
        assert_eq!(duration(90_061.0), "1 d 1 h");
    }

    #[test]
    fn a_shell_reads_a_name_as_one_word() {
        assert_eq!(shell("room_42"), "room_42");
        assert_eq!(shell("visit 1"), "'visit 1'");
        assert_eq!(shell("it's; rm -rf"), "'it'\\''s; rm -rf'");
        assert_eq!(shell("$(id)"), "'$(id)'");
        assert_eq!(shell("--help"), "'--help'");
        assert_eq!(shell(""), "''");
    }
}
