//! Small numbers, run by run: as a run of one of them, or each with a few bits (Parquet format, "Run Length Encoding /
//! Bit-Packing Hybrid"). Levels are written so, and indexes of a dictionary.

use std::ops::Range;

use arrow::buffer::NullBuffer;

/// Numbers are packed, and found to be alike, by so many.
const GROUP: usize = 8;

/// How many bytes levels take stands before them in so many bytes.
const LENGTH_BYTES: usize = 4;

/// Which rows of a column have a value.
#[derive(Clone, Copy)]
pub(super) enum Levels<'a> {
    /// None of them.
    Nowhere,
    /// All that `Some` says; without it all of them.
    Of(Option<&'a NullBuffer>),
}

impl Levels<'_> {
    /// Appends the levels of these rows: 1 with a value, 0 without.
    pub fn push(self, rows: Range<usize>, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&[0; LENGTH_BYTES]);
        match self {
            Levels::Nowhere => push_run(rows.len(), 0, 1, out),
            Levels::Of(None) => push_run(rows.len(), 1, 1, out),
            Levels::Of(Some(valid)) => {
                let levels: Vec<u8> = rows.map(|row| u8::from(valid.is_valid(row))).collect();
                push(&levels, 1, out);
            }
        }
        let bytes = (out.len() - start - LENGTH_BYTES) as u32;
        out[start..start + LENGTH_BYTES].copy_from_slice(&bytes.to_le_bytes());
    }
}

/// Returns those of these rows that have a value.
pub(super) fn with_value(
    valid: Option<&NullBuffer>,
    rows: Range<usize>,
) -> impl Iterator<Item = usize> {
    let (all, some) = match valid {
        None => (rows, None),
        Some(valid) => {
            let first = rows.start;
            let bits = valid.inner().slice(first, rows.len());
            let some: Vec<usize> = bits.set_indices().map(|row| first + row).collect();
            (0..0, Some(some))
        }
    };
    all.chain(some.into_iter().flatten())
}

/// Appends numbers of at most `bits` bits, eight or fewer.
pub(super) fn push(numbers: &[u8], bits: u32, out: &mut Vec<u8>) {
    let run_at = |start: usize| {
        let further = numbers[start..].iter();
        let length = further
            .take_while(|number| **number == numbers[start])
            .count();
        // What is left at the end may be shorter than a group.
        (length >= GROUP || start + length == numbers.len()).then_some(length)
    };
    let mut next = 0;
    while next < numbers.len() {
        if let Some(length) = run_at(next) {
            push_run(length, numbers[next], bits, out);
            next += length;
            continue;
        }
        let start = next;
        while next < numbers.len() && run_at(next).is_none() {
            next = numbers.len().min(next + GROUP);
        }
        push_packed(&numbers[start..next], bits, out);
    }
}

/// Appends one number that comes `length` times.
fn push_run(length: usize, number: u8, bits: u32, out: &mut Vec<u8>) {
    push_header((length as u64) << 1, out);
    if bits > 0 {
        out.push(number);
    }
}

/// Appends whole groups of numbers, each with `bits` bits. The last may be short: how many numbers there are, the page
/// tells.
fn push_packed(numbers: &[u8], bits: u32, out: &mut Vec<u8>) {
    let groups = numbers.chunks(GROUP);
    push_header((groups.len() as u64) << 1 | 1, out);
    for group in groups {
        let numbers = group.iter().rev();
        let packed = numbers.fold(0, |packed, number| packed << bits | u64::from(*number));
        out.extend_from_slice(&packed.to_le_bytes()[..bits as usize]);
    }
}

/// Appends a header, seven bits a byte, the lowest first.
fn push_header(mut header: u64, out: &mut Vec<u8>) {
    while header > 0x7F {
        out.push(header as u8 | 0x80);
        header >>= 7;
    }
    out.push(header as u8);
}
