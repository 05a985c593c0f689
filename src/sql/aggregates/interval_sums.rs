//! `sum` of intervals, of which one that is too large for an interval is an error.
//!
//! DataFusion adds up months, days and nanoseconds modulo what an interval has room for, which of
//! nanoseconds is 292 years.

use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Decimal128Type, Field, FieldRef, Int64Type, IntervalMonthDayNano,
    IntervalMonthDayNanoType,
};
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ReversedUDAF, Signature,
};
use datafusion::scalar::ScalarValue;

use crate::sql::types::INTERVAL;

/// The function in the place of `sum`, for arguments of a type; `None` for other functions and types.
pub fn in_place_of(function: &Arc<AggregateUDF>, argument: &DataType) -> Option<Arc<AggregateUDF>> {
    let is_meant = function.name() == "sum"
        && *argument == INTERVAL
        && function.inner().downcast_ref::<IntervalSum>().is_none();
    is_meant.then(|| {
        Arc::new(AggregateUDF::new_from_impl(IntervalSum {
            function: Arc::clone(function),
        }))
    })
}

/// DataFusion's function, over wider numbers.
#[derive(Debug, PartialEq, Eq, Hash)]
struct IntervalSum {
    function: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for IntervalSum {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.function.return_type(given)
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        match arguments.is_distinct {
            true => self.function.accumulator(arguments),
            false => Ok(Box::new(Total::default())),
        }
    }

    fn create_sliding_accumulator(
        &self,
        arguments: AccumulatorArgs,
    ) -> Result<Box<dyn Accumulator>> {
        match arguments.is_distinct {
            true => self.function.create_sliding_accumulator(arguments),
            false => Ok(Box::new(Total::default())),
        }
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        if arguments.is_distinct {
            return self.function.state_fields(arguments);
        }
        let field = |part: &str, data_type: DataType| -> FieldRef {
            let name = format!("{}[{part}]", arguments.name);
            Arc::new(Field::new(name, data_type, true))
        };
        Ok(vec![
            field("months", DataType::Int64),
            field("days", DataType::Int64),
            field("nanoseconds", DataType::Decimal128(38, 0)),
            field("number", DataType::Int64),
        ])
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.function.order_sensitivity()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

/// What intervals come to.
#[derive(Debug, Default)]
struct Total {
    months: i64,
    days: i64,
    nanoseconds: i128,
    /// How many intervals there are.
    number: i64,
}

impl Total {
    /// Adds intervals, or takes them away.
    fn add(&mut self, values: &[ArrayRef], factor: i64) {
        let Some(values) = values.first() else {
            return;
        };
        let intervals = values.as_primitive::<IntervalMonthDayNanoType>();
        for interval in intervals.iter().flatten() {
            self.months += factor * i64::from(interval.months);
            self.days += factor * i64::from(interval.days);
            self.nanoseconds += i128::from(factor) * i128::from(interval.nanoseconds);
            self.number += factor;
        }
    }

    fn interval(&self) -> Option<IntervalMonthDayNano> {
        let months = i32::try_from(self.months).ok()?;
        let days = i32::try_from(self.days).ok()?;
        let nanoseconds = i64::try_from(self.nanoseconds).ok()?;
        Some(IntervalMonthDayNano::new(months, days, nanoseconds))
    }
}

impl Accumulator for Total {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(values, 1);
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(values, -1);
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![
            ScalarValue::Int64(Some(self.months)),
            ScalarValue::Int64(Some(self.days)),
            ScalarValue::Decimal128(Some(self.nanoseconds), 38, 0),
            ScalarValue::Int64(Some(self.number)),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [months, days, nanoseconds, number] = states else {
            return exec_err!("a sum of intervals has four parts, not {}", states.len());
        };
        let sum = |part: &ArrayRef| -> i64 {
            let part = part.as_primitive::<Int64Type>();
            part.iter().flatten().sum()
        };
        self.months += sum(months);
        self.days += sum(days);
        self.number += sum(number);
        let nanoseconds = nanoseconds.as_primitive::<Decimal128Type>();
        self.nanoseconds += nanoseconds.iter().flatten().sum::<i128>();
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.number == 0 {
            return Ok(ScalarValue::IntervalMonthDayNano(None));
        }
        match self.interval() {
            Some(interval) => Ok(ScalarValue::IntervalMonthDayNano(Some(interval))),
            None => exec_err!("a sum of intervals is out of range"),
        }
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::IntervalMonthDayNanoArray;

    use super::*;

    fn column(intervals: &[(i32, i64)]) -> Vec<ArrayRef> {
        let intervals = intervals.iter();
        let intervals = intervals.map(|(days, rest)| IntervalMonthDayNano::new(0, *days, *rest));
        vec![Arc::new(IntervalMonthDayNanoArray::from_iter_values(
            intervals,
        ))]
    }

    #[test]
    fn a_sum_may_leave_the_range_and_come_back() {
        let mut total = Total::default();
        assert!(total.evaluate().expect("no sum").is_null());
        let added = total.update_batch(&column(&[(1, i64::MAX), (2, 1)]));
        added.expect("intervals are added");
        let error = total.evaluate().expect_err("out of range");
        assert!(error.to_string().contains("out of range"));
        let mut whole = Total::default();
        let states = total.state().expect("a state").into_iter();
        let states: Vec<ArrayRef> = states
            .map(|state| state.to_array().expect("an array"))
            .collect();
        whole.merge_batch(&states).expect("states are merged");
        let taken = whole.retract_batch(&column(&[(2, 1)]));
        taken.expect("intervals are taken away");
        let interval = IntervalMonthDayNano::new(0, 1, i64::MAX);
        let expected = ScalarValue::IntervalMonthDayNano(Some(interval));
        assert_eq!(whole.evaluate().expect("a sum"), expected);
    }
}
