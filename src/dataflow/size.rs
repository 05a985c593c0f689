//! How much memory the published rows of a view take.

use arrow::array::Array;

use super::chunk::Body;
use super::output::PublishedView;

/// Hash, order, time and count of a row at their widest.
const LANE_BYTES: usize = 32;

impl PublishedView {
    /// The memory of the published rows in bytes: those of the view's own arrangement, without
    /// what its operators remember.
    pub fn memory_bytes(&self) -> u64 {
        let shares = self.shares.iter().flat_map(|share| &share.rows);
        let chunks = shares.flat_map(|chunks| chunks.iter());
        chunks.map(|chunk| body_bytes(chunk.body()) as u64).sum()
    }
}

fn body_bytes(body: &Body) -> usize {
    let columns = body.columns.iter().map(|column| {
        let data = column.array().to_data();
        data.get_slice_memory_size().unwrap_or(0)
    });
    columns.sum::<usize>() + body.len() * LANE_BYTES
}
