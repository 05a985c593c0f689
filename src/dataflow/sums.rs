//! Aggregates as sums: which lanes a grouped aggregation keeps, what each row adds to them, and
//! how results are read off.
//!
//! Several streams meet in one arrangement by group: the rows themselves, the distinct arguments
//! of each DISTINCT aggregate, and the current minima and maxima, whose value travels as a number
//! that is added when it comes and taken away when it goes. Each stream fills its own lanes and
//! leaves the others zero.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, PrimitiveArray, UInt64Array,
};
use arrow::buffer::{Buffer, NullBuffer};
use arrow::datatypes::{DataType, Decimal128Type, DecimalType};
use num_bigint::BigInt;

use super::chunk::SumLane;
use super::column::fixed_width_array;
use super::contribution::{contribution, zeros};
use super::decimal_sum;
use super::float_sum::{
    FLOAT_DIGITS, FLOAT_SUM_LANES, PRODUCT_DIGITS, PRODUCT_SUM_LANES, float_sum,
};
use super::lane::Lane;
use super::long_sum::{integer, special};
use super::statistics::{Moments, Sum};
use super::updates::Updates;
use crate::sql::plan::function::Statistic;

/// What a stream's rows add to one lane or block of lanes, in terms of the stream's columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// Which of the streams that meet fills it; the others add zero.
    pub stream: usize,
    /// What is summed.
    pub kind: TermKind,
    /// The argument column; `None` only for [`TermKind::Count`] of rows.
    pub argument: Option<usize>,
    /// A second column; rows where it is NULL add nothing either.
    pub partner: Option<usize>,
    /// A boolean column; rows where it is not true add nothing.
    pub filter: Option<usize>,
}

/// What is summed; rows with a NULL argument add nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TermKind {
    /// How many.
    Count,
    /// How many are true.
    True,
    /// How many have each bit set.
    Bits,
    /// A 64-bit integer.
    Integer,
    /// What a 64-bit integer has beyond 32 bits.
    Excess,
    /// A 128-bit decimal.
    Decimal,
    /// What a 128-bit decimal has beyond 96 bits.
    DecimalExcess,
    /// A double.
    Float,
    /// The square of a double.
    Square,
    /// The product of two doubles, the argument and its partner.
    Product,
    /// The bits of a value of at most 8 bytes.
    NarrowWord,
    /// The bits of a value of 16 bytes.
    WideWord,
}

