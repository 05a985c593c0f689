//! Functions of numbers.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Int64Array};
use arrow::compute::cast;
use arrow::compute::kernels::numeric::{div, rem};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use arrow::error::ArrowError;
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::Operator;
use datafusion::logical_expr::binary::BinaryTypeCoercer;

/// Most digits of a decimal.
const DIGITS: u8 = 38;

/// The types that `%` brings two operands to.
pub fn remainder_operands(left: &DataType, right: &DataType) -> Result<Vec<DataType>> {
    let (left, right) = BinaryTypeCoercer::new(left, &Operator::Modulo, right).get_input_types()?;
    Ok(vec![left, right])
}

/// The type that `%` gives.
pub fn remainder_type(taken: &[DataType]) -> Result<DataType> {
    match taken {
        [left, right] => BinaryTypeCoercer::new(left, &Operator::Modulo, right).get_result_type(),
        _ => plan_err!("mod() takes two numbers"),
    }
}

/// What `%` gives.
pub fn remainder(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    match arguments {
        [left, right] => {
            check_divisors(left, right)?;
            Ok(rem(left, right)?)
        }
        _ => exec_err!("mod() takes two numbers"),
    }
}

/// Refuses doubles that are divided by zero, as which decimals without a type are computed.
fn check_divisors(left: &ArrayRef, right: &ArrayRef) -> Result<()> {
    if !right.data_type().is_floating() {
        return Ok(());
    }
    let (left, right) = (
        cast(left, &DataType::Float64)?,
        cast(right, &DataType::Float64)?,
    );
    let numbers = left.as_primitive::<Float64Type>().iter();
    let mut pairs = numbers.zip(right.as_primitive::<Float64Type>());
    let is_undefined = |pair: (Option<f64>, Option<f64>)| match pair {
        (Some(left), Some(right)) => right == 0.0 && !f64::is_nan(left),
        _ => false,
    };
    match pairs.any(is_undefined) {
        true => Err(ArrowError::DivideByZero.into()),
        false => Ok(()),
    }
}

/// Whole numbers of 64 bits, or decimals of one scale.
pub fn quotient_operands(given: &[DataType]) -> Result<Vec<DataType>> {
    let is_whole = |data_type: &DataType| {
        data_type.is_integer() && *data_type != DataType::UInt64 || data_type.is_null()
    };
    match exact_type(given) {
        _ if given.iter().all(is_whole) => Ok(vec![DataType::Int64; given.len()]),
        Some(decimal) => Ok(vec![decimal; given.len()]),
        None => plan_err!("div() takes whole numbers and NUMERIC: of doubles, write trunc(a / b)"),
    }
}

/// The decimal that holds exact numbers of all these types; `None` if one is not exact.
fn exact_type(given: &[DataType]) -> Option<DataType> {
    let scales = given.iter().map(|data_type| match data_type {
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale) => Some((*scale).max(0)),
        other => (other.is_integer() || other.is_null()).then_some(0),
    });
    let scales = scales.collect::<Option<Vec<i8>>>()?;
    let scale = scales.into_iter().max()?;
    Some(DataType::Decimal128(DIGITS, scale))
}

/// The type of a quotient that is cut off.
pub fn quotient_type(taken: &[DataType]) -> DataType {
    match taken.first() {
        Some(DataType::Decimal128(..)) => DataType::Decimal128(DIGITS, 0),
        _ => DataType::Int64,
    }
}

/// The quotient without what is behind its point.
pub fn quotient(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let [left, right] = arguments else {
        return exec_err!("div() takes two numbers");
    };
    if !matches!(left.data_type(), DataType::Decimal128(..)) {
        return Ok(div(left, right)?);
    }
    let pairs = left
        .as_primitive::<Decimal128Type>()
        .iter()
        .zip(right.as_primitive::<Decimal128Type>().iter());
    let quotients = pairs.map(|pair| match pair {
        (Some(_), Some(0)) => Err(ArrowError::DivideByZero),
        (Some(left), Some(right)) => Ok(Some(left / right)),
        _ => Ok(None),
    });
    let quotients = quotients.collect::<std::result::Result<Decimal128Array, ArrowError>>()?;
    Ok(Arc::new(quotients.with_precision_and_scale(DIGITS, 0)?))
}

