//! Resolving changes of a keyed table: which rows win, which rows they replace.
//!
//! With version columns the content is a function of the set of events alone: per key the greatest
//! version wins, and at equal versions a deletion. Without them the later change wins.

use std::sync::Arc;

use arrow::array::{ArrayRef, UInt64Array, make_comparator};
use arrow::compute::{SortOptions, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::row::Rows;
use hashbrown::HashTable;

use super::effect::{AddedEntry, Delta, Effect, Removed};
use super::encode::{Encoded, RowEncoder};
use super::index::{KeyIndex, KeyMatcher};
use super::segment::{Segment, gather};
use super::tombstones::Tombstones;

/// A keyed table as a change finds it.
pub(super) struct KeyedTable<'a> {
    pub(super) schema: &'a SchemaRef,
    pub(super) key: &'a RowEncoder,
    /// `None`: the later change wins.
    pub(super) version: Option<&'a RowEncoder>,
    pub(super) segments: &'a [Arc<Segment>],
    pub(super) index: &'a KeyIndex,
    pub(super) tombstones: &'a Tombstones,
}

/// A row of the change, the only one left with its key, and the live row with that key.
#[derive(Clone, Copy)]
struct Candidate {
    row: usize,
    current: Option<u64>,
}

/// The change's rows in encoded form.
struct Incoming {
    keys: Encoded,
    versions: Option<Rows>,
}

impl KeyedTable<'_> {
    /// What inserting or replacing these rows comes to.
    pub(super) fn resolve_upsert(&self, rows: &RecordBatch) -> Result<Effect, ArrowError> {
        let (incoming, candidates) = self.candidates(rows)?;
        let candidates = self.newer(&incoming, candidates, |new, stored| new > stored)?;
        let replaced = self.current_rows(&candidates)?;
        let (candidates, removed_rows) = drop_unchanged(rows, candidates, replaced)?;
        let added = take_rows(self.schema, rows, &candidates)?;

        let hashes = &incoming.keys.hashes;
        let entries = candidates.iter().map(|candidate| AddedEntry {
            hash: hashes[candidate.row],
            replaces: candidate.current,
        });
        let lifted = candidates.iter().filter_map(|candidate| {
            let key = incoming.keys.rows.row(candidate.row).data();
            let buried = !self.tombstones.is_empty() && self.tombstones.get(key).is_some();
            buried.then(|| (key.into(), None))
        });
        Ok(Effect {
            delta: Delta::new(&removed_rows, &added)?,
            removed: removals(&candidates, hashes, true),
            entries: entries.collect(),
            tombstones: lifted.collect(),
            events: Vec::new(),
            removed_events: None,
            added,
        })
    }

    /// What deleting the rows with these keys comes to.
    pub(super) fn resolve_delete(&self, rows: &RecordBatch) -> Result<Effect, ArrowError> {
        let (incoming, candidates) = self.candidates(rows)?;
        let candidates = self.newer(&incoming, candidates, |new, stored| new >= stored)?;
        let mut tombstones = Vec::new();
        if let Some(versions) = &incoming.versions {
            tombstones.extend(candidates.iter().map(|candidate| {
                let key = incoming.keys.rows.row(candidate.row).data();
                (key.into(), Some(versions.row(candidate.row).data().into()))
            }));
        }
        let removed_rows = self.current_rows(&candidates)?;
        let added = RecordBatch::new_empty(self.schema.clone());
        Ok(Effect {
            delta: Delta::new(&removed_rows, &added)?,
            removed: removals(&candidates, &incoming.keys.hashes, false),
            added,
            entries: Vec::new(),
            tombstones,
            events: Vec::new(),
            removed_events: None,
        })
    }

    /// One row per key of the change, with the live row of the same key.
    fn candidates(&self, rows: &RecordBatch) -> Result<(Incoming, Vec<Candidate>), ArrowError> {
        let key_columns = self.key.select(rows);
        let versions = self
            .version
            .map(|version| version.rows(&version.select(rows)));
        let incoming = Incoming {
            keys: self.key.hashed(&key_columns)?,
            versions: versions.transpose()?,
        };
        let mut matcher = KeyMatcher::new(&key_columns, self.key.columns(), self.segments);
        let mut candidates = incoming.winners();
        for candidate in &mut candidates {
            let hash = incoming.keys.hashes[candidate.row];
            candidate.current = self.index.find(hash, candidate.row, &mut matcher)?;
        }
        Ok((incoming, candidates))
    }

    /// Keeps the candidates whose version wins over the stored one, and all where nothing is
    /// stored or the table has no versions.
    fn newer(
        &self,
        incoming: &Incoming,
        candidates: Vec<Candidate>,
        wins: impl Fn(&[u8], &[u8]) -> bool,
    ) -> Result<Vec<Candidate>, ArrowError> {
        let (Some(encoder), Some(versions)) = (self.version, &incoming.versions) else {
            return Ok(candidates);
        };
        let stored = self.stored_versions(encoder, incoming, &candidates)?;
        let kept = candidates
            .iter()
            .enumerate()
            .filter(|(position, candidate)| {
                let new = versions.row(candidate.row).data();
                stored.get(*position).is_none_or(|stored| wins(new, stored))
            });
        Ok(kept.map(|(_, candidate)| *candidate).collect())
    }

    /// The version that each candidate has to beat: that of the live row or of the deletion.
    fn stored_versions(
        &self,
        version: &RowEncoder,
        incoming: &Incoming,
        candidates: &[Candidate],
    ) -> Result<StoredVersions<'_>, ArrowError> {
        let ids: Vec<u64> = candidates.iter().filter_map(|c| c.current).collect();
        let rows = gather(self.segments, self.schema, &ids, Some(version.columns()))?;
        let mut live_rows = 0;
        let stored = candidates.iter().map(|candidate| {
            if candidate.current.is_some() {
                live_rows += 1;
                return StoredVersion::Live(live_rows - 1);
            }
            let key = incoming.keys.rows.row(candidate.row).data();
            match self.tombstones.get(key) {
                Some(version) => StoredVersion::Deleted(version),
                None => StoredVersion::Absent,
            }
        });
        Ok(StoredVersions {
            of: stored.collect(),
            live: version.rows(rows.columns())?,
        })
    }

    /// The live rows of the candidates that have one, in order.
    fn current_rows(&self, candidates: &[Candidate]) -> Result<RecordBatch, ArrowError> {
        let ids: Vec<u64> = candidates.iter().filter_map(|c| c.current).collect();
        gather(self.segments, self.schema, &ids, None)
    }
}

