//! Window functions that run on from row to row, from the first changed row on.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Decimal256Type, Int64Type, UInt64Type, i256,
};

use super::super::chunk::Body;
use super::super::extremes::{End, value};
use super::super::lane::Pick;
use super::super::tally::{Tally, Term, Total};
use super::group::Walk;
use super::positions::{Place, Positions};
use super::recompute::Segment;
use crate::sql::plan::running::{Carry, Running};

/// Functions of a window that run on, over an arrangement.
pub struct Resume {
    pub running: Running,
    /// What is summed, for each function that sums, in their order.
    pub terms: Vec<Term>,
}

/// Some rows of a group with what the rows before them come to.
pub struct Resumed {
    pub segment: Segment,
    pub before: Before,
}

/// What is carried on.
#[derive(Clone)]
pub struct Before {
    /// How many rows there are, and their sums.
    pub tally: Tally,
    /// The ends of the terms of which they are wanted.
    pub ends: Vec<Option<i128>>,
}

impl Resume {
    /// Reads the rows of a group whose results may differ between two times, as they are at each
    /// of them, and appends them to `rows`; the second time is `time`.
    ///
    /// Reading begins with the first row that changes, or its first peer, and ends where nothing
    /// that is carried on differs any more. The first rows of the partition that functions depend
    /// on are read before them; where these change, all others may.
    pub fn read(
        &self,
        walk: &Walk,
        positions: &Positions,
        between: [Option<u64>; 2],
        time: u64,
        rows: &mut Vec<Pick>,
    ) -> Option<[Resumed; 2]> {
        let changed = walk.changed_rows(time);
        let (first, last) = (*changed.first()?, *changed.last()?);
        let is_before = |pick: Pick| self.compare(walk, pick, first) == Ordering::Less;
        let place = positions.place(is_before);
        let mut before = positions.tally(&place, between[0]);
        let mut ends = self.ends(positions, &place, between[0]);
        let changes_head = before.copies < self.running.head as i64;
        let mut head = Vec::new();
        let mut places = match changes_head {
            true => {
                before = Tally::none(&self.terms);
                ends.fill(None);
                walk.starts()
            }
            false => {
                head = self.head(walk, between[0], &mut before);
                walk.behind(is_before)
            }
        };
        let mut states = [head.clone(), head.clone()];
        let mut difference = Tally::none(&self.terms);
        let mut reached = [ends.clone(), ends.clone()];
        while let Some((row, [old, new])) = walk.next_counts(&mut places, between) {
            let is_behind = self.compare(walk, row, last) == Ordering::Greater;
            if is_behind && !changes_head && self.is_settled(&difference, &reached) {
                break;
            }
            for (state, copies) in states.iter_mut().zip([old, new]) {
                let copies = usize::try_from(copies).unwrap_or(0);
                state.extend(std::iter::repeat_n(row, copies));
            }
            let (body, row) = (walk.reader.body(row), row.row as usize);
            for (reached, copies) in reached.iter_mut().zip([old, new]) {
                if copies > 0 {
                    self.reach(reached, body, row);
                }
            }
            if old != new {
                difference.add_copies(body, row, new - old, &self.terms);
            }
        }
        Some(states.map(|state| {
            let start = rows.len();
            rows.extend(state);
            let segment = Segment {
                rows: start..rows.len(),
                wanted: start + head.len()..rows.len(),
            };
            let before = Before {
                tally: before.clone(),
                ends: ends.clone(),
            };
            Resumed { segment, before }
        }))
    }

    /// For each term of a least or greatest value, that of the rows before a place.
    fn ends(&self, positions: &Positions, place: &Place, as_of: Option<u64>) -> Vec<Option<i128>> {
        let ends = self.carried().enumerate();
        let ends = ends.map(|(number, carry)| {
            end_of(carry).and_then(|end| positions.extreme(place, as_of, number, end))
        });
        ends.collect()
    }

    /// The carries that have a term, in the order of the terms.
    fn carried(&self) -> impl Iterator<Item = &Carry> {
        let carries = self.running.carries.iter();
        carries.filter(|carry| carry.participants().is_some())
    }

    /// Takes a row into the ends that have been reached.
    fn reach(&self, reached: &mut [Option<i128>], body: &Body, row: usize) {
        let terms = self.carried().zip(&self.terms);
        for ((carry, term), reached) in terms.zip(reached) {
            if let Some(end) = end_of(carry) {
                *reached = end.of(*reached, value(body, row, *term));
            }
        }
    }

