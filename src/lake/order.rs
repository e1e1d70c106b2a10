//! The order of rows in a file, found by sorting one integer a row.
//!
//! To compare rows by way of eight columns, texts among them, costs a look at every one of them each time. Within
//! one batch a key column needs few bits: its values are close to each other, or few. So each value becomes its
//! distance from the least (numbers) or its rank among the distinct ones (texts), and a row's keys side by side
//! one integer that compares as the row does.

use std::collections::HashMap;

use anyhow::Result;
use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, StringViewArray, UInt32Array};
use arrow::compute::{SortColumn, SortOptions, lexsort_to_indices};
use arrow::datatypes::{
    DataType, Date32Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};

/// Bits of the integer that name the row; the keys have the rest.
const ROW_BITS: u32 = u32::BITS;

/// Returns the rows' numbers in ascending order of the keys, the first key first, nulls before values.
pub(super) fn order(keys: &[ArrayRef]) -> Result<UInt32Array> {
    match packed(keys) {
        Some(mut rows) => {
            rows.sort_unstable();
            let rows = rows.into_iter().map(|row| row as u32);
            Ok(UInt32Array::from_iter_values(rows))
        }
        None => {
            let columns: Vec<SortColumn> = keys
                .iter()
                .map(|key| SortColumn {
                    values: ArrayRef::clone(key),
                    options: Some(SortOptions::default()),
                })
                .collect();
            Ok(lexsort_to_indices(&columns, None)?)
        }
    }
}

/// Returns for each row its keys and, in the lowest bits, its number; none where they need too many bits, which
/// takes times that are centuries apart.
fn packed(keys: &[ArrayRef]) -> Option<Vec<u128>> {
    let mut packed = vec![0; keys.first()?.len()];
    let mut bits_left = u128::BITS - ROW_BITS;
    for key in keys {
        let ranks = ranks(key)?;
        let greatest = ranks.iter().copied().max().unwrap_or(0);
        let bits = u64::BITS - greatest.leading_zeros();
        bits_left = bits_left.checked_sub(bits)?;
        // A key that is the same in all rows, as the topic mostly is, needs none.
        if bits > 0 {
            for (packed, rank) in packed.iter_mut().zip(ranks) {
                *packed = *packed << bits | u128::from(rank);
            }
        }
    }
    for (packed, row) in packed.iter_mut().zip(0_u32..) {
        *packed = *packed << ROW_BITS | u128::from(row);
    }
    Some(packed)
}

/// Returns numbers that compare as the values do, null as the least.
fn ranks(key: &ArrayRef) -> Option<Vec<u64>> {
    match key.data_type() {
        DataType::Utf8View => Some(ranks_of_texts(key.as_string_view())),
        DataType::Int32 => ranks_of_numbers::<Int32Type>(key),
        DataType::Date32 => ranks_of_numbers::<Date32Type>(key),
        DataType::Int64 => ranks_of_numbers::<Int64Type>(key),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            ranks_of_numbers::<TimestampMicrosecondType>(key)
        }
        _ => None,
    }
}

/// None where the values are so far apart that a distance overflows.
fn ranks_of_numbers<T>(key: &ArrayRef) -> Option<Vec<u64>>
where
    T: ArrowPrimitiveType<Native: Into<i64> + Ord>,
{
    let numbers = key.as_primitive::<T>();
    let Some(least) = numbers.iter().flatten().min() else {
        return Some(vec![0; numbers.len()]);
    };
    let least: i64 = least.into();
    let first = u64::from(numbers.null_count() > 0);
    let rank = |number: Option<T::Native>| match number {
        None => Some(0),
        Some(number) => u64::try_from(number.into().checked_sub(least)?)
            .ok()?
            .checked_add(first),
    };
    numbers.iter().map(rank).collect()
}

