//! The least and the greatest of intervals, by their length.
//!
//! DataFusion's functions go by the months of intervals, then their days, then the rest.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use crate::sql::operators::interval_length::{length, length_of};

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
const LEAST: &str = "least";
const GREATEST: &str = "greatest";

/// A call of `min` or `max` as the first value in the order of lengths; NULL comes last.
pub fn first_of(mut call: AggregateFunction) -> AggregateFunction {
    let is_ascending = call.func.name() == "min";
    let values = call.params.args.iter();
    let keys = values.map(|value| length_of(value.clone()).sort(is_ascending, false));
    call.params.order_by = keys.collect();
    call.params.distinct = false;
    call.func = first_value_udaf();
    call
}

/// A call of `least` or `greatest`.
pub fn one_of(call: ScalarFunction) -> ScalarFunction {
    let function = IntervalExtreme {
        signature: Signature::user_defined(Volatility::Immutable),
        is_greatest: call.name() == GREATEST,
    };
    let function = Arc::new(ScalarUDF::new_from_impl(function));
    ScalarFunction::new_udf(function, call.args)
}

/// NULL only if all values are.
#[derive(Debug, PartialEq, Eq, Hash)]
struct IntervalExtreme {
    signature: Signature,
    is_greatest: bool,
}

impl IntervalExtreme {
    /// Of two intervals of one length it is the first.
    fn chosen(
        &self,
        one: Option<IntervalMonthDayNano>,
        other: Option<IntervalMonthDayNano>,
    ) -> Option<IntervalMonthDayNano> {
        let (Some(one), Some(other)) = (one, other) else {
            return one.or(other);
        };
        let is_other = match self.is_greatest {
            true => length(other) > length(one),
            false => length(other) < length(one),
        };
        Some(if is_other { other } else { one })
    }
}

impl ScalarUDFImpl for IntervalExtreme {
    fn name(&self) -> &str {
        match self.is_greatest {
            true => GREATEST,
            false => LEAST,
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let is_meant = |found: &DataType| matches!(found, DataType::Interval(_) | DataType::Null);
        match given.iter().all(is_meant) {
            true => Ok(vec![INTERVAL; given.len()]),
            false => plan_err!("{}() takes values of one type", self.name()),
        }
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(INTERVAL)
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = |value: &ColumnarValue| matches!(value, ColumnarValue::Scalar(_));
        let is_constant = given.args.iter().all(is_scalar);
        let rows = if is_constant { 1 } else { given.number_rows };
        let mut found = vec![None; rows];
        for values in &given.args {
            let values: ArrayRef = cast(&values.to_array(rows)?, &INTERVAL)?;
            let values = values.as_primitive::<IntervalMonthDayNanoType>();
            for (found, value) in found.iter_mut().zip(values) {
                *found = self.chosen(*found, value);
            }
        }
        let found = IntervalMonthDayNanoArray::from(found);
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&found, 0)?),
            false => ColumnarValue::Array(Arc::new(found)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_and_the_shortest_are_chosen() {
        let hour = 3_600_000_000_000;
        let day = IntervalMonthDayNano::new(0, 1, 0);
        let longer = IntervalMonthDayNano::new(0, 0, 25 * hour);
        let same = IntervalMonthDayNano::new(0, 0, 24 * hour);
        for (is_greatest, expected) in [(true, longer), (false, day)] {
            let extreme = IntervalExtreme {
                signature: Signature::user_defined(Volatility::Immutable),
                is_greatest,
            };
            assert_eq!(extreme.chosen(Some(day), Some(longer)), Some(expected));
            assert_eq!(extreme.chosen(Some(longer), Some(day)), Some(expected));
            assert_eq!(extreme.chosen(Some(day), Some(same)), Some(day));
            assert_eq!(extreme.chosen(None, Some(same)), Some(same));
            assert_eq!(extreme.chosen(None, None), None);
        }
    }
}
