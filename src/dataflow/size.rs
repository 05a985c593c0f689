//! How much memory rows take.

use arrow::array::{Array, ArrayRef};
use arrow::record_batch::RecordBatch;

use super::chunk::{Body, Chunk, SumLane};
use super::column::Column;
use super::output::PublishedView;
use super::tally::{Summary, Total};
use super::updates::Updates;

impl PublishedView {
    /// The memory of the published rows in bytes: those of the view's own arrangement, without
    /// what its operators remember.
    pub fn memory_bytes(&self) -> u64 {
        let shares = self.shares.iter().flat_map(|share| &share.rows);
        let chunks = shares.flat_map(|chunks| chunks.iter());
        chunks.map(|chunk| body_bytes(chunk.body()) as u64).sum()
    }
}

/// The memory of a chunk's rows in bytes.
pub fn body_bytes(body: &Body) -> usize {
    let columns = body.columns.iter().map(Column::memory_bytes);
    let sums = body.sums.iter().map(|sum| match sum {
        SumLane::Narrow(lane) => lane.bytes(),
        SumLane::Wide(lane) => lane.bytes(),
    });
    columns.chain(sums).sum::<usize>()
        + body.len() * size_of::<u64>()
        + body.orders.bytes()
        + body.times.bytes()
        + body.counts.bytes()
}

/// The memory in bytes of what a chunk's rows come to, where that has been asked for.
pub fn summary_bytes(chunk: &Chunk) -> usize {
    chunk.known_summary().map_or(0, |summary| {
        size_of::<Summary>() + size_of_val::<[Total]>(&summary.tally.totals)
    })
}

/// The memory of updates in bytes.
pub fn updates_bytes(updates: &Updates) -> usize {
    rows_bytes(&updates.rows) + updates.times.bytes() + updates.counts.bytes()
}

fn rows_bytes(rows: &RecordBatch) -> usize {
    rows.columns().iter().map(array_bytes).sum()
}

/// The memory of an array's rows in bytes.
pub fn array_bytes(array: &ArrayRef) -> usize {
    array.to_data().get_slice_memory_size().unwrap_or(0)
}
