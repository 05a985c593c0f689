//! How differential merges, splits and compacts sequences of [`Chunk`]s.
//!
//! The contracts are those of [`differential_dataflow::trace::chunk::Chunk`]; times are totally
//! ordered, so a frontier is at most one time.

use std::cmp::Ordering;
use std::collections::VecDeque;

use differential_dataflow::trace::chunk::{Chunk as ChunkContract, pack};
use timely::progress::Antichain;
use timely::progress::frontier::AntichainRef;

use super::chunk::{Body, Chunk, Selection};
use super::lane::Pick;

impl ChunkContract for Chunk {
    type Time = u64;
    const TARGET: usize = Chunk::TARGET_ROWS;

    fn len(&self) -> usize {
        self.rows()
    }

    /// Gives one chunk at most: what is merged at a time is what holds up other work.
    fn merge(left: &mut VecDeque<Self>, right: &mut VecDeque<Self>, merged: &mut VecDeque<Self>) {
        if let Some(apart) = take_apart(left, right) {
            merged.push_back(apart);
            return;
        }
        let lefts = take_window(left);
        let rights = take_window(right);
        let sources = lefts.iter().chain(&rights).map(Chunk::body).collect();
        let mut selection = Selection::new(sources);
        selection.picks.reserve(Self::TARGET);
        let mut from_left = Position::new(&lefts, 0);
        let mut from_right = Position::new(&rights, lefts.len());
        // A step picks up to two rows where rows of both sides meet.
        let is_full = |selection: &Selection| selection.picks.len() + 1 >= Self::TARGET;
        while !from_left.is_at_end() && !from_right.is_at_end() && !is_full(&selection) {
            merge_step(&mut from_left, &mut from_right, &mut selection);
        }
        merged.extend(selection.take().map(Chunk::new));
        give_back(left, from_left.rest());
        give_back(right, from_right.rest());
    }

    fn extract(
        input: &mut VecDeque<Self>,
        frontier: AntichainRef<u64>,
        residual: &mut Antichain<u64>,
        keep: &mut VecDeque<Self>,
        ship: &mut VecDeque<Self>,
    ) {
        let Some(chunk) = input.pop_front() else {
            return;
        };
        let body = chunk.body();
        let kept = body.times.iter().filter(|time| frontier.less_equal(time));
        let mut count = 0;
        for time in kept {
            residual.insert(time);
            count += 1;
        }
        if count == 0 {
            ship.push_back(chunk);
        } else if count == body.len() {
            keep.push_back(chunk);
        } else {
            keep.extend(filter(body, |time| frontier.less_equal(&time)));
            ship.extend(filter(body, |time| !frontier.less_equal(&time)));
        }
    }

    fn advance(
        input: &mut VecDeque<Self>,
        frontier: AntichainRef<u64>,
        done: bool,
        advanced: &mut VecDeque<Self>,
    ) {
        let frontier = frontier.first().copied();
        // The last chunk may be continued by what is yet to come, so it is withheld, whole.
        let ready = if done {
            input.len()
        } else {
            input.len().saturating_sub(1)
        };
        let mut carried: Option<Chunk> = None;
        for _ in 0..ready {
            let Some(mut chunk) = input.pop_front() else {
                break;
            };
            if let Some(carry) = carried.take() {
                chunk = concat(&[carry, chunk]);
            }
            if let Some(next) = input.front() {
                let start = last_group_start(&chunk, next);
                let rows = chunk.rows();
                if start < rows {
                    // Advanced at once, so that a group of many chunks is carried as few rows.
                    carried = advance_chunk(chunk.slice(start, rows - start), frontier);
                    if start == 0 {
                        continue;
                    }
                    chunk = chunk.slice(0, start);
                }
            }
            advanced.extend(advance_chunk(chunk, frontier));
        }
        match (carried, input.pop_front()) {
            (Some(carry), Some(last)) => input.push_front(concat(&[carry, last])),
            (Some(carry), None) => advanced.extend(advance_chunk(carry, frontier)),
            (None, Some(last)) => input.push_front(last),
            (None, None) => {}
        }
    }

