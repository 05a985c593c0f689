//! A segment: an immutable batch of rows with the lifetime of each.
//!
//! Only the deletion times change after a segment is published, only from "live" to a timestamp
//! beyond every reader's, and only by the one writer; so readers need no lock.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use arrow::array::BooleanArray;
use arrow::buffer::BooleanBuffer;
use arrow::compute::{filter_record_batch, interleave_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

/// The deletion time of a row that is not deleted.
pub(super) const LIVE: u64 = u64::MAX;

/// Rows with ids `base..base + rows.num_rows()`.
pub(super) struct Segment {
    pub(super) base: u64,
    pub(super) rows: RecordBatch,
    pub(super) inserted: Inserted,
    first_inserted: u64,
    last_inserted: u64,
    /// Per row; allocated by the first deletion.
    deleted: OnceLock<Box<[AtomicU64]>>,
    dead: AtomicUsize,
    first_deleted: AtomicU64,
    last_deleted: AtomicU64,
    /// The memory of the rows in bytes, once it has been asked for.
    bytes: OnceLock<usize>,
    /// The horizon from which rewriting frees half of the rows; set when that many are dead.
    worthwhile_from: OnceLock<u64>,
}

/// When the rows were inserted.
pub(super) enum Inserted {
    /// All at one timestamp (or all so early that no reader can tell).
    At(u64),
    /// Row by row.
    PerRow(Box<[u64]>),
}

/// Which rows of a segment a reader sees.
pub(super) enum Visible {
    None,
    All,
    Some(BooleanBuffer),
}

impl Segment {
    /// A segment whose rows are deleted at the given times ([`LIVE`] for those that are not);
    /// `None`: all are live.
    pub(super) fn new(
        base: u64,
        rows: RecordBatch,
        inserted: Inserted,
        deleted: Option<Vec<u64>>,
    ) -> Self {
        let times = || deleted.iter().flatten().filter(|&&time| time != LIVE);
        let (dead, first, last) = (
            times().count(),
            times().min().copied().unwrap_or(LIVE),
            times().max().copied().unwrap_or(0),
        );
        let cell = OnceLock::new();
        if let (Some(deleted), true) = (deleted, dead > 0) {
            cell.get_or_init(|| deleted.into_iter().map(AtomicU64::new).collect());
        }
        let (first_inserted, last_inserted) = match &inserted {
            Inserted::At(timestamp) => (*timestamp, *timestamp),
            Inserted::PerRow(timestamps) => (
                timestamps.iter().copied().min().unwrap_or(0),
                timestamps.iter().copied().max().unwrap_or(0),
            ),
        };
        Self {
            base,
            rows,
            inserted,
            first_inserted,
            last_inserted,
            deleted: cell,
            dead: AtomicUsize::new(dead),
            first_deleted: AtomicU64::new(first),
            last_deleted: AtomicU64::new(last),
            bytes: OnceLock::new(),
            worthwhile_from: OnceLock::new(),
        }
    }

    /// The memory of the rows in bytes, dead ones included, with their lifetimes.
    pub(super) fn memory_bytes(&self) -> usize {
        let rows = *self.bytes.get_or_init(|| {
            let columns = self.rows.columns().iter();
            let bytes = columns.map(|column| column.to_data().get_slice_memory_size().unwrap_or(0));
            bytes.sum()
        });
        let inserted = match &self.inserted {
            Inserted::At(_) => 0,
            Inserted::PerRow(timestamps) => size_of_val(&**timestamps),
        };
        let deleted = self.deleted.get().map_or(0, |times| size_of_val(&**times));
        rows + inserted + deleted
    }

    pub(super) fn len(&self) -> usize {
        self.rows.num_rows()
    }

    pub(super) fn inserted_at(&self, row: usize) -> u64 {
        match &self.inserted {
            Inserted::At(timestamp) => *timestamp,
            Inserted::PerRow(timestamps) => timestamps[row],
        }
    }

    pub(super) fn last_inserted(&self) -> u64 {
        self.last_inserted
    }

    pub(super) fn deleted_at(&self, row: usize) -> u64 {
        match self.deleted.get() {
            Some(deleted) => deleted[row].load(Ordering::Acquire),
            None => LIVE,
        }
    }

    /// Ends the life of a row. Called by the writer only, with ascending timestamps.
    pub(super) fn delete(&self, row: usize, timestamp: u64) {
        let deleted = self
            .deleted
            .get_or_init(|| (0..self.len()).map(|_| AtomicU64::new(LIVE)).collect());
        self.first_deleted.fetch_min(timestamp, Ordering::Release);
        // Before the count: a reader that sees the count must see that it is from the future.
        self.last_deleted.fetch_max(timestamp, Ordering::Release);
        deleted[row].store(timestamp, Ordering::Release);
        self.dead.fetch_add(1, Ordering::Release);
    }

    pub(super) fn is_visible(&self, row: usize, timestamp: u64) -> bool {
        self.inserted_at(row) <= timestamp && timestamp < self.deleted_at(row)
    }

    /// The rows that a reader at `timestamp` sees.
    pub(super) fn visible(&self, timestamp: u64) -> Visible {
        if self.first_inserted > timestamp {
            return Visible::None;
        }
        let untouched = self.first_deleted.load(Ordering::Acquire) > timestamp;
        if untouched && self.last_inserted <= timestamp {
            return Visible::All;
        }
        let mask = BooleanBuffer::collect_bool(self.len(), |row| self.is_visible(row, timestamp));
        match mask.count_set_bits() {
            0 => Visible::None,
            count if count == self.len() => Visible::All,
            _ => Visible::Some(mask),
        }
    }

    /// How many rows a reader at `timestamp` sees; cheap for recent timestamps.
    pub(super) fn visible_count(&self, timestamp: u64) -> usize {
        let dead = self.dead.load(Ordering::Acquire);
        let all_deaths_seen = self.last_deleted.load(Ordering::Acquire) <= timestamp;
        if all_deaths_seen && self.last_inserted <= timestamp {
            return self.len() - dead;
        }
        match self.visible(timestamp) {
            Visible::None => 0,
            Visible::All => self.len(),
            Visible::Some(mask) => mask.count_set_bits(),
        }
    }

    /// The visible rows, without copying where all are visible.
    pub(super) fn read(
        &self,
        timestamp: u64,
        projection: Option<&[usize]>,
    ) -> Result<Option<RecordBatch>, ArrowError> {
        let visible = self.visible(timestamp);
        if matches!(visible, Visible::None) {
            return Ok(None);
        }
        let rows = match projection {
            Some(columns) => self.rows.project(columns)?,
            None => self.rows.clone(),
        };
        Ok(Some(match visible {
            Visible::Some(mask) => filter_record_batch(&rows, &BooleanArray::new(mask, None))?,
            _ => rows,
        }))
    }

    /// Whether more than half of the rows can never be read again once the horizon is `horizon`.
    ///
    /// The exact answer needs a look at every row, so it is computed once, when half are dead.
    pub(super) fn worth_rewriting(&self, horizon: u64) -> bool {
        let dead = self.dead.load(Ordering::Acquire);
        if dead * 2 <= self.len() {
            return false;
        }
        let worthwhile_from = self.worthwhile_from.get_or_init(|| {
            let mut times: Vec<u64> = (0..self.len()).map(|row| self.deleted_at(row)).collect();
            let half = self.len() / 2;
            *times.select_nth_unstable(half).1
        });
        *worthwhile_from <= horizon
    }
}

/// The segment and the row in it that an id stands for.
///
/// Ids come from the index of the same segment list, so they are always found.
pub(super) fn locate(segments: &[Arc<Segment>], id: u64) -> (usize, usize) {
    let position = segments.partition_point(|segment| segment.base <= id) - 1;
    (position, (id - segments[position].base) as usize)
}

/// The rows with the given ids, in that order, with the columns of `projection` (`None`: all).
pub(super) fn gather(
    segments: &[Arc<Segment>],
    schema: &SchemaRef,
    ids: &[u64],
    projection: Option<&[usize]>,
) -> Result<RecordBatch, ArrowError> {
    let mut slots: Vec<Option<usize>> = vec![None; segments.len()];
    let mut sources: Vec<RecordBatch> = Vec::new();
    let mut picks: Vec<(usize, usize)> = Vec::with_capacity(ids.len());
    for &id in ids {
        let (position, row) = locate(segments, id);
        let slot = match slots[position] {
            Some(slot) => slot,
            None => {
                let rows = &segments[position].rows;
                sources.push(match projection {
                    Some(columns) => rows.project(columns)?,
                    None => rows.clone(),
                });
                slots[position] = Some(sources.len() - 1);
                sources.len() - 1
            }
        };
        picks.push((slot, row));
    }
    if sources.is_empty() {
        let schema = match projection {
            Some(columns) => Arc::new(schema.project(columns)?),
            None => Arc::clone(schema),
        };
        return Ok(RecordBatch::new_empty(schema));
    }
    interleave_record_batch(&sources.iter().collect::<Vec<_>>(), &picks)
}
