//! Reading sorted batches by hash.

use std::cmp::Ordering;

use super::chunk::{Body, Chunk};
use super::lane::Pick;

/// A forward position in the chunks of one batch.
///
/// Positions are given to callers as [`Pick`]s whose source is the chunk's position among all
/// chunks being read, of which this batch's begin at `offset`.
#[derive(Clone)]
pub struct Cursor<'a> {
    chunks: &'a [Chunk],
    offset: u32,
    chunk: usize,
    row: usize,
    /// Where [`seek_each`] takes the wanted row to be.
    guess: Guess,
}

/// A row of the current chunk that is near the wanted one.
#[derive(Clone, Copy, Default)]
struct Guess {
    row: usize,
    /// Its hash.
    hash: u64,
    /// Rows for each step of the hash.
    density: f64,
}

impl<'a> Cursor<'a> {
    /// A cursor at the first row; `offset` is the position of the batch's first chunk among the
    /// chunks that are read together.
    pub fn new(chunks: &'a [Chunk], offset: u32) -> Cursor<'a> {
        Cursor::at(chunks, offset, (0, 0))
    }

    /// A cursor at a place that [`place`](Self::place) gave.
    pub fn at(chunks: &'a [Chunk], offset: u32, (chunk, row): (usize, usize)) -> Cursor<'a> {
        Cursor {
            chunks,
            offset,
            chunk,
            row,
            guess: Guess::default(),
        }
    }

    /// Where the cursor stands: chunk and row.
    pub fn place(&self) -> (usize, usize) {
        (self.chunk, self.row)
    }

    /// All chunks of the batch.
    pub fn chunks(&self) -> &'a [Chunk] {
        self.chunks
    }

    /// Position of the batch's first chunk among the chunks that are read together.
    pub fn offset(&self) -> u32 {
        self.offset
    }

    /// The hash of the last row of the current chunk and of the first row of the next one.
    pub fn chunk_bounds(&self) -> Option<(u64, Option<u64>)> {
        let chunk = self.chunks.get(self.chunk)?;
        let next = self.chunks.get(self.chunk + 1);
        let next = next.and_then(|chunk| chunk.body().hashes.first().copied());
        Some((chunk.last_hash(), next))
    }

    /// Moves on by some rows of the current chunk.
    pub fn step_rows(&mut self, rows: usize) {
        self.row += rows;
        if self.body().is_some_and(|body| self.row == body.len()) {
            self.chunk += 1;
            self.row = 0;
        }
    }

    /// The chunk at the position; `None` at the end.
    #[inline]
    pub fn body(&self) -> Option<&'a Body> {
        self.chunks.get(self.chunk).map(Chunk::body)
    }

    /// The hash at the position; `None` at the end.
    #[inline]
    pub fn hash(&self) -> Option<u64> {
        self.body().map(|body| body.hashes[self.row])
    }

    /// The row at the position; only meaningful before the end.
    #[inline]
    pub fn pick(&self) -> Pick {
        Pick {
            source: self.offset + self.chunk as u32,
            row: self.row as u32,
        }
    }

    /// Moves on by one row.
    #[inline]
    pub fn step(&mut self) {
        let Some(body) = self.body() else { return };
        self.row += 1;
        if self.row == body.len() {
            self.chunk += 1;
            self.row = 0;
        }
    }

    /// Moves back by one row; `false` at the first row.
    #[inline]
    pub fn step_back(&mut self) -> bool {
        if self.row > 0 {
            self.row -= 1;
            return true;
        }
        if self.chunk == 0 {
            return false;
        }
        self.chunk -= 1;
        self.row = self.chunks[self.chunk].rows() - 1;
        true
    }

    /// Moves on by one row of the same hash, forwards or backwards; `false` if there is none, and
    /// the position then means nothing.
    pub fn step_within_hash(&mut self, backwards: bool) -> bool {
        let hash = self.hash();
        let has_moved = match backwards {
            false => {
                self.step();
                true
            }
            true => self.step_back(),
        };
        has_moved && self.hash() == hash
    }

    /// Moves behind all rows of a hash.
    pub fn pass(&mut self, hash: u64) {
        match hash.checked_add(1) {
            Some(next) => self.seek(next),
            None => {
                while self.hash().is_some() {
                    self.step();
                }
            }
        }
    }

