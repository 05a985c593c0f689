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

/// Sorts and consolidates rows that come in several parts; `None` if nothing remains. The chunk may
/// be larger than [`Chunk::TARGET_ROWS`].
pub fn form(parts: Vec<Unsorted>) -> Option<Chunk> {
    let parts = parts.into_iter().filter(|part| part.times.len() > 0);
    let bodies: Vec<Body> = parts.map(hashed).collect();
    if let [body] = &bodies[..]
        && is_formed(body)
    {
        return bodies.into_iter().next().map(Chunk::new);
    }
    let bodies: Vec<&Body> = bodies.iter().collect();
    let mut order = sort_by_hash(&bodies);
    if bodies.iter().any(|body| has_zeros(body)) {
        order.retain(|pick| !is_zero(bodies[pick.source as usize], pick.row as usize));
    }
    sort_ties(&bodies, &mut order);
    let mut selection = Selection::new(bodies);
    selection.picks.reserve(order.len());
    let mut previous: Option<Pick> = None;
    for pick in order {
        if previous.is_some_and(|other| is_equal(&selection.sources, other, pick)) {
            selection.add_to_last(pick);
        } else {
            selection.picks.push(pick);
        }
        previous = Some(pick);
    }
    selection.take().map(Chunk::new)
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

fn is_equal(bodies: &[&Body], left: Pick, right: Pick) -> bool {
    let (left_body, left_row) = (bodies[left.source as usize], left.row as usize);
    let (right_body, right_row) = (bodies[right.source as usize], right.row as usize);
    left_body.hashes[left_row] == right_body.hashes[right_row]
        && left_body.times.get(left_row) == right_body.times.get(right_row)
        && left_body.compare_within_hash(left_row, right_body, right_row) == Ordering::Equal
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
fn sort_ties(bodies: &[&Body], order: &mut [Pick]) {
    let hash = |pick: Pick| bodies[pick.source as usize].hashes[pick.row as usize];
    let mut start = 0;
    while start < order.len() {
        let mut end = start + 1;
        while end < order.len() && hash(order[end]) == hash(order[start]) {
            end += 1;
        }
        if end > start + 1 {
            order[start..end].sort_unstable_by(|left, right| {
                let (body, row) = (bodies[left.source as usize], left.row as usize);
                let (other, other_row) = (bodies[right.source as usize], right.row as usize);
                body.compare_within_hash(row, other, other_row)
                    .then_with(|| body.times.get(row).cmp(&other.times.get(other_row)))
            });
        }
        start = end;
    }
}

/// All rows in ascending order of their hashes: one counting pass over the top bits leaves buckets
/// of a few rows, as hashes are uniform.
fn sort_by_hash(bodies: &[&Body]) -> Vec<Pick> {
    let length: usize = bodies.iter().map(|body| body.len()).sum();
    let bits = (usize::BITS - (length / 4).leading_zeros()).clamp(1, 16);
    let bucket = |hash: u64| (hash >> (64 - bits)) as usize;
    let mut starts = vec![0u32; (1 << bits) + 1];
    for hash in bodies.iter().flat_map(|body| body.hashes.iter()) {
        starts[bucket(*hash) + 1] += 1;
    }
    for index in 1..starts.len() {
        starts[index] += starts[index - 1];
    }
    let mut next = starts.clone();
    let mut sorted = vec![(0u64, Pick { source: 0, row: 0 }); length];
    for (source, body) in (0u32..).zip(bodies) {
        for (row, hash) in (0u32..).zip(body.hashes.iter()) {
            let position = &mut next[bucket(*hash)];
            sorted[*position as usize] = (*hash, Pick { source, row });
            *position += 1;
        }
    }
    for bounds in starts.windows(2) {
        let run = &mut sorted[bounds[0] as usize..bounds[1] as usize];
        if run.len() > 1 {
            run.sort_unstable();
        }
    }
    sorted.into_iter().map(|(_, pick)| pick).collect()
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
