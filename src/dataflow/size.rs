//! How much memory rows take.

use arrow::array::Array;
use arrow::datatypes::ArrowNativeType;
use arrow::record_batch::RecordBatch;

use super::chunk::{Body, Chunk, SumLane};
use super::lane::Lane;
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
    let columns = body
        .columns
        .iter()
        .map(|column| array_bytes(column.array()));
    let sums = body.sums.iter().map(|sum| match sum {
        SumLane::Narrow(lane) => lane_bytes(lane),
        SumLane::Wide(lane) => lane_bytes(lane),
    });
    columns.chain(sums).sum::<usize>()
        + body.len() * size_of::<u64>()
        + lane_bytes(&body.orders)
        + lane_bytes(&body.times)
        + lane_bytes(&body.counts)
}

/// The memory in bytes of what a chunk's rows come to, where that has been asked for.
pub fn summary_bytes(chunk: &Chunk) -> usize {
    chunk.known_summary().map_or(0, |summary| {
        size_of::<Summary>() + size_of_val::<[Total]>(&summary.tally.totals)
    })
}

/// The memory of updates in bytes.
pub fn updates_bytes(updates: &Updates) -> usize {
    rows_bytes(&updates.rows) + lane_bytes(&updates.times) + lane_bytes(&updates.counts)
}

fn rows_bytes(rows: &RecordBatch) -> usize {
    rows.columns().iter().map(array_bytes).sum()
}

fn array_bytes(array: &arrow::array::ArrayRef) -> usize {
    array.to_data().get_slice_memory_size().unwrap_or(0)
}

fn lane_bytes<T: ArrowNativeType>(lane: &Lane<T>) -> usize {
    match lane {
        Lane::Constant(..) => 0,
        Lane::Values(values) => values.len() * size_of::<T>(),
    }
}
