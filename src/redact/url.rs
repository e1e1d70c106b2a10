//! The parts of a URL in a text that may hold secrets: user info, query, fragment, and a stream key in the path.

use std::ops::Range;

use super::json::REDACTED;
use super::scrub::Mode;

/// A URL, and what to write in the place of its parts.
pub(super) struct Parts {
    pub authority: Option<(Range<usize>, &'static str)>,
    pub path: Range<usize>,
    /// The path is a stream key.
    pub hides_path: bool,
    /// Query and fragment.
    pub query: Option<(Range<usize>, &'static str)>,
}

/// Tells whether a text is a URL of the plainest kind, without any part that could be secret.
pub(super) fn is_plain(text: &[u8]) -> bool {
    let Some(rest) = text
        .strip_prefix(b"https://")
        .or_else(|| text.strip_prefix(b"http://"))
    else {
        return false;
    };
    // Without branches this takes many bytes at a time.
    let is_letter = |byte: u8| (byte | 32).wrapping_sub(b'a') < 26;
    let is_digit_or_slash = |byte: u8| byte.wrapping_sub(b'-') < 13;
    let is_plain = |byte: u8| is_letter(byte) | is_digit_or_slash(byte) | (byte == b'_');
    rest.iter().fold(true, |all, byte| all & is_plain(*byte))
}

impl Parts {
    /// The URL around a mark that begins with the colon after a scheme; `None` if it is none. Before `path_end`
    /// it is inside the path of another URL, and ends there.
    pub(super) fn around(
        text: &str,
        mark: Range<usize>,
        mode: Mode,
        path_end: usize,
    ) -> Option<Parts> {
        let bytes = text.as_bytes();
        let is_scheme_byte =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'.' | b'-');
        let scheme = bytes[..mark.start]
            .iter()
            .rev()
            .take_while(|byte| is_scheme_byte(byte))
            .count();
        let scheme = &text[mark.start - scheme..mark.start];
        let is_encoded = bytes[mark.start] == b'%';
        let start = if is_encoded {
            mark.end
        } else {
            after_slashes(bytes, mark.start + 1)?
        };
        if is_encoded {
            // A URL in a query: what of it is secret cannot be told apart.
            let end = (start..bytes.len())
                .find(|at| ends_url(bytes, *at) || bytes[*at] == b'&')
                .unwrap_or(bytes.len());
            return Some(Parts::opaque(start, end));
        }
        let is_inside = start < path_end;
        let end = if is_inside {
            path_end
        } else {
            let mut rest = start..bytes.len();
            rest.find(|at| ends_url(bytes, *at)).unwrap_or(bytes.len())
        };
        let find =
            |from: usize, ends: &[u8]| bytes[from..end].iter().position(|byte| ends.contains(byte));
        let host_end = find(start, b"/\\?#").map_or(end, |at| start + at);
        let query = if is_inside {
            None
        } else {
            find(host_end, b"?#")
        };
        let query = query.map_or(end, |at| host_end + at);
        // A fragment is dropped, so what stands before it is at the end, too.
        let is_last = end == bytes.len() && host_end == query && bytes.get(query) != Some(&b'?');
        let is_cut = is_last && mode == Mode::Broken;
        let is_stream = ["rtmp", "rtmps", "rtmpt", "rtmpe"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known));
        let stream_key = if is_stream {
            after_slashes(bytes, host_end)
        } else {
            None
        };
        let path = stream_key.map_or(host_end..query, |start| start..end);
        Some(Parts {
            authority: authority(&text[start..host_end], start, is_cut),
            hides_path: stream_key.is_some() && !path.is_empty(),
            query: hidden_query(bytes, query.max(path.end)..end),
            path,
        })
    }

    fn opaque(start: usize, end: usize) -> Parts {
        Parts {
            authority: None,
            path: start..end,
            hides_path: start < end,
            query: None,
        }
    }
}

/// Skips slashes, escaped or not.
fn after_slashes(bytes: &[u8], at: usize) -> Option<usize> {
    let length = bytes[at..]
        .iter()
        .take_while(|byte| matches!(byte, b'/' | b'\\'))
        .count();
    let slashes = &bytes[at..at + length];
    // Backslashes after the last slash escape what follows.
    let last = slashes.iter().rposition(|byte| *byte == b'/')?;
    Some(at + last + 1)
}

fn authority(authority: &str, start: usize, is_cut: bool) -> Option<(Range<usize>, &'static str)> {
    let host = authority.rfind('@').map_or(0, |at| at + 1);
    let port = authority[host..].rsplit_once(':').map(|(_, port)| port);
    // `user:password` of which the `@` is cut off or hidden behind a `#`; a port has digits only.
    let is_address = authority[host..].starts_with('[');
    let is_user =
        !is_address && port.is_some_and(|port| !port.bytes().all(|byte| byte.is_ascii_digit()));
    if is_user || is_cut && host < authority.len() {
        return Some((start..start + authority.len(), REDACTED));
    }
    // Without a host, the path would be taken for one the next time.
    let is_hostless = host == authority.len();
    let left = if is_hostless { REDACTED } else { "" };
    (host > 0).then_some((start..start + host, left))
}

fn hidden_query(bytes: &[u8], range: Range<usize>) -> Option<(Range<usize>, &'static str)> {
    match bytes[range.clone()] {
        [] | [b'?'] => None,
        [b'#', ..] => Some((range, "")),
        _ => Some((range, "?[redacted]")),
    }
}

/// Whitespace and quotes end a URL; a backslash does unless it escapes a slash or hides more of the query.
fn ends_url(bytes: &[u8], at: usize) -> bool {
    match bytes[at] {
        0..=b' ' | b'"' | b'<' | b'>' | b'`' => true,
        b'\\' => {
            !matches!(bytes.get(at + 1), Some(b'/' | b'u')) && !bytes[at..].starts_with(b"\\\\/")
        }
        _ => false,
    }
}
