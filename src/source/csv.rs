//! CSV as the lines of JSON that everything else reads: of a row an object, by the names in the first line.

use std::io::{self, BufRead, BufReader, Read};

use anyhow::Result;
use csv::{Reader, ReaderBuilder, StringRecord};
use serde_json::{Map, Value};

use crate::event::Stream;

/// Returns the messages of a stream as lines. Upload status is exported as CSV as often as not.
pub fn lines(stream: Stream, mut reader: Box<dyn BufRead>) -> Result<Box<dyn BufRead>> {
    if stream != Stream::UploadStatus {
        return Ok(reader);
    }
    let start = reader.fill_buf()?;
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    if matches!(start.trim_ascii_start().first(), None | Some(b'{' | b'[')) {
        return Ok(reader);
    }
    let mut rows = ReaderBuilder::new()
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(reader);
    let names = rows.headers()?.iter();
    let names = names.map(|name| name.trim_start_matches('\u{feff}').to_lowercase());
    let objects = Objects {
        names: names.collect(),
        rows,
        record: StringRecord::new(),
        // In place of the first line, so that every row keeps its number.
        line: vec![b'\n'],
        at: 0,
    };
    Ok(Box::new(BufReader::new(objects)))
}

/// Rows of CSV, read as lines of JSON.
struct Objects<R> {
    names: Vec<String>,
    rows: Reader<R>,
    record: StringRecord,
    line: Vec<u8>,
    /// How much of the line was read.
    at: usize,
}

impl<R: Read> Read for Objects<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.line.len() {
            if !self.rows.read_record(&mut self.record)? {
                return Ok(0);
            }
            let cells = self.names.iter().zip(&self.record);
            let filled = cells.filter(|(_, cell)| !cell.is_empty());
            let object: Map<String, Value> = filled
                .map(|(name, cell)| (name.clone(), Value::from(cell)))
                .collect();
            self.line = serde_json::to_vec(&object)?;
            self.line.push(b'\n');
            self.at = 0;
        }
        let read = (&self.line[self.at..]).read(into)?;
        self.at += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(stream: Stream, text: &'static str) -> String {
        let mut lines = lines(stream, Box::new(text.as_bytes())).expect("opens");
        let mut all = String::new();
        lines.read_to_string(&mut all).expect("reads");
        all
    }

    #[test]
    fn a_row_becomes_an_object_by_the_names_in_the_first_line() {
        let csv = "\u{feff}SID, file,status\ns1,\"a, b.ts\",uploaded\ns2,,failed,more\n";
        let expected = concat!(
            "\n",
            r#"{"file":"a, b.ts","sid":"s1","status":"uploaded"}"#,
            "\n",
            r#"{"sid":"s2","status":"failed"}"#,
            "\n"
        );
        assert_eq!(read(Stream::UploadStatus, csv), expected);
    }

    #[test]
    fn what_is_json_stays_as_it_is() {
        for text in ["", " {\"sid\":\"s\"}\n", "[{}]"] {
            assert_eq!(read(Stream::UploadStatus, text), text);
        }
        assert_eq!(read(Stream::Webhooks, "sid,file\n1,2\n"), "sid,file\n1,2\n");
    }
}
