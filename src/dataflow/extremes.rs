//! The least and the greatest of values whose words, read with their sign, are in order.

use arrow::array::{Array, ArrayRef};
use arrow::compute::kernels::cmp::{gt, lt};
use arrow::compute::kernels::zip::zip;
use arrow::compute::{is_null, or_kleene};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::error::Result;
use datafusion::scalar::ScalarValue;

use super::chunk::Body;
use super::column::Column;
use super::tally::Term;

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Least,
    Greatest,
}

impl End {
    /// The one of two values that lies farther at this end.
    pub fn of(self, left: Option<i128>, right: Option<i128>) -> Option<i128> {
        match (left, right) {
            (Some(left), Some(right)) => Some(match self {
                End::Least => left.min(right),
                End::Greatest => left.max(right),
            }),
            (left, right) => left.or(right),
        }
    }

    /// The farther of each value and another; NULL gives way.
    pub fn of_each(self, values: &ArrayRef, other: i128) -> Result<ArrayRef> {
        let Some(other) = scalar(other, values.data_type()) else {
            return Ok(values.clone());
        };
        let other = other.to_scalar()?;
        let is_nearer = match self {
            End::Least => gt(values, &other)?,
            End::Greatest => lt(values, &other)?,
        };
        let gives_way = or_kleene(&is_null(values)?, &is_nearer)?;
        Ok(zip(&gives_way, &other, values)?)
    }
}

/// The ends of what takes part in a term among some rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extremes {
    pub least: Option<i128>,
    pub greatest: Option<i128>,
}

impl Extremes {
    /// Those of all rows of a chunk that are there, whatever is taken away elsewhere.
    pub fn of(body: &Body, term: Term) -> Extremes {
        let mut extremes = Extremes::default();
        for row in (0..body.len()).filter(|row| body.counts.get(*row) > 0) {
            let value = value(body, row, term);
            extremes.least = End::Least.of(extremes.least, value);
            extremes.greatest = End::Greatest.of(extremes.greatest, value);
        }
        extremes
    }

    /// One of the two.
    pub fn at(&self, end: End) -> Option<i128> {
        match end {
            End::Least => self.least,
            End::Greatest => self.greatest,
        }
    }
}

/// What a row gives for a term; `None` if it takes no part.
pub fn value(body: &Body, row: usize, term: Term) -> Option<i128> {
    if term
        .filter
        .is_some_and(|filter| !body.columns[filter].is_true(row))
    {
        return None;
    }
    let column = &body.columns[term.argument?];
    if column.is_null(row) {
        return None;
    }
    number(column, row)
}

/// The number of a row that is not NULL; `None` for a type that is not of fixed width.
pub fn number(column: &Column, row: usize) -> Option<i128> {
    let word = column.word(row)?;
    Some(match column.data_type() {
        DataType::Int8 => i128::from(word as i8),
        DataType::Int32 | DataType::Date32 => i128::from(word as i32),
        DataType::Int64 | DataType::Timestamp(..) => i128::from(word as i64),
        _ => word,
    })
}

/// A value of a type for which [`crate::sql::plan::running`] lets extremes run on.
fn scalar(value: i128, data_type: &DataType) -> Option<ScalarValue> {
    Some(match data_type {
        DataType::Int8 => ScalarValue::Int8(Some(value as i8)),
        DataType::Int32 => ScalarValue::Int32(Some(value as i32)),
        DataType::Int64 => ScalarValue::Int64(Some(value as i64)),
        DataType::UInt8 => ScalarValue::UInt8(Some(value as u8)),
        DataType::UInt32 => ScalarValue::UInt32(Some(value as u32)),
        DataType::UInt64 => ScalarValue::UInt64(Some(value as u64)),
        DataType::Date32 => ScalarValue::Date32(Some(value as i32)),
        DataType::Decimal128(precision, scale) => {
            ScalarValue::Decimal128(Some(value), *precision, *scale)
        }
        DataType::Timestamp(unit, zone) => {
            let (value, zone) = (Some(value as i64), zone.clone());
            match unit {
                TimeUnit::Second => ScalarValue::TimestampSecond(value, zone),
                TimeUnit::Millisecond => ScalarValue::TimestampMillisecond(value, zone),
                TimeUnit::Microsecond => ScalarValue::TimestampMicrosecond(value, zone),
                TimeUnit::Nanosecond => ScalarValue::TimestampNanosecond(value, zone),
            }
        }
        _ => return None,
    })
}