/// A number and two bounds, as decimals or as doubles, and how many buckets there are.
pub fn bucket_operands(given: &[DataType]) -> Result<Vec<DataType>> {
    let [numbers @ .., _] = given else {
        return plan_err!("width_bucket() takes four numbers");
    };
    if !given
        .iter()
        .all(|given| given.is_numeric() || given.is_null())
    {
        return plan_err!("width_bucket() takes numbers");
    }
    let number = exact_type(numbers).unwrap_or(DataType::Float64);
    Ok([vec![number; numbers.len()], vec![DataType::Int64]].concat())
}

/// The bucket that a number is in, of equal ones from one bound to the other; 0 before the first,
/// one more than there are behind the last.
pub fn bucket(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let [values, low, high, count] = arguments else {
        return exec_err!("width_bucket() takes four numbers");
    };
    let counts = count.as_primitive::<Int64Type>();
    let is_exact = matches!(values.data_type(), DataType::Decimal128(..));
    let buckets = (0..values.len()).map(|row| {
        let is_null = arguments.iter().any(|argument| argument.is_null(row));
        if is_null {
            return Ok(None);
        }
        let count = counts.value(row);
        if count <= 0 || count == i64::MAX {
            return exec_err!("width_bucket() takes a number of buckets from 1 on, not {count}");
        }
        let found = match is_exact {
            true => exact_bucket(
                values.as_primitive::<Decimal128Type>().value(row),
                low.as_primitive::<Decimal128Type>().value(row),
                high.as_primitive::<Decimal128Type>().value(row),
                count,
            ),
            false => double_bucket(
                values.as_primitive::<Float64Type>().value(row),
                low.as_primitive::<Float64Type>().value(row),
                high.as_primitive::<Float64Type>().value(row),
                count,
            ),
        };
        match found {
            Some(bucket) => Ok(Some(bucket)),
            None => exec_err!(
                "width_bucket() takes two different, finite bounds, and numbers that can be \
                 counted from them"
            ),
        }
    });
    Ok(Arc::new(buckets.collect::<Result<Int64Array>>()?))
}

fn double_bucket(value: f64, low: f64, high: f64, count: i64) -> Option<i64> {
    if value.is_nan() || !low.is_finite() || !high.is_finite() || low == high {
        return None;
    }
    let (value, low, high) = match low < high {
        true => (value, low, high),
        false => (-value, -low, -high),
    };
    if value < low {
        return Some(0);
    }
    if value >= high {
        return Some(count + 1);
    }
    let part = (value - low) / (high - low);
    // Rounding must not lead beyond the last bucket.
    let before = (part * count as f64).floor() as i64;
    Some(before.min(count - 1) + 1)
}

/// The same of decimals of one scale.
fn exact_bucket(value: i128, low: i128, high: i128, count: i64) -> Option<i64> {
    if low == high {
        return None;
    }
    let (value, low, high) = match low < high {
        true => (value, low, high),
        false => (-value, -low, -high),
    };
    if value < low {
        return Some(0);
    }
    if value >= high {
        return Some(count + 1);
    }
    let before = (value - low).checked_mul(i128::from(count))? / (high - low);
    i64::try_from(before + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_those_of_postgres() {
        assert_eq!(double_bucket(5.35, 0.024, 10.06, 5), Some(3));
        assert_eq!(double_bucket(10.06, 0.024, 10.06, 5), Some(6));
        assert_eq!(double_bucket(0.0, 0.024, 10.06, 5), Some(0));
        assert_eq!(double_bucket(1.0, 10.0, 0.0, 10), Some(10));
        assert_eq!(double_bucket(1.0, 1.0, 1.0, 10), None);
        assert_eq!(exact_bucket(3, 0, 10, 10), Some(4));
        assert_eq!(exact_bucket(3, 10, 0, 10), Some(8));
    }
}