    fn settle(input: &mut VecDeque<Self>, done: bool, settled: &mut VecDeque<Self>) {
        pack(
            input,
            done,
            settled,
            |run| concat(&run),
            |chunk, rows| {
                let rest = chunk.rows() - rows;
                (chunk.slice(0, rows), chunk.slice(rows, rest))
            },
            |chunk| chunk,
        );
    }
}

/// Chunks of each side that a step of a merge looks at: what a settled sequence needs to fill one.
const WINDOW: usize = 3;

/// The first chunk of one side if all of it comes before the other side: it need not be copied.
fn take_apart(left: &mut VecDeque<Chunk>, right: &mut VecDeque<Chunk>) -> Option<Chunk> {
    let (first_left, first_right) = (left.front()?, right.front()?);
    let is_before = |chunk: &Chunk, other: &Chunk| {
        let first = other.body().hashes.first();
        first.is_some_and(|first| chunk.last_hash() < *first)
    };
    if is_before(first_left, first_right) {
        return left.pop_front();
    }
    if is_before(first_right, first_left) {
        return right.pop_front();
    }
    None
}

fn take_window(chunks: &mut VecDeque<Chunk>) -> Vec<Chunk> {
    let count = chunks.len().min(WINDOW);
    chunks.drain(..count).collect()
}

fn give_back(chunks: &mut VecDeque<Chunk>, rest: impl DoubleEndedIterator<Item = Chunk>) {
    for chunk in rest.rev() {
        chunks.push_front(chunk);
    }
}

/// A place in a list of chunks.
struct Position<'a> {
    chunks: &'a [Chunk],
    /// Added to a chunk's position to give its position among all sources of the merge.
    offset: usize,
    chunk: usize,
    row: usize,
}

impl<'a> Position<'a> {
    fn new(chunks: &'a [Chunk], offset: usize) -> Self {
        Position {
            chunks,
            offset,
            chunk: 0,
            row: 0,
        }
    }

    fn is_at_end(&self) -> bool {
        self.chunk == self.chunks.len()
    }

    fn body(&self) -> &'a Body {
        self.chunks[self.chunk].body()
    }

    fn pick(&self) -> Pick {
        Pick {
            source: (self.offset + self.chunk) as u32,
            row: self.row as u32,
        }
    }

    fn step(&mut self) {
        self.row += 1;
        if self.row == self.body().len() {
            self.chunk += 1;
            self.row = 0;
        }
    }

    /// Picks the rows of the current chunk whose hash is below `limit`, as far as there is room.
    fn pick_below(&mut self, limit: u64, selection: &mut Selection) {
        let room = Chunk::TARGET_ROWS - selection.picks.len();
        let hashes = &self.body().hashes[self.row..];
        let hashes = &hashes[..room.min(hashes.len())];
        let end = self.row + gallop(hashes, limit);
        let source = (self.offset + self.chunk) as u32;
        let rows = self.row as u32..end as u32;
        selection.picks.extend(rows.map(|row| Pick { source, row }));
        self.row = end;
        if end == self.body().len() {
            self.chunk += 1;
            self.row = 0;
        }
    }

    fn rest(self) -> impl DoubleEndedIterator<Item = Chunk> + 'a {
        let head = (!self.is_at_end()).then(|| {
            let chunk = &self.chunks[self.chunk];
            chunk.slice(self.row, chunk.rows() - self.row)
        });
        let tail = self.chunks.get(self.chunk + 1..).unwrap_or_default();
        head.into_iter().chain(tail.iter().cloned())
    }
}

