//! Reductions whose state is a sum: grouped aggregates, DISTINCT, semi and anti joins.
//!
//! A group's state is the difference of its row(s) in the arrangement, so old and new state come
//! from adding up a handful of numbers. Columns are built lane by lane: first the shape of the
//! output is decided from the counts, then each sum is accumulated for the rows that come out.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::SchemaRef;

use super::super::ahead::Ahead;
use super::super::arrange::{Changes, Index};
use super::super::batch::Batch;
use super::super::checked_sum::CheckedSum;
use super::super::chunk::{Body, Chunk, SumLane, columns};
use super::super::column::Column;
use super::super::cursor::{Cursor, Reader, drain_hash, keep_picked};
use super::super::grouping::Grouping;
use super::super::lane::{Lane, Pick, Summand};
use super::super::updates::{Updates, batch};
use super::map::{describe, error_schema};
use super::stateful::{react_to_batches, react_to_some};

/// Groups handled before output is given on.
const GROUPS_AT_ONCE: usize = 8192;

/// The same in bytes of keys that are texts and the like.
const BYTES_AT_ONCE: usize = 64 << 20;

/// Emits the rows of groups that change. A group exists while its count is not zero.
pub fn aggregate<'scope>(
    index: Index<'scope>,
    schema: SchemaRef,
    grouping: Arc<Grouping>,
) -> Changes<'scope> {
    let all: Vec<usize> = (0..grouping.columns.len()).collect();
    react_to_batches(index, "Aggregate", move |novel, earlier, emit| {
        for_each_portion(novel, earlier, |portion, reader| {
            let rows = portion.aggregate_rows(reader);
            if rows.picks.is_empty() {
                return;
            }
            let sums: Vec<SumLane> = (0..reader.bodies[0].sums.len())
                .map(|sum| portion.accumulate_sum(reader, sum, &rows.shape))
                .collect();
            let key = |position: usize| key_array(reader, position, &rows.picks);
            let arrays = grouping.arrays(&all, key, &rows.counts, &sums);
            emit(Updates {
                rows: batch(Arc::clone(&schema), arrays, rows.picks.len()),
                times: rows.times.into(),
                counts: rows.signs.into(),
            });
        });
    })
}

/// Emits an error for each group of which a sum or an average is out of the range of its type; `key`
/// has the columns of the groups' key.
pub fn too_large<'scope>(
    index: Index<'scope>,
    key: SchemaRef,
    checked: Vec<CheckedSum>,
) -> Changes<'scope> {
    let watched = checked.clone();
    let mut has_large = false;
    // Until some number reaches beyond the low bits, no sum can leave its range.
    let may_leave_range = move |novel: &[Batch]| {
        let mut chunks = novel.iter().flat_map(|batch| batch.chunks.iter());
        let is_large = |chunk: &Chunk| watched.iter().any(|sum| !sum.is_small(chunk.body()));
        has_large = has_large || chunks.any(is_large);
        has_large
    };
    react_to_some(
        index,
        "CheckSums",
        may_leave_range,
        move |novel, earlier, emit| {
            for_each_portion(novel, earlier, |portion, reader| {
                emit(portion.errors(reader, &key, &checked));
            });
        },
    )
}

/// Emits keys with a multiplicity that is computed from the group's count and, if the arrangement
/// keeps sums, its first sum (else 0).
pub fn multiplicity<'scope>(
    index: Index<'scope>,
    name: &str,
    schema: SchemaRef,
    of: impl Fn(i64, i64) -> i64 + 'static,
) -> Changes<'scope> {
    react_to_batches(index, name, move |novel, earlier, emit| {
        for_each_portion(novel, earlier, |portion, reader| {
            let (picks, times, counts) = portion.multiplicity_rows(reader, &of);
            if picks.is_empty() {
                return;
            }
            emit(Updates {
                rows: batch(Arc::clone(&schema), key_arrays(reader, &picks), picks.len()),
                times: times.into(),
                counts: counts.into(),
            });
        });
    })
}

fn key_arrays(reader: &Reader, picks: &[Pick]) -> Vec<ArrayRef> {
    (0..reader.bodies[0].key_columns)
        .map(|position| key_array(reader, position, picks))
        .collect()
}

fn key_array(reader: &Reader, position: usize, picks: &[Pick]) -> ArrayRef {
    let sources = columns(&reader.bodies, position);
    Column::gather(&sources, picks).array()
}

/// Some changed groups, laid out flat.
#[derive(Default)]
struct Portion {
    /// Rows of earlier batches, group by group.
    earlier: Vec<Pick>,
    /// Rows of new batches, group by group and in order of time.
    novel: Vec<Pick>,
    groups: Vec<Group>,
    /// What the keys take that are texts and the like, each row that may come out counted.
    bytes: usize,
}

struct Group {
    earlier: Range<usize>,
    novel: Range<usize>,
}

