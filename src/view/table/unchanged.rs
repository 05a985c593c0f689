//! Whether rows that have been read are still what the table holds, so that they may be written
//! back.
//!
//! Rows are compared by their values, not by when they came: the index forgets when a key went,
//! and a row that has gone and come back the same is as good as one that has stayed.

use arrow::array::{DynComparator, make_comparator};
use arrow::compute::{SortOptions, concat_batches};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::bag::BagTable;
use super::encode::RowEncoder;
use super::error::TableError;
use super::index::KeyMatcher;
use super::segment::gather;
use super::snapshot::State;
use super::store::{TableStore, check_columns};

impl TableStore {
    /// Whether what was read at `timestamp` (ms) holds still: the rows `there` are all there, of a
    /// table without a key as many copies as were read, and no row has the key of one of `missing`,
    /// which a table without a key does not look at.
    pub fn is_unchanged(
        &self,
        timestamp: u64,
        there: &[RecordBatch],
        missing: &[RecordBatch],
    ) -> Result<bool, TableError> {
        let definition = &self.shared.definition;
        for rows in there.iter().chain(missing) {
            check_columns(definition, &self.shared.schema, rows)?;
        }
        if self.last_timestamp <= timestamp {
            return Ok(true);
        }
        let state = self.shared.read();
        let unchanged = match &self.shared.key {
            Some(key) => are_current(&state, key, there, missing),
            None => self.has_all(&state, there),
        };
        unchanged.map_err(TableError::arrow(&definition.name))
    }

    /// Whether a table without a key has a copy of each of the rows.
    fn has_all(&self, state: &State, rows: &[RecordBatch]) -> Result<bool, ArrowError> {
        // Of equal rows each needs a copy of its own, so all are looked for at once.
        let rows = concat_batches(&self.shared.schema, rows)?;
        let table = BagTable {
            schema: &self.shared.schema,
            identity: self.identity.as_ref(),
            whole_row: &self.whole_row,
            segments: &state.segments,
            events: &self.events,
        };
        let found = table.resolve_delete(&rows)?.removed.len();
        Ok(found == rows.num_rows())
    }
}

/// Whether a keyed table has all of some rows, and none with the keys of some others.
fn are_current(
    state: &State,
    key: &RowEncoder,
    there: &[RecordBatch],
    missing: &[RecordBatch],
) -> Result<bool, ArrowError> {
    for rows in missing {
        if current(state, key, rows)?.iter().any(Option::is_some) {
            return Ok(false);
        }
    }
    for rows in there {
        let found = current(state, key, rows)?;
        let ids: Vec<u64> = found.iter().flatten().copied().collect();
        if ids.len() < found.len() {
            return Ok(false);
        }
        let stored = gather(&state.segments, &rows.schema(), &ids, None)?;
        if !are_equal(rows, &stored)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The id of the live row with the key of each row.
fn current(
    state: &State,
    key: &RowEncoder,
    rows: &RecordBatch,
) -> Result<Vec<Option<u64>>, ArrowError> {
    let columns = key.select(rows);
    let hashes = key.hashed(&columns)?.hashes;
    let mut matcher = KeyMatcher::new(&columns, key.columns(), &state.segments);
    let rows = hashes.iter().enumerate();
    rows.map(|(row, &hash)| state.index.find(hash, row, &mut matcher))
        .collect()
}

/// Whether two batches of the same length have the same values in every row.
fn are_equal(rows: &RecordBatch, stored: &RecordBatch) -> Result<bool, ArrowError> {
    let columns = rows.columns().iter().zip(stored.columns());
    let comparators = columns
        .map(|(read, stored)| make_comparator(read, stored, SortOptions::default()))
        .collect::<Result<Vec<_>, _>>()?;
    let is_equal = |row: usize| {
        let equal = |compare: &DynComparator| compare(row, row).is_eq();
        comparators.iter().all(equal)
    };
    Ok((0..rows.num_rows()).all(is_equal))
}
