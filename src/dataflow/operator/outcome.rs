//! What comes out of computing a group anew: values of the declared types, or why there are none.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::Field;

use super::super::size::array_bytes;
use super::difference::results;
use super::map::describe;
use super::recompute::Recompute;
use super::whole;
use crate::sql::aggregates::wide_sums::{are_wide, narrowed_each, out_of_range};
use crate::sql::reason::told;

/// The results for one group, of the declared types or, of sums, in wider ones; or why there are
/// none. Functions that break down over some rows must not end the worker.
pub fn evaluate(
    rows: &RecordBatch,
    length: usize,
    how: &Recompute,
) -> Result<Vec<ArrayRef>, String> {
    let outcome = catch_unwind(AssertUnwindSafe(|| (how.evaluate)(rows)));
    let failure = |reason: &str| failure(reason, rows);
    let values = match outcome {
        Ok(Ok(values)) => values,
        Ok(Err(error)) => return Err(failure(&told(&error))),
        Err(_) => return Err(failure("a function broke down")),
    };
    let typed = values.into_iter().zip(results(how)).map(|(value, field)| {
        if length == 1 && array_bytes(&value) > whole::RESULT_BYTES_MAX {
            let most = whole::RESULT_BYTES_MAX;
            return Err(failure(&format!("a result of more than {most} bytes")));
        }
        if value.len() != length {
            return Err(failure("a function gave too few values"));
        }
        let (given, declared) = (value.data_type(), field.data_type());
        match given == declared || are_wide(given, declared) {
            true => Ok(value),
            false => cast(&value, declared).map_err(|error| failure(&error.to_string())),
        }
    });
    typed.collect()
}

/// Results in the types of their columns, and the errors of those rows of which a sum is out of the
/// range of its type, among those that are wanted.
///
/// Whether a row has an error depends on its own sums alone, as what is read of a group is another
/// part of it each time.
pub fn in_range(
    values: Vec<ArrayRef>,
    fields: &[Arc<Field>],
    wanted: Range<usize>,
    rows: &RecordBatch,
) -> (Vec<ArrayRef>, Vec<(usize, String)>) {
    let mut errors = Vec::new();
    let typed = values.into_iter().zip(fields).map(|(value, field)| {
        let data_type = field.data_type();
        if !are_wide(value.data_type(), data_type) {
            return value;
        }
        let (numbers, outside) = narrowed_each(&value, data_type);
        for row in outside.into_iter().filter(|row| wanted.contains(row)) {
            let reason = out_of_range(data_type);
            let row_alone = describe(&rows.slice(row, 1));
            errors.push((row, format!("{reason}; in row {row_alone}")));
        }
        numbers
    });
    let typed = typed.collect();
    (typed, errors)
}

/// The error of a group that could not be computed.
pub fn failure(reason: &str, rows: &RecordBatch) -> String {
    format!("{reason}; in the group of row {}", describe(rows))
}
