//! Files and stdin as lines: gzip and zstd recognised by their first bytes, memory bounded by the longest line
//! that is allowed.

use std::io::{self, BufRead, BufReader, Read};

use anyhow::{Context as _, Result, bail};

use super::Path;
use crate::source::file::{self, decompress};

/// Opens a file, or stdin for `-`; returns how to call it and its decompressed bytes.
pub(super) fn open(path: &Path) -> Result<(String, Box<dyn BufRead>)> {
    if path.as_os_str() == "-" {
        let reader = decompress(BufReader::new(io::stdin())).context("cannot read stdin")?;
        return Ok(("stdin".to_string(), reader));
    }
    let name = path.display().to_string();
    if path.is_dir() {
        bail!("`{name}` is a directory; name the files in it, for example {name}/*.ndjson");
    }
    Ok((name, file::open(path)?))
}

/// One line of input.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// White space only.
    Blank,
    /// Longer than allowed; what stood in it was not kept.
    TooLong,
    Text(&'a [u8]),
}

/// Reads lines into one buffer that never grows beyond the longest line allowed.
pub(super) struct Lines<R> {
    reader: R,
    bytes_max: u64,
    buffer: Vec<u8>,
    count: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R, bytes_max: u64) -> Self {
        Lines {
            reader,
            bytes_max,
            buffer: Vec::new(),
            count: 0,
        }
    }

    /// Returns how many lines were read.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Returns the next line without its end; none at the end of the input.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        self.buffer.clear();
        let mut bounded = self.reader.by_ref().take(self.bytes_max + 1);
        if bounded.read_until(b'\n', &mut self.buffer)? == 0 {
            return Ok(None);
        }
        self.count += 1;
        let is_whole = self.buffer.ends_with(b"\n");
        if !is_whole && self.buffer.len() as u64 > self.bytes_max {
            self.reader.skip_until(b'\n')?;
            return Ok(Some(Line::TooLong));
        }
        let mut line = self.buffer.trim_ascii();
        if self.count == 1 {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        Ok(Some(if line.is_empty() {
            Line::Blank
        } else {
            Line::Text(line)
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn lines(reader: impl BufRead) -> Vec<Option<String>> {
        let mut lines = Lines::new(reader, 8);
        let mut seen = Vec::new();
        while let Some(line) = lines.next().expect("reads") {
            seen.push(match line {
                Line::Blank => Some(String::new()),
                Line::TooLong => None,
                Line::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
            });
        }
        seen
    }

    fn some(texts: &[&str]) -> Vec<Option<String>> {
        texts.iter().map(|text| Some(text.to_string())).collect()
    }

    #[test]
    fn lines_end_as_on_any_system() {
        assert_eq!(
            lines(&b"\xef\xbb\xbf{}\r\n\n[1]"[..]),
            some(&["{}", "", "[1]"])
        );
        assert_eq!(lines(&b""[..]), some(&[]));
    }

    #[test]
    fn a_line_too_long_is_passed_over() {
        let mut expected = some(&["12345678"]);
        expected.extend([None, Some("{}".to_string())]);
        assert_eq!(lines(&b"12345678\n123456789\n{}\n"[..]), expected);
    }

    #[test]
    fn gzip_and_zstd_are_recognised_by_their_bytes() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), Default::default());
        gzip.write_all(b"{}\n[]\n").expect("writes");
        let gzip = gzip.finish().expect("compresses");
        let zstd = zstd::encode_all(&b"{}\n[]\n"[..], 1).expect("compresses");
        for bytes in [gzip, zstd, b"{}\n[]\n".to_vec()] {
            let reader = decompress(io::Cursor::new(bytes)).expect("opens");
            assert_eq!(lines(reader), some(&["{}", "[]"]));
        }
        assert_eq!(lines(decompress(&b"7"[..]).expect("opens")), some(&["7"]));
    }
}