impl Incoming {
    /// Of the rows with equal keys the one with the greatest version (of equal ones the first),
    /// without versions the last; in the order in which the keys first occur.
    fn winners(&self) -> Vec<Candidate> {
        let Encoded { rows, hashes } = &self.keys;
        let mut seen: HashTable<usize> = HashTable::with_capacity(hashes.len());
        let mut winners: Vec<Candidate> = Vec::with_capacity(hashes.len());
        for (row, &hash) in hashes.iter().enumerate() {
            let same = |&position: &usize| {
                let other = winners[position].row;
                hashes[other] == hash && rows.row(other) == rows.row(row)
            };
            if let Some(&position) = seen.find(hash, same) {
                let winner = &mut winners[position].row;
                let wins = match &self.versions {
                    Some(versions) => versions.row(row) > versions.row(*winner),
                    None => true,
                };
                if wins {
                    *winner = row;
                }
            } else {
                seen.insert_unique(hash, winners.len(), |&p| hashes[winners[p].row]);
                winners.push(Candidate { row, current: None });
            }
        }
        winners
    }
}

/// For each candidate the encoded version it has to beat, if any.
struct StoredVersions<'a> {
    of: Vec<StoredVersion<'a>>,
    /// Those of the candidates that have a live row, in order.
    live: Rows,
}

enum StoredVersion<'a> {
    Live(usize),
    Deleted(&'a [u8]),
    Absent,
}

impl StoredVersions<'_> {
    fn get(&self, position: usize) -> Option<&[u8]> {
        match self.of[position] {
            StoredVersion::Live(row) => Some(self.live.row(row).data()),
            StoredVersion::Deleted(version) => Some(version),
            StoredVersion::Absent => None,
        }
    }
}

/// Leaves out the candidates that equal the row they would replace in every column. `replaced`
/// holds the current rows of the candidates that have one, in order; those that stay come back.
fn drop_unchanged(
    rows: &RecordBatch,
    candidates: Vec<Candidate>,
    replaced: RecordBatch,
) -> Result<(Vec<Candidate>, RecordBatch), ArrowError> {
    if replaced.num_rows() == 0 {
        return Ok((candidates, replaced));
    }
    let columns = rows.columns().iter().zip(replaced.columns());
    let comparators = columns
        .map(|(new, old)| make_comparator(new, old, SortOptions::default()))
        .collect::<Result<Vec<_>, _>>()?;
    let mut changed = Vec::with_capacity(candidates.len());
    let mut kept_old: Vec<u64> = Vec::with_capacity(replaced.num_rows());
    let mut next_old = 0;
    for candidate in candidates {
        if candidate.current.is_some() {
            let old = next_old;
            next_old += 1;
            let equal = |compare: &arrow::array::DynComparator| compare(candidate.row, old).is_eq();
            if comparators.iter().all(equal) {
                continue;
            }
            kept_old.push(old as u64);
        }
        changed.push(candidate);
    }
    if kept_old.len() == replaced.num_rows() {
        return Ok((changed, replaced));
    }
    let kept = take_record_batch(&replaced, &UInt64Array::from(kept_old))?;
    Ok((changed, kept))
}

/// The candidates' rows, without copying where they are all of the rows in order.
fn take_rows(
    schema: &SchemaRef,
    rows: &RecordBatch,
    candidates: &[Candidate],
) -> Result<RecordBatch, ArrowError> {
    let columns: Vec<ArrayRef> = if candidates.len() == rows.num_rows() {
        rows.columns().to_vec()
    } else {
        let indices = candidates.iter().map(|candidate| candidate.row as u64);
        let indices: UInt64Array = indices.collect::<Vec<_>>().into();
        take_record_batch(rows, &indices)?.columns().to_vec()
    };
    RecordBatch::try_new(schema.clone(), columns)
}

fn removals(candidates: &[Candidate], hashes: &[u64], replaced: bool) -> Vec<Removed> {
    let live = candidates.iter().filter_map(|candidate| {
        candidate.current.map(|id| Removed {
            id,
            hash: hashes[candidate.row],
            replaced,
        })
    });
    live.collect()
}
