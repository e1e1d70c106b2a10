//! Finds the end of a JSON string, many bytes at a time.

#[cfg(target_arch = "x86_64")]
mod sixteen;

const WORD_BYTES: usize = 8;
const CHUNK_BYTES: usize = 32;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Returns the position of the next byte that ends a string or makes it worth a closer look, or the end:
/// a quote, backslash, space, control character, or one of `: = < %` and a few others. Without one of these no
/// secret can hide in a string.
#[inline(always)]
pub(super) fn notable(bytes: &[u8], at: usize) -> usize {
    find::<Notable>(bytes, at)
}

/// Returns the position of the next quote, backslash or control character, or the end.
#[inline(always)]
pub(super) fn delimiter(bytes: &[u8], at: usize) -> usize {
    find::<Delimiter>(bytes, at)
}

/// Bytes that a search ends at.
trait Marked {
    fn is_marked(byte: u8) -> bool;

    /// Marks the bytes of a word by their highest bits. The lowest mark is exact, those above it need not be.
    fn marks(word: u64) -> u64;

    /// Marks sixteen bytes, a bit each.
    #[cfg(target_arch = "x86_64")]
    fn marks_of_sixteen(bytes: &[u8; 16]) -> u32;
}

struct Notable;

struct Delimiter;

impl Marked for Notable {
    /// Two ranges rather than single bytes, because they cost less: up to `&`, and from `:` to `?`.
    #[inline(always)]
    fn is_marked(byte: u8) -> bool {
        (byte < b'\'') | (byte.wrapping_sub(b':') < 6) | (byte == b'\\')
    }

    #[inline(always)]
    fn marks(word: u64) -> u64 {
        let low = word.wrapping_sub(ONES * u64::from(b'\''));
        let backslash = (word ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
        let ascii = word & !HIGHS;
        let from_colon = ascii + ONES * u64::from(0x80 - b':');
        let past_question_mark = ascii + ONES * u64::from(0x7F - b'?');
        (low | backslash | from_colon ^ past_question_mark) & !word & HIGHS
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn marks_of_sixteen(bytes: &[u8; 16]) -> u32 {
        sixteen::notable(bytes)
    }
}

impl Marked for Delimiter {
    #[inline(always)]
    fn is_marked(byte: u8) -> bool {
        (byte < b' ') | (byte == b'"') | (byte == b'\\')
    }

    #[inline(always)]
    fn marks(word: u64) -> u64 {
        // With one bit flipped, the quote comes next to the control characters.
        let low = (word ^ (ONES * 2)).wrapping_sub(ONES * 0x21);
        let backslash = (word ^ (ONES * u64::from(b'\\'))).wrapping_sub(ONES);
        (low | backslash) & !word & HIGHS
    }

    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    fn marks_of_sixteen(bytes: &[u8; 16]) -> u32 {
        sixteen::delimiter(bytes)
    }
}

#[inline(always)]
fn find<M: Marked>(bytes: &[u8], mut at: usize) -> usize {
    // Most strings end here: nothing is guessed of how long they are.
    #[cfg(target_arch = "x86_64")]
    if let Some(first) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        match M::marks_of_sixteen(first) {
            0 => at += first.len(),
            marks => return at + marks.trailing_zeros() as usize,
        }
    }
    find_further::<M>(bytes, at)
}

fn find_further<M: Marked>(bytes: &[u8], mut at: usize) -> usize {
    // Long ones go faster without an early exit, which the compiler turns into vector instructions.
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<CHUNK_BYTES>) {
        if chunk
            .iter()
            .fold(false, |any, byte| any | M::is_marked(*byte))
        {
            break;
        }
        at += CHUNK_BYTES;
    }
    let marks_at = |at: usize| {
        let word: &[u8; WORD_BYTES] = bytes.get(at..)?.first_chunk()?;
        Some(M::marks(u64::from_le_bytes(*word)))
    };
    while let Some(marks) = marks_at(at) {
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += WORD_BYTES;
    }
    while at < bytes.len() && !M::is_marked(bytes[at]) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_judged_alike_at_every_position() {
        const LENGTH: usize = 100;
        for byte in 0..=255_u8 {
            let is_delimiter = matches!(byte, 0..b' ' | b'"' | b'\\');
            let is_notable = is_delimiter || matches!(byte, b' '..=b'&' | b':'..=b'?');
            for position in 0..LENGTH {
                for filler in [b'a', 0xC3] {
                    let mut bytes = [filler; LENGTH];
                    bytes[position] = byte;
                    assert_eq!(
                        delimiter(&bytes, 0),
                        if is_delimiter { position } else { LENGTH }
                    );
                    assert_eq!(
                        notable(&bytes, 0),
                        if is_notable { position } else { LENGTH }
                    );
                }
            }
        }
    }
}
