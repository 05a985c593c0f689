//! The order lane of sorted arrangements: numbers that compare as SQL orders the rows.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{ArrowNativeType, DataType};
use arrow::row::{RowConverter, SortField};

use super::lane::Lane;
use super::updates::Updates;
use crate::sql::plan::SortKey;

/// Flips the order of signed numbers into that of unsigned ones.
const SIGN: u64 = 1 << 63;

/// Whether values of a type can be told apart and ordered by one 64-bit number each.
pub fn fits_lane(data_type: &DataType) -> bool {
    use DataType::{Date32, Date64, Duration, Float64, Int32, Int64, Time32, Time64, Timestamp};
    matches!(
        data_type,
        Int32
            | Int64
            | Date32
            | Date64
            | Time32(_)
            | Time64(_)
            | Timestamp(..)
            | Duration(_)
            | Float64
    )
}

/// The values of a column without NULLs, of a type that [`fits_lane`], as such numbers.
pub fn lane(array: &ArrayRef, descending: bool) -> Lane<u64> {
    let flip = if descending { u64::MAX } else { 0 };
    let numbers: Vec<u64> = match array.data_type() {
        DataType::Float64 => words::<i64>(array)
            .iter()
            .map(|bits| total_order(*bits) ^ flip)
            .collect(),
        DataType::Int32 | DataType::Date32 | DataType::Time32(_) => words::<i32>(array)
            .iter()
            .map(|value| (i64::from(*value) as u64 ^ SIGN) ^ flip)
            .collect(),
        _ => words::<i64>(array)
            .iter()
            .map(|value| (*value as u64 ^ SIGN) ^ flip)
            .collect(),
    };
    numbers.into()
}

/// The bits of a double as a number that compares as IEEE 754's total order does.
fn total_order(bits: i64) -> u64 {
    let magnitude = ((bits >> 63) as u64) >> 1;
    (bits as u64 ^ magnitude) ^ SIGN
}

fn words<T: ArrowNativeType>(array: &ArrayRef) -> ScalarBuffer<T> {
    let data = array.to_data();
    ScalarBuffer::new(data.buffers()[0].clone(), data.offset(), data.len())
}

/// Bytes that compare as SQL orders the rows.
pub fn sort_keys(updates: &Updates, order: &[SortKey]) -> BinaryArray {
    let fields = order.iter().map(|key| {
        let options = arrow::compute::SortOptions {
            descending: key.descending,
            nulls_first: key.nulls_first,
        };
        let data_type = updates.rows.column(key.column).data_type().clone();
        SortField::new_with_options(data_type, options)
    });
    let columns: Vec<_> = order
        .iter()
        .map(|key| Arc::clone(updates.rows.column(key.column)))
        .collect();
    RowConverter::new(fields.collect())
        .and_then(|converter| converter.convert_columns(&columns))
        .and_then(|rows| rows.try_into_binary())
        .expect("columns that cannot be ordered are refused when a view is planned")
}

/// The first eight bytes of each value as a number that compares the same way.
pub fn prefixes(keys: &BinaryArray) -> Lane<u64> {
    let prefix = |row: usize| {
        let bytes = keys.value(row);
        let mut word = [0u8; 8];
        let length = bytes.len().min(8);
        word[..length].copy_from_slice(&bytes[..length]);
        u64::from_be_bytes(word)
    };
    Lane::Values((0..keys.len()).map(prefix).collect::<Vec<_>>().into())
}

#[cfg(test)]
mod tests {
    use arrow::array::{Date32Array, Float64Array, Int64Array, TimestampMillisecondArray};
    use proptest::prelude::*;

    use super::*;

    /// The lane against arrow's own comparable rows.
    fn assert_ordered(array: ArrayRef) {
        assert!(fits_lane(array.data_type()));
        for descending in [false, true] {
            let options = arrow::compute::SortOptions {
                descending,
                nulls_first: false,
            };
            let field = SortField::new_with_options(array.data_type().clone(), options);
            let converter = RowConverter::new(vec![field]).expect("a type that has an order");
            let rows = converter
                .convert_columns(&[Arc::clone(&array)])
                .expect("rows");
            let lane = lane(&array, descending);
            for left in 0..array.len() {
                for right in 0..array.len() {
                    assert_eq!(
                        lane.get(left).cmp(&lane.get(right)),
                        rows.row(left).cmp(&rows.row(right)),
                        "{array:?} {left} {right}"
                    );
                }
            }
        }
    }

    proptest! {
        #[test]
        fn lanes_compare_as_rows_do(bits in proptest::collection::vec(any::<i64>(), 2..12)) {
            let floats = bits.iter().map(|bits| f64::from_bits(*bits as u64));
            assert_ordered(Arc::new(Float64Array::from_iter_values(floats)));
            assert_ordered(Arc::new(TimestampMillisecondArray::from(bits.clone())));
            let days = bits.iter().map(|bits| *bits as i32);
            assert_ordered(Arc::new(Date32Array::from_iter_values(days)));
            assert_ordered(Arc::new(Int64Array::from(bits)));
        }

        #[test]
        fn doubles_near_zero_compare_as_rows_do(values in proptest::collection::vec(-2.0f64..2.0, 2..8)) {
            let signs = [0.0, -0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
            assert_ordered(Arc::new(Float64Array::from_iter_values(values.into_iter().chain(signs))));
        }
    }
}
