//! Looking rows up for several hashes at once.
//!
//! What is looked for lies in memory that no cache has, and a processor waits for many places of it
//! in the time of one, if it knows of them. So the next few hashes are looked up together, each of
//! them in every batch.

use super::cursor::{Cursor, least_hash, seek_each};

/// Hashes that are looked up together.
const HASHES: usize = 16;

/// The hashes of some batches in ascending order, and where other batches have rows of them.
pub struct Ahead<'a> {
    /// At the hashes that are yet to be looked up.
    scouts: Vec<Cursor<'a>>,
    /// One for each of the other batches, at or before the rows that are yet to be looked up.
    cursors: Vec<Cursor<'a>>,
    /// Those that have been looked up.
    hashes: Vec<u64>,
    /// For each of them the cursors of the other batches.
    found: Vec<Cursor<'a>>,
    /// Which of them comes next.
    next: usize,
}

impl<'a> Ahead<'a> {
    /// Goes through the hashes from the `scouts` on and looks them up with the `cursors`.
    pub fn new(scouts: Vec<Cursor<'a>>, cursors: Vec<Cursor<'a>>) -> Ahead<'a> {
        Ahead {
            scouts,
            cursors,
            hashes: Vec::new(),
            found: Vec::new(),
            next: 0,
        }
    }

    /// The next hash, and the cursors at the first rows that are not before it. They may be moved
    /// on over the rows of the hash.
    pub fn next_hash(&mut self) -> Option<(u64, &mut [Cursor<'a>])> {
        if self.next == self.hashes.len() {
            self.look_up();
        }
        let hash = *self.hashes.get(self.next)?;
        let start = self.next * self.cursors.len();
        let end = start + self.cursors.len();
        self.next += 1;
        Some((hash, &mut self.found[start..end]))
    }

    fn look_up(&mut self) {
        let count = self.cursors.len();
        // The rows of the next hashes are behind those of the last one.
        if let Some(last) = self.found.len().checked_sub(count) {
            self.cursors.clone_from_slice(&self.found[last..]);
        }
        self.hashes.clear();
        self.found.clear();
        self.next = 0;
        while self.hashes.len() < HASHES
            && let Some(hash) = least_hash(&self.scouts)
        {
            self.hashes.push(hash);
            self.found.extend_from_slice(&self.cursors);
            for scout in &mut self.scouts {
                while scout.hash() == Some(hash) {
                    scout.step();
                }
            }
        }
        let hashes = &self.hashes;
        seek_each(&mut self.found, |position| hashes[position / count]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::chunk::Chunk;
    use super::super::cursor::drain_hash;
    use super::super::cursor::tests::chunk;
    use super::*;

    fn batches(lists: &[Vec<u64>], rows: usize) -> Vec<Vec<Chunk>> {
        let chunks = |hashes: &Vec<u64>| -> Vec<Chunk> {
            let chunks = hashes.chunks(rows);
            chunks.map(chunk).collect()
        };
        lists.iter().map(chunks).collect()
    }

    fn cursors(batches: &[Vec<Chunk>]) -> Vec<Cursor<'_>> {
        let batches = batches.iter();
        batches.map(|chunks| Cursor::new(chunks, 0)).collect()
    }

    fn lists(longest: usize, most: usize) -> impl Strategy<Value = Vec<Vec<u64>>> {
        let list = prop::collection::vec(0u64..300, 0..longest).prop_map(|mut hashes| {
            hashes.sort_unstable();
            hashes
        });
        prop::collection::vec(list, 0..most)
    }

    proptest! {
        #[test]
        fn each_hash_is_found_where_the_batches_have_it(
            wanted in lists(60, 3),
            held in lists(200, 4),
            rows in 1usize..50,
            are_moved in any::<bool>(),
        ) {
            let (wanted_batches, held_batches) = (batches(&wanted, rows), batches(&held, rows));
            let mut ahead = Ahead::new(cursors(&wanted_batches), cursors(&held_batches));
            let mut seen = Vec::new();
            while let Some((hash, found)) = ahead.next_hash() {
                seen.push(hash);
                prop_assert_eq!(found.len(), held.len());
                for (cursor, hashes) in found.iter().zip(&held) {
                    let place = hashes.partition_point(|other| *other < hash);
                    prop_assert_eq!(cursor.hash(), hashes.get(place).copied());
                    let (chunk, row) = cursor.place();
                    prop_assert_eq!((chunk * rows + row).min(hashes.len()), place);
                }
                if are_moved {
                    drain_hash(found, hash, &mut Vec::new());
                }
            }
            let mut expected = wanted.concat();
            expected.sort_unstable();
            expected.dedup();
            prop_assert_eq!(seen, expected);
        }
    }
}
