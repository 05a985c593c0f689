//! Where the rows of a key are: the newest version, and the older ones that readers may still see.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{ArrayRef, DynComparator, make_comparator};
use arrow::compute::SortOptions;
use arrow::error::ArrowError;
use hashbrown::HashTable;

use super::compaction::Move;
use super::effect::{AddedEntry, Removed};
use super::segment::{LIVE, Segment, locate};

/// The index by primary key. Entries carry the hash of the key, so that growing the tables and
/// telling keys apart seldom touches the rows.
#[derive(Default)]
pub(super) struct KeyIndex {
    current: HashTable<Entry>,
    superseded: HashTable<Superseded>,
    /// When entries of `superseded` end, in order: (deletion time, hash).
    endings: VecDeque<(u64, u64)>,
}

struct Entry {
    hash: u64,
    id: u64,
}

struct Superseded {
    hash: u64,
    id: u64,
    deleted_at: u64,
}

impl KeyIndex {
    /// Its memory in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.current.allocation_size()
            + self.superseded.allocation_size()
            + self.endings.capacity() * size_of::<(u64, u64)>()
    }

    /// The id of the live row with the key of row `row` of the matcher.
    pub(super) fn find(
        &self,
        hash: u64,
        row: usize,
        matcher: &mut KeyMatcher<'_>,
    ) -> Result<Option<u64>, ArrowError> {
        for entry in self.current.iter_hash(hash) {
            if entry.hash == hash && matcher.matches(row, entry.id)? {
                return Ok(Some(entry.id));
            }
        }
        Ok(None)
    }

    /// The id of the row with this key that a reader at `timestamp` sees.
    pub(super) fn find_at(
        &self,
        hash: u64,
        row: usize,
        matcher: &mut KeyMatcher<'_>,
        timestamp: u64,
    ) -> Result<Option<u64>, ArrowError> {
        if let Some(id) = self.find(hash, row, matcher)?
            && matcher.is_visible(id, timestamp)
        {
            return Ok(Some(id));
        }
        for old in self.superseded.iter_hash(hash) {
            let visible = old.hash == hash && matcher.is_visible(old.id, timestamp);
            if visible && matcher.matches(row, old.id)? {
                return Ok(Some(old.id));
            }
        }
        Ok(None)
    }

    /// Notes that rows are no longer the newest of their key, from `timestamp` on.
    pub(super) fn supersede(&mut self, removed: &[Removed], timestamp: u64, horizon: u64) {
        for row in removed {
            if !row.replaced
                && let Ok(entry) = self.current.find_entry(row.hash, |e| e.id == row.id)
            {
                entry.remove();
            }
            if timestamp <= horizon {
                continue;
            }
            let old = Superseded {
                hash: row.hash,
                id: row.id,
                deleted_at: timestamp,
            };
            self.superseded.insert_unique(row.hash, old, |old| old.hash);
            self.endings.push_back((timestamp, row.hash));
        }
    }

    /// Enters rows with the ids from `first_id` on as the newest of their keys.
    pub(super) fn insert(&mut self, added: &[AddedEntry], first_id: u64) {
        let growth = added.iter().filter(|row| row.replaces.is_none()).count();
        self.current.reserve(growth, |entry| entry.hash);
        for (id, row) in (first_id..).zip(added) {
            let hash = row.hash;
            let replaced = row
                .replaces
                .and_then(|old| self.current.find_mut(hash, |entry| entry.id == old));
            match replaced {
                Some(entry) => entry.id = id,
                None => {
                    self.current
                        .insert_unique(hash, Entry { hash, id }, |entry| entry.hash);
                }
            }
        }
    }

    /// Forgets the versions that no reader at `horizon` or later sees.
    pub(super) fn forget_before(&mut self, horizon: u64) {
        while let Some(&(deleted_at, hash)) = self.endings.front() {
            if deleted_at > horizon {
                break;
            }
            self.endings.pop_front();
            let ended = |old: &Superseded| old.hash == hash && old.deleted_at <= horizon;
            if let Ok(entry) = self.superseded.find_entry(hash, ended) {
                entry.remove();
            }
        }
    }

    /// Follows rows to their new ids; the moves are in ascending order of ids, never upwards.
    pub(super) fn follow(&mut self, moves: &[Move]) {
        for row in moves {
            if row.deleted_at == LIVE {
                if let Some(entry) = self
                    .current
                    .find_mut(row.hash, |entry| entry.id == row.from)
                {
                    entry.id = row.to;
                }
            } else if let Some(old) = self.superseded.find_mut(row.hash, |old| old.id == row.from) {
                old.id = row.to;
            }
        }
    }
}

/// Compares given keys with those of stored rows.
pub(super) struct KeyMatcher<'a> {
    keys: &'a [ArrayRef],
    columns: &'a [usize],
    segments: &'a [Arc<Segment>],
    /// One per segment, made when a row of it is first looked at.
    comparators: Vec<Option<Vec<DynComparator>>>,
}

impl<'a> KeyMatcher<'a> {
    /// `keys` are arrays in the order of the key columns, which are at `columns` of the segments.
    pub(super) fn new(
        keys: &'a [ArrayRef],
        columns: &'a [usize],
        segments: &'a [Arc<Segment>],
    ) -> Self {
        Self {
            keys,
            columns,
            segments,
            comparators: segments.iter().map(|_| None).collect(),
        }
    }

    fn matches(&mut self, row: usize, id: u64) -> Result<bool, ArrowError> {
        let (position, stored) = locate(self.segments, id);
        if self.comparators[position].is_none() {
            let rows = &self.segments[position].rows;
            let comparators = self.keys.iter().zip(self.columns).map(|(key, &column)| {
                make_comparator(key, rows.column(column), SortOptions::default())
            });
            self.comparators[position] = Some(comparators.collect::<Result<_, _>>()?);
        }
        let comparators = self.comparators[position].iter().flatten();
        Ok(comparators
            .into_iter()
            .all(|compare| compare(row, stored).is_eq()))
    }

    fn is_visible(&self, id: u64, timestamp: u64) -> bool {
        let (position, row) = locate(self.segments, id);
        self.segments[position].is_visible(row, timestamp)
    }
}
