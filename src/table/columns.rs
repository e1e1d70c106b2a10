//! Column kinds, and the macro that declares a table's row and builders from one list.
//!
//! Tables are wide and rows are sparse: an event fills a third of its columns. So a null costs nothing when its row
//! is pushed: a builder is told the row's number with each value, and fills in the nulls before it then. A column
//! without any value is never built at all.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Date32Builder, Int32Builder, Int64Builder, ListBuilder,
    StringBuilder, TimestampMicrosecondBuilder, new_null_array,
};
use arrow::datatypes::{DataType, Field, TimeUnit};

use super::text::TextColumn;
use crate::event::Micros;

/// A builder of one column: takes values in row order, gives an array.
pub trait Column: Default {
    type Value<'a>: Default;

    fn data_type() -> DataType;

    /// Hears how many rows will come, so that memory can be taken once.
    fn expect(&mut self, _rows: usize) {}

    /// Takes the value of the row that has `row` rows before it.
    fn push(&mut self, row: usize, value: &Self::Value<'_>);

    /// Returns the array of `rows` rows and starts anew.
    fn finish(&mut self, rows: usize) -> ArrayRef;
}

/// The two methods of a column over an Arrow builder that can append several nulls.
macro_rules! push_and_finish {
    () => {
        #[inline]
        fn push(&mut self, row: usize, value: &Self::Value<'_>) {
            if let Some(value) = value {
                let missing = row - self.0.len();
                if missing > 0 {
                    self.0.append_nulls(missing);
                }
                self.0.append_value(*value);
            }
        }

        fn finish(&mut self, rows: usize) -> ArrayRef {
            if self.0.is_empty() {
                return new_null_array(&Self::data_type(), rows);
            }
            self.0.append_nulls(rows - self.0.len());
            Arc::new(self.0.finish())
        }
    };
}

/// Text.
#[derive(Default)]
pub struct Text(TextColumn);

impl Column for Text {
    type Value<'a> = Option<Cow<'a, str>>;

    fn data_type() -> DataType {
        DataType::Utf8View
    }

    fn expect(&mut self, rows: usize) {
        self.0.expect(rows);
    }

    #[inline]
    fn push(&mut self, row: usize, value: &Self::Value<'_>) {
        if let Some(text) = value {
            self.0.push(row, text);
        }
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
        self.0.finish(rows)
    }
}

/// A list of names, null when the message does not have the list at all.
#[derive(Default)]
pub struct Names(ListBuilder<StringBuilder>);

impl Names {
    #[inline]
    fn fill(&mut self, rows: usize) {
        for _ in self.0.len()..rows {
            self.0.append(false);
        }
    }
}

impl Column for Names {
    type Value<'a> = Option<Vec<Cow<'a, str>>>;

    fn data_type() -> DataType {
        DataType::List(Arc::new(Field::new("item", DataType::Utf8, true)))
    }

    #[inline]
    fn push(&mut self, row: usize, value: &Self::Value<'_>) {
        if let Some(names) = value {
            self.fill(row);
            for name in names {
                self.0.values().append_value(name);
            }
            self.0.append(true);
        }
    }

    fn finish(&mut self, rows: usize) -> ArrayRef {
        if self.0.is_empty() {
            return new_null_array(&Self::data_type(), rows);
        }
        self.fill(rows);
        Arc::new(self.0.finish())
    }
}

/// A 32-bit number.
#[derive(Default)]
pub struct Int(Int32Builder);

impl Column for Int {
    type Value<'a> = Option<i32>;

    fn data_type() -> DataType {
        DataType::Int32
    }

    push_and_finish!();
}

/// A 64-bit number.
#[derive(Default)]
pub struct Long(Int64Builder);

impl Column for Long {
    type Value<'a> = Option<i64>;

    fn data_type() -> DataType {
        DataType::Int64
    }

    push_and_finish!();
}

/// An instant: microseconds since the epoch, UTC.
pub struct Time(TimestampMicrosecondBuilder);

impl Default for Time {
    fn default() -> Self {
        Time(TimestampMicrosecondBuilder::new().with_timezone("UTC"))
    }
}

impl Column for Time {
    type Value<'a> = Option<Micros>;

    fn data_type() -> DataType {
        DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
    }

    push_and_finish!();
}

/// A UTC date: days since the epoch.
#[derive(Default)]
pub struct Date(Date32Builder);

impl Column for Date {
    type Value<'a> = Option<i32>;

    fn data_type() -> DataType {
        DataType::Date32
    }

    push_and_finish!();
}

/// True, false or unknown.
#[derive(Default)]
pub struct Flag(BooleanBuilder);

impl Column for Flag {
    type Value<'a> = Option<bool>;

    fn data_type() -> DataType {
        DataType::Boolean
    }

    push_and_finish!();
}

/// Declares a row, the builders that take it, and the fields of the schema, from one list of columns.
///
/// The documentation of a column becomes the `comment` of its field, which Delta keeps in the table.
macro_rules! columns {
    (
        $(#[$about:meta])*
        $row:ident, $columns:ident {
            $( $(#[doc = $doc:literal])+ $name:ident: $kind:ty, )+
        }
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct $row<'a> {
            $( $(#[doc = $doc])+ pub $name: <$kind as $crate::table::columns::Column>::Value<'a>, )+
        }

        /// The builders that take the rows above, in the order of the schema.
        #[derive(Default)]
        pub struct $columns {
            $( $name: $kind, )+
        }

        impl $columns {
            /// Returns the fields of these columns, all nullable, each with its description.
            pub fn fields() -> Vec<arrow::datatypes::Field> {
                vec![$(
                    arrow::datatypes::Field::new(
                        stringify!($name),
                        <$kind as $crate::table::columns::Column>::data_type(),
                        true,
                    )
                    .with_metadata(std::collections::HashMap::from([(
                        "comment".to_string(),
                        concat!($($doc),+).trim().to_string(),
                    )])),
                )+]
            }

            /// Hears how many rows will come.
            pub fn expect(&mut self, rows: usize) {
                use $crate::table::columns::Column;
                $( self.$name.expect(rows); )+
            }

            /// Takes the row that has `at` rows before it. A row that is left out is one of nulls.
            pub fn push(&mut self, at: usize, row: &$row<'_>) {
                use $crate::table::columns::Column;
                $( self.$name.push(at, &row.$name); )+
            }

            /// Returns the arrays of `rows` rows and starts anew.
            pub fn finish(&mut self, rows: usize) -> Vec<arrow::array::ArrayRef> {
                use $crate::table::columns::Column;
                vec![$( self.$name.finish(rows), )+]
            }
        }
    };
}
pub(crate) use columns;
