//! A fleet as NDJSON files, one a stream.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::{CONFIG, Packing, Sink, TRUTH};
use crate::event::Stream;
use crate::generate::Produced;

/// Collected before a file is written to, in bytes.
const BUFFER_BYTES: usize = 256 * 1024;

impl Packing {
    const ALL: [Packing; 3] = [Packing::Zstd, Packing::Gzip, Packing::None];

    /// What a file's name ends with after `.ndjson`.
    pub(super) const fn suffix(self) -> &'static str {
        match self {
            Packing::Zstd => ".zst",
            Packing::Gzip => ".gz",
            Packing::None => "",
        }
    }
}

fn name(stream: Stream, packing: Packing) -> String {
    format!("{stream}.ndjson{}", packing.suffix())
}

/// Makes room for a fleet: creates the directory, and removes the earlier fleet in it if that is wanted.
pub(super) fn claim(directory: &Path, overwrite: bool) -> Result<()> {
    fs::create_dir_all(directory)
        .with_context(|| format!("cannot create `{}`", directory.display()))?;
    let streams = Stream::ALL.into_iter();
    let names = streams.flat_map(|stream| Packing::ALL.map(|packing| name(stream, packing)));
    for name in names.chain([TRUTH.to_string(), CONFIG.to_string()]) {
        let path = directory.join(name);
        if !path.exists() {
            continue;
        }
        if !overwrite {
            bail!(
                "`{}` is there already\nhint: name another directory with --output, or replace that fleet with --overwrite",
                path.display()
            );
        }
        fs::remove_file(&path).with_context(|| format!("cannot remove `{}`", path.display()))?;
    }
    Ok(())
}

/// One open file a stream.
pub(super) struct Files {
    files: [Packed; 4],
}

enum Packed {
    Zstd(zstd::Encoder<'static, BufWriter<File>>),
    Gzip(GzEncoder<BufWriter<File>>),
    Plain(BufWriter<File>),
}

impl Files {
    pub(super) fn create(directory: &Path, packing: Packing) -> Result<Files> {
        let create = |stream: Stream| {
            let path = directory.join(name(stream, packing));
            Packed::create(&path, packing)
                .with_context(|| format!("cannot create `{}`", path.display()))
        };
        let [api_calls, webhooks, storage_events, session_records] = Stream::ALL.map(create);
        Ok(Files {
            files: [api_calls?, webhooks?, storage_events?, session_records?],
        })
    }
}

impl Sink for Files {
    /// Writes a message as a line; a tombstone is an empty one.
    fn take(&mut self, message: &Produced) -> Result<()> {
        let number = Stream::ALL
            .iter()
            .position(|stream| *stream == message.stream);
        let file = &mut self.files[number.expect("all streams have a file")];
        let value = message.value.as_deref().unwrap_or_default();
        file.line(value)
            .with_context(|| format!("cannot write {}", message.stream))
    }

    fn close(self) -> Result<()> {
        for file in self.files {
            file.finish().context("cannot finish a file")?;
        }
        Ok(())
    }
}

impl Packed {
    fn create(path: &Path, packing: Packing) -> std::io::Result<Packed> {
        let file = BufWriter::with_capacity(BUFFER_BYTES, File::create_new(path)?);
        Ok(match packing {
            Packing::Zstd => Packed::Zstd(zstd::Encoder::new(file, 1)?),
            Packing::Gzip => Packed::Gzip(GzEncoder::new(file, Compression::fast())),
            Packing::None => Packed::Plain(file),
        })
    }

    fn line(&mut self, value: &[u8]) -> std::io::Result<()> {
        let file: &mut dyn Write = match self {
            Packed::Zstd(file) => file,
            Packed::Gzip(file) => file,
            Packed::Plain(file) => file,
        };
        file.write_all(value)?;
        file.write_all(b"\n")
    }

    fn finish(self) -> std::io::Result<()> {
        match self {
            Packed::Zstd(file) => file.finish()?.flush(),
            Packed::Gzip(file) => file.finish()?.flush(),
            Packed::Plain(mut file) => file.flush(),
        }
    }
}
