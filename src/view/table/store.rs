//! The writer's side of a base table: checking, resolving and applying changes.

use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use super::bag::BagTable;
use super::compaction::{GREATEST_LENGTH, next_run, rewrite};
use super::effect::{Delta, Effect};
use super::encode::RowEncoder;
use super::error::TableError;
use super::events::Events;
use super::keyed::KeyedTable;
use super::limits::{Limits, longest_of};
use super::segment::{Inserted, Segment, locate};
use super::snapshot::{Shared, State, TableReader, TableSnapshot};
use super::tombstones::Tombstones;
use crate::model::{Change, ChangeKind, TableDefinition};

/// The rows of one base table. Owned by the one thread that writes; [`TableStore::reader`] gives
/// handles for the others.
///
/// Kept for ever: per deleted key of a versioned table its key and version, and, unless there is
/// a window ([`TableStore::remember_events`]), per event of a table with an event identity 16 bytes. They are what makes late and repeated events harmless.
/// Dead rows are kept until [`TableStore::set_horizon`] lets them go: call it regularly.
pub struct TableStore {
    pub(super) shared: Arc<Shared>,
    pub(super) version: Option<RowEncoder>,
    pub(super) identity: Option<RowEncoder>,
    pub(super) whole_row: RowEncoder,
    pub(super) tombstones: Tombstones,
    pub(super) events: Events,
    /// The identities of events whose rows have been removed.
    pub(super) removed_events: Vec<RecordBatch>,
    /// Their memory in bytes.
    pub(super) removed_events_bytes: usize,
    pub(super) limits: Limits,
    /// The bytes of the longest value there has been.
    pub(super) longest_stored: usize,
    next_id: u64,
    pub(super) last_timestamp: u64,
}

impl TableStore {
    /// An empty table. Fails where the definition names columns that do not exist or has columns
    /// whose values cannot be compared.
    pub fn new(definition: TableDefinition) -> Result<Self, TableError> {
        check_definition(&definition)?;
        let schema = definition.schema();
        let encoder = |columns: &[usize]| {
            RowEncoder::new(&schema, columns).map_err(TableError::arrow(&definition.name))
        };
        let optional = |columns: &[usize]| match columns {
            [] => Ok(None),
            columns => encoder(columns).map(Some),
        };
        let key = optional(&definition.primary_key)?;
        let version = optional(&definition.version)?;
        let identity = optional(&definition.event_identity)?;
        let whole_row = encoder(&(0..schema.fields().len()).collect::<Vec<_>>())?;
        Ok(Self {
            shared: Arc::new(Shared::new(definition, Arc::clone(&schema), key)),
            version,
            identity,
            whole_row,
            tombstones: Tombstones::default(),
            events: Events::default(),
            removed_events: Vec::new(),
            removed_events_bytes: 0,
            limits: Limits::default(),
            longest_stored: 0,
            next_id: 0,
            last_timestamp: 0,
        })
    }

    /// The table's definition.
    pub fn definition(&self) -> &TableDefinition {
        &self.shared.definition
    }

    /// A handle for reading from any thread.
    pub fn reader(&self) -> TableReader {
        TableReader {
            shared: Arc::clone(&self.shared),
        }
    }

    /// The table as of `timestamp`; see [`TableReader::snapshot`].
    pub fn snapshot(&self, timestamp: u64) -> Result<TableSnapshot, TableError> {
        self.reader().snapshot(timestamp)
    }

    /// Whether [`apply`](Self::apply) would accept the change's rows, so that a transaction of
    /// several changes can be refused before any of it is done.
    pub fn validate(&self, change: &Change) -> Result<(), TableError> {
        let definition = &self.shared.definition;
        if *change.table != *definition.name {
            return Err(TableError::WrongTable {
                table: definition.name.clone(),
                found: change.table.to_string(),
            });
        }
        if definition.append_only && change.kind == ChangeKind::Delete {
            return Err(TableError::AppendOnly {
                table: definition.name.clone(),
            });
        }
        check_columns(definition, &self.shared.schema, &change.rows)?;
        check_nulls(definition, change)
    }