/// The rows that an aggregation emits for a portion.
struct AggregateRows {
    picks: Vec<Pick>,
    times: Vec<u64>,
    signs: Vec<i64>,
    counts: Vec<i64>,
    /// For each step (the new rows of one group at one time): whether the old and the new state
    /// come out.
    shape: Vec<(bool, bool)>,
}

fn for_each_portion(novel: &[Batch], earlier: &[Batch], mut handle: impl FnMut(&Portion, &Reader)) {
    let batches = novel.iter().chain(earlier);
    let mut reader = Reader::new(batches.map(|batch| &batch.chunks[..]));
    let mut novel_cursors = std::mem::take(&mut reader.cursors);
    let earlier_cursors = novel_cursors.split_off(novel.len());
    let mut ahead = Ahead::new(novel_cursors.clone(), earlier_cursors);
    let mut portion = Portion::default();
    let keys: Vec<usize> = match reader.bodies.first() {
        Some(body) => {
            let mut keys = body.varying();
            keys.retain(|column| *column < body.key_columns);
            keys
        }
        None => Vec::new(),
    };
    while let Some((hash, earlier_cursors)) = ahead.next_hash() {
        portion.read_hash(&reader, hash, &mut novel_cursors, earlier_cursors);
        if let (false, Some(group)) = (keys.is_empty(), portion.groups.last()) {
            let first = portion.novel[group.novel.start];
            let of_key = reader.body(first).varying_bytes(first.row as usize, &keys);
            portion.bytes += of_key * 2 * group.novel.len();
        }
        if portion.groups.len() >= GROUPS_AT_ONCE || portion.bytes >= BYTES_AT_ONCE {
            std::mem::take(&mut portion).hand_to(&mut handle, &reader);
        }
    }
    if !portion.groups.is_empty() {
        portion.hand_to(&mut handle, &reader);
    }
}

impl Portion {
    /// Handles the portion against the chunks that it touches.
    fn hand_to(mut self, handle: &mut impl FnMut(&Portion, &Reader), reader: &Reader) {
        let picks = self.novel.iter_mut().chain(&mut self.earlier);
        let bodies = keep_picked(&reader.bodies, picks);
        let touched = Reader {
            bodies,
            cursors: Vec::new(),
        };
        handle(&self, &touched);
    }

    /// Takes in the groups with the hash at which the cursors stand: nearly always one.
    fn read_hash(
        &mut self,
        reader: &Reader,
        hash: u64,
        novel_cursors: &mut [Cursor],
        earlier_cursors: &mut [Cursor],
    ) {
        let (mut novel_start, mut earlier_start) = (self.novel.len(), self.earlier.len());
        drain_hash(novel_cursors, hash, &mut self.novel);
        drain_hash(earlier_cursors, hash, &mut self.earlier);
        let time = |pick: &Pick| reader.body(*pick).times.get(pick.row as usize);
        while novel_start < self.novel.len() {
            let first = self.novel[novel_start];
            let is_same = |pick: &Pick| reader.same_key(*pick, first);
            let novel_end = novel_start + bring_forward(&mut self.novel[novel_start..], is_same);
            let earlier_end =
                earlier_start + bring_forward(&mut self.earlier[earlier_start..], is_same);
            self.novel[novel_start..novel_end].sort_by_key(time);
            self.groups.push(Group {
                earlier: earlier_start..earlier_end,
                novel: novel_start..novel_end,
            });
            (novel_start, earlier_start) = (novel_end, earlier_end);
        }
        // What is left belongs to keys that collide with this hash and did not change.
        self.earlier.truncate(earlier_start);
    }

    /// Calls `visit` for each step with the group's first row, the step's time and its rows.
    fn for_each_step(&self, reader: &Reader, mut visit: impl FnMut(&Group, bool, u64, &[Pick])) {
        let time = |pick: &Pick| reader.body(*pick).times.get(pick.row as usize);
        for group in &self.groups {
            let mut is_first = true;
            for step in self.novel[group.novel.clone()].chunk_by(|a, b| time(a) == time(b)) {
                visit(group, is_first, time(&step[0]), step);
                is_first = false;
            }
        }
    }

    fn aggregate_rows(&self, reader: &Reader) -> AggregateRows {
        let mut rows = AggregateRows {
            picks: Vec::new(),
            times: Vec::new(),
            signs: Vec::new(),
            counts: Vec::new(),
            shape: Vec::new(),
        };
        let count = |pick: &Pick| reader.body(*pick).counts.get(pick.row as usize);
        let mut current = 0i64;
        self.for_each_step(reader, |group, is_first, time, step| {
            if is_first {
                current = self.earlier[group.earlier.clone()].iter().map(count).sum();
            }
            let old = current;
            current += step.iter().map(count).sum::<i64>();
            for (state, sign) in [(old, -1), (current, 1)] {
                if state != 0 {
                    rows.picks.push(step[0]);
                    rows.times.push(time);
                    rows.signs.push(sign);
                    rows.counts.push(state);
                }
            }
            rows.shape.push((old != 0, current != 0));
        });
        rows
    }

