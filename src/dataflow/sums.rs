//! Aggregates as sums: which lanes a grouped aggregation keeps, what each row adds to them, and
//! how results are read off.
//!
//! Several streams meet in one arrangement by group: the rows themselves, the distinct arguments
//! of each DISTINCT aggregate, and the current minima and maxima, whose value travels as a number
//! that is added when it comes and taken away when it goes. Each stream fills its own lanes and
//! leaves the others zero.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int64Array,
    PrimitiveArray,
};
use arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Decimal128Type, DecimalType, Float64Type};

use super::chunk::SumLane;
use super::column::{Column, fixed_width_array};
use super::float_sum::{FLOAT_SUM_LANES, float_sum, float_sum_lanes};
use super::lane::{Lane, Summand};
use super::updates::Updates;

/// What a stream's rows add to one lane or block of lanes, in terms of the stream's columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// Which of the streams that meet fills it; the others add zero.
    pub stream: usize,
    /// What is summed.
    pub kind: TermKind,
    /// The argument column; `None` only for [`TermKind::Count`] of rows.
    pub argument: Option<usize>,
    /// A boolean column; rows where it is not true add nothing.
    pub filter: Option<usize>,
}

/// What is summed; rows with a NULL argument add nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TermKind {
    /// How many.
    Count,
    /// A 64-bit integer.
    Integer,
    /// A 128-bit decimal.
    Decimal,
    /// A double.
    Float,
    /// The bits of a value of at most 8 bytes.
    NarrowWord,
    /// The bits of a value of 16 bytes.
    WideWord,
}

impl TermKind {
    fn lanes(self) -> usize {
        match self {
            TermKind::Float => FLOAT_SUM_LANES,
            _ => 1,
        }
    }
}

/// Where a number of rows is read.
#[derive(Clone, Copy, Debug)]
pub enum CountSource {
    /// The count of the group itself.
    Group,
    /// The term at this position.
    Term(usize),
}

/// How one result column is read off the sums; positions are those of terms.
#[derive(Clone, Debug)]
pub enum Finish {
    Count(CountSource),
    /// NULL where nothing was summed.
    Sum { term: usize, present: CountSource, data_type: DataType },
    Average { term: usize, present: CountSource, data_type: DataType, argument_scale: i8 },
    /// The value that a min or max carries.
    Carried { term: usize, present: usize, data_type: DataType },
}

/// All terms of an aggregation.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    terms: Vec<Term>,
}

impl Sums {
    /// The position of the term, adding it if it is new.
    pub fn term(&mut self, term: Term) -> usize {
        let known = self.terms.iter().position(|other| *other == term);
        known.unwrap_or_else(|| {
            self.terms.push(term);
            self.terms.len() - 1
        })
    }

    fn first_lane(&self, term: usize) -> usize {
        self.terms[..term].iter().map(|term| term.kind.lanes()).sum()
    }

    /// What a batch of one of the streams adds to all lanes.
    pub fn contributions(&self, stream: usize, updates: &Updates) -> Vec<SumLane> {
        self.terms
            .iter()
            .flat_map(|term| match term.stream == stream {
                true => contribution(term, updates),
                false => zeros(term.kind, updates.len()),
            })
            .collect()
    }

    /// One result column.
    pub fn finish(&self, finish: &Finish, counts: &[i64], lanes: &[SumLane]) -> ArrayRef {
        let rows = counts.len();
        let count = |source: CountSource, row: usize| match source {
            CountSource::Group => counts[row],
            CountSource::Term(term) => lanes[self.first_lane(term)].get(row) as i64,
        };
        let presence = |source: CountSource| {
            NullBuffer::from_iter((0..rows).map(|row| count(source, row) != 0))
        };
        match finish {
            Finish::Count(source) => {
                let values = (0..rows).map(|row| count(*source, row));
                Arc::new(Int64Array::from_iter_values(values))
            }
            Finish::Sum { term, present, data_type } => {
                let lanes = &lanes[self.first_lane(*term)..];
                let nulls = Some(presence(*present));
                match self.terms[*term].kind {
                    TermKind::Float => Arc::new(Float64Array::new(
                        (0..rows).map(|row| float_sum(lanes, row)).collect(),
                        nulls,
                    )),
                    _ => number_array(data_type, &lanes[0], rows, nulls),
                }
            }
            Finish::Average { term, present, data_type, argument_scale } => {
                let lanes = &lanes[self.first_lane(*term)..];
                let count = |row: usize| count(*present, row);
                match data_type {
                    DataType::Decimal128(precision, scale) => {
                        decimal_averages(&lanes[0], rows, count, (*precision, *scale, *argument_scale))
                    }
                    _ => {
                        let values = (0..rows).map(|row| match count(row) {
                            0 => None,
                            count => Some(float_sum(lanes, row) / count as f64),
                        });
                        Arc::new(values.collect::<Float64Array>())
                    }
                }
            }
            Finish::Carried { term, present, data_type } => {
                let lane = &lanes[self.first_lane(*term)];
                let nulls = presence(CountSource::Term(*present));
                number_array(data_type, lane, rows, Some(nulls))
            }
        }
    }
}