impl TermKind {
    /// How many lanes it takes.
    pub fn lanes(self) -> usize {
        match self {
            TermKind::Float => FLOAT_SUM_LANES,
            TermKind::Square | TermKind::Product => PRODUCT_SUM_LANES,
            TermKind::Bits => 64,
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
    Sum {
        term: usize,
        present: CountSource,
        data_type: DataType,
    },
    Average {
        term: usize,
        /// What the numbers have beyond 96 bits, of decimals that may.
        excess: Option<usize>,
        present: CountSource,
        data_type: DataType,
        argument_scale: i8,
    },
    /// The value that a min or max carries.
    Carried {
        term: usize,
        present: usize,
        data_type: DataType,
    },
    /// Whether all, or whether some, arguments are true.
    Truth {
        is_all: bool,
        term: usize,
        present: CountSource,
    },
    /// The bits that all, some, or an odd number of arguments have.
    Bits {
        of: BitsOf,
        term: usize,
        present: CountSource,
        data_type: DataType,
    },
    /// A statistic of the sums of x, y, x², y² and xy, those that it is made of.
    Statistic {
        statistic: Statistic,
        count: CountSource,
        terms: [Option<usize>; 5],
        /// Whether the population's variance of one value is 0 even of one that is not finite, as
        /// DataFusion has it where it does not group rows by key, or takes distinct values.
        one_is_zero: bool,
    },
}

/// Which bits a result has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitsOf {
    All,
    Some,
    Odd,
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

    /// The first lane of a term.
    pub fn first_lane(&self, term: usize) -> usize {
        self.terms[..term]
            .iter()
            .map(|term| term.kind.lanes())
            .sum()
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

    /// Whether a result is read off its sums at little cost, so that it need not be kept.
    pub fn is_read_fast(&self, finish: &Finish) -> bool {
        !matches!(finish, Finish::Bits { .. } | Finish::Statistic { .. })
    }

    /// One result column.
    pub fn finish(&self, finish: &Finish, counts: &[i64], lanes: &[SumLane]) -> ArrayRef {
        let rows = counts.len();
        let count = |source: CountSource, row: usize| match source {
            CountSource::Group => counts[row],
            CountSource::Term(term) => lanes[self.first_lane(term)].get(row) as i64,
        };
        let presence = |source: CountSource| match source {
            // A group that is there has rows.
            CountSource::Group => None,
            CountSource::Term(_) => Some(NullBuffer::from_iter(
                (0..rows).map(|row| count(source, row) != 0),
            )),
        };
        match finish {
            Finish::Count(source) => {
                let values = (0..rows).map(|row| count(*source, row));
                Arc::new(Int64Array::from_iter_values(values))
            }
            Finish::Sum {
                term,
                present,
                data_type,
            } => {
                let lanes = &lanes[self.first_lane(*term)..];
                let nulls = presence(*present);
                match self.terms[*term].kind {
                    TermKind::Float => Arc::new(Float64Array::new(
                        (0..rows).map(|row| float_sum(lanes, row)).collect(),
                        nulls,
                    )),
                    _ => number_array(data_type, &lanes[0], rows, nulls),
                }
            }
            Finish::Average {
                term,
                excess,
                present,
                data_type,
                argument_scale,
            } => {
                let excess = excess.map(|term| &lanes[self.first_lane(term)]);
                let lanes = &lanes[self.first_lane(*term)..];
                let count = |row: usize| count(*present, row);
                match data_type {
                    DataType::Decimal128(precision, scale) => decimal_averages(
                        (&lanes[0], excess),
                        rows,
                        count,
                        (*precision, *scale, *argument_scale),
                    ),
                    _ => {
                        let values = (0..rows).map(|row| match count(row) {
                            0 => None,
                            count => Some(float_sum(lanes, row) / count as f64),
                        });
                        Arc::new(values.collect::<Float64Array>())
                    }
                }
            }
            Finish::Carried {
                term,
                present,
                data_type,
            } => {
                let lane = &lanes[self.first_lane(*term)];
                let nulls = presence(CountSource::Term(*present));
                number_array(data_type, lane, rows, nulls)
            }
            Finish::Truth {
                is_all,
                term,
                present,
            } => {
                let arguments = |row: usize| count(*present, row);
                let is_true = |row: usize| {
                    let count = count(CountSource::Term(*term), row);
                    match is_all {
                        true => count == arguments(row),
                        false => count != 0,
                    }
                };
                let values = (0..rows).map(is_true).collect();
                Arc::new(BooleanArray::new(values, presence(*present)))
            }
            Finish::Bits {
                of,
                term,
                present,
                data_type,
            } => {
                let lanes = &lanes[self.first_lane(*term)..];
                let words = (0..rows).map(|row| bits(*of, lanes, row, count(*present, row)));
                let lane = SumLane::Narrow(words.collect::<Vec<i64>>().into());
                number_array(data_type, &lane, rows, presence(*present))
            }
            Finish::Statistic {
                statistic: Statistic::RegressionCount,
                count: source,
                ..
            } => {
                let values = (0..rows).map(|row| count(*source, row).unsigned_abs());
                Arc::new(UInt64Array::from_iter_values(values))
            }
            Finish::Statistic {
                statistic,
                count: source,
                terms,
                one_is_zero,
            } => {
                let values = (0..rows).map(|row| match count(*source, row) {
                    1 if *one_is_zero && statistic.is_spread_of_population() => Some(0.0),
                    count => statistic.of(&self.moments(terms, lanes, row, count)),
                });
                Arc::new(values.collect::<Float64Array>())
            }
        }
    }

    fn moments(
        &self,
        terms: &[Option<usize>; 5],
        lanes: &[SumLane],
        row: usize,
        count: i64,
    ) -> Moments {
        let lanes = |term: usize| &lanes[self.first_lane(term)..];
        let sum = |term: Option<usize>| {
            let lanes = term.map(lanes);
            lanes.map_or_else(Sum::default, |lanes| Sum {
                finite: integer(lanes, FLOAT_DIGITS, row),
                special: special(lanes, FLOAT_DIGITS, row),
            })
        };
        let products = |term: Option<usize>| {
            let lanes = term.map(lanes);
            lanes.map_or_else(BigInt::default, |lanes| integer(lanes, PRODUCT_DIGITS, row))
        };
        let [x, y, xx, yy, xy] = *terms;
        Moments {
            count,
            x: sum(x),
            y: sum(y),
            xx: products(xx),
            yy: products(yy),
            xy: products(xy),
        }
    }
}

/// The bits of a row, of how many set bits there are and how many arguments.
fn bits(of: BitsOf, lanes: &[SumLane], row: usize, arguments: i64) -> i64 {
    let has_bit = |bit: usize| {
        let set = lanes[bit].get(row) as i64;
        match of {
            BitsOf::All => set == arguments,
            BitsOf::Some => set != 0,
            BitsOf::Odd => set & 1 == 1,
        }
    };
    (0..64)
        .filter(|bit| has_bit(*bit))
        .fold(0, |word, bit| word | 1 << bit)
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

/// An array of a fixed-width type whose values' bits are the lane's numbers.
fn number_array(
    data_type: &DataType,
    lane: &SumLane,
    rows: usize,
    nulls: Option<NullBuffer>,
) -> ArrayRef {
    if let (Some(8), SumLane::Narrow(Lane::Values(words))) = (data_type.primitive_width(), lane) {
        return fixed_width_array(data_type, rows, words.plain().into_inner(), nulls);
    }
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
/// count and cut off; NULL where the result does not fit, which is an error of the view. Beside the
/// sums is what their numbers have beyond 96 bits.
fn decimal_averages(
    (sums, excess): (&SumLane, Option<&SumLane>),
    rows: usize,
    count: impl Fn(usize) -> i64,
    (precision, scale, argument_scale): (u8, i8, i8),
) -> ArrayRef {
    let factor = 10i128.pow(u32::from((scale - argument_scale).unsigned_abs()));
    let average = |row: usize| {
        let (sum, count) = (sums.get(row), count(row));
        let beyond = excess.map_or(0, |excess| excess.get(row) as i64);
        let scaled = sum.checked_mul(factor).filter(|_| beyond == 0);
        let average = match scaled {
            Some(scaled) => scaled.checked_div(i128::from(count))?,
            None => decimal_sum::average(decimal_sum::total(sum, beyond), count, factor)?,
        };
        Decimal128Type::validate_decimal_precision(average, precision, scale).ok()?;
        Some(average)
    };
    let values: PrimitiveArray<Decimal128Type> = (0..rows).map(average).collect();
    Arc::new(values.with_data_type(DataType::Decimal128(precision, scale)) as Decimal128Array)
}