    /// An error for each row that comes out with a sum or an average out of the range of its type.
    fn errors(&self, reader: &Reader, key: &SchemaRef, checked: &[CheckedSum]) -> Updates {
        let rows = self.aggregate_rows(reader);
        let (mut texts, mut times, mut signs) = (Vec::new(), Vec::new(), Vec::new());
        for checked in checked {
            let sums = self.accumulate_sum(reader, checked.sum, &rows.shape);
            let excesses = self.accumulate_sum(reader, checked.excess, &rows.shape);
            let counts = checked.count();
            let counts = counts.map(|lane| self.accumulate_sum(reader, lane, &rows.shape));
            for row in 0..rows.picks.len() {
                let (sum, excess) = (sums.get(row), excesses.get(row) as i64);
                let counts = counts.as_ref();
                let count = counts.map_or(rows.counts[row], |counts| counts.get(row) as i64);
                if !checked.is_out_of_range(sum, excess, count) {
                    continue;
                }
                let arrays = key_arrays(reader, &[rows.picks[row]]);
                let group = describe(&batch(Arc::clone(key), arrays, 1));
                let reason = checked.reason();
                texts.push(format!("{reason}; in the group {group}"));
                times.push(rows.times[row]);
                signs.push(rows.signs[row]);
            }
        }
        let number = texts.len();
        let texts: ArrayRef = Arc::new(StringArray::from(texts));
        Updates {
            rows: batch(error_schema(), vec![texts], number),
            times: times.into(),
            counts: signs.into(),
        }
    }

    /// The values of one sum for the rows that come out.
    fn accumulate_sum(&self, reader: &Reader, sum: usize, shape: &[(bool, bool)]) -> SumLane {
        if let Some(lanes) = SumLane::narrow(&reader.bodies, sum) {
            return SumLane::Narrow(self.accumulate(reader, &lanes, shape));
        }
        let lanes = SumLane::wide(&reader.bodies, sum).unwrap_or_default();
        SumLane::Wide(self.accumulate(reader, &lanes, shape))
    }

    fn accumulate<T: Summand>(
        &self,
        reader: &Reader,
        lanes: &[&Lane<T>],
        shape: &[(bool, bool)],
    ) -> Lane<T> {
        if lanes.iter().all(|lane| lane.is_constant(T::ZERO)) {
            let rows = shape
                .iter()
                .map(|(old, new)| usize::from(*old) + usize::from(*new));
            return Lane::Constant(T::ZERO, rows.sum());
        }
        let value = |pick: &Pick| lanes[pick.source as usize].get(pick.row as usize);
        let total = |picks: &[Pick]| picks.iter().map(value).fold(T::ZERO, T::plus);
        let mut values = Vec::with_capacity(2 * shape.len());
        let mut current = T::ZERO;
        let mut emitted = shape.iter();
        self.for_each_step(reader, |group, is_first, _, step| {
            if is_first {
                current = total(&self.earlier[group.earlier.clone()]);
            }
            let (old, new) = emitted.next().copied().unwrap_or_default();
            if old {
                values.push(current);
            }
            current = current.plus(total(step));
            if new {
                values.push(current);
            }
        });
        values.into()
    }

    fn multiplicity_rows(
        &self,
        reader: &Reader,
        of: &impl Fn(i64, i64) -> i64,
    ) -> (Vec<Pick>, Vec<u64>, Vec<i64>) {
        let state = |picks: &[Pick]| {
            let mut total = (0i64, 0i64);
            for pick in picks {
                let (body, row) = (reader.body(*pick), pick.row as usize);
                total.0 += body.counts.get(row);
                total.1 += first_sum(body, row);
            }
            total
        };
        let (mut picks, mut times, mut changes) = (Vec::new(), Vec::new(), Vec::new());
        let mut current = (0i64, 0i64);
        self.for_each_step(reader, |group, is_first, time, step| {
            if is_first {
                current = state(&self.earlier[group.earlier.clone()]);
            }
            let old = of(current.0, current.1);
            let change = state(step);
            current = (current.0 + change.0, current.1 + change.1);
            let difference = of(current.0, current.1) - old;
            if difference != 0 {
                picks.push(step[0]);
                times.push(time);
                changes.push(difference);
            }
        });
        (picks, times, changes)
    }
}

fn first_sum(body: &Body, row: usize) -> i64 {
    match body.sums.first() {
        Some(SumLane::Narrow(lane)) => lane.get(row),
        _ => 0,
    }
}

/// Moves the picks that satisfy the condition to the front, in order, and returns how many.
pub(super) fn bring_forward(picks: &mut [Pick], is_wanted: impl Fn(&Pick) -> bool) -> usize {
    let mut wanted = 0;
    for position in 0..picks.len() {
        if is_wanted(&picks[position]) {
            picks[wanted..=position].rotate_right(1);
            wanted += 1;
        }
    }
    wanted
}
