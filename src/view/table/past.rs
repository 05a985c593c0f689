//! What has changed in a table between two timestamps, as far as its past is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::compute::interleave_record_batch;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::snapshot::TableSnapshot;

/// The rows that came (1) and went (−1) at one timestamp.
pub struct PastChange {
    /// When (ms).
    pub timestamp_ms: u64,
    /// The rows.
    pub rows: RecordBatch,
    /// 1 or −1 for each.
    pub counts: Arc<[i64]>,
}

/// A row by segment and place, and its count.
type Counted = ((usize, usize), i64);

impl TableSnapshot {
    /// The changes after a timestamp (ms), up to that of the snapshot, in order of time. The caller
    /// vouches that the past since then was kept when the snapshot was taken.
    pub fn changes_after(&self, after_ms: u64) -> Result<Vec<PastChange>, ArrowError> {
        let is_within = |time: u64| time > after_ms && time <= self.timestamp();
        let mut changes: BTreeMap<u64, Vec<Counted>> = BTreeMap::new();
        for (position, segment) in self.segments().iter().enumerate() {
            for row in 0..segment.len() {
                let (came, went) = (segment.inserted_at(row), segment.deleted_at(row));
                if came == went {
                    continue;
                }
                for (time, count) in [(came, 1), (went, -1)] {
                    if is_within(time) {
                        changes
                            .entry(time)
                            .or_default()
                            .push(((position, row), count));
                    }
                }
            }
        }
        let segments: Vec<&RecordBatch> = self
            .segments()
            .iter()
            .map(|segment| &segment.rows)
            .collect();
        let changes = changes.into_iter().map(|(timestamp_ms, rows)| {
            let (places, counts): (Vec<_>, Vec<i64>) = rows.into_iter().unzip();
            Ok(PastChange {
                timestamp_ms,
                rows: interleave_record_batch(&segments, &places)?,
                counts: counts.into(),
            })
        });
        changes.collect()
    }
}
