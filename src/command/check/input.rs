//! Files and stdin as lines: gzip and zstd recognised by their first bytes, memory bounded by the longest line
//! that is allowed.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use anyhow::{Context as _, Result, bail};
use flate2::bufread::MultiGzDecoder;

use super::Path;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Opens a file, or stdin for `-`; returns how to call it and its decompressed bytes.
pub(super) fn open(path: &Path) -> Result<(String, Box<dyn BufRead>)> {
    if path.as_os_str() == "-" {
        let reader = decompressed(BufReader::new(io::stdin())).context("cannot read stdin")?;
        return Ok(("stdin".to_string(), reader));
    }
    let name = path.display().to_string();
    if path.is_dir() {
        bail!("`{name}` is a directory; name the files in it, for example {name}/*.ndjson");
    }
    let file = File::open(path).with_context(|| format!("cannot open `{name}`"))?;
    let reader =
        decompressed(BufReader::new(file)).with_context(|| format!("cannot read `{name}`"))?;
    Ok((name, reader))
}

fn decompressed(mut reader: impl BufRead + 'static) -> io::Result<Box<dyn BufRead>> {
    // A pipe may give fewer bytes at first than the longer magic has.
    let mut start = Vec::new();
    reader
        .by_ref()
        .take(ZSTD_MAGIC.len() as u64)
        .read_to_end(&mut start)?;
    let (is_gzip, is_zstd) = (start.starts_with(&GZIP_MAGIC), start == ZSTD_MAGIC);
    let whole = BufReader::new(io::Cursor::new(start).chain(reader));
    Ok(if is_gzip {
        Box::new(BufReader::new(MultiGzDecoder::new(whole)))
    } else if is_zstd {
        Box::new(BufReader::new(zstd::Decoder::with_buffer(whole)?))
    } else {
        Box::new(whole)
    })
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
            let reader = decompressed(io::Cursor::new(bytes)).expect("opens");
            assert_eq!(lines(reader), some(&["{}", "[]"]));
        }
        assert_eq!(lines(decompressed(&b"7"[..]).expect("opens")), some(&["7"]));
    }
}