    fn compare(&self, walk: &Walk, left: Pick, right: Pick) -> Ordering {
        match self.running.by_peers {
            true => walk.compare_peers(left, right),
            false => walk.reader.compare(left, right),
        }
    }

    /// The first rows of the group; they no longer count as rows before those that are read.
    fn head(&self, walk: &Walk, as_of: Option<u64>, before: &mut Tally) -> Vec<Pick> {
        let wanted = self.running.head as usize;
        let mut head = Vec::new();
        let mut places = walk.starts();
        while head.len() < wanted
            && let Some((row, copies)) = walk.next_row(&mut places, as_of)
        {
            let room = wanted - head.len();
            let copies = usize::try_from(copies).unwrap_or(0).min(room);
            head.extend(std::iter::repeat_n(row, copies));
        }
        let mut read = Tally::none(&self.terms);
        for pick in &head {
            let body = walk.reader.body(*pick);
            read.add_copies(body, pick.row as usize, 1, &self.terms);
        }
        before.minus(&read);
        head
    }

    /// Whether all that is carried on is the same although rows have changed.
    fn is_settled(&self, difference: &Tally, reached: &[Vec<Option<i128>>; 2]) -> bool {
        let none = Total::default();
        let ends = reached[0].iter().zip(&reached[1]);
        let mut totals = difference.totals.iter().zip(ends);
        let mut carries = self.running.carries.iter();
        carries.all(|carry| match carry {
            Carry::Nothing => true,
            Carry::Rows => difference.copies == 0,
            Carry::Count(_) => totals.next().is_none_or(|(total, _)| total.present == 0),
            Carry::Sum(_) => totals.next().is_none_or(|(total, _)| *total == none),
            Carry::Least(_) | Carry::Greatest(_) => {
                totals.next().is_none_or(|(_, (old, new))| old == new)
            }
        })
    }

    /// The results with what is carried on from the rows before.
    pub fn carry_on(&self, results: Vec<ArrayRef>, before: &Before) -> Vec<ArrayRef> {
        let Before {
            tally: before,
            ends,
        } = before;
        let mut totals = before.totals.iter().zip(ends);
        let results = results.into_iter().zip(&self.running.carries);
        let results = results.map(|(values, carry)| match carry {
            Carry::Nothing => values,
            Carry::Rows => {
                plus::<UInt64Type>(&values, |value| value.wrapping_add(before.copies as u64))
            }
            Carry::Count(_) => {
                let present = totals.next().map_or(0, |(total, _)| total.present);
                plus::<Int64Type>(&values, |value| value.wrapping_add(present))
            }
            Carry::Sum(_) => match totals.next() {
                Some((total, _)) if total.present != 0 => plus_sum(&values, total.sum),
                _ => values,
            },
            Carry::Least(_) | Carry::Greatest(_) => match (totals.next(), end_of(carry)) {
                (Some((_, Some(reached))), Some(end)) => end
                    .of_each(&values, *reached)
                    .expect("values of one type can be compared"),
                _ => values,
            },
        });
        results.collect()
    }
}

fn end_of(carry: &Carry) -> Option<End> {
    match carry {
        Carry::Least(_) => Some(End::Least),
        Carry::Greatest(_) => Some(End::Greatest),
        _ => None,
    }
}

/// Sums with another sum added, which stands alone where there is none. They are decimals that are
/// wide enough, see [`wide_sums`](crate::sql::aggregates::wide_sums).
fn plus_sum(values: &ArrayRef, sum: i256) -> ArrayRef {
    match values.data_type() {
        DataType::Decimal256(..) => plus_or::<Decimal256Type>(values, sum, i256::wrapping_add),
        _ => plus_or::<Decimal128Type>(values, sum.as_i128(), i128::wrapping_add),
    }
}

fn plus_or<T: ArrowPrimitiveType>(
    values: &ArrayRef,
    other: T::Native,
    plus: impl Fn(T::Native, T::Native) -> T::Native,
) -> ArrayRef {
    let numbers = values.as_primitive::<T>();
    let sums = numbers
        .iter()
        .map(|number| number.map_or(other, |number| plus(number, other)));
    let sums = PrimitiveArray::<T>::from_iter_values(sums);
    Arc::new(sums.with_data_type(values.data_type().clone()))
}

fn plus<T: ArrowPrimitiveType>(
    values: &ArrayRef,
    plus: impl Fn(T::Native) -> T::Native,
) -> ArrayRef {
    Arc::new(values.as_primitive::<T>().unary::<_, T>(plus))
}
