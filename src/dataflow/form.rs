//! Forming chunks: hash, sort and consolidate a whole batch of updates at once, before it is
//! exchanged.

use std::cmp::Ordering;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::chunk::{Body, Chunk, Selection, SumLane};
use super::column::Column;
use super::hash::hash_rows;
use super::lane::{Lane, Pick};

/// The parts of rows that are to become a chunk.
pub struct Unsorted {
    /// Key columns, then value columns.
    pub columns: Vec<Column>,
    /// How many of the columns are key columns.
    pub key_columns: usize,
    /// The second sort criterion if it is not a hash of the value columns.
    pub orders: Option<Lane<u64>>,
    pub times: Lane<u64>,
    pub counts: Lane<i64>,
    pub sums: Vec<SumLane>,
}

/// Sorts and consolidates rows that come in several parts; `None` if nothing remains. The chunk may
/// be larger than [`Chunk::TARGET_ROWS`].
pub fn form(parts: Vec<Unsorted>) -> Option<Chunk> {
    let is_ordered = parts.iter().any(|part| part.orders.is_some());
    let parts = parts.into_iter().filter(|part| part.times.len() > 0);
    let bodies: Vec<Body> = parts.map(hashed).collect();
    if let [body] = &bodies[..]
        && is_formed(body)
    {
        return bodies.into_iter().next().map(Chunk::new);
    }
    let bodies: Vec<&Body> = bodies.iter().collect();
    let rows = DistinctRows::of(&bodies, is_ordered);
    let mut sorted = sort_by_hash(&rows.hashes);
    let mut selection = Selection::new(bodies);
    selection.picks.reserve(sorted.len());
    let mut places = vec![0; rows.picks.len()];
    for run in sorted.chunk_by_mut(|left, right| left.0 == right.0) {
        select_hash(run, &rows.picks, &mut selection, &mut places);
    }
    let additions = rows.additions.iter();
    let additions = additions.map(|(row, pick)| (places[*row as usize], *pick));
    selection.additions.extend(additions);
    selection.take().map(Chunk::new)
}

/// Distinct rows after which it is asked whether there are many equal ones; of fewer rows in all,
/// equal ones are not looked for.
const SAMPLE: usize = 1024;

/// Rows without most of those that are equal to one before them. Where many are, as the keys of
/// groups and the lines of an order, few remain to be sorted.
struct DistinctRows {
    hashes: Vec<u64>,
    picks: Vec<Pick>,
    /// The rows that are equal to one of these, with its position.
    additions: Vec<(u32, Pick)>,
}

impl DistinctRows {
    fn of(bodies: &[&Body], is_ordered: bool) -> DistinctRows {
        let length = bodies.iter().map(|body| body.len()).sum();
        let mut rows = DistinctRows {
            hashes: Vec::with_capacity(length),
            picks: Vec::with_capacity(length),
            additions: Vec::new(),
        };
        // Where rows are ordered, many different ones may have both lanes in common. Few rows are
        // sorted sooner than looked for. Given up where most rows turn out to be different.
        let is_worth_it = !is_ordered && length >= SAMPLE;
        let mut known = is_worth_it.then(|| HashTable::with_capacity(SAMPLE));
        for (source, body) in (0u32..).zip(bodies) {
            let has_zeros = has_zeros(body);
            for (row, hash) in (0u32..).zip(body.hashes.iter()) {
                if !has_zeros || !is_zero(body, row as usize) {
                    rows.add(bodies, *hash, Pick { source, row }, known.as_mut());
                }
                if rows.picks.len() % SAMPLE == SAMPLE - 1 && rows.are_mostly_distinct() {
                    known = None;
                }
            }
        }
        rows
    }

    fn are_mostly_distinct(&self) -> bool {
        self.additions.len() < self.picks.len()
    }

    fn add(&mut self, bodies: &[&Body], hash: u64, pick: Pick, known: Option<&mut HashTable<u32>>) {
        let is_equal = |row: u32| {
            let (other, other_hash) = (self.picks[row as usize], self.hashes[row as usize]);
            other_hash == hash && compare(bodies, other, pick) == Ordering::Equal
        };
        let next = self.picks.len() as u32;
        let found = match next.checked_sub(1).filter(|last| is_equal(*last)) {
            None => known.and_then(|known| {
                let of_row = |row: &u32| lanes_hash(bodies, self.picks[*row as usize]);
                match known.entry(lanes_hash(bodies, pick), |row| is_equal(*row), of_row) {
                    Entry::Occupied(equal) => Some(*equal.get()),
                    Entry::Vacant(place) => {
                        place.insert(next);
                        None
                    }
                }
            }),
            last => last,
        };
        match found {
            Some(row) => self.additions.push((row, pick)),
            None => {
                self.hashes.push(hash);
                self.picks.push(pick);
            }
        }
    }
}

