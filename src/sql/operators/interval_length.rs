//! How long an interval is, by which intervals are compared.
//!
//! Arrow compares months, then days, then the rest, so that 25 hours would be less than a day, and
//! the 720 hours between two times less than one. Postgres takes a month for 30 days and a day for
//! 24 hours, and so do comparisons here.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, ListArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Field, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, TimeUnit,
};
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::sql::functions::call_rows::CallRows;
use crate::sql::types::INTERVAL;

/// The type of lengths: all nanoseconds of the longest interval.
pub const LENGTH: DataType = DataType::Decimal128(38, 0);

const DAYS_OF_MONTH: i128 = 30;
const NANOSECONDS_OF_DAY: i128 = 86_400_000_000_000;

/// Whether values of a type have a length: intervals, and what lies between two times.
pub fn has_length(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_) | DataType::Duration(_))
}

/// The length of a value; of a text that of the interval that it stands for, of a list those of its
/// elements.
pub fn length_of(value: Expr) -> Expr {
    let function = IntervalLength {
        signature: Signature::user_defined(Volatility::Immutable),
    };
    let function = Arc::new(ScalarUDF::new_from_impl(function));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![value]))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct IntervalLength {
    signature: Signature,
}

impl ScalarUDFImpl for IntervalLength {
    fn name(&self) -> &str {
        "interval_length"
    }

    /// A comparison is called by what is compared, but no length as the interval is: a join by
    /// lengths has columns of both.
    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        let names = arguments.iter();
        let names = names.map(|value| format!("({})", value.schema_name()));
        Ok(names.collect())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [DataType::Duration(unit)] => Ok(vec![DataType::Duration(*unit)]),
            [DataType::List(item)] if has_length(item.data_type()) => Ok(given.to_vec()),
            [_] => Ok(vec![INTERVAL]),
            _ => plan_err!("one interval is needed"),
        }
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Ok(match given {
            [DataType::List(_)] => DataType::new_list(LENGTH, true),
            _ => LENGTH,
        })
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [intervals] = &given.args[..] else {
            return plan_err!("one interval is needed");
        };
        let rows = CallRows::of(&given);
        let intervals = intervals.to_array(rows.count)?;
        let lengths: ArrayRef = match intervals.as_list_opt::<i32>() {
            Some(lists) => Arc::new(lengths_within(lists)?),
            None => Arc::new(lengths(&intervals)?),
        };
        rows.answer(lengths)
    }
}

fn lengths_within(lists: &ListArray) -> Result<ListArray> {
    let lengths: ArrayRef = Arc::new(lengths(lists.values())?);
    let item = Arc::new(Field::new_list_field(LENGTH, true));
    let offsets = lists.offsets().clone();
    let nulls = lists.nulls().cloned();
    Ok(ListArray::try_new(item, offsets, lengths, nulls)?)
}

fn lengths(intervals: &ArrayRef) -> Result<Decimal128Array> {
    let lengths: Decimal128Array = match intervals.data_type() {
        DataType::Duration(unit) => {
            let nanoseconds = nanoseconds_of(*unit);
            let units = cast(intervals, &DataType::Int64)?;
            let units = units.as_primitive::<Int64Type>().iter();
            units
                .map(|units| units.map(|units| i128::from(units) * nanoseconds))
                .collect()
        }
        _ => {
            let intervals = cast(intervals, &INTERVAL)?;
            let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
            intervals
                .iter()
                .map(|interval| interval.map(length))
                .collect()
        }
    };
    Ok(lengths.with_precision_and_scale(38, 0)?)
}

fn nanoseconds_of(unit: TimeUnit) -> i128 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1000,
        TimeUnit::Nanosecond => 1,
    }
}

/// The nanoseconds of an interval.
pub fn length(interval: IntervalMonthDayNano) -> i128 {
    let days = i128::from(interval.months) * DAYS_OF_MONTH + i128::from(interval.days);
    days * NANOSECONDS_OF_DAY + i128::from(interval.nanoseconds)
}

#[cfg(test)]
mod tests {
    use arrow::array::{DurationMicrosecondArray, IntervalMonthDayNanoArray};

    use super::*;

    #[test]
    fn intervals_are_as_long_as_in_postgres() {
        let interval = IntervalMonthDayNano::new;
        let hour = NANOSECONDS_OF_DAY as i64 / 24;
        let intervals = [
            Some(interval(0, 1, 0)),
            Some(interval(0, 0, 25 * hour)),
            Some(interval(1, -30, 0)),
            Some(interval(i32::MIN, i32::MIN, i64::MIN)),
            None,
        ];
        let intervals: ArrayRef = Arc::new(IntervalMonthDayNanoArray::from(intervals.to_vec()));
        let found: Vec<Option<i128>> = lengths(&intervals).expect("lengths").iter().collect();
        assert_eq!(found[0], Some(NANOSECONDS_OF_DAY));
        assert_eq!(found[1], Some(NANOSECONDS_OF_DAY / 24 * 25));
        assert_eq!(found[2], Some(0));
        assert!(found[3].is_some_and(|length| length < -(10_i128.pow(24))));
        assert_eq!(found[4], None);
        let durations: ArrayRef = Arc::new(DurationMicrosecondArray::from(vec![Some(5), None]));
        let found: Vec<Option<i128>> = lengths(&durations).expect("lengths").iter().collect();
        assert_eq!(found, [Some(5000), None]);
    }
}
