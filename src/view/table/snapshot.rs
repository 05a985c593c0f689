//! Reading a base table at a timestamp.
//!
//! A snapshot holds the segments it reads, so it stays right and whole however long it lives and
//! whatever the writer does meanwhile. Only lookups visit the writer's index, for an instant.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use hashbrown::HashSet;

use super::encode::RowEncoder;
use super::error::TableError;
use super::index::{KeyIndex, KeyMatcher};
use super::retired::Retired;
use super::segment::{Segment, gather};
use super::size::{Remembered, segments_bytes};
use crate::model::TableDefinition;

/// What the writer and the readers of a table share.
pub(super) struct Shared {
    pub(super) definition: TableDefinition,
    pub(super) schema: SchemaRef,
    /// Encodes the primary key; `None` for a table without one.
    pub(super) key: Option<RowEncoder>,
    state: RwLock<State>,
    pub(super) remembered: Remembered,
}

/// The part that changes, always as a whole.
#[derive(Default)]
pub(super) struct State {
    pub(super) segments: Arc<Vec<Arc<Segment>>>,
    pub(super) index: KeyIndex,
    pub(super) horizon: u64,
    /// What compaction has replaced.
    pub(super) retired: Retired,
}

impl Shared {
    pub(super) fn new(
        definition: TableDefinition,
        schema: SchemaRef,
        key: Option<RowEncoder>,
    ) -> Self {
        Self {
            definition,
            schema,
            key,
            state: RwLock::default(),
            remembered: Remembered::default(),
        }
    }

    // A poisoned lock means that the writer panicked between steps that cannot fail; readers of
    // older timestamps are not affected, so they go on.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handle from which any thread takes snapshots of a table; clones are cheap.
#[derive(Clone)]
pub struct TableReader {
    pub(super) shared: Arc<Shared>,
}

impl TableReader {
    /// The table's definition.
    pub fn definition(&self) -> &TableDefinition {
        &self.shared.definition
    }

    /// The table as of `timestamp` (ms). The caller vouches that all transactions up to there have
    /// been applied. Fails where the timestamp is before the horizon.
    pub fn snapshot(&self, timestamp: u64) -> Result<TableSnapshot, TableError> {
        let state = self.shared.read();
        if timestamp < state.horizon {
            return Err(TableError::BeforeHorizon {
                table: self.shared.definition.name.clone(),
                timestamp,
                horizon: state.horizon,
            });
        }
        Ok(TableSnapshot {
            segments: Arc::clone(&state.segments),
            shared: Arc::clone(&self.shared),
            timestamp,
        })
    }
}

/// The content of a table at one timestamp; cheap to make, to clone and to keep.
#[derive(Clone)]
pub struct TableSnapshot {
    shared: Arc<Shared>,
    segments: Arc<Vec<Arc<Segment>>>,
    timestamp: u64,
}

impl fmt::Debug for TableSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableSnapshot")
            .field("table", &self.shared.definition.name)
            .field("timestamp", &self.timestamp)
            .finish_non_exhaustive()
    }
}

