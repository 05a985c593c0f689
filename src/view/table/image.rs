//! The content of a base table as it goes into a checkpoint and comes back.
//!
//! An image is taken in an instant and read while the writer goes on: the rows are immutable
//! segments, the deleted keys a frozen map. Encoded keys and fingerprints never leave memory, so
//! an image holds plain columns and does not depend on how they are encoded.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::compute::concat_batches;
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;

use super::effect::{AddedEntry, Delta, Effect};
use super::encode::RowEncoder;
use super::error::TableError;
use super::events::ListedEvents;
use super::snapshot::TableSnapshot;
use super::store::{TableStore, check_columns};
use super::tombstones::DeletedKeys;
use crate::model::TableDefinition;

/// Deleted keys that are decoded at a time.
const DELETIONS_AT_ONCE: usize = 64 * 1024;

/// Everything that makes a base table what it is, as of one timestamp.
pub struct TableImage {
    rows: TableSnapshot,
    deleted: Arc<DeletedKeys>,
    removed_events: Vec<RecordBatch>,
    listed_events: ListedEvents,
}

impl TableImage {
    /// The table's definition.
    pub fn definition(&self) -> &TableDefinition {
        self.rows.definition()
    }

    /// The rows, in their order.
    pub fn rows(&self) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> + use<> {
        self.rows.scan(None)
    }

    /// The keys whose deletion is remembered: the key columns, then the version columns.
    pub fn deletions(&self) -> Result<Vec<RecordBatch>, ArrowError> {
        if self.deleted.is_empty() {
            return Ok(Vec::new());
        }
        let definition = self.rows.definition();
        let schema = self.rows.schema();
        let key = RowEncoder::new(&schema, &definition.primary_key)?;
        let version = RowEncoder::new(&schema, &definition.version)?;
        let entries: Vec<(&[u8], &[u8])> = self
            .deleted
            .iter()
            .map(|(key, version)| (&**key, &**version))
            .collect();
        let decode = |entries: &[(&[u8], &[u8])]| {
            let mut columns = key.decode(entries.iter().map(|(key, _)| *key))?;
            columns.extend(version.decode(entries.iter().map(|(_, version)| *version))?);
            let positions = key.columns().iter().chain(version.columns()).enumerate();
            // A column may be part of both, so the places are named, not the columns.
            let fields = positions.zip(&columns).map(|((place, position), column)| {
                let name = format!("{place} {}", schema.field(*position).name());
                Field::new(name, column.data_type().clone(), true)
            });
            let schema = Schema::new(fields.collect::<Vec<_>>());
            RecordBatch::try_new(Arc::new(schema), columns)
        };
        entries.chunks(DELETIONS_AT_ONCE).map(decode).collect()
    }

    /// The identities of events whose rows have been removed, and which are seen all the same.
    pub fn removed_events(&self) -> &[RecordBatch] {
        &self.removed_events
    }

    /// The events that are remembered, where there is or was a window for them.
    pub fn listed_events(&self) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> + '_ {
        self.listed_events.batches()
    }
}

impl TableStore {
    /// The table as of `timestamp` (ms), which must not be before any change applied so far; costs
    /// little.
    pub fn image(&mut self, timestamp: u64) -> Result<TableImage, TableError> {
        if self.removed_events.len() > 1 {
            let schema = self.removed_events[0].schema();
            let merged = concat_batches(&schema, &self.removed_events);
            self.removed_events = vec![merged.map_err(TableError::arrow(self.name()))?];
        }
        Ok(TableImage {
            rows: self.snapshot(timestamp)?,
            deleted: self.tombstones.freeze(),
            removed_events: self.removed_events.clone(),
            listed_events: self.events.listed(),
        })
    }

    /// Puts rows of an image back, in the order in which it gave them; as of `timestamp` (ms).
    pub fn restore_rows(&mut self, rows: &RecordBatch, timestamp: u64) -> Result<(), TableError> {
        check_columns(self.definition(), &self.shared.schema, rows)?;
        let restored = self.restored_rows(rows);
        let effect = restored.map_err(TableError::arrow(self.name()))?;
        self.commit(effect, timestamp);
        Ok(())
    }

