//! Resolving changes of a table without a key: rows are a bag, and events count once.

use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use hashbrown::{HashMap, HashSet, HashTable};

use super::effect::{Delta, Effect, Removed};
use super::encode::{Encoded, RowEncoder};
use super::events::Events;
use super::image::identities;
use super::segment::{LIVE, Segment, gather};

/// How many stored rows are encoded at a time when rows to be deleted are looked for.
const SEARCH_STEP: usize = 8 * 1024;

/// A table without a key as a change finds it.
pub(super) struct BagTable<'a> {
    pub(super) schema: &'a SchemaRef,
    /// The columns that identify an event; `None`: every row counts.
    pub(super) identity: Option<&'a RowEncoder>,
    /// All columns.
    pub(super) whole_row: &'a RowEncoder,
    pub(super) segments: &'a [Arc<Segment>],
    pub(super) events: &'a Events,
}

impl BagTable<'_> {
    /// What adding these rows comes to. A row whose identity has a NULL cannot be recognised and
    /// counts.
    pub(super) fn resolve_insert(&self, rows: &RecordBatch) -> Result<Effect, ArrowError> {
        let mut added = RecordBatch::try_new(self.schema.clone(), rows.columns().to_vec())?;
        let mut events = Vec::new();
        if let Some(identity) = self.identity {
            let fingerprints = identity.fingerprints(&identity.select(rows))?;
            let mut within: HashSet<u128> = HashSet::with_capacity(fingerprints.len());
            let mut is_new = |fingerprint: Option<u128>| {
                let Some(event) = fingerprint else {
                    return true;
                };
                let new = !self.events.contains(event) && within.insert(event);
                if new {
                    events.push(event);
                }
                new
            };
            let mask: Vec<bool> = fingerprints.into_iter().map(&mut is_new).collect();
            if mask.contains(&false) {
                added = filter_record_batch(&added, &BooleanArray::from(mask))?;
            }
        }
        let none = RecordBatch::new_empty(self.schema.clone());
        Ok(Effect {
            delta: Delta::new(&none, &added)?,
            removed: Vec::new(),
            added,
            entries: Vec::new(),
            tombstones: Vec::new(),
            events,
            removed_events: None,
        })
    }

    /// What removing one copy of each of these rows comes to. Looks at every row of the table, the
    /// newest first, until all are found.
    pub(super) fn resolve_delete(&self, rows: &RecordBatch) -> Result<Effect, ArrowError> {
        let mut wanted = Wanted::new(self.whole_row.hashed(&self.whole_row.select(rows))?);
        let mut removed = Vec::new();
        'search: for segment in self.segments.iter().rev() {
            for start in (0..segment.len()).step_by(SEARCH_STEP) {
                if wanted.outstanding == 0 {
                    break 'search;
                }
                let length = SEARCH_STEP.min(segment.len() - start);
                self.search(segment, start, length, &mut wanted, &mut removed)?;
            }
        }
        let ids: Vec<u64> = removed.iter().map(|row: &Removed| row.id).collect();
        let removed_rows = gather(self.segments, self.schema, &ids, None)?;
        let added = RecordBatch::new_empty(self.schema.clone());
        let removed_events = self.identity.filter(|_| removed_rows.num_rows() > 0);
        let removed_events = removed_events.map(|identity| identities(&removed_rows, identity));
        Ok(Effect {
            delta: Delta::new(&removed_rows, &added)?,
            removed,
            added,
            entries: Vec::new(),
            tombstones: Vec::new(),
            events: Vec::new(),
            removed_events: removed_events.transpose()?,
        })
    }

    /// Finds wanted rows among some live rows of a segment.
    fn search(
        &self,
        segment: &Segment,
        start: usize,
        length: usize,
        wanted: &mut Wanted,
        removed: &mut Vec<Removed>,
    ) -> Result<(), ArrowError> {
        let stored = segment.rows.slice(start, length);
        let stored = self.whole_row.hashed(&self.whole_row.select(&stored))?;
        for offset in 0..length {
            let row = start + offset;
            if segment.deleted_at(row) == LIVE && wanted.take(&stored, offset) {
                removed.push(Removed {
                    id: segment.base + row as u64,
                    hash: 0,
                    replaced: false,
                });
            }
        }
        Ok(())
    }
}

/// The rows to be deleted, with how many copies of each are still to be found.
struct Wanted {
    rows: Encoded,
    /// Positions in `rows`, one for each different row.
    distinct: HashTable<usize>,
    copies: HashMap<usize, usize>,
    outstanding: usize,
}

impl Wanted {
    fn new(rows: Encoded) -> Self {
        let mut distinct: HashTable<usize> = HashTable::with_capacity(rows.hashes.len());
        let mut copies: HashMap<usize, usize> = HashMap::new();
        for (row, &hash) in rows.hashes.iter().enumerate() {
            let same = |&other: &usize| rows.rows.row(other) == rows.rows.row(row);
            let first = match distinct.find(hash, same) {
                Some(&first) => first,
                None => {
                    distinct.insert_unique(hash, row, |&row| rows.hashes[row]);
                    row
                }
            };
            *copies.entry(first).or_default() += 1;
        }
        Self {
            outstanding: rows.hashes.len(),
            rows,
            distinct,
            copies,
        }
    }

    /// Whether a copy of this stored row is wanted; if so, it is no longer.
    fn take(&mut self, stored: &Encoded, row: usize) -> bool {
        let bytes = stored.rows.row(row).data();
        let same = |&other: &usize| self.rows.rows.row(other).data() == bytes;
        let Some(wanted) = self.distinct.find(stored.hashes[row], same) else {
            return false;
        };
        match self.copies.get_mut(wanted) {
            Some(copies) if *copies > 0 => {
                *copies -= 1;
                self.outstanding -= 1;
                true
            }
            _ => false,
        }
    }
}