impl TableSnapshot {
    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.shared.schema)
    }

    /// The table's definition.
    pub fn definition(&self) -> &TableDefinition {
        &self.shared.definition
    }

    pub(super) fn segments(&self) -> &[Arc<Segment>] {
        &self.segments
    }

    /// The timestamp that is read, in milliseconds since the epoch.
    pub fn timestamp(&self) -> u64 {
        self.timestamp
    }

    /// The exact number of rows. Costs little at recent timestamps, at most a look at each row's
    /// lifetime.
    pub fn row_count(&self) -> usize {
        let counts = self.segments.iter();
        counts.map(|s| s.visible_count(self.timestamp)).sum()
    }

    /// All rows, with the columns at the positions of `projection` (`None`: all), in batches of up
    /// to some 100,000 rows. Batches without dead rows are not copied.
    pub fn scan(
        &self,
        projection: Option<&[usize]>,
    ) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> + Send + use<> {
        self.scan_partition(projection, 0, 1)
    }

    /// The rows of one of `partitions` disjoint shares of the table, which are of similar size.
    pub fn scan_partition(
        &self,
        projection: Option<&[usize]>,
        partition: usize,
        partitions: usize,
    ) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> + Send + use<> {
        let segments = Arc::clone(&self.segments);
        let timestamp = self.timestamp;
        let projection = projection.map(<[usize]>::to_vec);
        // Segments have similar lengths but for a short tail, so dealing them out is fair.
        (partition..segments.len())
            .step_by(partitions.max(1))
            .filter_map(move |position| {
                let rows = segments[position].read(timestamp, projection.as_deref());
                rows.transpose()
            })
    }

    /// How many segments there are, the most partitions that make sense.
    pub(crate) fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// The memory of the rows in bytes, dead ones included, indexes not.
    pub fn memory_bytes(&self) -> u64 {
        segments_bytes(&self.segments)
    }

    /// How many rows are held in memory, dead ones included.
    #[cfg(test)]
    pub(crate) fn stored_row_count(&self) -> usize {
        self.segments.iter().map(|segment| segment.len()).sum()
    }

    /// The rows with the given primary keys, in no particular order. `keys` has one array per key
    /// column, in the order of the definition and of its type; keys that do not occur or contain
    /// NULL give nothing, and repeated keys should be avoided: they may give repeated rows.
    pub fn lookup(&self, keys: &[ArrayRef]) -> Result<RecordBatch, TableError> {
        let key = self.check_key(keys)?;
        self.lookup_checked(key, keys)
            .map_err(TableError::arrow(&self.shared.definition.name))
    }

    fn lookup_checked(
        &self,
        key: &RowEncoder,
        keys: &[ArrayRef],
    ) -> Result<RecordBatch, ArrowError> {
        let encoded = key.hashed(keys)?;
        let state = self.shared.read();
        if state.horizon > self.timestamp {
            // The index may have forgotten what this snapshot still sees.
            drop(state);
            return self.search(key, keys);
        }
        let segments = Arc::clone(&state.segments);
        let mut matcher = KeyMatcher::new(keys, key.columns(), &segments);
        let mut ids = Vec::with_capacity(encoded.hashes.len());
        for (row, &hash) in encoded.hashes.iter().enumerate() {
            let found = state
                .index
                .find_at(hash, row, &mut matcher, self.timestamp)?;
            ids.extend(found);
        }
        drop(state);
        gather(&segments, &self.shared.schema, &ids, None)
    }

    /// As [`lookup`](Self::lookup), by looking at all rows.
    fn search(&self, key: &RowEncoder, keys: &[ArrayRef]) -> Result<RecordBatch, ArrowError> {
        let wanted = key.rows(keys)?;
        let wanted: HashSet<&[u8]> = wanted.iter().map(|row| row.data()).collect();
        let mut found = Vec::new();
        for rows in self.scan(None) {
            let rows = rows?;
            let stored = key.rows(&key.select(&rows))?;
            let mask = stored.iter().map(|row| Some(wanted.contains(row.data())));
            found.push(filter_record_batch(&rows, &mask.collect::<BooleanArray>())?);
        }
        concat_batches(&self.shared.schema, &found)
    }

    fn check_key(&self, keys: &[ArrayRef]) -> Result<&RowEncoder, TableError> {
        let refuse = |detail: String| TableError::NotTheKey {
            table: self.shared.definition.name.clone(),
            detail,
        };
        let Some(key) = &self.shared.key else {
            return Err(refuse("the table has no primary key".to_owned()));
        };
        if keys.len() != key.columns().len() {
            return Err(refuse(format!(
                "{} values for {} key columns",
                keys.len(),
                key.columns().len()
            )));
        }
        for (values, &column) in keys.iter().zip(key.columns()) {
            let field = self.shared.schema.field(column);
            if values.data_type() != field.data_type() {
                return Err(refuse(format!(
                    "column {} is {}, not {}",
                    field.name(),
                    field.data_type(),
                    values.data_type()
                )));
            }
            if values.len() != keys[0].len() {
                return Err(refuse("the columns differ in length".to_owned()));
            }
        }
        Ok(key)
    }
}