fn ranks_of_texts(texts: &StringViewArray) -> Vec<u64> {
    // First each text gets a number in order of appearance, then the numbers are exchanged for ranks.
    let mut numbers: HashMap<&str, u32> = HashMap::new();
    let mut distinct: Vec<&str> = Vec::new();
    let mut last: Option<(&str, u32)> = None;
    let mut number_of = |text| match last {
        Some((known, number)) if known == text => number,
        _ => {
            let number = *numbers.entry(text).or_insert_with(|| {
                distinct.push(text);
                distinct.len() as u32 - 1
            });
            last = Some((text, number));
            number
        }
    };
    let of_rows: Vec<Option<u32>> = texts.iter().map(|text| text.map(&mut number_of)).collect();
    let mut in_order: Vec<u32> = (0..distinct.len() as u32).collect();
    in_order.sort_unstable_by_key(|number| distinct[*number as usize]);
    let first = u64::from(texts.null_count() > 0);
    let mut ranks = vec![0; distinct.len()];
    for (rank, number) in (first..).zip(in_order) {
        ranks[number as usize] = rank;
    }
    let rank = |number: Option<u32>| number.map_or(0, |number| ranks[number as usize]);
    of_rows.into_iter().map(rank).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use arrow::array::{Date32Array, Int32Array, Int64Array, TimestampMicrosecondArray};
    use proptest::prelude::*;

    fn is_in_order(keys: &[ArrayRef]) {
        // The number of the row last, because equal rows may come in any order.
        let mut all = keys.to_vec();
        let rows = keys[0].len() as i32;
        all.push(Arc::new(Int32Array::from_iter_values(0..rows)));
        let columns: Vec<SortColumn> = all
            .iter()
            .map(|key| SortColumn {
                values: ArrayRef::clone(key),
                options: Some(SortOptions::default()),
            })
            .collect();
        let expected = lexsort_to_indices(&columns, None).expect("they can be sorted");
        assert_eq!(order(&all).expect("they can be sorted"), expected);
        if let Some(mut packed) = packed(keys) {
            packed.sort_unstable();
            let packed = packed.into_iter().map(|row| row as u32);
            assert_eq!(UInt32Array::from_iter_values(packed), expected);
        }
    }

    #[test]
    fn nulls_come_first_and_longer_texts_after_shorter_ones() {
        let texts = [
            Some("room"),
            None,
            Some("room_1"),
            Some(""),
            Some("room-with-a-long-name"),
            None,
        ];
        let texts: ArrayRef = Arc::new(StringViewArray::from_iter(texts));
        assert_eq!(
            order(&[texts]).expect("they can be sorted").values(),
            &[1, 5, 3, 0, 4, 2]
        );
    }

    #[test]
    fn keys_that_are_too_far_apart_are_compared_by_column() {
        let far: ArrayRef = Arc::new(Int64Array::from(vec![
            Some(i64::MAX),
            Some(i64::MIN),
            None,
            Some(0),
        ]));
        assert_eq!(packed(&[Arc::clone(&far)]), None);
        assert_eq!(
            order(&[far]).expect("they can be sorted").values(),
            &[2, 1, 3, 0]
        );
        let wide: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX, 0]));
        assert_eq!(packed(&[Arc::clone(&wide), Arc::clone(&wide)]), None);
        is_in_order(&[Arc::clone(&wide), wide]);
    }

    #[test]
    fn no_rows_have_an_order() {
        let none: ArrayRef = Arc::new(Int32Array::from(Vec::<i32>::new()));
        assert!(order(&[none]).expect("they can be sorted").is_empty());
    }

    type Row = (Option<i32>, Option<String>, Option<i64>, Option<i64>);

    fn row() -> impl Strategy<Value = Row> {
        let option = prop::option::of::<BoxedStrategy<i64>>;
        (
            prop::option::of(-3..3_i32),
            prop::option::of("[a-c]{0,3}|class-number-[0-9]{1,3}"),
            option(prop_oneof![0..9_i64, Just(-62_135_596_800_000_000), Just(i64::MAX)].boxed()),
            option((-5..5_i64).boxed()),
        )
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_the_columns(rows in prop::collection::vec(row(), 1..40)) {
            let keys: [ArrayRef; 4] = [
                Arc::new(rows.iter().map(|row| row.0).collect::<Date32Array>()),
                Arc::new(rows.iter().map(|row| row.1.as_deref()).collect::<StringViewArray>()),
                Arc::new(rows.iter().map(|row| row.2).collect::<TimestampMicrosecondArray>()),
                Arc::new(rows.iter().map(|row| row.3).collect::<Int64Array>()),
            ];
            is_in_order(&keys);
        }
    }
}
