//! Events on their way to Kafka, on disk: appended as calls end, read in order, forgotten when Kafka has them.
//!
//! A directory of segments, `<number>.ndjson`, one redacted event a line; `position` says how far Kafka has them. What
//! was appended survives a killed process. One process owns the directory: it holds a lock on the file `lock`.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, bail};

/// A segment is closed at this size, and removed when Kafka has all of it.
const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;

pub(super) struct Spool {
    dir: PathBuf,
    bytes_max: u64,
    state: Mutex<State>,
    _lock: File,
}

struct State {
    /// Appends to the segment `last`.
    writer: File,
    last: u64,
    last_bytes: u64,
    /// Of all segments, sent ones included until they are removed.
    bytes: u64,
    /// Up to here Kafka has everything.
    sent: Position,
}

/// A place between two events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    segment: u64,
    offset: u64,
}

/// Why an event was not kept.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotKept {
    #[error("the spool is full (proxy.spool_bytes_max)")]
    Full,
    #[error("the spool cannot be written: {0}")]
    Disk(#[from] io::Error),
}

impl Spool {
    /// Opens the directory, or makes it. Half an event at the end, left by a death in the middle of it, is cut off.
    pub fn open(dir: &Path, bytes_max: u64) -> Result<Spool> {
        let cannot = || format!("proxy.spool: cannot use the directory {}", dir.display());
        fs::create_dir_all(dir).with_context(cannot)?;
        let lock = File::create(dir.join("lock")).with_context(cannot)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "proxy.spool: another process uses {}; give each proxy a directory of its own",
                dir.display()
            ),
            Err(TryLockError::Error(error)) => return Err(error).with_context(cannot),
        }
        let state = State::open(dir).with_context(cannot)?;
        Ok(Spool {
            dir: dir.to_path_buf(),
            bytes_max,
            state: Mutex::new(state),
            _lock: lock,
        })
    }

    /// Appends an event, which holds no line break.
    pub fn append(&self, event: &str) -> Result<(), NotKept> {
        let mut state = self.state();
        let length = event.len() as u64 + 1;
        if state.bytes + length > self.bytes_max {
            return Err(NotKept::Full);
        }
        if state.last_bytes >= SEGMENT_BYTES {
            let next = state.last + 1;
            state.writer = appender(&self.dir, next)?;
            (state.last, state.last_bytes) = (next, 0);
        }
        let mut line = Vec::with_capacity(event.len() + 1);
        line.extend_from_slice(event.as_bytes());
        line.push(b'\n');
        if let Err(error) = state.writer.write_all(&line) {
            // Nothing may follow half an event.
            let whole = state.last_bytes;
            let _ = state.writer.set_len(whole);
            return Err(error.into());
        }
        state.last_bytes += length;
        state.bytes += length;
        Ok(())
    }

    /// Returns the events after what Kafka has, in order, up to about `bytes_max`, and the place after them.
    pub fn read(&self, bytes_max: usize) -> io::Result<(Vec<String>, Position)> {
        let (mut at, last) = {
            let state = self.state();
            (state.sent, state.last)
        };
        let (mut events, mut bytes) = (Vec::new(), 0);
        loop {
            let mut file = File::open(segment(&self.dir, at.segment))?;
            file.seek(SeekFrom::Start(at.offset))?;
            let mut lines = BufReader::new(file);
            while bytes < bytes_max {
                let mut line = String::new();
                let read = lines.read_line(&mut line)?;
                if !line.ends_with('\n') {
                    break;
                }
                line.pop();
                bytes += read;
                at.offset += read as u64;
                events.push(line);
            }
            if bytes >= bytes_max || at.segment == last {
                return Ok((events, at));
            }
            at = Position {
                segment: at.segment + 1,
                offset: 0,
            };
        }
    }

    /// Kafka has everything before `position`: it is not read again, not even by another process.
    pub fn forget(&self, position: Position) -> io::Result<()> {
        let mut state = self.state();
        write_position(&self.dir, position)?;
        for number in state.sent.segment..position.segment {
            let path = segment(&self.dir, number);
            let bytes = fs::metadata(&path)?.len();
            fs::remove_file(&path)?;
            state.bytes -= bytes;
        }
        state.sent = position;
        Ok(())
    }

    /// Returns the bytes that Kafka does not have yet.
    pub fn waiting_bytes(&self) -> u64 {
        let state = self.state();
        state.bytes.saturating_sub(state.sent.offset)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn open(dir: &Path) -> io::Result<State> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(dir)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".ndjson"));
            numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        let sent = read_position(dir)?;
        let first = numbers.first().copied().unwrap_or_default();
        let sent = match sent {
            Some(sent) if numbers.contains(&sent.segment) => sent,
            _ => Position {
                segment: first,
                offset: 0,
            },
        };
        // Segments before that died with a process between two steps of `forget`.
        for number in numbers.extract_if(.., |number| *number < sent.segment) {
            fs::remove_file(segment(dir, number))?;
        }
        let last = numbers.last().copied().unwrap_or(sent.segment);
        let writer = appender(dir, last)?;
        let last_bytes = cut_half_event(dir, last, &writer)?;
        let mut bytes = 0;
        for number in sent.segment..=last {
            bytes += fs::metadata(segment(dir, number))?.len();
        }
        Ok(State {
            writer,
            last,
            last_bytes,
            bytes,
            sent,
        })
    }
}

