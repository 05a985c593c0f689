//! Counting in the order of a group: what stands before a row, and which row stands at a position.
//!
//! The rows of a group stand in order in each batch of its arrangement. A place in the group is
//! found in each of them by bisection, and the chunks before it tell what they come to, so at most
//! a part of one chunk of each batch is read row by row.

use std::cmp::Ordering;
use std::ops::Range;

use super::super::chunk::Chunk;
use super::super::cursor::{Cursor, Reader};
use super::super::examined::examine;
use super::super::lane::Pick;
use super::super::tally::{Tally, Term};
use super::changed::ChangedGroup;

/// The rows of one group.
pub struct Positions<'a> {
    pub(super) reader: &'a Reader<'a>,
    pub(super) key: Pick,
    /// Those of each of the earlier batches.
    pub(super) runs: Vec<Run<'a>>,
    /// The new ones in order, among them those of later times.
    pub(super) novel: Vec<Pick>,
    pub(super) terms: &'a [Term],
    /// Whether rows with other keys of the same hash stand among them.
    pub(super) is_mixed: bool,
}

/// How many of the rows of each run, and last of the new ones, stand before a place.
pub type Place = Vec<usize>;

/// Consecutive rows of one batch.
pub(super) struct Run<'a> {
    /// The chunks that they are in.
    pub(super) chunks: &'a [Chunk],
    /// Position of the first one among all chunks being read.
    source: u32,
    /// Where they begin in it.
    start: usize,
    /// How many of them are before each chunk, and behind the last.
    pub(super) rows: Vec<usize>,
    /// What those before each chunk come to.
    tallies: Vec<Tally>,
}

impl<'a> Positions<'a> {
    /// The rows of a group whose arrangement is ordered; sums are kept for `terms`.
    pub fn new(reader: &'a Reader<'a>, group: &ChangedGroup<'a>, terms: &'a [Term]) -> Self {
        let earlier = group.earlier_starts(false);
        let runs: Vec<Run> = earlier.map(|start| Run::new(&start, group.hash)).collect();
        let mut novel = group.rows.to_vec();
        novel.sort_by(|left, right| reader.compare(*left, *right));
        let mut positions = Positions {
            reader,
            key: group.key,
            runs,
            novel,
            terms,
            is_mixed: false,
        };
        positions.is_mixed = positions.has_other_keys();
        for run in 0..positions.runs.len() {
            positions.runs[run].tallies = positions.tallies(&positions.runs[run]);
        }
        positions
    }

    fn has_other_keys(&self) -> bool {
        let chunks = self.runs.iter().flat_map(|run| {
            let firsts = run.rows.iter().map(|row| run.pick(*row));
            run.chunks.iter().zip(firsts)
        });
        let mut chunks = chunks.map(|(chunk, first)| {
            let summary = chunk.summary(self.terms);
            summary.is_none_or(|summary| summary.has_collisions)
                || !self.reader.same_key(first, self.key)
        });
        chunks.any(|is_mixed| is_mixed)
    }

    /// What the rows before each chunk of a run come to.
    fn tallies(&self, run: &Run) -> Vec<Tally> {
        let mut tallies = Vec::with_capacity(run.chunks.len());
        let mut before = Tally::none(self.terms);
        for (position, chunk) in run.chunks.iter().enumerate() {
            tallies.push(before.clone());
            if position + 1 == run.chunks.len() {
                break;
            }
            let rows = if position == 0 { run.start } else { 0 }..chunk.rows();
            match chunk.summary(self.terms) {
                Some(summary) if !self.is_mixed && rows.start == 0 => before.plus(&summary.tally),
                _ => self.add(&mut before, chunk, rows, self.terms),
            }
        }
        tallies
    }

    /// Adds rows of a chunk one by one.
    fn add(&self, tally: &mut Tally, chunk: &Chunk, rows: Range<usize>, terms: &[Term]) {
        let body = chunk.body();
        if !self.is_mixed {
            return tally.add(body, rows, terms);
        }
        let (key, key_row) = (self.reader.body(self.key), self.key.row as usize);
        for row in rows {
            if body.same_key(row, key, key_row) {
                tally.add_copies(body, row, body.counts.get(row), terms);
            }
        }
    }

