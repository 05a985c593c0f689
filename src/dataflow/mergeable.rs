//! Merging by itself, without an arrangement around it, for those who measure what it costs.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;

use super::batch::{Batch, cut};
use super::column::Column;
use super::form::{Unsorted, form};
use super::lane::Lane;
use super::merge::merge_all;

/// Batches that are merged at a time, as in arrangements.
const AT_A_TIME: usize = 4;

/// Sorted batches that have yet to be merged.
#[derive(Clone, Debug)]
pub struct Mergeable {
    batches: Vec<Batch>,
}

impl Mergeable {
    /// Sorts the rows of each record batch by all their columns.
    pub fn new<'a>(rows: impl IntoIterator<Item = &'a RecordBatch>) -> Mergeable {
        let batches = rows.into_iter().filter_map(|rows| {
            let columns = rows.columns().iter().map(Arc::clone).map(Column::new);
            let chunk = form(vec![Unsorted {
                columns: columns.collect(),
                key_columns: rows.num_columns(),
                orders: None,
                times: Lane::Constant(1, rows.num_rows()),
                counts: Lane::Constant(1, rows.num_rows()),
                sums: Vec::new(),
            }])?;
            Batch::new(cut(chunk))
        });
        Mergeable {
            batches: batches.collect(),
        }
    }

    /// Merges until one batch is left; how many rows have gone through merges, each counted as
    /// often as it did.
    pub fn merge(self) -> usize {
        let mut batches = self.batches;
        let mut rows = 0;
        while batches.len() > 1 {
            let groups = batches.chunks(AT_A_TIME).filter_map(|group| {
                if group.len() > 1 {
                    rows += group.iter().map(Batch::rows).sum::<usize>();
                }
                merge_all(group.to_vec())
            });
            batches = groups.collect();
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    #[test]
    fn rows_go_through_a_merge_of_each_level() {
        let rows = |first: i64| {
            let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(first..first + 10));
            RecordBatch::try_from_iter([("n", numbers)]).expect("a column")
        };
        let batches: Vec<RecordBatch> = (0..8).map(|batch| rows(10 * batch)).collect();
        assert_eq!(Mergeable::new(&batches).merge(), 2 * 80);
        assert_eq!(Mergeable::new(&batches[..1]).merge(), 0);
    }
}