/// The kind of term that carries a value of the type as a number; `None` if it does not fit one.
pub fn word_kind(data_type: &DataType) -> Option<TermKind> {
    match data_type {
        DataType::Boolean => Some(TermKind::NarrowWord),
        DataType::Decimal128(..) => Some(TermKind::WideWord),
        other => match other.primitive_width()? {
            1 | 4 | 8 => Some(TermKind::NarrowWord),
            _ => None,
        },
    }
}

fn zeros(kind: TermKind, rows: usize) -> Vec<SumLane> {
    let narrow = || SumLane::Narrow(Lane::Constant(0, rows));
    let wide = || SumLane::Wide(Lane::Constant(0, rows));
    match kind {
        TermKind::Count | TermKind::Integer | TermKind::NarrowWord => vec![narrow()],
        TermKind::Decimal | TermKind::WideWord => vec![wide()],
        TermKind::Float => float_sum_lanes(std::iter::empty(), rows),
    }
}

fn contribution(term: &Term, updates: &Updates) -> Vec<SumLane> {
    let counts = &updates.counts;
    let argument = term.argument.map(|column| updates.rows.column(column));
    let filter = term.filter.map(|column| updates.rows.column(column).as_boolean());
    let nulls = argument.and_then(|array| array.logical_nulls());
    let takes_part = Participation { filter, nulls: nulls.as_ref() };
    let Some(argument) = argument else {
        return vec![SumLane::Narrow(takes_part.count(counts))];
    };
    match term.kind {
        TermKind::Count => vec![SumLane::Narrow(takes_part.count(counts))],
        TermKind::Integer => {
            let data = argument.to_data();
            let words = ScalarBuffer::<i64>::new(data.buffers()[0].clone(), data.offset(), data.len());
            vec![SumLane::Narrow(takes_part.multiply(counts, |row| words[row]))]
        }
        TermKind::Decimal => {
            let values = argument.as_primitive::<Decimal128Type>().values();
            vec![SumLane::Wide(takes_part.multiply(counts, |row| values[row]))]
        }
        TermKind::Float => {
            let values = argument.as_primitive::<Float64Type>().values();
            let rows = (0..updates.len()).map(|row| {
                let value = takes_part.includes(row).then(|| values[row]);
                (value, counts.get(row))
            });
            float_sum_lanes(rows, updates.len())
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

/// Which rows add to a term.
struct Participation<'a> {
    filter: Option<&'a BooleanArray>,
    nulls: Option<&'a NullBuffer>,
}

impl Participation<'_> {
    #[inline]
    fn includes(&self, row: usize) -> bool {
        self.nulls.is_none_or(|nulls| nulls.is_valid(row))
            && self.filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
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

/// An array of a fixed-width type whose values' bits are the lane's numbers.
fn number_array(
    data_type: &DataType,
    lane: &SumLane,
    rows: usize,
    nulls: Option<NullBuffer>,
) -> ArrayRef {
    let numbers = (0..rows).map(|row| lane.get(row));
    let words = match data_type {
        DataType::Boolean => {
            let values = numbers.map(|number| number != 0).collect();
            return Arc::new(BooleanArray::new(values, nulls));
        }
        other => match other.primitive_width() {
            Some(1) => Buffer::from_vec(numbers.map(|number| number as u8).collect::<Vec<_>>()),
            Some(4) => Buffer::from_vec(numbers.map(|number| number as u32).collect::<Vec<_>>()),
            Some(16) => Buffer::from_vec(numbers.collect::<Vec<i128>>()),
            _ => Buffer::from_vec(numbers.map(|number| number as u64).collect::<Vec<_>>()),
        },
    };
    fixed_width_array(data_type, rows, words, nulls)
}

/// Averages as DataFusion computes them: the sum scaled up to the result's scale, divided by the
/// count and cut off; NULL where the result does not fit.
fn decimal_averages(
    lane: &SumLane,
    rows: usize,
    count: impl Fn(usize) -> i64,
    (precision, scale, argument_scale): (u8, i8, i8),
) -> ArrayRef {
    let factor = 10i128.pow(u32::from((scale - argument_scale).unsigned_abs()));
    let average = |row: usize| {
        let count = i128::from(count(row));
        let scaled = lane.get(row).checked_mul(factor)?;
        let average = scaled.checked_div(count)?;
        Decimal128Type::validate_decimal_precision(average, precision, scale).ok()?;
        Some(average)
    };
    let values: PrimitiveArray<Decimal128Type> = (0..rows).map(average).collect();
    Arc::new(values.with_data_type(DataType::Decimal128(precision, scale)) as Decimal128Array)
}