fn segment(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:010}.ndjson"))
}

fn appender(dir: &Path, number: u64) -> io::Result<File> {
    let path = segment(dir, number);
    OpenOptions::new().create(true).append(true).open(path)
}

/// Cuts off what follows the last line break, and returns the length.
fn cut_half_event(dir: &Path, number: u64, writer: &File) -> io::Result<u64> {
    let mut content = Vec::new();
    File::open(segment(dir, number))?.read_to_end(&mut content)?;
    let whole = memchr::memrchr(b'\n', &content).map_or(0, |at| at + 1) as u64;
    if whole < content.len() as u64 {
        tracing::warn!(
            "the last event of the spool was cut off by the death of a process; it is dropped"
        );
        writer.set_len(whole)?;
    }
    Ok(whole)
}

fn read_position(dir: &Path) -> io::Result<Option<Position>> {
    match fs::read_to_string(dir.join("position")) {
        Ok(text) => Ok(text.trim().split_once(' ').and_then(|(segment, offset)| {
            Some(Position {
                segment: segment.parse().ok()?,
                offset: offset.parse().ok()?,
            })
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write_position(dir: &Path, position: Position) -> io::Result<()> {
    let staged = dir.join("position.new");
    fs::write(
        &staged,
        format!("{} {}\n", position.segment, position.offset),
    )?;
    fs::rename(staged, dir.join("position"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(dir: &Path) -> Spool {
        Spool::open(dir, 64 * 1024 * 1024).expect("opens")
    }

    fn read(spool: &Spool) -> (Vec<String>, Position) {
        spool.read(usize::MAX).expect("is readable")
    }

    #[test]
    fn events_come_in_order_once_over_any_number_of_lives() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut expected = Vec::new();
        for life in 0..3 {
            let spool = open(dir.path());
            for n in 0..10 {
                let event = format!("{{\"life\":{life},\"n\":{n}}}");
                spool.append(&event).expect("is kept");
                expected.push(event);
            }
            let (events, _) = read(&spool);
            assert_eq!(events, expected);
            // Kafka takes some of them: those of which one batch is made.
            let (some, position) = spool.read(40).expect("is readable");
            spool.forget(position).expect("is forgotten");
            expected.drain(..some.len());
        }
        let spool = open(dir.path());
        let (events, position) = read(&spool);
        assert_eq!(events, expected);
        spool.forget(position).expect("is forgotten");
        assert_eq!((read(&spool).0.len(), spool.waiting_bytes()), (0, 0));
    }

    #[test]
    fn segments_that_were_sent_are_removed() {
        let dir = tempfile::tempdir().expect("a directory");
        let spool = open(dir.path());
        let event = "x".repeat(1024 * 1024);
        for _ in 0..20 {
            spool.append(&event).expect("is kept");
        }
        let segments = || {
            let entries = fs::read_dir(dir.path()).expect("is readable");
            let names = entries.map(|entry| entry.expect("is readable").path());
            names
                .filter(|path| path.extension().is_some_and(|of| of == "ndjson"))
                .count()
        };
        assert_eq!(segments(), 3);
        let (events, position) = read(&spool);
        assert_eq!(events.len(), 20);
        spool.forget(position).expect("is forgotten");
        assert_eq!((segments(), spool.waiting_bytes()), (1, 0));
    }

    #[test]
    fn half_an_event_is_cut_off_and_the_next_one_is_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        let spool = open(dir.path());
        spool.append("{\"n\":1}").expect("is kept");
        drop(spool);
        let mut file = appender(dir.path(), 0).expect("is there");
        file.write_all(b"{\"n\":").expect("is written");
        let spool = open(dir.path());
        spool.append("{\"n\":2}").expect("is kept");
        assert_eq!(read(&spool).0, ["{\"n\":1}", "{\"n\":2}"]);
    }

    #[test]
    fn a_full_spool_and_a_second_owner_are_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let spool = Spool::open(dir.path(), 20).expect("opens");
        spool.append("0123456789").expect("is kept");
        assert!(matches!(spool.append("0123456789"), Err(NotKept::Full)));
        let second = Spool::open(dir.path(), 20).err().expect("is refused");
        assert!(second.to_string().contains("directory of its own"));
    }
}
