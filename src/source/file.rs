//! NDJSON files: plain, gzip or zstd, recognised by their first bytes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Read-ahead of a file, in bytes.
const BUFFER_BYTES: usize = 256 * 1024;

/// Opens a file for reading its decompressed content.
pub fn open(path: &Path) -> Result<Box<dyn BufRead>> {
    let file = File::open(path).with_context(|| format!("cannot open `{}`", path.display()))?;
    decompress(BufReader::with_capacity(BUFFER_BYTES, file))
        .with_context(|| format!("cannot read `{}`", path.display()))
}

/// Returns the content behind a reader, decompressed when it is gzip or zstd.
pub fn decompress(mut reader: impl BufRead + 'static) -> io::Result<Box<dyn BufRead>> {
    // A pipe may give fewer bytes at first than the longer magic has.
    let mut start = Vec::new();
    reader
        .by_ref()
        .take(ZSTD_MAGIC.len() as u64)
        .read_to_end(&mut start)?;
    let (is_gzip, is_zstd) = (start.starts_with(&GZIP_MAGIC), start == ZSTD_MAGIC);
    let whole = BufReader::with_capacity(BUFFER_BYTES, io::Cursor::new(start).chain(reader));
    let content: Box<dyn Read> = match (is_gzip, is_zstd) {
        (true, _) => Box::new(MultiGzDecoder::new(whole)),
        (_, true) => Box::new(zstd::stream::read::Decoder::with_buffer(whole)?),
        _ => return Ok(Box::new(whole)),
    };
    Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, content)))
}

/// Returns what names a file's content wherever it lies and however it is packed: SHA-256 of the decompressed bytes.
pub fn source_id(path: &Path) -> Result<String> {
    let mut reader = open(path)?;
    let mut hash = Sha256::new();
    loop {
        let bytes = reader
            .fill_buf()
            .with_context(|| format!("cannot read `{}`", path.display()))?;
        if bytes.is_empty() {
            return Ok(hex::encode(hash.finalize()));
        }
        hash.update(bytes);
        let read = bytes.len();
        reader.consume(read);
    }
}

/// Returns the files that paths and globs name, each once, sorted.
pub fn expand(paths: &[String]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.contains("://") {
            bail!("`{path}`: this build imports from local files; download it first");
        }
        if Path::new(path).is_file() {
            files.push(PathBuf::from(path));
            continue;
        }
        let matches =
            glob::glob(path).with_context(|| format!("`{path}` is no pattern of paths"))?;
        let before = files.len();
        for entry in matches {
            let entry = entry?;
            if entry.is_file() {
                files.push(entry);
            }
        }
        if files.len() == before {
            bail!("`{path}`: there is no such file");
        }
    }
    files.sort();
    files.dedup();
    Ok(files)
}