    /// Moves to the first row at or behind the position for which `is_before` does not hold, which
    /// must hold for a beginning of the rows.
    pub fn seek_row(&mut self, is_before: impl Fn(Pick) -> bool) {
        let pick = |chunk: usize, row: usize| Pick {
            source: self.offset + chunk as u32,
            row: row as u32,
        };
        let (mut low, mut high) = (self.chunk, self.chunks.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match is_before(pick(middle, self.chunks[middle].rows() - 1)) {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        let mut row = if low == self.chunk { self.row } else { 0 };
        let mut end = self.chunks.get(low).map_or(0, Chunk::rows);
        while row < end {
            let middle = row + (end - row) / 2;
            match is_before(pick(low, middle)) {
                true => row = middle + 1,
                false => end = middle,
            }
        }
        (self.chunk, self.row) = (low, row);
    }

    /// Moves to the first row at or behind the position whose hash is at least `hash`.
    pub fn seek(&mut self, hash: u64) {
        seek_all(std::slice::from_mut(self), hash);
    }

    /// Moves to the chunk of a hash and guesses the row by proportion, as hashes are uniform.
    fn approach(&mut self, hash: u64) {
        let last_is_below = |chunk: &Chunk| chunk.last_hash() < hash;
        let Some(rest) = self.chunks.get(self.chunk..) else {
            return;
        };
        if rest.first().is_some_and(last_is_below) {
            self.chunk += 1 + rest[1..].partition_point(last_is_below);
            self.row = 0;
        }
        let Some(chunk) = self.chunks.get(self.chunk) else {
            return;
        };
        let hashes = &chunk.body().hashes;
        // The hash before the first row is at hand, that of the first row is not.
        let before = match (self.row, self.chunk) {
            (0, 1..) => self.chunks[self.chunk - 1].last_hash(),
            (row, _) => hashes[row],
        };
        let span = (hashes.len() - 1 - self.row) as f64;
        let density = span / (chunk.last_hash().saturating_sub(before).max(1)) as f64;
        let rows = (hash.saturating_sub(before) as f64 * density) as usize;
        let row = (self.row + rows).min(hashes.len() - 1);
        self.guess = Guess {
            row,
            hash: hashes[row],
            density,
        };
    }

    /// Makes the guess better by how far it was off.
    fn refine(&mut self, hash: u64) {
        let Some(body) = self.body() else { return };
        let Guess {
            row,
            hash: found,
            density,
        } = self.guess;
        let rows = (found.abs_diff(hash) as f64 * density) as usize;
        let row = match found < hash {
            true => (row + rows).min(body.len() - 1),
            false => row.saturating_sub(rows).max(self.row),
        };
        self.guess.row = row;
        self.guess.hash = body.hashes[row];
    }

    /// Moves to the first row whose hash is at least `hash`, from the guess.
    fn arrive(&mut self, hash: u64) {
        let Some(body) = self.body() else { return };
        let (guess, hashes) = (self.guess.row, &body.hashes);
        self.row = match self.guess.hash < hash {
            true => guess + gallop(&hashes[guess..], hash),
            false => {
                let mut step = 4;
                let mut high = guess;
                while high >= self.row + step && hashes[high - step] >= hash {
                    high -= step;
                    step *= 2;
                }
                let low = high.saturating_sub(step).max(self.row);
                low + hashes[low..high].partition_point(|other| *other < hash)
            }
        };
    }
}

/// Moves each cursor to the first row at or behind its position whose hash is at least `hash`.
pub fn seek_all(cursors: &mut [Cursor], hash: u64) {
    seek_each(cursors, |_| hash);
}

/// The same where each cursor has a hash of its own, by its position.
///
/// What is looked for lies in memory that no cache has. All cursors take each step together, as the
/// processor then waits for all of them at once.
pub fn seek_each(cursors: &mut [Cursor], hash: impl Fn(usize) -> u64) {
    for (position, cursor) in cursors.iter_mut().enumerate() {
        cursor.approach(hash(position));
    }
    for (position, cursor) in cursors.iter_mut().enumerate() {
        cursor.refine(hash(position));
    }
    for (position, cursor) in cursors.iter_mut().enumerate() {
        cursor.arrive(hash(position));
    }
}

/// Takes the rows of a hash from the cursors that stand at it.
#[inline]
pub fn drain_hash(cursors: &mut [Cursor], hash: u64, rows: &mut Vec<Pick>) {
    for cursor in cursors {
        while cursor.hash() == Some(hash) {
            rows.push(cursor.pick());
            cursor.step();
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

/// The chunks of several batches side by side, with a cursor for each batch.
pub struct Reader<'a> {
    /// All chunks, in the order that [`Pick::source`] counts.
    pub bodies: Vec<&'a Body>,
    /// One cursor for each batch.
    pub cursors: Vec<Cursor<'a>>,
}

impl<'a> Reader<'a> {
    /// Reads the given batches, each a list of chunks.
    pub fn new(batches: impl IntoIterator<Item = &'a [Chunk]>) -> Reader<'a> {
        let mut bodies = Vec::new();
        let mut cursors = Vec::new();
        for chunks in batches {
            cursors.push(Cursor::new(chunks, bodies.len() as u32));
            bodies.extend(chunks.iter().map(Chunk::body));
        }
        Reader { bodies, cursors }
    }

    /// Compares two rows of one hash without their times.
    #[inline]
    pub fn compare(&self, left: Pick, right: Pick) -> Ordering {
        self.body(left)
            .compare_within_hash(left.row as usize, self.body(right), right.row as usize)
    }

    /// The same by so many of the first columns.
    #[inline]
    pub fn compare_first(&self, left: Pick, right: Pick, columns: usize) -> Ordering {
        let (row, other_row) = (left.row as usize, right.row as usize);
        self.body(left)
            .compare_first(row, self.body(right), other_row, columns)
    }

    /// Whether two rows have the same key.
    #[inline]
    pub fn same_key(&self, left: Pick, right: Pick) -> bool {
        self.body(left)
            .same_key(left.row as usize, self.body(right), right.row as usize)
    }

    /// The chunk of a pick.
    #[inline]
    pub fn body(&self, pick: Pick) -> &'a Body {
        self.bodies[pick.source as usize]
    }
}

/// The bodies that picks refer to, and no others; the picks are made to refer to the result.
///
/// Gathering looks at each body once for every column, so after a small change of a large
/// arrangement it must be spared all those that the change does not touch.
pub fn keep_picked<'a, 'p>(
    bodies: &[&'a Body],
    picks: impl IntoIterator<Item = &'p mut Pick>,
) -> Vec<&'a Body> {
    const UNSEEN: u32 = u32::MAX;
    let mut places = vec![UNSEEN; bodies.len()];
    let mut kept = Vec::new();
    for pick in picks {
        let place = &mut places[pick.source as usize];
        if *place == UNSEEN {
            *place = kept.len() as u32;
            kept.push(bodies[pick.source as usize]);
        }
        pick.source = *place;
    }
    kept
}

/// The least hash any of the cursors stands at.
#[inline]
pub fn least_hash(cursors: &[Cursor]) -> Option<u64> {
    cursors.iter().filter_map(Cursor::hash).min()
}

#[cfg(test)]
pub mod tests {
    use proptest::prelude::*;

    use super::super::lane::Lane;
    use super::*;

    /// Rows that are nothing but these hashes.
    pub fn chunk(hashes: &[u64]) -> Chunk {
        let rows = hashes.len();
        Chunk::new(Body {
            hashes: hashes.to_vec().into(),
            orders: Lane::Constant(0, rows),
            columns: Vec::new(),
            key_columns: 0,
            times: Lane::Constant(0, rows),
            counts: Lane::Constant(1, rows),
            sums: Vec::new(),
        })
    }

    fn sorted(mut hashes: Vec<u64>) -> Vec<u64> {
        hashes.sort_unstable();
        hashes
    }

    proptest! {
        #[test]
        fn seeking_finds_the_first_row_that_is_not_before(
            even in prop::collection::vec(any::<u64>(), 0..200),
            dense in prop::collection::vec(0u64..40, 0..60),
            shift in 0u32..64,
            rows in 1usize..50,
            wanted in prop::collection::vec((any::<u64>(), 0u64..45, any::<bool>()), 1..20),
        ) {
            let far = u64::MAX - 39;
            let near = dense.iter().map(|hash| far + hash);
            let shifted = dense.iter().map(|hash| hash << shift);
            let batches = [
                sorted(even),
                sorted(dense.clone()),
                sorted(near.chain(shifted).collect()),
            ];
            let chunks = batches.each_ref().map(|hashes| {
                hashes.chunks(rows).map(chunk).collect::<Vec<Chunk>>()
            });
            let mut cursors = Vec::new();
            for chunks in &chunks {
                cursors.push(Cursor::new(chunks, 0));
            }
            let wanted = wanted.iter().map(|(even, near, is_even)| match is_even {
                true => *even,
                false => far.saturating_add(*near),
            });
            for hash in sorted(wanted.collect()) {
                seek_all(&mut cursors, hash);
                for (cursor, hashes) in cursors.iter().zip(&batches) {
                    let place = hashes.partition_point(|other| *other < hash);
                    prop_assert_eq!(cursor.hash(), hashes.get(place).copied());
                    let (chunk, row) = cursor.place();
                    prop_assert_eq!((chunk * rows + row).min(hashes.len()), place);
                }
            }
        }
    }
}
