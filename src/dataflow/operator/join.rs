//! Inner equi-join of two arrangements: new batches of each side meet all earlier rows of the
//! other, at a cost of the matches.

use std::slice;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use differential_dataflow::operators::join::{Fresh, JoinTactic, join_with_tactic};

use super::super::ahead::Ahead;
use super::super::arrange::{Changes, Index};
use super::super::batch::Batch;
use super::super::chunk::{Chunk, columns};
use super::super::column::Column;
use super::super::cursor::{Reader, drain_hash, keep_picked, seek_all};
use super::super::given_up::GivenUp;
use super::super::lane::Pick;
use super::super::updates::{Updates, batch};

/// Pairs given on at once: bounds memory whatever the number of matches.
const PAIRS_AT_ONCE: usize = 16384;

/// The same in bytes of texts and the like, of which a column may have no more than 2 GiB.
const BYTES_AT_ONCE: usize = 64 << 20;

/// A side of a join.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

/// Emits the pairs of rows with equal keys: for each output column, a column of one of the
/// arrangements by position.
pub fn join<'scope>(
    left: Index<'scope>,
    right: Index<'scope>,
    schema: SchemaRef,
    output: Vec<(Side, usize)>,
) -> Changes<'scope> {
    join_until(left, right, schema, output, GivenUp::default())
}

/// The same until its rows are given up.
pub fn join_until<'scope>(
    left: Index<'scope>,
    right: Index<'scope>,
    schema: SchemaRef,
    output: Vec<(Side, usize)>,
    given_up: GivenUp,
) -> Changes<'scope> {
    let shape = Arc::new(Shape { schema, output });
    join_with_tactic(left, right, "Join", Pairing { shape, given_up })
}

/// What pairs of rows become.
pub struct Shape {
    /// The columns of the result.
    pub schema: SchemaRef,
    /// For each of them a column of one of the sides by position.
    pub output: Vec<(Side, usize)>,
}

struct Pairing {
    shape: Arc<Shape>,
    given_up: GivenUp,
}

impl JoinTactic<u64, Batch, Batch, Updates> for Pairing {
    fn prep(
        &mut self,
        left: Vec<Batch>,
        right: Vec<Batch>,
        _fresh: Fresh,
        _meet: u64,
    ) -> Box<dyn Iterator<Item = Updates>> {
        let meet = |left: u64, right: u64| Some(left.max(right));
        let pairs = pairs(left, right, meet, Arc::clone(&self.shape));
        let given_up = self.given_up.clone();
        Box::new(pairs.take_while(move |_| !given_up.is_set()))
    }
}

/// Rows sorted by key.
pub trait Sorted {
    /// Reads them.
    fn reader(&self) -> Reader<'_>;

    /// How many there are.
    fn rows(&self) -> usize;
}

impl Sorted for Vec<Batch> {
    fn reader(&self) -> Reader<'_> {
        Reader::new(self.iter().map(|batch| &batch.chunks[..]))
    }

    fn rows(&self) -> usize {
        self.iter().map(Batch::rows).sum()
    }
}

impl Sorted for Chunk {
    fn reader(&self) -> Reader<'_> {
        Reader::new([slice::from_ref(self)])
    }

    fn rows(&self) -> usize {
        Chunk::rows(self)
    }
}

/// The pairs of rows with equal keys, a bounded number at once. `meet` gives the time of a pair
/// from those of its rows, or none if they do not meet.
pub fn pairs(
    left: impl Sorted,
    right: impl Sorted,
    meet: impl Fn(u64, u64) -> Option<u64>,
    shape: Arc<Shape>,
) -> impl Iterator<Item = Updates> {
    let smaller = match left.rows() <= right.rows() {
        true => Side::Left,
        false => Side::Right,
    };
    // Where to go on: a hash, and how many of its pairs have been given out.
    let mut resume = Some((0u64, 0usize));
    std::iter::from_fn(move || {
        let mut pairs = Pairs::of(&left.reader(), &right.reader(), &shape);
        let readers = (left.reader(), right.reader());
        resume = pairs.collect(readers, smaller, &meet, resume?);
        if pairs.times.is_empty() && resume.is_none() {
            return None;
        }
        Some(pairs.gather(&left.reader(), &right.reader(), &shape))
    })
}

#[derive(Default)]
struct Pairs {
    left: Vec<Pick>,
    right: Vec<Pick>,
    times: Vec<u64>,
    counts: Vec<i64>,
    /// The columns of each side that come out and whose values take different numbers of bytes.
    varying: (Vec<usize>, Vec<usize>),
    /// What those take.
    bytes: usize,
}

impl Pairs {
    /// None yet.
    fn of(left: &Reader, right: &Reader, shape: &Shape) -> Pairs {
        let varying = |side: Side, reader: &Reader| -> Vec<usize> {
            let Some(body) = reader.bodies.first() else {
                return Vec::new();
            };
            let output = shape.output.iter().filter(|(of, _)| *of == side);
            let output = output.map(|(_, position)| *position);
            output
                .filter(|position| body.columns[*position].varies())
                .collect()
        };
        Pairs {
            varying: (varying(Side::Left, left), varying(Side::Right, right)),
            ..Pairs::default()
        }
    }

