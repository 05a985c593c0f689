//! What a change comes to once it is resolved against the table: found out first, without
//! touching anything, then applied by the store without any step that can fail.

use arrow::compute::concat_batches;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

/// What a change really changed.
#[derive(Clone, Debug)]
pub struct Delta {
    /// The rows, with the table's schema: removed ones first, then added ones.
    pub rows: RecordBatch,
    /// For each row −1 (removed) or +1 (added). No row occurs with both signs.
    pub diffs: Vec<i64>,
}

impl Delta {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.diffs.is_empty()
    }

    /// The removed rows followed by the added ones.
    pub(super) fn new(removed: &RecordBatch, added: &RecordBatch) -> Result<Self, ArrowError> {
        let rows = match (removed.num_rows(), added.num_rows()) {
            (0, _) => added.clone(),
            (_, 0) => removed.clone(),
            _ => concat_batches(added.schema_ref(), [removed, added])?,
        };
        let mut diffs = vec![-1; removed.num_rows()];
        diffs.resize(rows.num_rows(), 1);
        Ok(Self { rows, diffs })
    }
}

/// Everything that applying a change does to a store.
pub(super) struct Effect {
    pub(super) delta: Delta,
    /// Rows whose life ends.
    pub(super) removed: Vec<Removed>,
    /// Rows whose life begins.
    pub(super) added: RecordBatch,
    /// The index entry of each added row; empty for a table without a key.
    pub(super) entries: Vec<AddedEntry>,
    /// Encoded keys with the encoded version of their deletion, `None` where one is lifted.
    pub(super) tombstones: Vec<(Box<[u8]>, Option<Box<[u8]>>)>,
    /// Fingerprints of the events seen for the first time.
    pub(super) events: Vec<u128>,
    /// The identities of the removed rows; they stay seen.
    pub(super) removed_events: Option<RecordBatch>,
}

/// A row that is removed; the hash is that of its key, meaningless in a table without one.
pub(super) struct Removed {
    pub(super) id: u64,
    pub(super) hash: u64,
    /// Whether an added row takes its place in the index.
    pub(super) replaced: bool,
}

/// How an added row of a keyed table enters the index.
pub(super) struct AddedEntry {
    pub(super) hash: u64,
    /// The id of the row with the same key that it replaces.
    pub(super) replaces: Option<u64>,
}
