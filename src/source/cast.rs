//! Casts of mapped columns to the types of their table, value by value where one does not fit.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;
use arrow::util::display::FormatOptions;

/// A column in another type, with NULL and a reason for the values that are not of that type.
pub struct Cast {
    /// The values that could be cast.
    pub column: ArrayRef,
    /// The rows whose value could not be cast, each with the reason.
    pub failures: Vec<(usize, String)>,
}

/// Casts a column to the type of the table's; nothing is rounded or cut off in silence.
pub fn checked_cast(column: &ArrayRef, target: &DataType) -> Cast {
    if column.data_type() == target {
        return Cast {
            column: Arc::clone(column),
            failures: Vec::new(),
        };
    }
    let lenient = match cast_with_options(column, target, &options(true)) {
        Ok(lenient) => lenient,
        Err(error) => {
            let failures = (0..column.len()).map(|row| (row, error.to_string()));
            return Cast {
                failures: failures.collect(),
                column: new_null_array(target, column.len()),
            };
        }
    };
    let mut failures = Vec::new();
    if lenient.null_count() > column.logical_null_count() {
        for row in 0..column.len() {
            if lenient.is_null(row) && column.is_valid(row) {
                failures.push((row, reason(column, row, target)));
            }
        }
    }
    failures.extend(lost_fractions(column, &lenient));
    Cast {
        column: lenient,
        failures,
    }
}

/// Rows whose number is no whole number and would lose its fraction as an integer.
fn lost_fractions(column: &ArrayRef, whole: &ArrayRef) -> Vec<(usize, String)> {
    let has_fractions = matches!(
        column.data_type(),
        DataType::Float16
            | DataType::Float32
            | DataType::Float64
            | DataType::Decimal128(..)
            | DataType::Decimal256(..)
    );
    if !has_fractions || !whole.data_type().is_integer() {
        return Vec::new();
    }
    let Ok(back) = cast_with_options(whole, column.data_type(), &options(true)) else {
        return Vec::new();
    };
    let Ok(is_lost) = arrow::compute::kernels::cmp::neq(&back, column) else {
        return Vec::new();
    };
    let lost = is_lost
        .iter()
        .enumerate()
        .filter(|(_, is_lost)| *is_lost == Some(true));
    let reason = "it has a fraction and the column takes whole numbers; round it in the mapping";
    lost.map(|(row, _)| (row, reason.to_owned())).collect()
}

fn reason(column: &ArrayRef, row: usize, target: &DataType) -> String {
    match cast_with_options(&column.slice(row, 1), target, &options(false)) {
        Err(error) => error.to_string(),
        Ok(_) => format!("it is no value of type {target}"),
    }
}

fn options(safe: bool) -> CastOptions<'static> {
    CastOptions {
        safe,
        format_options: FormatOptions::default(),
    }
}
