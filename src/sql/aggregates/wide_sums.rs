//! Sums in a type that is wide enough for any number of rows, and back in their own.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Decimal256Type, DecimalType, Int64Type,
    UInt64Type, i256,
};
use arrow::error::ArrowError;
use datafusion::error::Result;
use datafusion::scalar::ScalarValue;

/// What sums of whole numbers are kept as.
const WIDE: DataType = DataType::Decimal128(38, 0);

/// The most digits of decimals of which no number of rows comes to more than a sum can hold.
const FEW_DIGITS: u8 = 28;

/// The least number of more than 38 digits.
pub const TOO_LARGE: u128 = 10u128.pow(38);

/// What sums of a type are kept as, if they can leave their range.
pub fn wide_type(argument: &DataType) -> Option<DataType> {
    match argument {
        DataType::Int64 | DataType::UInt64 => Some(WIDE),
        DataType::Decimal128(_, scale) if has_many_digits(argument) => {
            Some(DataType::Decimal256(76, *scale))
        }
        _ => None,
    }
}

/// Whether sums of decimals of a type may come to more than 38 digits.
pub fn has_many_digits(argument: &DataType) -> bool {
    matches!(argument, DataType::Decimal128(precision, _) if *precision > FEW_DIGITS)
}

/// Whether values are sums that are to be brought back to a type.
pub fn are_wide(values: &DataType, data_type: &DataType) -> bool {
    match (values, data_type) {
        (DataType::Decimal128(38, 0), DataType::Int64 | DataType::UInt64) => true,
        (DataType::Decimal256(76, wide), DataType::Decimal128(_, scale)) => wide == scale,
        _ => false,
    }
}

/// What is said of a sum.
pub fn out_of_range(data_type: &DataType) -> String {
    format!("a sum is out of the range of {data_type}")
}

/// Numbers in a wide type; what else there is, as it is.
pub fn as_wide(values: &[ArrayRef], wide: &DataType) -> Vec<ArrayRef> {
    let of_whole = |values: &ArrayRef| -> ArrayRef {
        let numbers: PrimitiveArray<Decimal128Type> = match values.data_type() {
            DataType::Int64 => values.as_primitive::<Int64Type>().unary(i128::from),
            DataType::UInt64 => values.as_primitive::<UInt64Type>().unary(i128::from),
            _ => return Arc::clone(values),
        };
        Arc::new(numbers.with_data_type(wide.clone()))
    };
    let of_decimals = |values: &ArrayRef| -> ArrayRef {
        if !matches!(values.data_type(), DataType::Decimal128(..)) {
            return Arc::clone(values);
        }
        let numbers = values.as_primitive::<Decimal128Type>();
        let numbers: PrimitiveArray<Decimal256Type> = numbers.unary(i256::from_i128);
        Arc::new(numbers.with_data_type(wide.clone()))
    };
    match wide {
        DataType::Decimal256(..) => values.iter().map(of_decimals).collect(),
        _ => values.iter().map(of_whole).collect(),
    }
}

/// Sums in a type, if all of them are in its range.
pub fn narrowed(sums: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    if sums.data_type() == data_type {
        return Ok(Arc::clone(sums));
    }
    let (numbers, outside) = narrowed_each(sums, data_type);
    match outside.first() {
        None => Ok(numbers),
        Some(row) => {
            let sum = ScalarValue::try_from_array(sums, *row)?;
            let message = format!("{}: {}", out_of_range(data_type), written(&sum));
            Err(ArrowError::ArithmeticOverflow(message).into())
        }
    }
}

fn written(sum: &ScalarValue) -> String {
    match sum {
        ScalarValue::Decimal128(Some(number), _, 0) => number.to_string(),
        ScalarValue::Decimal256(Some(number), precision, scale) => {
            Decimal256Type::format_decimal(*number, *precision, *scale)
        }
        other => other.to_string(),
    }
}

