//! Keeping the segment list short and free of dead rows, at a cost that follows the changes.
//!
//! Segments are merged so that each is at least twice as long as the next one, up to a greatest
//! length: a row is copied once per doubling, and a list of n rows has O(log n + n / greatest
//! length) segments. A segment of which half can never be read again is rewritten without those
//! rows. Whatever is rewritten loses all rows that no reader may see any more, and rows too old
//! for any reader to tell when they came lose their own insertion time.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::encode::RowEncoder;
use super::segment::{Inserted, Segment};

/// The length up to which segments are merged, and at which large changes are cut. Bounds what
/// one commit may have to copy.
pub(super) const GREATEST_LENGTH: usize = 128 * 1024;

/// A run of the segment list and what takes its place.
pub(super) struct Replacement {
    pub(super) range: Range<usize>,
    /// `None`: none of the rows is left.
    pub(super) segment: Option<Segment>,
    /// The indexed rows whose id changes.
    pub(super) moves: Vec<Move>,
}

/// A row that gets a smaller id.
pub(super) struct Move {
    pub(super) hash: u64,
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) deleted_at: u64,
}

/// The next run of segments to be rewritten, if any.
pub(super) fn next_run(segments: &[Arc<Segment>], horizon: u64) -> Option<Range<usize>> {
    let stale = |segment: &Arc<Segment>| segment.worth_rewriting(horizon);
    if let Some(position) = segments.iter().position(stale) {
        return Some(position..position + 1);
    }
    for end in (2..=segments.len()).rev() {
        let mut start = end - 1;
        let mut length = segments[start].len();
        while start > 0 {
            let previous = segments[start - 1].len();
            if previous >= 2 * length || previous + length > GREATEST_LENGTH {
                break;
            }
            length += previous;
            start -= 1;
        }
        if end - start > 1 {
            return Some(start..end);
        }
    }
    None
}

/// Writes the rows of a run that are still needed into one new segment. `key` is the encoder of
/// the table's key, if it has one.
pub(super) fn rewrite(
    segments: &[Arc<Segment>],
    range: Range<usize>,
    horizon: u64,
    key: Option<&RowEncoder>,
) -> Result<Replacement, ArrowError> {
    let run = &segments[range.clone()];
    let mut batches = Vec::with_capacity(run.len());
    let mut kept = Kept::default();
    for segment in run {
        batches.push(kept.take(segment, horizon)?);
    }
    if kept.ids.is_empty() {
        return Ok(Replacement {
            range,
            segment: None,
            moves: Vec::new(),
        });
    }
    let rows = concat_batches(batches[0].schema_ref(), &batches)?;
    let base = run[0].base;
    let moves = match key {
        Some(key) => moves(&kept, &rows, base, key)?,
        None => Vec::new(),
    };
    let inserted = insertion_times(run, kept.inserted, horizon);
    Ok(Replacement {
        range,
        segment: Some(Segment::new(base, rows, inserted, Some(kept.deleted))),
        moves,
    })
}

/// What is kept of each row besides its columns.
#[derive(Default)]
struct Kept {
    ids: Vec<u64>,
    inserted: Vec<u64>,
    deleted: Vec<u64>,
}

impl Kept {
    /// Adds the rows of a segment that some reader may still see, and returns them.
    fn take(&mut self, segment: &Segment, horizon: u64) -> Result<RecordBatch, ArrowError> {
        let before = self.ids.len();
        let mut mask = Vec::with_capacity(segment.len());
        for row in 0..segment.len() {
            let deleted_at = segment.deleted_at(row);
            mask.push(deleted_at > horizon);
            if deleted_at > horizon {
                self.ids.push(segment.base + row as u64);
                self.inserted.push(segment.inserted_at(row));
                self.deleted.push(deleted_at);
            }
        }
        if self.ids.len() - before == segment.len() {
            return Ok(segment.rows.clone());
        }
        filter_record_batch(&segment.rows, &BooleanArray::from(mask))
    }
}

/// The insertion times of the kept rows, as one where no reader can tell them apart.
fn insertion_times(run: &[Arc<Segment>], kept: Vec<u64>, horizon: u64) -> Inserted {
    let last = run.iter().map(|s| s.last_inserted()).max().unwrap_or(0);
    if last <= horizon || kept.iter().all(|&inserted| inserted == last) {
        Inserted::At(last)
    } else {
        Inserted::PerRow(kept.into_boxed_slice())
    }
}

fn moves(
    kept: &Kept,
    rows: &RecordBatch,
    base: u64,
    key: &RowEncoder,
) -> Result<Vec<Move>, ArrowError> {
    // Ids ascend, so the first kept rows may stay where they are and the others all move.
    let ids = (base..).zip(&kept.ids);
    let staying = ids.take_while(|(to, from)| to == *from).count();
    if staying == kept.ids.len() {
        return Ok(Vec::new());
    }
    let moving = rows.slice(staying, rows.num_rows() - staying);
    let hashes = key.hashed(&key.select(&moving))?.hashes;
    let moved = (staying..kept.ids.len()).zip(hashes);
    Ok(moved
        .map(|(row, hash)| Move {
            hash,
            from: kept.ids[row],
            to: base + row as u64,
            deleted_at: kept.deleted[row],
        })
        .collect())
}
