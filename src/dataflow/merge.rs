//! Merging several batches into one, a chunk at a time.
//!
//! What a merge has done and what it has yet to do add up to what it began with at every moment,
//! so that readers may look at it in between, and what has been merged can be let go.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use super::batch::Batch;
use super::chunk::{Body, Chunk, Selection};
use super::lane::Pick;

/// Rows from which on a chunk that lies apart from all others is kept instead of being copied.
const KEPT_ROWS: usize = Chunk::TARGET_ROWS / 4;

/// Rows from which on the chunks of a batch are packed: below, they are soon merged again, and
/// take little memory anyway.
const PACKED_ROWS: usize = 8 * Chunk::TARGET_ROWS;

/// Rows of batches that are packed all the same in builds for tests, so that histories of a few
/// rows see packed and plain chunks side by side.
const PACKED_IN_TESTS: Range<usize> = 12..1000;

/// A merge of batches that is being carried out.
pub struct Merge {
    sources: Vec<Source>,
    /// Times before this one become it.
    since: Option<u64>,
    merged: Vec<Chunk>,
    rows_left: usize,
    is_packing: bool,
}

/// A batch with the place up to which it has been merged.
struct Source {
    chunks: Arc<Vec<Chunk>>,
    chunk: usize,
    row: usize,
}

impl Merge {
    /// Begins to merge batches; times before `since` (ms) become it, and rows that thereby become
    /// equal are added up.
    pub fn new(batches: impl IntoIterator<Item = Batch>, since: Option<u64>) -> Merge {
        let mut rows_left = 0;
        let source = |batch: Batch| {
            rows_left += batch.rows();
            Source {
                chunks: batch.chunks,
                chunk: 0,
                row: 0,
            }
        };
        Merge {
            sources: batches.into_iter().map(source).collect(),
            since,
            merged: Vec::new(),
            rows_left,
            is_packing: rows_left >= PACKED_ROWS
                || cfg!(debug_assertions) && PACKED_IN_TESTS.contains(&rows_left),
        }
    }

    /// Rows that are still to be merged.
    pub fn rows_left(&self) -> usize {
        self.rows_left
    }

    /// Merges the rows of about one chunk; how many it has read.
    pub fn step(&mut self) -> usize {
        let (chunk, places, rows) = match take_apart(&self.sources) {
            Some((source, chunk)) => {
                let mut places: Vec<_> = self.sources.iter().map(Source::place).collect();
                places[source] = (self.sources[source].chunk + 1, 0);
                let rows = chunk.rows();
                (advance(chunk, self.since), places, rows)
            }
            None => Step::new(&self.sources, self.since).run(),
        };
        for (source, place) in self.sources.iter_mut().zip(places) {
            (source.chunk, source.row) = place;
        }
        self.merged_one(chunk);
        self.rows_left -= rows;
        rows
    }

    /// Joins a chunk to the last one where both are small, so that two neighbours are always more
    /// than one chunk.
    fn merged_one(&mut self, chunk: Option<Chunk>) {
        let Some(chunk) = chunk else { return };
        let (rows, bytes) = (chunk.rows(), chunk.body().all_varying_bytes());
        let neighbour = self.merged.pop_if(|last| {
            last.rows() + rows <= Chunk::TARGET_ROWS
                && last.body().all_varying_bytes() + bytes <= Chunk::TARGET_BYTES
        });
        let chunk = match neighbour {
            Some(last) => Chunk::new(Body::concat(&[last.body(), chunk.body()])),
            None => chunk,
        };
        self.merged.push(match self.is_packing {
            true => chunk.packed(),
            false => chunk,
        });
    }

    /// The result, once no row is left.
    pub fn done(self) -> Option<Batch> {
        Batch::new(self.merged)
    }

    /// What has been merged and what has not, as batches; nothing else is held on to.
    pub fn let_go(&mut self) -> Vec<Batch> {
        let mut batches: Vec<Batch> = Batch::new(self.merged.clone()).into_iter().collect();
        for source in &mut self.sources {
            let rest = Batch::new(source.rest());
            source.chunks = match &rest {
                Some(batch) => Arc::clone(&batch.chunks),
                None => Arc::default(),
            };
            (source.chunk, source.row) = (0, 0);
            batches.extend(rest);
        }
        batches
    }
}

/// Merges batches whole, without a change of times; `None` if all rows cancel out.
pub fn merge_all(mut batches: Vec<Batch>) -> Option<Batch> {
    if batches.len() <= 1 {
        return batches.pop();
    }
    let mut merge = Merge::new(batches, None);
    while merge.rows_left() > 0 {
        merge.step();
    }
    merge.done()
}

impl Source {
    fn place(&self) -> (usize, usize) {
        (self.chunk, self.row)
    }

    fn rest(&self) -> Vec<Chunk> {
        let Some(first) = self.chunks.get(self.chunk) else {
            return Vec::new();
        };
        let first = first.slice(self.row, first.rows() - self.row);
        let others = self.chunks[self.chunk + 1..].iter().cloned();
        std::iter::once(first).chain(others).collect()
    }