    fn restored_rows(&self, rows: &RecordBatch) -> Result<Effect, ArrowError> {
        let schema = Arc::clone(&self.shared.schema);
        let added = RecordBatch::try_new(Arc::clone(&schema), rows.columns().to_vec())?;
        let mut entries = Vec::new();
        let mut events = Vec::new();
        match (&self.shared.key, &self.identity) {
            (Some(key), _) => {
                let hashes = key.hashed(&key.select(&added))?.hashes;
                entries.extend(hashes.into_iter().map(|hash| AddedEntry {
                    hash,
                    replaces: None,
                }));
            }
            (None, Some(identity)) if !self.events.is_listed() => {
                let fingerprints = identity.fingerprints(&identity.select(&added))?;
                events.extend(fingerprints.into_iter().flatten());
            }
            (None, _) => {}
        }
        Ok(Effect {
            delta: Delta::new(&RecordBatch::new_empty(schema), &added)?,
            removed: Vec::new(),
            added,
            entries,
            tombstones: Vec::new(),
            events,
            removed_events: None,
        })
    }

    /// Puts deleted keys of an image back.
    pub fn restore_deletions(&mut self, deletions: &RecordBatch) -> Result<(), TableError> {
        let table = self.name().to_owned();
        let refuse = || TableError::SchemaMismatch {
            table: table.clone(),
            detail: "deleted keys are not those of its key and version".to_owned(),
        };
        let (Some(key), Some(version)) = (&self.shared.key, &self.version) else {
            return Err(refuse());
        };
        let columns = deletions.columns();
        if columns.len() != key.columns().len() + version.columns().len() {
            return Err(refuse());
        }
        let (keys, versions) = columns.split_at(key.columns().len());
        let keys = key.rows(keys).map_err(TableError::arrow(&table))?;
        let versions = version.rows(versions).map_err(TableError::arrow(&table))?;
        for (key, version) in keys.iter().zip(versions.iter()) {
            let version = Some(version.data().into());
            self.tombstones.set(key.data().into(), version);
        }
        self.note_remembered();
        Ok(())
    }

    /// Puts the identities of removed events of an image back.
    pub fn restore_removed_events(&mut self, events: RecordBatch) -> Result<(), TableError> {
        let table = self.name().to_owned();
        let Some(identity) = &self.identity else {
            return Err(TableError::SchemaMismatch {
                table,
                detail: "it has no event identity, but identities were sent".to_owned(),
            });
        };
        let fingerprints = identity.fingerprints(events.columns());
        let fingerprints = fingerprints.map_err(TableError::arrow(&table))?;
        let events_seen = fingerprints.into_iter().flatten();
        let mut unseen: Vec<u128> = events_seen
            .filter(|one| !self.events.contains(*one))
            .collect();
        unseen.sort_unstable();
        unseen.dedup();
        self.events.insert(unseen, self.last_timestamp);
        self.remember_removed(events);
        self.note_remembered();
        Ok(())
    }

    /// Puts the remembered events of an image back, in its order.
    pub fn restore_listed_events(&mut self, events: &RecordBatch) -> Result<(), TableError> {
        let restored = self.events.restore(events);
        restored.map_err(TableError::arrow(self.name()))?;
        self.note_remembered();
        Ok(())
    }

    fn name(&self) -> &str {
        &self.definition().name
    }
}

/// The identity columns of removed rows, copied so that they do not hold whole segments.
pub(super) fn identities(
    rows: &RecordBatch,
    identity: &RowEncoder,
) -> Result<RecordBatch, ArrowError> {
    let projected = rows.project(identity.columns())?;
    let all: UInt64Array = (0..projected.num_rows() as u64).collect::<Vec<_>>().into();
    let columns = projected.columns().iter();
    let columns = columns.map(|column| arrow::compute::take(column, &all, None));
    let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>()?;
    RecordBatch::try_new(projected.schema(), columns)
}