/// Sums that are wide in a type, NULL where they are out of its range, and the rows where they are.
pub fn narrowed_each(sums: &ArrayRef, data_type: &DataType) -> (ArrayRef, Vec<usize>) {
    let numbers: ArrayRef = match (sums.data_type(), data_type) {
        (DataType::Decimal256(..), DataType::Decimal128(..)) => {
            let sums = sums.as_primitive::<Decimal256Type>();
            let numbers: PrimitiveArray<Decimal128Type> = sums.unary_opt(of_38_digits);
            Arc::new(numbers.with_data_type(data_type.clone()))
        }
        (DataType::Decimal128(..), DataType::UInt64) => whole::<UInt64Type>(sums),
        (DataType::Decimal128(..), DataType::Int64) => whole::<Int64Type>(sums),
        // Decimals that have been added up in their own type, under a bound.
        _ => Arc::clone(sums),
    };
    let rows = match numbers.null_count() == sums.null_count() {
        true => 0..0,
        false => 0..sums.len(),
    };
    let is_outside = |row: &usize| numbers.is_null(*row) && !sums.is_null(*row);
    let outside = rows.filter(is_outside).collect();
    (numbers, outside)
}

fn whole<T>(sums: &ArrayRef) -> ArrayRef
where
    T: ArrowPrimitiveType,
    T::Native: TryFrom<i128>,
{
    let number = |sum: i128| <T::Native as TryFrom<i128>>::try_from(sum).ok();
    let sums = sums.as_primitive::<Decimal128Type>();
    let numbers: PrimitiveArray<T> = sums.unary_opt(number);
    Arc::new(numbers)
}

/// A number of at most 38 digits.
pub fn of_38_digits(number: i256) -> Option<i128> {
    let number = number.to_i128()?;
    (number.unsigned_abs() < TOO_LARGE).then_some(number)
}

#[cfg(test)]
mod tests {
    use arrow::array::Decimal128Array;

    use super::*;

    #[test]
    fn sums_are_whole_numbers_again_if_they_are_in_range() {
        let sums = |sums: Vec<Option<i128>>| -> ArrayRef {
            Arc::new(Decimal128Array::from(sums).with_data_type(WIDE))
        };
        let largest = i128::from(i64::MAX);
        let within = sums(vec![Some(largest), None, Some(-1)]);
        let narrow = narrowed(&within, &DataType::Int64).expect("in range");
        let narrow = narrow.as_primitive::<Int64Type>();
        assert_eq!(narrow.value(0), i64::MAX);
        assert!(narrow.is_null(1));
        let error = narrowed(&sums(vec![Some(largest + 1)]), &DataType::Int64).unwrap_err();
        assert!(error.to_string().contains("out of the range of Int64"));
        assert!(narrowed(&sums(vec![Some(largest + 1)]), &DataType::UInt64).is_ok());
        assert!(narrowed(&within, &DataType::UInt64).is_err());
    }

    #[test]
    fn sums_are_decimals_again_if_they_have_at_most_38_digits() {
        let data_type = DataType::Decimal128(38, 2);
        let sums = |sums: Vec<i256>| -> ArrayRef {
            let sums: PrimitiveArray<Decimal256Type> = sums.into();
            Arc::new(sums.with_data_type(DataType::Decimal256(76, 2)))
        };
        let largest = i256::from_i128(10i128.pow(38) - 1);
        let beyond = largest.wrapping_add(i256::from_i128(1));
        assert!(narrowed(&sums(vec![largest, largest.wrapping_neg()]), &data_type).is_ok());
        let outside = sums(vec![largest, beyond, beyond.wrapping_neg()]);
        assert_eq!(narrowed_each(&outside, &data_type).1, [1, 2]);
        let error = narrowed(&outside, &data_type).unwrap_err().to_string();
        let sum = format!("1{}.00", "0".repeat(36));
        assert!(error.contains(&sum), "{error}");
        assert!(has_many_digits(&data_type));
        assert!(!has_many_digits(&DataType::Decimal128(28, 2)));
    }
}