    /// The place behind all rows for which `is_before` holds, which must be a beginning of them.
    pub fn place(&self, is_before: impl Fn(Pick) -> bool) -> Place {
        let runs = self.runs.iter();
        let is_before = |pick: Pick| {
            examine(1);
            is_before(pick)
        };
        let runs = runs.map(|run| bisect(0..run.len(), |row| is_before(run.pick(row))));
        let novel = self.novel.partition_point(|pick| is_before(*pick));
        runs.chain([novel]).collect()
    }

    /// What stood before a place before the new batches (`None`), or as of a time within them.
    pub fn tally(&self, place: &Place, as_of: Option<u64>) -> Tally {
        let mut tally = Tally::none(self.terms);
        for (run, row) in self.runs.iter().zip(place) {
            self.add_run(&mut tally, run, *row, self.terms);
        }
        let novel = place.last().copied().unwrap_or(0);
        for pick in &self.novel[..novel] {
            let (body, row) = (self.reader.body(*pick), pick.row as usize);
            if as_of.is_some_and(|time| body.times.get(row) <= time) {
                tally.add_copies(body, row, body.counts.get(row), self.terms);
            }
        }
        tally
    }

    /// Adds the first rows of a run.
    fn add_run(&self, tally: &mut Tally, run: &Run, rows: usize, terms: &[Term]) {
        let chunk = run.chunk_of(rows).min(run.chunks.len() - 1);
        tally.plus(&run.tallies[chunk]);
        let within = run.place_in(chunk, run.rows[chunk])..run.place_in(chunk, rows);
        self.add(tally, &run.chunks[chunk], within, terms);
    }

    /// The rows as they are at a time.
    pub fn as_of(&self, time: Option<u64>) -> Snapshot<'_, 'a> {
        let mut copies = 0;
        let mut before = vec![0];
        if let Some(time) = time {
            before.extend(self.novel.iter().map(|pick| {
                let (body, row) = (self.reader.body(*pick), pick.row as usize);
                if body.times.get(row) <= time {
                    copies += body.counts.get(row);
                }
                copies
            }));
        } else {
            before.resize(self.novel.len() + 1, 0);
        }
        let mut snapshot = Snapshot {
            positions: self,
            before,
            copies: 0,
        };
        let runs = 0..=self.runs.len();
        let copies = runs.map(|run| snapshot.copies_in(run, 0..self.len(run)));
        snapshot.copies = copies.sum();
        snapshot
    }

    /// Where the rows before a row end in each of the ranges, or those through it.
    fn bounds(&self, ranges: &[Range<usize>], pivot: Pick, through: bool) -> Place {
        let bound = |(run, rows): (usize, &Range<usize>)| {
            bisect(rows.clone(), |row| {
                let ordering = self.reader.compare(self.pick(run, row), pivot);
                ordering == Ordering::Less || through && ordering == Ordering::Equal
            })
        };
        ranges.iter().enumerate().map(bound).collect()
    }

    fn len(&self, run: usize) -> usize {
        self.runs.get(run).map_or(self.novel.len(), Run::len)
    }

    fn pick(&self, run: usize, row: usize) -> Pick {
        examine(1);
        self.runs
            .get(run)
            .map_or_else(|| self.novel[row], |run| run.pick(row))
    }
}

/// The rows of a group at a time.
pub struct Snapshot<'p, 'a> {
    positions: &'p Positions<'a>,
    /// How many copies the first new rows are.
    before: Vec<i64>,
    /// How many rows there are.
    pub copies: i64,
}