    /// Applies a change and returns what it changed. Rows appear to readers at `timestamp` (ms) or
    /// later, which must not be below that of any earlier call; of several changes with the same
    /// timestamp each sees the ones before it. An error leaves the table as it was.
    pub fn apply(&mut self, change: &Change, timestamp: u64) -> Result<Delta, TableError> {
        self.validate(change)?;
        if timestamp < self.last_timestamp {
            return Err(TableError::TimestampRegressed {
                table: self.shared.definition.name.clone(),
                timestamp,
                last: self.last_timestamp,
            });
        }
        self.events.forget(timestamp);
        let effect = self.resolve(change)?;
        let delta = self.commit(effect, timestamp);
        self.compact();
        Ok(delta)
    }

    /// Remembers events for a time (ms) from now on, `None`: for ever; what was seen before the
    /// first window counts as seen at `timestamp` (ms).
    pub fn remember_events(&mut self, window_ms: Option<u64>, timestamp: u64) {
        self.events.set_window(window_ms, timestamp);
        self.removed_events.clear();
        self.removed_events_bytes = 0;
        self.note_remembered();
    }

    /// Promises that no reader will ask for a timestamp below `horizon` (ms) any more, so that
    /// what only such readers could see may go. Snapshots already taken stay whole. Never goes
    /// back.
    pub fn set_horizon(&mut self, horizon: u64) {
        {
            let mut state = self.shared.write();
            if horizon <= state.horizon {
                return;
            }
            state.horizon = horizon;
            state.index.forget_before(horizon);
        }
        self.compact();
    }

    pub(super) fn resolve(&self, change: &Change) -> Result<Effect, TableError> {
        let state = self.shared.read();
        let schema = &self.shared.schema;
        let effect = if let Some(key) = &self.shared.key {
            let table = KeyedTable {
                schema,
                key,
                version: self.version.as_ref(),
                segments: &state.segments,
                index: &state.index,
                tombstones: &self.tombstones,
            };
            match change.kind {
                ChangeKind::Upsert => table.resolve_upsert(&change.rows),
                ChangeKind::Delete => table.resolve_delete(&change.rows),
            }
        } else {
            let table = BagTable {
                schema,
                identity: self.identity.as_ref(),
                whole_row: &self.whole_row,
                segments: &state.segments,
                events: &self.events,
            };
            match change.kind {
                ChangeKind::Upsert => table.resolve_insert(&change.rows),
                ChangeKind::Delete => table.resolve_delete(&change.rows),
            }
        };
        effect.map_err(TableError::arrow(&self.shared.definition.name))
    }

    /// Carries out a resolved change; nothing here can fail.
    pub(super) fn commit(&mut self, effect: Effect, timestamp: u64) -> Delta {
        self.last_timestamp = timestamp;
        for (key, version) in effect.tombstones {
            self.tombstones.set(key, version);
        }
        self.events.insert(effect.events, timestamp);
        // What lists events needs no rows to know them by.
        if let (Some(events), false) = (effect.removed_events, self.events.is_listed()) {
            self.remember_removed(events);
        }
        self.longest_stored = self.longest_stored.max(longest_of(&effect.added));
        self.note_remembered();
        if !effect.delta.is_empty() {
            let mut state = self.shared.write();
            let State {
                segments,
                index,
                horizon,
                ..
            } = &mut *state;
            for row in &effect.removed {
                let (position, row) = locate(segments, row.id);
                segments[position].delete(row, timestamp);
            }
            if self.shared.key.is_some() {
                index.supersede(&effect.removed, timestamp, *horizon);
                index.insert(&effect.entries, self.next_id);
            }
            let segments = Arc::make_mut(segments);
            append(segments, &effect.added, self.next_id, timestamp);
            self.next_id += effect.added.num_rows() as u64;
        }
        effect.delta
    }

    /// Keeps the identities of events whose rows have been removed.
    pub(super) fn remember_removed(&mut self, events: RecordBatch) {
        self.removed_events_bytes += events.get_array_memory_size();
        self.removed_events.push(events);
    }

