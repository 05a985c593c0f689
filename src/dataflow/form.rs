//! Forming chunks: hash, sort and consolidate a whole batch of updates at once, before it is
//! exchanged.

use std::cmp::Ordering;

use super::chunk::{Body, Chunk, Selection, SumLane};
use super::column::{Column, hash_rows};
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

/// Sorts and consolidates; `None` if nothing remains. The chunk may be larger than
/// [`Chunk::TARGET_ROWS`].
pub fn form(rows: Unsorted) -> Option<Chunk> {
    let length = rows.times.len();
    if length == 0 {
        return None;
    }
    let (keys, values) = rows.columns.split_at(rows.key_columns);
    let hashes = hash_rows(keys, length);
    let orders = match rows.orders {
        Some(orders) => orders,
        None if values.is_empty() => Lane::Constant(0, length),
        None => Lane::Values(hash_rows(values, length).into()),
    };
    // What an operator gives out by group comes back in order if it is arranged by the same key.
    let is_sorted = hashes.is_sorted();
    let has_ties = !is_sorted || hashes.windows(2).any(|pair| pair[0] == pair[1]);
    let body = Body {
        hashes: hashes.into(),
        orders,
        columns: rows.columns,
        key_columns: rows.key_columns,
        times: rows.times,
        counts: rows.counts,
        sums: rows.sums,
    };
    let has_zeros = has_zeros(&body);
    if !has_ties && !has_zeros {
        return Some(Chunk::new(body));
    }
    let mut order = match is_sorted {
        true => (0..length as u32).collect(),
        false => sort_by_hash(&body.hashes),
    };
    if has_zeros {
        order.retain(|row| !is_zero(&body, *row as usize));
    }
    sort_ties(&body, &mut order);
    let mut selection = Selection::new(vec![&body]);
    selection.picks.reserve(order.len());
    let mut previous: Option<u32> = None;
    for row in order {
        let pick = Pick { source: 0, row };
        if previous.is_some_and(|other| is_equal(&body, other as usize, row as usize)) {
            selection.add_to_last(pick);
        } else {
            selection.picks.push(pick);
        }
        previous = Some(row);
    }
    selection.take().map(Chunk::new)
}

fn is_equal(body: &Body, left: usize, right: usize) -> bool {
    body.hashes[left] == body.hashes[right]
        && body.times.get(left) == body.times.get(right)
        && body.compare_within_hash(left, body, right) == Ordering::Equal
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

/// Orders runs of one hash by order lane, columns and time.
fn sort_ties(body: &Body, order: &mut [u32]) {
    let hash = |row: u32| body.hashes[row as usize];
    let mut start = 0;
    while start < order.len() {
        let mut end = start + 1;
        while end < order.len() && hash(order[end]) == hash(order[start]) {
            end += 1;
        }
        if end > start + 1 {
            order[start..end].sort_unstable_by(|left, right| {
                let (left, right) = (*left as usize, *right as usize);
                body.compare_within_hash(left, body, right)
                    .then_with(|| body.times.get(left).cmp(&body.times.get(right)))
            });
        }
        start = end;
    }
}

/// Row numbers in ascending order of their hashes: one counting pass over the top bits leaves
/// buckets of a few rows, as hashes are uniform.
fn sort_by_hash(hashes: &[u64]) -> Vec<u32> {
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
    for (row, hash) in hashes.iter().enumerate() {
        let position = &mut next[bucket(*hash)];
        sorted[*position as usize] = (*hash, row as u32);
        *position += 1;
    }
    for bounds in starts.windows(2) {
        let run = &mut sorted[bounds[0] as usize..bounds[1] as usize];
        if run.len() > 1 {
            run.sort_unstable();
        }
    }
    sorted.into_iter().map(|(_, row)| row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorting_by_hash_sorts() {
        for length in [0usize, 1, 2, 63, 5000] {
            let hashes: Vec<u64> = (0..length as u64)
                .map(|row| (row % 97).wrapping_mul(0x9e37_79b9_7f4a_7c15))
                .collect();
            let order = sort_by_hash(&hashes);
            assert_eq!(order.len(), length);
            let is_sorted = order
                .windows(2)
                .all(|pair| hashes[pair[0] as usize] <= hashes[pair[1] as usize]);
            assert!(is_sorted, "length {length}");
        }
    }
}
