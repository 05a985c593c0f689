//! How much memory a table takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::segment::Segment;
use super::snapshot::TableReader;
use super::store::TableStore;

/// The size of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableSize {
    /// Rows that a reader sees.
    pub rows: u64,
    /// The memory of the rows in bytes, dead ones included.
    pub bytes: u64,
    /// The memory of the index by primary key in bytes.
    pub index_bytes: u64,
    /// Deleted keys that are remembered.
    pub deleted_keys: u64,
    /// Identities of events that are remembered.
    pub event_identities: u64,
    /// The memory of both in bytes.
    pub remembered_bytes: u64,
}

impl TableSize {
    /// All of its memory in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.bytes + self.index_bytes + self.remembered_bytes
    }
}

/// What the writer remembers besides rows, told to readers.
#[derive(Default)]
pub(super) struct Remembered {
    deleted_keys: AtomicU64,
    events: AtomicU64,
    bytes: AtomicU64,
}

impl TableReader {
    /// All of its memory in bytes; costs less than its whole [`size`](Self::size).
    pub fn memory_bytes(&self) -> u64 {
        let (segments, index_bytes) = {
            let state = self.shared.read();
            (
                Arc::clone(&state.segments),
                state.index.memory_bytes() as u64,
            )
        };
        let remembered_bytes = self.shared.remembered.bytes.load(Relaxed);
        segments_bytes(&segments) + index_bytes + remembered_bytes
    }

    /// The size of the table as of `timestamp` (ms), or of the earliest moment that is kept.
    pub fn size(&self, timestamp: u64) -> TableSize {
        let (segments, horizon, index_bytes) = {
            let state = self.shared.read();
            let index_bytes = state.index.memory_bytes() as u64;
            (Arc::clone(&state.segments), state.horizon, index_bytes)
        };
        let timestamp = timestamp.max(horizon);
        let rows = segments
            .iter()
            .map(|one| one.visible_count(timestamp) as u64);
        let remembered = &self.shared.remembered;
        TableSize {
            rows: rows.sum(),
            bytes: segments_bytes(&segments),
            index_bytes,
            deleted_keys: remembered.deleted_keys.load(Relaxed),
            event_identities: remembered.events.load(Relaxed),
            remembered_bytes: remembered.bytes.load(Relaxed),
        }
    }
}

impl TableStore {
    /// Tells readers how much is remembered besides rows.
    pub(super) fn note_remembered(&self) {
        let bytes =
            self.tombstones.memory_bytes() + self.events.memory_bytes() + self.removed_events_bytes;
        let remembered = &self.shared.remembered;
        let values = [
            (&remembered.deleted_keys, self.tombstones.len()),
            (&remembered.events, self.events.len()),
            (&remembered.bytes, bytes),
        ];
        for (counter, value) in values {
            counter.store(value as u64, Relaxed);
        }
    }
}

/// The memory of the rows of segments in bytes.
pub(super) fn segments_bytes(segments: &[Arc<Segment>]) -> u64 {
    let bytes = segments.iter().map(|segment| segment.memory_bytes());
    bytes.sum::<usize>() as u64
}