    /// Rewrites segments until none is worth it. The writing is done beside the readers; they wait
    /// only while the list is exchanged.
    fn compact(&self) {
        loop {
            let (segments, horizon) = {
                let state = self.shared.read();
                (Arc::clone(&state.segments), state.horizon)
            };
            let Some(range) = next_run(&segments, horizon) else {
                return;
            };
            let key = self.shared.key.as_ref();
            // Fails only where merged columns outgrow Arrow's offsets; then they stay apart.
            let Ok(replacement) = rewrite(&segments, range, horizon, key) else {
                return;
            };
            drop(segments);
            let mut state = self.shared.write();
            let State {
                segments,
                index,
                retired,
                ..
            } = &mut *state;
            retired.add(&segments[replacement.range.clone()]);
            let new = replacement.segment.map(Arc::new);
            Arc::make_mut(segments).splice(replacement.range, new);
            index.follow(&replacement.moves);
        }
    }
}

/// Adds rows at the end, in segments of bounded length.
fn append(segments: &mut Vec<Arc<Segment>>, rows: &RecordBatch, first_id: u64, timestamp: u64) {
    for start in (0..rows.num_rows()).step_by(GREATEST_LENGTH) {
        let length = GREATEST_LENGTH.min(rows.num_rows() - start);
        let part = rows.slice(start, length);
        let base = first_id + start as u64;
        let segment = Segment::new(base, part, Inserted::At(timestamp), None);
        segments.push(Arc::new(segment));
    }
}

fn check_definition(definition: &TableDefinition) -> Result<(), TableError> {
    let columns = definition.columns.len();
    let named = [
        &definition.primary_key,
        &definition.version,
        &definition.event_identity,
    ];
    for &position in named.into_iter().flatten() {
        if position >= columns {
            return Err(TableError::NoSuchColumn {
                table: definition.name.clone(),
                columns,
                position,
            });
        }
    }
    for column in &definition.columns {
        if !RowEncoder::supports(&column.data_type) {
            return Err(TableError::UnsupportedType {
                table: definition.name.clone(),
                column: column.name.clone(),
                data_type: column.data_type.clone(),
            });
        }
    }
    Ok(())
}

pub(super) fn check_columns(
    definition: &TableDefinition,
    schema: &SchemaRef,
    rows: &RecordBatch,
) -> Result<(), TableError> {
    let refuse = |detail: String| TableError::SchemaMismatch {
        table: definition.name.clone(),
        detail,
    };
    if rows.num_columns() != schema.fields().len() {
        return Err(refuse(format!(
            "it has {} columns, the rows have {}",
            schema.fields().len(),
            rows.num_columns()
        )));
    }
    for (wanted, found) in schema.fields().iter().zip(rows.schema().fields()) {
        if wanted.name() != found.name() || wanted.data_type() != found.data_type() {
            return Err(refuse(format!(
                "column {} {} was expected where {} {} was sent",
                wanted.name(),
                wanted.data_type(),
                found.name(),
                found.data_type()
            )));
        }
    }
    Ok(())
}

/// Refuses NULL in key columns and, where rows are to be stored, in columns that must have values.
fn check_nulls(definition: &TableDefinition, change: &Change) -> Result<(), TableError> {
    for (position, column) in definition.columns.iter().enumerate() {
        let is_key = definition.primary_key.contains(&position);
        let is_stored = change.kind == ChangeKind::Upsert;
        if !is_key && (column.nullable || !is_stored) {
            continue;
        }
        let nulls = change.rows.column(position).logical_nulls();
        let first = nulls.and_then(|nulls| (0..nulls.len()).find(|&row| nulls.is_null(row)));
        let Some(row) = first else {
            continue;
        };
        let (table, column) = (definition.name.clone(), column.name.clone());
        return Err(if is_key {
            TableError::NullKey { table, column, row }
        } else {
            TableError::NullValue { table, column, row }
        });
    }
    Ok(())
}
