//! The column of texts: what most of a row is made of, so what building a batch costs is decided here.
//!
//! Texts are held as string views, so that sorting a batch moves 16 bytes a value and not the text. Arrow's own
//! builder keeps a bitmap of nulls beside the views, looks for free space by division, and grows from nothing in
//! each batch; here a null is a view of its own until the column is finished.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewArray, new_null_array};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::DataType;

/// The longest text that a view holds itself (Arrow columnar format, "Variable-size Binary View Layout").
const INLINE_BYTES_MAX: usize = 12;

/// No text is as long as the lower half of this says.
const NULL: u128 = u128::MAX;

/// Blocks of text begin so small, and double up to the greatest.
const BLOCK_BYTES_MIN: usize = 16 * 1024;
const BLOCK_BYTES_MAX: usize = 2 * 1024 * 1024;

/// A growing column of texts and nulls.
#[derive(Default)]
pub(super) struct TextColumn {
    /// As Arrow's, but for [`NULL`].
    views: Vec<u128>,
    /// Texts that do not fit in a view. Never grows: the views say where in it they begin.
    block: Vec<u8>,
    full_blocks: Vec<Buffer>,
    rows_expected: usize,
}

impl TextColumn {
    /// Says how many rows will come, so that memory is taken once.
    pub(super) fn expect(&mut self, rows: usize) {
        self.rows_expected = rows;
    }

    /// Takes the text of the row that has `row` rows before it; rows that were left out are null.
    #[inline]
    pub(super) fn push(&mut self, row: usize, text: &str) {
        if self.views.len() < row || self.views.capacity() == 0 {
            self.fill(row);
        }
        let text = text.as_bytes();
        let view = match text.len() {
            0..=INLINE_BYTES_MAX => inline_view(text),
            _ => self.keep(text),
        };
        self.views.push(view);
    }

    fn fill(&mut self, row: usize) {
        if self.views.capacity() == 0 {
            self.views.reserve_exact(self.rows_expected.max(row + 1));
        }
        self.views.resize(row, NULL);
    }

    /// Returns the view of a text in the block: copied there, unless the row before has the same.
    #[inline]
    fn keep(&mut self, text: &[u8]) -> u128 {
        let prefix = u32::from_le_bytes([text[0], text[1], text[2], text[3]]);
        let head = text.len() as u64 | u64::from(prefix) << 32;
        if let Some(last) = self.views.last().copied()
            && last as u64 == head
            && (last >> 64) as u32 as usize == self.full_blocks.len()
            && self.block[(last >> 96) as usize..].starts_with(text)
        {
            return last;
        }
        if self.block.capacity() - self.block.len() < text.len() {
            self.next_block(text.len());
        }
        let (block, offset) = (self.full_blocks.len(), self.block.len());
        self.block.extend_from_slice(text);
        u128::from(head) | (block as u128) << 64 | (offset as u128) << 96
    }

    #[cold]
    fn next_block(&mut self, bytes: usize) {
        let doubled = (self.block.capacity() * 2).clamp(BLOCK_BYTES_MIN, BLOCK_BYTES_MAX);
        let next = Vec::with_capacity(doubled.max(bytes));
        let full = std::mem::replace(&mut self.block, next);
        if !full.is_empty() {
            self.full_blocks.push(Buffer::from_vec(full));
        }
    }

    /// Returns the array of `rows` rows and starts anew.
    pub(super) fn finish(&mut self, rows: usize) -> ArrayRef {
        let mut views = std::mem::take(&mut self.views);
        if views.is_empty() {
            return new_null_array(&DataType::Utf8View, rows);
        }
        views.resize(rows, NULL);
        let nulls = views.contains(&NULL).then(|| {
            let valid = BooleanBuffer::collect_bool(rows, |row| views[row] != NULL);
            views
                .iter_mut()
                .filter(|view| **view == NULL)
                .for_each(|view| *view = 0);
            NullBuffer::new(valid)
        });
        let mut blocks = std::mem::take(&mut self.full_blocks);
        blocks.push(Buffer::from_vec(std::mem::take(&mut self.block)));
        let views = ScalarBuffer::from(views);
        // SAFETY: each view is a null's, which is all zero, or was made of a whole `&str`: inline, or of where in
        // which block its bytes were copied to, with their length and prefix. No block changes once it has them.
        Arc::new(unsafe { StringViewArray::new_unchecked(views, blocks, nulls) })
    }
}

/// Returns the view of a text that fits in it: the length, then the bytes, then zeros.
#[inline(always)]
fn inline_view(text: &[u8]) -> u128 {
    let length = text.len();
    // Both ends of the text, which overlap where it is short: no loop, and no call to copy a few bytes.
    let bytes = if let (Some(first), Some(last)) = (text.first_chunk::<8>(), text.last_chunk::<4>())
    {
        u128::from(u64::from_le_bytes(*first))
            | u128::from(u32::from_le_bytes(*last)) << (8 * (length - 4))
    } else if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        u128::from(u32::from_le_bytes(*first))
            | u128::from(u32::from_le_bytes(*last)) << (8 * (length - 4))
    } else if let (Some(first), Some(last)) = (text.first(), text.last()) {
        let middle = length / 2;
        u128::from(*first)
            | u128::from(text[middle]) << (8 * middle)
            | u128::from(*last) << (8 * (length - 1))
    } else {
        0
    };
    length as u128 | bytes << 32
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use proptest::prelude::*;

    use super::*;

    fn column(rows_expected: usize, texts: &[Option<String>]) -> TextColumn {
        let mut column = TextColumn::default();
        column.expect(rows_expected);
        for (row, text) in texts.iter().enumerate() {
            if let Some(text) = text {
                column.push(row, text);
            }
        }
        column
    }

    proptest! {
        /// Lengths around what fits in a view, and around what a block holds.
        #[test]
        fn arrow_finds_the_column_valid_and_reads_the_texts_that_were_pushed(
            texts in prop::collection::vec(
                prop::option::of(prop_oneof![
                    8 => "[a-z\u{e9}\u{1F600}]{0,14}",
                    1 => (0..3 * BLOCK_BYTES_MIN).prop_map(|bytes| "x".repeat(bytes)),
                ]),
                0..60,
            ),
            rows_expected in 0..80_usize,
        ) {
            let mut column = column(rows_expected, &texts);
            let array = column.finish(texts.len());
            let array = array.as_string_view();
            array.to_data().validate_full().expect("what Arrow asks of string views");
            let read: Vec<Option<&str>> = array.iter().collect();
            let pushed: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
            prop_assert_eq!(read, pushed);
            prop_assert_eq!(column.finish(1).null_count(), 1);
        }
    }
}