    fn hash(&self) -> Option<u64> {
        let chunk = self.chunks.get(self.chunk)?;
        Some(chunk.body().hashes[self.row])
    }
}

/// The next chunk of one source if all of it comes before everything else: it need not be copied.
fn take_apart(sources: &[Source]) -> Option<(usize, Chunk)> {
    let heads = sources.iter().enumerate();
    let heads = heads.filter_map(|(index, source)| Some((source.hash()?, index)));
    let (_, first) = heads.clone().min()?;
    let source = &sources[first];
    let chunk = &source.chunks[source.chunk];
    if source.row > 0 || chunk.rows() < KEPT_ROWS {
        return None;
    }
    let next = source.chunks.get(source.chunk + 1);
    let next = next.and_then(|next| next.body().hashes.first().copied());
    let others = heads.filter(|(_, index)| *index != first);
    let mut behind = others.map(|(hash, _)| hash).chain(next);
    let is_apart = behind.all(|hash| hash > chunk.last_hash());
    is_apart.then(|| (first, chunk.clone()))
}

/// The making of one chunk.
struct Step<'a> {
    heads: Vec<Head<'a>>,
    /// The hash that each of the heads stands at.
    hashes: Vec<u64>,
    places: Vec<(usize, usize)>,
    selection: Selection<'a>,
    /// The columns whose values take different numbers of bytes.
    varying: Vec<usize>,
    /// What those of the picked rows take.
    bytes: usize,
    /// The times of the picked rows, where times change.
    times: Vec<u64>,
    since: Option<u64>,
    rows: usize,
}

/// Where a source stands.
struct Head<'a> {
    index: usize,
    chunks: &'a [Chunk],
    chunk: usize,
    row: usize,
    body: &'a Body,
    /// Position of the body among all that rows are picked from.
    source: u32,
}

