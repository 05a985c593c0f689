//! ASOF joins: the newest right row of a key that is not after a left one.
//!
//! The rows of both sides are in one arrangement. In each group the right ones come first, and
//! either side is sorted by time, so the right row of a left one is found by a search, and the left
//! rows of a right one stand together.

use std::cmp::Ordering;
use std::ops::Range;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, UInt32Array, make_comparator};
use arrow::compute::{SortOptions, take};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use datafusion::error::DataFusionError;

use super::super::lane::Pick;
use super::group::{Places, Walk};
use super::recompute::{Evaluate, Segment};
use crate::sql::plan::SortKey;
use crate::sql::plan::function::{Argument, WindowNode};
use crate::sql::plan::reach::Sides;

/// How the sides and times of rows stand in the sort keys of the arrangement.
pub struct AsOf {
    right: Vec<u8>,
    left: Vec<u8>,
    time: Range<usize>,
    /// Whether a right row of the same time does not count.
    is_strict: bool,
}

/// The order of the arrangement: side, time, and what else there is.
pub fn order(window: &WindowNode, sides: Sides) -> Vec<SortKey> {
    let side = SortKey {
        column: sides.is_left,
        descending: false,
        nulls_first: true,
    };
    let others = window
        .order
        .iter()
        .filter(|key| key.column != sides.is_left);
    std::iter::once(side).chain(others.copied()).collect()
}

impl AsOf {
    /// The join of a window's rows.
    pub fn new(window: &WindowNode, sides: Sides) -> AsOf {
        let side = |is_left: bool| encoded(&BooleanArray::from(vec![is_left]));
        let (right, left) = (side(false), side(true));
        let time_type = window.order.first().map(|time| {
            let schema = &window.input.schema;
            schema.field(time.column).data_type().clone()
        });
        let null = arrow::array::new_null_array(&time_type.unwrap_or(DataType::Int64), 1);
        let time = right.len()..right.len() + encoded(&null).len();
        AsOf {
            right,
            left,
            time,
            is_strict: sides.is_strict,
        }
    }

    /// Reads the left rows whose newest right row a change may be, each once, behind the right
    /// rows that are newest for one of them.
    pub fn read(
        &self,
        walk: &Walk,
        changed: &[Pick],
        as_of: Option<u64>,
        rows: &mut Vec<Pick>,
    ) -> Vec<Segment> {
        let count = changed.partition_point(|row| !self.is_left(walk, *row));
        let (rights, lefts) = changed.split_at(count);
        let mut reading = Reading {
            join: self,
            walk,
            as_of,
            rights: Vec::new(),
            lefts: Vec::new(),
        };
        let mut rights = rights.iter().copied().peekable();
        let mut lefts = lefts.iter().copied().peekable();
        while let Some(first) = rights.next() {
            while let Some(left) = lefts.next_if(|left| !self.admits(walk, first, *left)) {
                reading.read_left(left);
            }
            let end = reading.read_rights(first, &mut |row| {
                rights
                    .next_if(|next| walk.is_same_row(*next, row))
                    .is_some()
            });
            reading.read_lefts(first, end, &mut |row| {
                lefts.next_if(|next| walk.is_same_row(*next, row));
            });
        }
        lefts.for_each(|left| reading.read_left(left));
        let start = rows.len();
        rows.append(&mut reading.rights);
        let wanted = rows.len();
        rows.append(&mut reading.lefts);
        vec![Segment {
            rows: start..rows.len(),
            wanted: wanted..rows.len(),
        }]
    }

    /// Whether a right row is not too new for a left one.
    fn admits(&self, walk: &Walk, right: Pick, left: Pick) -> bool {
        let ordering = self.time_of(walk, right).cmp(self.time_of(walk, left));
        ordering.is_lt() || ordering.is_eq() && !self.is_strict
    }

    fn is_left(&self, walk: &Walk, row: Pick) -> bool {
        sort_key(walk, row).starts_with(&self.left)
    }

    fn time_of<'a>(&self, walk: &Walk<'a>, row: Pick) -> &'a [u8] {
        &sort_key(walk, row)[self.time.clone()]
    }

    /// How a row stands to those of a side at the time of another row.
    fn compare(&self, walk: &Walk, row: Pick, side: &[u8], moment: Pick) -> Ordering {
        let target = [side, self.time_of(walk, moment)].concat();
        let (body, group) = (walk.reader.body(row), walk.reader.body(walk.group.key));
        let (row, key) = (row.row as usize, walk.group.key.row as usize);
        // Rows of one hash are ordered by the beginnings of their sort keys, then by their keys.
        let beginning = target.iter().take(8);
        let beginning = beginning.fold(0u64, |word, byte| word << 8 | u64::from(*byte));
        let mut ordering = body.orders.get(row).cmp(&beginning);
        for column in 0..body.key_columns {
            ordering = ordering
                .then_with(|| body.columns[column].compare(row, &group.columns[column], key));
        }
        let own = body.columns[body.key_columns].bytes(row);
        ordering.then_with(|| own[..target.len()].cmp(&target))
    }
}

/// The rows of a group as of a time, as far as they have been read.
struct Reading<'a> {
    join: &'a AsOf,
    walk: &'a Walk<'a>,
    as_of: Option<u64>,
    rights: Vec<Pick>,
    lefts: Vec<Pick>,
}

