//! Values -> the text of a cell, the same for tables, markdown and CSV.

use anyhow::Result;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, DurationFormat, FormatOptions};

/// Returns the text of every value of a column, none for null. Instants are RFC 3339 in UTC.
pub(super) fn texts(column: &ArrayRef) -> Result<Vec<Option<String>>> {
    if let DataType::List(_) = column.data_type() {
        return column
            .as_list::<i32>()
            .iter()
            .map(|items| items.map(|items| list(&items)).transpose())
            .collect();
    }
    let options = FormatOptions::new().with_duration_format(DurationFormat::Pretty);
    let formatter = ArrayFormatter::try_new(column, &options)?;
    Ok((0..column.len())
        .map(|row| {
            column
                .is_valid(row)
                .then(|| formatter.value(row).to_string())
        })
        .collect())
}

fn list(items: &ArrayRef) -> Result<String> {
    let items = texts(items)?;
    let items: Vec<&str> = items
        .iter()
        .map(|item| item.as_deref().unwrap_or("null"))
        .collect();
    Ok(items.join(", "))
}

/// Says whether values of a type line up at the right.
pub(super) fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

/// Returns text without what would move the cursor: payloads are other people's, and a terminal obeys.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' => '\n',
            '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// Returns how many columns of a terminal a text takes.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

/// East Asian wide characters and emoji take two columns, combining marks none; channel names hold both.
pub(super) fn char_width(c: char) -> usize {
    match c as u32 {
        0x0300..=0x036f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f
        | 0x2e80..=0x303e
        | 0x3041..=0xa4cf
        | 0xac00..=0xd7a3
        | 0xf900..=0xfaff
        | 0xfe30..=0xfe6f
        | 0xff00..=0xff60
        | 0xffe0..=0xffe6
        | 0x1f300..=0x1f64f
        | 0x1f900..=0x1f9ff
        | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}