impl<'a> Step<'a> {
    fn new(sources: &'a [Source], since: Option<u64>) -> Step<'a> {
        let mut selection = Selection::new(Vec::new());
        selection.picks.reserve(Chunk::TARGET_ROWS);
        let mut heads = Vec::with_capacity(sources.len());
        let mut hashes = Vec::with_capacity(sources.len());
        for (index, source) in sources.iter().enumerate() {
            if let Some(chunk) = source.chunks.get(source.chunk) {
                heads.push(Head {
                    index,
                    chunks: &source.chunks,
                    chunk: source.chunk,
                    row: source.row,
                    body: chunk.body(),
                    source: selection.sources.len() as u32,
                });
                selection.sources.push(chunk.body());
                hashes.push(chunk.body().hashes[source.row]);
            }
        }
        Step {
            heads,
            hashes,
            places: sources.iter().map(Source::place).collect(),
            varying: match selection.sources.first() {
                Some(body) => body.varying(),
                None => Vec::new(),
            },
            bytes: 0,
            selection,
            times: Vec::new(),
            since,
            rows: 0,
        }
    }

    /// The chunk, where each source then stands, and how many rows have been read.
    fn run(mut self) -> (Option<Chunk>, Vec<(usize, usize)>, usize) {
        let is_full = |step: &Step| {
            step.selection.picks.len() >= Chunk::TARGET_ROWS || step.bytes >= Chunk::TARGET_BYTES
        };
        while !is_full(&self) && self.pick_some() {}
        while self.pick_equal() {}
        for head in &self.heads {
            self.places[head.index] = (head.chunk, head.row);
        }
        if self.since.is_some() {
            self.selection.times = Some(self.times);
        }
        (
            self.selection.take().map(Chunk::new),
            self.places,
            self.rows,
        )
    }

    /// Picks the least rows, as far as they come from one source; `false` if none is left.
    fn pick_some(&mut self) -> bool {
        let Some((hash, position, limit)) = self.least() else {
            return false;
        };
        match limit {
            Some(limit) if limit == hash => {
                let first = self.least_of_hash(hash);
                self.pick(first);
            }
            limit => self.pick_below(position, limit),
        }
        true
    }

    /// The least hash that a source stands at, which source that is, and the least of the others.
    fn least(&self) -> Option<(u64, usize, Option<u64>)> {
        let (first, others) = self.hashes.split_first()?;
        let (mut least, mut position, mut limit) = (*first, 0, u64::MAX);
        for (other, hash) in (1..).zip(others) {
            if *hash < least {
                limit = least;
                (least, position) = (*hash, other);
            } else if *hash < limit {
                limit = *hash;
            }
        }
        Some((least, position, (!others.is_empty()).then_some(limit)))
    }

    /// Picks the rows of a source's chunk whose hash is below `limit`, as far as there is room.
    fn pick_below(&mut self, position: usize, limit: Option<u64>) {
        let head = &self.heads[position];
        let (body, source, start) = (head.body, head.source, head.row);
        let room = Chunk::TARGET_ROWS - self.selection.picks.len();
        let end = body.len().min(start + room);
        let mut row = start;
        let is_below = |row: usize| limit.is_none_or(|limit| body.hashes[row] < limit);
        while row < end && is_below(row) && (row == start || self.bytes < Chunk::TARGET_BYTES) {
            let pick = Pick {
                source,
                row: row as u32,
            };
            self.take(body, pick);
            row += 1;
        }
        self.move_to(position, row);
    }

    fn pick(&mut self, position: usize) {
        let head = &self.heads[position];
        let (body, row) = (head.body, head.row);
        let pick = Pick {
            source: head.source,
            row: row as u32,
        };
        self.take(body, pick);
        self.move_to(position, row + 1);
    }

    /// Picks a row that is equal to the last one picked, so that none is in two chunks.
    fn pick_equal(&mut self) -> bool {
        let Some(last) = self.selection.picks.last().copied() else {
            return false;
        };
        let last_body = self.selection.sources[last.source as usize];
        let hash = last_body.hashes[last.row as usize];
        if !self.hashes.contains(&hash) {
            return false;
        }
        let position = self.least_of_hash(hash);
        let head = &self.heads[position];
        let is_equal = self.is_last(head.body, head.row);
        if is_equal {
            self.pick(position);
        }
        is_equal
    }

    /// Which of the sources that stand at a hash comes first.
    fn least_of_hash(&self, hash: u64) -> usize {
        let heads = self.heads.iter().zip(&self.hashes).enumerate();
        let heads = heads.filter(|(_, (_, other))| **other == hash);
        let heads = heads.map(|(position, (head, _))| (position, head));
        let least = heads.min_by(|(_, left), (_, right)| {
            left.body
                .compare_within_hash(left.row, right.body, right.row)
                .then_with(|| {
                    let left_time = self.time(left.body, left.row);
                    left_time.cmp(&self.time(right.body, right.row))
                })
        });
        least.map_or(0, |(position, _)| position)
    }

    fn time(&self, body: &Body, row: usize) -> u64 {
        let time = body.times.get(row);
        self.since.map_or(time, |since| time.max(since))
    }

    fn take(&mut self, body: &Body, pick: Pick) {
        self.rows += 1;
        if self.is_last(body, pick.row as usize) {
            self.selection.add_to_last(pick);
            return;
        }
        self.selection.picks.push(pick);
        self.bytes += body.varying_bytes(pick.row as usize, &self.varying);
        if self.since.is_some() {
            self.times.push(self.time(body, pick.row as usize));
        }
    }

    /// Whether a row is equal to the last one picked, and at the same time.
    fn is_last(&self, body: &Body, row: usize) -> bool {
        let Some(last) = self.selection.picks.last() else {
            return false;
        };
        let (last_body, last_row) = (
            self.selection.sources[last.source as usize],
            last.row as usize,
        );
        last_body.hashes[last_row] == body.hashes[row]
            && self.time(last_body, last_row) == self.time(body, row)
            && last_body.compare_within_hash(last_row, body, row) == Ordering::Equal
    }

    /// Moves a source on within its chunk, or to the next one at its end.
    fn move_to(&mut self, position: usize, row: usize) {
        let head = &mut self.heads[position];
        head.row = row;
        if row == head.body.len() {
            (head.chunk, head.row) = (head.chunk + 1, 0);
            let Some(next) = head.chunks.get(head.chunk) else {
                self.places[head.index] = (head.chunk, 0);
                self.heads.swap_remove(position);
                self.hashes.swap_remove(position);
                return;
            };
            head.body = next.body();
            head.source = self.selection.sources.len() as u32;
            self.selection.sources.push(head.body);
        }
        self.hashes[position] = head.body.hashes[head.row];
    }
}

/// Moves times up to `since` and adds up rows that thereby become equal. No group of equal rows
/// may continue in a neighbouring chunk.
fn advance(chunk: Chunk, since: Option<u64>) -> Option<Chunk> {
    let Some(since) = since else {
        return Some(chunk);
    };
    let body = chunk.body();
    let may_combine = |row: usize| {
        body.hashes[row] == body.hashes[row - 1]
            && body.orders.get(row) == body.orders.get(row - 1)
            && body.times.get(row - 1) <= since
    };
    if !(1..body.len()).any(may_combine) {
        if body.times.iter().all(|time| time >= since) {
            return Some(chunk);
        }
        let times: Vec<u64> = body.times.iter().map(|time| time.max(since)).collect();
        return Some(Chunk::new(Body {
            times: times.into(),
            ..body.clone()
        }));
    }
    let source = Source {
        chunks: Arc::new(vec![chunk]),
        chunk: 0,
        row: 0,
    };
    let sources = [source];
    let mut step = Step::new(&sources, Some(since));
    while step.pick_some() {}
    step.run().0
}