impl Snapshot<'_, '_> {
    /// How many copies of rows stand in a range of one of the runs, or of the new rows.
    fn copies_in(&self, run: usize, rows: Range<usize>) -> i64 {
        let positions = self.positions;
        let Some(run) = positions.runs.get(run) else {
            return self.before[rows.end] - self.before[rows.start];
        };
        let (mut copies, mut before) = (Tally::default(), Tally::default());
        let chunk = run.chunk_of(rows.start);
        if chunk < run.chunks.len() && rows.end <= run.rows[chunk + 1] {
            let within = run.place_in(chunk, rows.start)..run.place_in(chunk, rows.end);
            positions.add(&mut copies, &run.chunks[chunk], within, &[]);
        } else {
            positions.add_run(&mut copies, run, rows.end, &[]);
            positions.add_run(&mut before, run, rows.start, &[]);
        }
        copies.copies - before.copies
    }

    /// The row with so many copies of others before it. In each step the row in the middle of the
    /// longest range halves that one, and cuts the other ranges where it stands in them.
    pub fn row_at(&self, position: i64) -> Option<Pick> {
        let positions = self.positions;
        let runs = 0..=positions.runs.len();
        let mut ranges: Vec<Range<usize>> = runs.map(|run| 0..positions.len(run)).collect();
        let mut before = 0;
        let mut found = None;
        loop {
            let longest = ranges.iter().enumerate().max_by_key(|(_, rows)| rows.len());
            let Some((run, rows)) = longest.filter(|(_, rows)| !rows.is_empty()) else {
                return found;
            };
            let pivot = positions.pick(run, rows.start + rows.len() / 2);
            let through = positions.bounds(&ranges, pivot, true);
            let pairs = ranges.iter().zip(&through).enumerate();
            let copies = pairs.map(|(run, (rows, end))| self.copies_in(run, rows.start..*end));
            let copies: i64 = copies.sum();
            if before + copies > position {
                found = Some(pivot);
                let ends = positions.bounds(&ranges, pivot, false);
                for (rows, end) in ranges.iter_mut().zip(ends) {
                    rows.end = end;
                }
            } else {
                before += copies;
                for (rows, start) in ranges.iter_mut().zip(through) {
                    rows.start = start;
                }
            }
        }
    }
}

impl<'a> Run<'a> {
    /// The rows of a hash from the first one on.
    fn new(start: &Cursor<'a>, hash: u64) -> Run<'a> {
        let mut end = start.clone();
        end.pass(hash);
        let ((first, first_row), (last, last_row)) = (start.place(), end.place());
        let behind = if last_row == 0 { last } else { last + 1 };
        let chunks = &start.chunks()[first..behind];
        let mut rows = vec![0];
        let mut sum = 0;
        for (position, chunk) in chunks.iter().enumerate() {
            let from = if position == 0 { first_row } else { 0 };
            let to = match first + position == last {
                true => last_row,
                false => chunk.rows(),
            };
            sum += to - from;
            rows.push(sum);
        }
        Run {
            chunks,
            source: start.offset() + first as u32,
            start: first_row,
            rows,
            tallies: Vec::new(),
        }
    }

    fn len(&self) -> usize {
        self.rows.last().copied().unwrap_or(0)
    }

    fn chunk_of(&self, row: usize) -> usize {
        self.rows[1..].partition_point(|behind| *behind <= row)
    }

    /// Where a row of the run stands in the chunk that it is in.
    pub(super) fn place_in(&self, chunk: usize, row: usize) -> usize {
        let start = if chunk == 0 { self.start } else { 0 };
        start + row - self.rows[chunk]
    }

    fn pick(&self, row: usize) -> Pick {
        let chunk = self.chunk_of(row);
        Pick {
            source: self.source + chunk as u32,
            row: self.place_in(chunk, row) as u32,
        }
    }
}

/// The first number of the range for which `is_before` does not hold.
fn bisect(mut range: Range<usize>, is_before: impl Fn(usize) -> bool) -> usize {
    while !range.is_empty() {
        let middle = range.start + range.len() / 2;
        match is_before(middle) {
            true => range.start = middle + 1,
            false => range.end = middle,
        }
    }
    range.start
}
