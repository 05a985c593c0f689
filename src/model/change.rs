//! Changes to base tables: what sources hand to the engine and what a transaction is made of.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;

/// Rows to be added to, replaced in or removed from one table.
#[derive(Clone, Debug)]
pub struct Change {
    /// The table's name.
    pub table: Arc<str>,
    /// What is to be done with the rows.
    pub kind: ChangeKind,
    /// The rows, with the table's full schema. For [`ChangeKind::Delete`] on a keyed table only
    /// the key and version columns are read; the others may be NULL.
    pub rows: RecordBatch,
}

/// What a [`Change`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum ChangeKind {
    /// Adds the rows. On a keyed table: inserts or replaces by primary key. On a table with an
    /// event identity: rows whose identity has been seen are duplicates and are left out.
    Upsert,
    /// Keyed table: removes the rows with these keys. Otherwise: removes one copy of each row.
    Delete,
}

/// The unit of work a writer submits: its changes become visible together, at one timestamp.
#[derive(Clone, Debug, Default)]
pub struct Submission {
    /// The changes, applied in order.
    pub changes: Vec<Change>,
    /// The wanted timestamp in milliseconds since the epoch, for sources on the event-time clock.
    /// The engine takes it where it is beyond the last transaction's, else the next free one.
    pub timestamp_ms: Option<u64>,
    /// Where the source stands after these changes: (source name, position text). Kept in the
    /// same transaction, so that a restart resumes exactly behind what is durable.
    pub position: Option<(String, String)>,
}

impl Submission {
    /// How many rows it brings.
    pub fn rows(&self) -> usize {
        let changes = self.changes.iter();
        changes.map(|change| change.rows.num_rows()).sum()
    }
}
