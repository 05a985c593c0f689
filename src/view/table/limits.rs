//! How large a change may be, so that what is in the log can always be applied.
//!
//! A column of texts holds at most 2 GiB, in a table's change as in a chunk of a view. A change is
//! refused before it is logged if it, or the rows that it replaces, could come near that.

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;

use super::error::TableError;
use super::store::TableStore;
use crate::model::{Change, VALUE_BYTES_MAX};

/// What may be added by a change, and as much again removed, in bytes of one column: together
/// they stay below 2 GiB.
const CHANGE_BYTES_MAX: usize = 1023 << 20;

/// The limits of a table's changes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The most bytes of a value of text or binary.
    pub(super) value_bytes: usize,
    /// The most bytes of a column of a change, and of the rows it removes.
    pub(super) change_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            value_bytes: VALUE_BYTES_MAX,
            change_bytes: CHANGE_BYTES_MAX,
        }
    }
}

impl TableStore {
    /// Whether a valid change is small enough to be logged: it is known then that it can be
    /// applied, in this state of the table.
    pub fn check_limits(&self, change: &Change) -> Result<(), TableError> {
        let definition = self.definition();
        let limits = self.limits;
        for (column, values) in definition.columns.iter().zip(change.rows.columns()) {
            let Some((row, bytes)) = longest(values) else {
                continue;
            };
            if bytes > limits.value_bytes {
                return Err(TableError::ValueTooLong {
                    table: definition.name.clone(),
                    column: column.name.clone(),
                    row,
                    bytes,
                    limit: limits.value_bytes,
                });
            }
        }
        self.check_size(&change.rows)?;
        let most = change.rows.num_rows().saturating_mul(self.longest_stored);
        if !definition.is_keyed() || most <= limits.change_bytes {
            return Ok(());
        }
        // The rows it would replace are looked up only where they could be that long.
        let effect = self.resolve(change)?;
        self.check_size(&effect.delta.rows.slice(0, effect.removed.len()))
    }

    fn check_size(&self, rows: &RecordBatch) -> Result<(), TableError> {
        let bytes = rows.columns().iter().map(|column| bytes_of(column)).max();
        match bytes.unwrap_or(0) {
            bytes if bytes > self.limits.change_bytes => Err(TableError::ChangeTooLarge {
                table: self.definition().name.clone(),
                bytes,
                limit: self.limits.change_bytes,
            }),
            _ => Ok(()),
        }
    }
}

fn bytes_of(column: &dyn Array) -> usize {
    column
        .to_data()
        .get_slice_memory_size()
        .unwrap_or(usize::MAX)
}

/// The longest value of all columns in bytes; of a nested column, all of it.
pub(super) fn longest_of(rows: &RecordBatch) -> usize {
    let columns = rows.columns().iter();
    let longest = columns.map(|column| match longest(column) {
        Some((_, bytes)) => bytes,
        None if column.data_type().is_nested() => bytes_of(column),
        None => 0,
    });
    longest.max().unwrap_or(0)
}

/// The row of the longest text or binary value and its bytes; `None` for other types.
pub fn longest(column: &dyn Array) -> Option<(usize, usize)> {
    let of = |lengths: &mut dyn Iterator<Item = usize>| {
        let longest = lengths.enumerate().max_by_key(|(_, bytes)| *bytes);
        Some(longest.unwrap_or((0, 0)))
    };
    match column.data_type() {
        DataType::Utf8 => of(&mut column.as_string::<i32>().offsets().lengths()),
        DataType::LargeUtf8 => of(&mut column.as_string::<i64>().offsets().lengths()),
        DataType::Binary => of(&mut column.as_binary::<i32>().offsets().lengths()),
        DataType::LargeBinary => of(&mut column.as_binary::<i64>().offsets().lengths()),
        _ => None,
    }
}
