//! What the rows of a batch add to the lanes of a sum.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::datatypes::{Decimal128Type, Float64Type};

use super::checked_sum::excess;
use super::chunk::SumLane;
use super::column::Column;
use super::decimal_sum;
use super::float_sum::{float_sum_lanes, product_sum_lanes};
use super::lane::{Lane, Summand};
use super::sums::{Term, TermKind};
use super::updates::Updates;

/// What rows of a stream that does not fill a term add to it.
pub fn zeros(kind: TermKind, rows: usize) -> Vec<SumLane> {
    let narrow = || SumLane::Narrow(Lane::Constant(0, rows));
    let wide = || SumLane::Wide(Lane::Constant(0, rows));
    match kind {
        TermKind::Count
        | TermKind::True
        | TermKind::Integer
        | TermKind::Excess
        | TermKind::DecimalExcess
        | TermKind::NarrowWord => {
            vec![narrow()]
        }
        TermKind::Bits => vec![narrow(); kind.lanes()],
        TermKind::Decimal | TermKind::WideWord => vec![wide()],
        TermKind::Float => float_sum_lanes(std::iter::empty(), rows),
        TermKind::Square | TermKind::Product => product_sum_lanes(std::iter::empty(), rows),
    }
}

/// What a batch of the stream that fills a term adds to it.
pub fn contribution(term: &Term, updates: &Updates) -> Vec<SumLane> {
    let counts = &updates.counts;
    let argument = term.argument.map(|column| updates.rows.column(column));
    let filter = term
        .filter
        .map(|column| updates.rows.column(column).as_boolean());
    let partner = term.partner.map(|column| updates.rows.column(column));
    let nulls = NullBuffer::union(
        argument.and_then(|array| array.logical_nulls()).as_ref(),
        partner.and_then(|array| array.logical_nulls()).as_ref(),
    );
    let takes_part = Participation {
        filter,
        nulls: nulls.as_ref(),
    };
    let Some(argument) = argument else {
        return vec![SumLane::Narrow(takes_part.count(counts))];
    };
    match term.kind {
        TermKind::Count => vec![SumLane::Narrow(takes_part.count(counts))],
        TermKind::Integer => {
            let words = words(argument);
            vec![SumLane::Narrow(
                takes_part.multiply(counts, |row| words[row]),
            )]
        }
        TermKind::Excess => {
            let (words, data_type) = (words(argument), argument.data_type());
            if words.iter().all(|word| excess(*word, data_type) == 0) {
                return zeros(term.kind, updates.len());
            }
            let beyond = |row: usize| excess(words[row], data_type);
            vec![SumLane::Narrow(takes_part.multiply(counts, beyond))]
        }
        TermKind::DecimalExcess => {
            let values = argument.as_primitive::<Decimal128Type>().values();
            if values.iter().all(|value| decimal_sum::excess(*value) == 0) {
                return zeros(term.kind, updates.len());
            }
            let beyond = |row: usize| decimal_sum::excess(values[row]);
            vec![SumLane::Narrow(takes_part.multiply(counts, beyond))]
        }
        TermKind::Decimal => {
            let values = argument.as_primitive::<Decimal128Type>().values();
            vec![SumLane::Wide(
                takes_part.multiply(counts, |row| values[row]),
            )]
        }
        TermKind::Float => {
            let values = argument.as_primitive::<Float64Type>().values();
            let rows = (0..updates.len()).map(|row| {
                let value = takes_part.includes(row).then(|| values[row]);
                (value, counts.get(row))
            });
            float_sum_lanes(rows, updates.len())
        }
        TermKind::Square | TermKind::Product => {
            let left = argument.as_primitive::<Float64Type>().values();
            let right = match (term.kind, partner) {
                (TermKind::Product, Some(partner)) => {
                    partner.as_primitive::<Float64Type>().values()
                }
                _ => left,
            };
            let rows = (0..updates.len()).map(|row| {
                let factors = takes_part.includes(row).then(|| (left[row], right[row]));
                (factors, counts.get(row))
            });
            product_sum_lanes(rows, updates.len())
        }
        TermKind::True => {
            let values = argument.as_boolean();
            let is_true = |row: usize| i64::from(values.value(row));
            vec![SumLane::Narrow(takes_part.multiply(counts, is_true))]
        }
        TermKind::Bits => {
            let column = Column::new(Arc::clone(argument));
            let words: Vec<i64> = (0..updates.len())
                .map(|row| column.word(row).unwrap_or_default() as i64)
                .collect();
            let lane = |bit: usize| takes_part.multiply(counts, |row| words[row] >> bit & 1);
            (0..64).map(|bit| SumLane::Narrow(lane(bit))).collect()
        }
        TermKind::NarrowWord => {
            let column = Column::new(Arc::clone(argument));
            let word = |row: usize| column.word(row).unwrap_or_default() as i64;
            vec![SumLane::Narrow(takes_part.multiply(counts, word))]
        }
        TermKind::WideWord => {
            let column = Column::new(Arc::clone(argument));
            let word = |row: usize| column.word(row).unwrap_or_default();
            vec![SumLane::Wide(takes_part.multiply(counts, word))]
        }
    }
}

/// The bits of 64-bit integers.
fn words(integers: &ArrayRef) -> ScalarBuffer<i64> {
    let data = integers.to_data();
    ScalarBuffer::new(data.buffers()[0].clone(), data.offset(), data.len())
}

/// Which rows add to a term.
struct Participation<'a> {
    filter: Option<&'a BooleanArray>,
    nulls: Option<&'a NullBuffer>,
}

impl Participation<'_> {
    #[inline]
    fn includes(&self, row: usize) -> bool {
        self.nulls.is_none_or(|nulls| nulls.is_valid(row))
            && self
                .filter
                .is_none_or(|filter| filter.is_valid(row) && filter.value(row))
    }

    fn count(&self, counts: &Lane<i64>) -> Lane<i64> {
        if self.filter.is_none() && self.nulls.is_none() {
            return counts.clone();
        }
        self.multiply(counts, |_| 1i64)
    }

    fn multiply<T: Summand>(&self, counts: &Lane<i64>, value: impl Fn(usize) -> T) -> Lane<T> {
        let rows = 0..counts.len();
        let products: Vec<T> = rows
            .map(|row| match self.includes(row) {
                true => value(row).times(counts.get(row)),
                false => T::ZERO,
            })
            .collect();
        products.into()
    }
}