/// Of both lanes, so that the rows of a key are told apart by their values.
fn lanes_hash(bodies: &[&Body], pick: Pick) -> u64 {
    let (body, row) = (bodies[pick.source as usize], pick.row as usize);
    body.hashes[row] ^ body.orders.get(row).rotate_left(32)
}

/// Selects the rows of one hash in order, equal ones added up, and notes their places.
fn select_hash(
    rows: &mut [(u64, u32)],
    picks: &[Pick],
    selection: &mut Selection,
    places: &mut [u32],
) {
    if rows.len() > 1 {
        let pick = |row: &(u64, u32)| picks[row.1 as usize];
        rows.sort_by(|left, right| compare(&selection.sources, pick(left), pick(right)));
    }
    let mut previous: Option<Pick> = None;
    for (_, row) in rows {
        let pick = picks[*row as usize];
        let is_same = |other| compare(&selection.sources, other, pick) == Ordering::Equal;
        match previous.is_some_and(is_same) {
            true => selection.add_to_last(pick),
            false => selection.picks.push(pick),
        }
        places[*row as usize] = selection.picks.len() as u32 - 1;
        previous = Some(pick);
    }
}

/// Compares two rows of one hash by order lane, columns and time.
fn compare(bodies: &[&Body], left: Pick, right: Pick) -> Ordering {
    let (body, row) = (bodies[left.source as usize], left.row as usize);
    let (other, other_row) = (bodies[right.source as usize], right.row as usize);
    body.compare_within_hash(row, other, other_row)
        .then_with(|| body.times.get(row).cmp(&other.times.get(other_row)))
}

fn hashed(rows: Unsorted) -> Body {
    let length = rows.times.len();
    let (keys, values) = rows.columns.split_at(rows.key_columns);
    let orders = match rows.orders {
        Some(orders) => orders,
        None if values.is_empty() => Lane::Constant(0, length),
        None => Lane::Values(hash_rows(values, length).into()),
    };
    Body {
        hashes: hash_rows(keys, length).into(),
        orders,
        columns: rows.columns,
        key_columns: rows.key_columns,
        times: rows.times,
        counts: rows.counts,
        sums: rows.sums,
    }
}

/// Whether the rows are a chunk as they stand. What an operator gives out by group comes back in
/// order if it is arranged by the same key.
fn is_formed(body: &Body) -> bool {
    body.hashes.windows(2).all(|pair| pair[0] < pair[1]) && !has_zeros(body)
}

fn has_zeros(body: &Body) -> bool {
    match &body.counts {
        Lane::Constant(count, _) if *count != 0 => false,
        _ => (0..body.len()).any(|row| is_zero(body, row)),
    }
}

fn is_zero(body: &Body, row: usize) -> bool {
    body.counts.get(row) == 0 && body.sums.iter().all(|sum| sum.get(row) == 0)
}

/// Rows in ascending order of their hashes, with these: one counting pass over the top bits leaves
/// buckets of a few rows, as hashes are uniform.
fn sort_by_hash(hashes: &[u64]) -> Vec<(u64, u32)> {
    let bits = (usize::BITS - (hashes.len() / 4).leading_zeros()).clamp(1, 16);
    let bucket = |hash: u64| (hash >> (64 - bits)) as usize;
    let mut starts = vec![0u32; (1 << bits) + 1];
    for hash in hashes {
        starts[bucket(*hash) + 1] += 1;
    }
    for index in 1..starts.len() {
        starts[index] += starts[index - 1];
    }
    let mut next = starts.clone();
    let mut sorted = vec![(0u64, 0u32); hashes.len()];
    for (row, hash) in (0u32..).zip(hashes) {
        let position = &mut next[bucket(*hash)];
        sorted[*position as usize] = (*hash, row);
        *position += 1;
    }
    for bounds in starts.windows(2) {
        let run = &mut sorted[bounds[0] as usize..bounds[1] as usize];
        if run.len() > 1 {
            run.sort_unstable();
        }
    }
    sorted
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::Int64Array;

    use super::*;

    fn part(values: Vec<i64>) -> Unsorted {
        let length = values.len();
        Unsorted {
            columns: vec![Column::new(Arc::new(Int64Array::from(values)))],
            key_columns: 1,
            orders: None,
            times: Lane::Constant(7, length),
            counts: Lane::Constant(1, length),
            sums: Vec::new(),
        }
    }

    #[test]
    fn parts_come_out_sorted_with_equal_rows_added_up() {
        for length in [1i64, 2, 63, 5000] {
            let parts = [0, 1, 2].map(|part_number| {
                part(
                    (0..length)
                        .map(|row| (row * 7 + part_number) % 97)
                        .collect(),
                )
            });
            let chunk = form(parts.into()).expect("rows");
            let body = chunk.body();
            assert!(body.hashes.windows(2).all(|pair| pair[0] < pair[1]));
            assert_eq!(body.counts.iter().sum::<i64>(), 3 * length);
        }
        assert!(form(vec![part(Vec::new())]).is_none());
        assert!(form(Vec::new()).is_none());
    }
}
