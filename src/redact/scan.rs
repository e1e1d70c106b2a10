//! Finds the end of a JSON string, many bytes at a time.

const WORD_BYTES: usize = 8;
const CHUNK_BYTES: usize = 32;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Marks the bytes of `word` that equal `byte`. The lowest mark is exact, those above it need not be.
#[inline(always)]
fn equal(word: u64, byte: u8) -> u64 {
    let zeros = word ^ (ONES * byte as u64);
    zeros.wrapping_sub(ONES) & !zeros & HIGHS
}

/// Marks the bytes of `word` below `limit`, which is at most 128. The lowest mark is exact.
#[inline(always)]
fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(ONES * limit as u64) & !word & HIGHS
}

#[inline(always)]
fn find(
    bytes: &[u8],
    mut at: usize,
    marks: impl Fn(u64) -> u64,
    is_marked: impl Fn(u8) -> bool,
) -> usize {
    let first_mark = |at: usize| {
        let word: &[u8; WORD_BYTES] = bytes.get(at..)?.first_chunk()?;
        Some(marks(u64::from_le_bytes(*word)))
    };
    // Most strings end in the first or second word.
    for _ in 0..2 {
        match first_mark(at) {
            Some(0) => at += WORD_BYTES,
            Some(marked) => return at + marked.trailing_zeros() as usize / 8,
            None => break,
        }
    }
    // Long ones go faster without an early exit, which the compiler turns into vector instructions.
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<CHUNK_BYTES>) {
        if chunk.iter().fold(false, |any, byte| any | is_marked(*byte)) {
            break;
        }
        at += CHUNK_BYTES;
    }
    while let Some(marked) = first_mark(at) {
        if marked != 0 {
            return at + marked.trailing_zeros() as usize / 8;
        }
        at += WORD_BYTES;
    }
    while at < bytes.len() && !is_marked(bytes[at]) {
        at += 1;
    }
    at
}

/// Returns the position of the next byte that ends a string or makes it worth a closer look:
/// a quote, backslash, space, control character, or one of `: = < %`, without which no secret can hide in it.
#[inline]
pub(super) fn notable(bytes: &[u8], at: usize) -> usize {
    find(
        bytes,
        at,
        |word| {
            equal(word, b'"')
                | equal(word, b'\\')
                | equal(word, b':')
                | equal(word, b'%')
                | equal(word | ONES, b'=')
                | below(word, b' ' + 1)
        },
        |byte| {
            (byte == b'"')
                | (byte == b'\\')
                | (byte == b':')
                | (byte == b'%')
                | (byte | 1 == b'=')
                | (byte <= b' ')
        },
    )
}

/// Returns the position of the next quote, backslash or control character.
#[inline]
pub(super) fn delimiter(bytes: &[u8], at: usize) -> usize {
    find(
        bytes,
        at,
        |word| equal(word, b'"') | equal(word, b'\\') | below(word, b' '),
        |byte| (byte == b'"') | (byte == b'\\') | (byte < b' '),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_judged_alike_at_every_position() {
        const LENGTH: usize = 100;
        for byte in 0..=255_u8 {
            for position in 0..LENGTH {
                let mut bytes = [b'a'; LENGTH];
                bytes[position] = byte;
                let is_delimiter = matches!(byte, b'"' | b'\\' | 0..b' ');
                assert_eq!(
                    delimiter(&bytes, 0),
                    if is_delimiter { position } else { LENGTH }
                );
                let is_notable = is_delimiter || matches!(byte, b' ' | b':' | b'%' | b'=' | b'<');
                assert_eq!(
                    notable(&bytes, 0),
                    if is_notable { position } else { LENGTH }
                );
            }
        }
    }
}