    fn are_enough(&self) -> bool {
        self.times.len() >= PAIRS_AT_ONCE || self.bytes >= BYTES_AT_ONCE
    }

    /// Collects a bounded number of pairs and returns where to go on, if there may be more. The
    /// hashes of the side with fewer rows are looked up in the other one.
    fn collect(
        &mut self,
        (mut left, mut right): (Reader, Reader),
        smaller: Side,
        meet: &impl Fn(u64, u64) -> Option<u64>,
        (start, mut skip): (u64, usize),
    ) -> Option<(u64, usize)> {
        let mut left_cursors = std::mem::take(&mut left.cursors);
        let mut right_cursors = std::mem::take(&mut right.cursors);
        seek_all(&mut left_cursors, start);
        seek_all(&mut right_cursors, start);
        let (mut few, many) = match smaller {
            Side::Left => (left_cursors, right_cursors),
            Side::Right => (right_cursors, left_cursors),
        };
        let mut ahead = Ahead::new(few.clone(), many);
        let (mut few_rows, mut many_rows) = (Vec::new(), Vec::new());
        while let Some((hash, many)) = ahead.next_hash() {
            few_rows.clear();
            many_rows.clear();
            drain_hash(&mut few, hash, &mut few_rows);
            drain_hash(many, hash, &mut many_rows);
            if many_rows.is_empty() {
                continue;
            }
            if self.are_enough() {
                return Some((hash, 0));
            }
            let rows = match smaller {
                Side::Left => (&few_rows[..], &many_rows[..]),
                Side::Right => (&many_rows[..], &few_rows[..]),
            };
            let given = self.pair_up((&left, &right), rows, meet, skip);
            if given < few_rows.len() * many_rows.len() {
                return Some((hash, given));
            }
            skip = 0;
        }
        None
    }

    /// Pairs the rows of one hash from the `skip`-th combination on, until there are enough;
    /// returns the number of combinations that have been looked at in all.
    fn pair_up(
        &mut self,
        (left, right): (&Reader, &Reader),
        (left_rows, right_rows): (&[Pick], &[Pick]),
        meet: &impl Fn(u64, u64) -> Option<u64>,
        skip: usize,
    ) -> usize {
        let is_one_key = |reader: &Reader, rows: &[Pick]| {
            rows.iter()
                .all(|pick| has_same_key(reader, *pick, reader, rows[0]))
        };
        let is_simple = is_one_key(left, left_rows) && is_one_key(right, right_rows);
        if is_simple && !has_same_key(left, left_rows[0], right, right_rows[0]) {
            return left_rows.len() * right_rows.len();
        }
        let total = left_rows.len() * right_rows.len();
        for combination in skip..total {
            if self.are_enough() {
                return combination;
            }
            let left_pick = left_rows[combination / right_rows.len()];
            let right_pick = right_rows[combination % right_rows.len()];
            if !is_simple && !has_same_key(left, left_pick, right, right_pick) {
                continue;
            }
            let (left_body, left_row) = (left.body(left_pick), left_pick.row as usize);
            let (right_body, right_row) = (right.body(right_pick), right_pick.row as usize);
            let times = (
                left_body.times.get(left_row),
                right_body.times.get(right_row),
            );
            let Some(time) = meet(times.0, times.1) else {
                continue;
            };
            self.left.push(left_pick);
            self.right.push(right_pick);
            self.bytes += left_body.varying_bytes(left_row, &self.varying.0)
                + right_body.varying_bytes(right_row, &self.varying.1);
            self.times.push(time);
            let count = left_body.counts.get(left_row);
            self.counts.push(count * right_body.counts.get(right_row));
        }
        total
    }

    fn gather(mut self, left: &Reader, right: &Reader, shape: &Shape) -> Updates {
        let left = keep_picked(&left.bodies, &mut self.left);
        let right = keep_picked(&right.bodies, &mut self.right);
        let arrays: Vec<ArrayRef> = shape
            .output
            .iter()
            .map(|(side, position)| {
                let (bodies, picks) = match side {
                    Side::Left => (&left, &self.left),
                    Side::Right => (&right, &self.right),
                };
                let sources = columns(bodies, *position);
                Column::gather(&sources, picks).array()
            })
            .collect();
        Updates {
            rows: batch(Arc::clone(&shape.schema), arrays, self.times.len()),
            times: self.times.into(),
            counts: self.counts.into(),
        }
    }
}

fn has_same_key(left: &Reader, left_pick: Pick, right: &Reader, right_pick: Pick) -> bool {
    left.body(left_pick).same_key(
        left_pick.row as usize,
        right.body(right_pick),
        right_pick.row as usize,
    )
}