impl<'a> Reading<'a> {
    /// Takes a left row in, and its right one.
    fn read_left(&mut self, left: Pick) {
        let (_, mut forth) = self.walk.around(left);
        let Some((row, copies)) = self.walk.next_row(&mut forth, self.as_of) else {
            return;
        };
        if copies <= 0 || !self.walk.is_same_row(row, left) {
            return;
        }
        let behind = match self.join.is_strict {
            false => Ordering::Greater,
            true => Ordering::Equal,
        };
        let is_newer =
            |row: Pick| self.join.compare(self.walk, row, &self.join.right, left) >= behind;
        let (mut back, _) = self.walk.split(|row| !is_newer(row));
        self.take_newest(&mut back);
        self.take_left(row, copies);
    }

    /// Takes in the right rows that change one behind the other, beginning with `first`, and the
    /// one before them. Returns the next one.
    fn read_rights(&mut self, first: Pick, changes: &mut dyn FnMut(Pick) -> bool) -> Option<Pick> {
        let (mut back, mut forth) = self.walk.around(first);
        self.take_newest(&mut back);
        while let Some((row, copies)) = self.walk.next_row(&mut forth, self.as_of) {
            if self.join.is_left(self.walk, row) {
                return None;
            }
            if !self.walk.is_same_row(row, first) && !changes(row) && copies > 0 {
                return Some(row);
            }
            if copies > 0 {
                self.take_right(row);
            }
        }
        None
    }

    /// Takes in the left rows that a right row is not too new for, up to those of the next one.
    fn read_lefts(&mut self, first: Pick, end: Option<Pick>, see: &mut dyn FnMut(Pick)) {
        let behind = match self.join.is_strict {
            false => Ordering::Equal,
            true => Ordering::Greater,
        };
        let follows =
            |row: Pick| self.join.compare(self.walk, row, &self.join.left, first) >= behind;
        let (_, mut forth) = self.walk.split(|row| !follows(row));
        while let Some((row, copies)) = self.walk.next_row(&mut forth, self.as_of) {
            if end.is_some_and(|end| self.join.admits(self.walk, end, row)) {
                return;
            }
            see(row);
            self.take_left(row, copies);
        }
    }

    /// Takes in the first right row on the way back.
    fn take_newest(&mut self, back: &mut Places<'a>) {
        while let Some((row, copies)) = self.walk.next_row(back, self.as_of) {
            if copies > 0 {
                return self.take_right(row);
            }
        }
    }

    fn take_right(&mut self, row: Pick) {
        let last = self.rights.last();
        if !last.is_some_and(|last| self.walk.is_same_row(*last, row)) {
            self.rights.push(row);
        }
    }

    fn take_left(&mut self, row: Pick, copies: i64) {
        let copies = usize::try_from(copies).unwrap_or(0);
        self.lefts.extend(std::iter::repeat_n(row, copies));
    }
}

fn sort_key<'a>(walk: &Walk<'a>, row: Pick) -> &'a [u8] {
    let body = walk.reader.body(row);
    body.columns[body.key_columns].bytes(row.row as usize)
}

/// A row of one value as it begins a sort key.
fn encoded(value: &dyn Array) -> Vec<u8> {
    let options = SortOptions {
        descending: false,
        nulls_first: true,
    };
    let field = SortField::new_with_options(value.data_type().clone(), options);
    let value = arrow::array::make_array(value.to_data());
    let rows =
        RowConverter::new(vec![field]).and_then(|converter| converter.convert_columns(&[value]));
    let rows = rows.expect("times and sides have an order");
    rows.row(0).as_ref().to_vec()
}

/// Computes the columns that left rows get from their right ones: the rows come with those of the
/// right side first, either side in the order of time.
pub fn evaluate(window: &WindowNode, sides: Sides) -> Evaluate {
    let columns = window
        .calls
        .iter()
        .map(|call| match call.arguments.first() {
            Some(Argument::Column(column)) => Some(*column),
            _ => None,
        });
    let columns: Option<Vec<usize>> = columns.collect();
    let time = window.order.first().copied();
    Box::new(move |rows| match (&columns, time) {
        (Some(columns), Some(time)) => {
            let newest = newest(rows, time, sides)?;
            let values = columns
                .iter()
                .map(|column| take(rows.column(*column), &newest, None));
            Ok(values.collect::<Result<Vec<_>, _>>()?)
        }
        _ => Err(DataFusionError::Internal(
            "an ASOF join of no columns".to_owned(),
        )),
    })
}

/// For each row the newest right one, by its position; none for those of the right side.
fn newest(rows: &RecordBatch, time: SortKey, sides: Sides) -> Result<UInt32Array, DataFusionError> {
    let options = SortOptions {
        descending: time.descending,
        nulls_first: time.nulls_first,
    };
    let times = rows.column(time.column);
    let compare = make_comparator(times, times, options)?;
    let is_left = rows.column(sides.is_left).as_boolean();
    let rights = is_left
        .iter()
        .take_while(|is_left| *is_left == Some(false))
        .count();
    let admits = |right: usize, left: usize| match compare(right, left) {
        Ordering::Less => true,
        Ordering::Equal => !sides.is_strict,
        Ordering::Greater => false,
    };
    let mut passed = 0;
    let newest = (0..rows.num_rows()).map(|row| {
        if row < rights {
            return None;
        }
        while passed < rights && admits(passed, row) {
            passed += 1;
        }
        passed.checked_sub(1).map(|newest| newest as u32)
    });
    Ok(newest.collect())
}