fn merge_step(left: &mut Position, right: &mut Position, selection: &mut Selection) {
    let (left_body, right_body) = (left.body(), right.body());
    let left_hash = left_body.hashes[left.row];
    let right_hash = right_body.hashes[right.row];
    match left_hash.cmp(&right_hash) {
        Ordering::Less => left.pick_below(right_hash, selection),
        Ordering::Greater => right.pick_below(left_hash, selection),
        Ordering::Equal => {
            let ordering = left_body
                .compare_within_hash(left.row, right_body, right.row)
                .then_with(|| {
                    let left_time = left_body.times.get(left.row);
                    left_time.cmp(&right_body.times.get(right.row))
                });
            if ordering != Ordering::Greater {
                selection.picks.push(left.pick());
                left.step();
            }
            match ordering {
                Ordering::Less => {}
                Ordering::Equal => {
                    selection.add_to_last(right.pick());
                    right.step();
                }
                Ordering::Greater => {
                    selection.picks.push(right.pick());
                    right.step();
                }
            }
        }
    }
}

/// How many of the ascending `hashes` are below `limit`, found from the front.
pub fn gallop(hashes: &[u64], limit: u64) -> usize {
    let mut bound = 1;
    while bound < hashes.len() && hashes[bound] < limit {
        bound *= 2;
    }
    let low = bound / 2;
    let high = bound.min(hashes.len());
    low + hashes[low..high].partition_point(|hash| *hash < limit)
}

fn filter(body: &Body, keep: impl Fn(u64) -> bool) -> Option<Chunk> {
    let mut selection = Selection::new(vec![body]);
    let rows = (0..body.len()).filter(|row| keep(body.times.get(*row)));
    selection.picks = rows
        .map(|row| Pick {
            source: 0,
            row: row as u32,
        })
        .collect();
    selection.take().map(Chunk::new)
}

fn concat(run: &[Chunk]) -> Chunk {
    match run {
        [chunk] => chunk.clone(),
        _ => {
            let bodies: Vec<&Body> = run.iter().map(Chunk::body).collect();
            Chunk::new(Body::concat(&bodies))
        }
    }
}

/// Where the last group of equal rows of `chunk` begins if it goes on in `next`, else its end.
fn last_group_start(chunk: &Chunk, next: &Chunk) -> usize {
    let body = chunk.body();
    let last = body.len() - 1;
    if body.compare_rows(last, next.body(), 0) != Ordering::Equal {
        return body.len();
    }
    let mut start = last;
    while start > 0 && body.compare_rows(start - 1, body, last) == Ordering::Equal {
        start -= 1;
    }
    start
}

/// Moves times up to `frontier` and adds up rows that thereby become equal. No group of equal rows
/// may continue in a neighbouring chunk.
fn advance_chunk(chunk: Chunk, frontier: Option<u64>) -> Option<Chunk> {
    let Some(frontier) = frontier else {
        return Some(chunk);
    };
    let body = chunk.body();
    let may_combine = |row: usize| {
        body.hashes[row] == body.hashes[row - 1]
            && body.orders.get(row) == body.orders.get(row - 1)
            && body.times.get(row - 1) <= frontier
    };
    if !(1..body.len()).any(may_combine) {
        if body.times.iter().all(|time| time >= frontier) {
            return Some(chunk);
        }
        let times: Vec<u64> = body.times.iter().map(|time| time.max(frontier)).collect();
        return Some(Chunk::new(Body {
            times: times.into(),
            ..body.clone()
        }));
    }
    let mut selection = Selection::new(vec![body]);
    let mut times: Vec<u64> = Vec::with_capacity(body.len());
    for row in 0..body.len() {
        let pick = Pick {
            source: 0,
            row: row as u32,
        };
        let time = body.times.get(row).max(frontier);
        if times.last() == Some(&time)
            && may_combine(row)
            && body.compare_within_hash(row - 1, body, row) == Ordering::Equal
        {
            selection.add_to_last(pick);
        } else {
            selection.picks.push(pick);
            times.push(time);
        }
    }
    selection.times = Some(times);
    selection.take().map(Chunk::new)
}
