//! The least and the greatest of intervals, by their length.
//!
//! DataFusion's functions go by the months of intervals, then their days, then the rest.

use std::collections::BTreeMap;
use std::mem::{size_of, size_of_val};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalMonthDayNanoType};
use datafusion::common::{not_impl_err, plan_err};
use datafusion::error::Result;
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction, WindowFunction};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ColumnarValue, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, WindowFunctionDefinition,
};
use datafusion::scalar::ScalarValue;

use crate::sql::functions::call_rows::CallRows;
use crate::sql::operators::interval_length::{length, length_of};
use crate::sql::types::INTERVAL;

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
        let rows = CallRows::of(&given);
        let mut found = vec![None; rows.count];
        for values in &given.args {
            let values: ArrayRef = cast(&values.to_array(rows.count)?, &INTERVAL)?;
            let values = values.as_primitive::<IntervalMonthDayNanoType>();
            for (found, value) in found.iter_mut().zip(values) {
                *found = self.chosen(*found, value);
            }
        }
        let found = IntervalMonthDayNanoArray::from(found);
        rows.answer(Arc::new(found))
    }
}

/// Makes a call of `min` or `max` over a window one by length.
pub fn over_window(call: &mut WindowFunction) {
    let function = ExtremeOfRows {
        signature: Signature::exact(vec![INTERVAL], Volatility::Immutable),
        is_greatest: call.fun.name() == "max",
    };
    let function = Arc::new(AggregateUDF::new_from_impl(function));
    call.fun = WindowFunctionDefinition::AggregateUDF(function);
    // The least of different values is that of all.
    call.params.distinct = false;
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ExtremeOfRows {
    signature: Signature,
    is_greatest: bool,
}

impl AggregateUDFImpl for ExtremeOfRows {
    fn name(&self) -> &str {
        match self.is_greatest {
            true => "longest",
            false => "shortest",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(INTERVAL)
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn accumulator(&self, _arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Frame {
            is_greatest: self.is_greatest,
            intervals: BTreeMap::new(),
        }))
    }
}

/// An interval by its length, and by its months and days among those of one length.
type Key = (i128, i32, i32);

/// The intervals of a frame, each with its nanoseconds and how often it is there.
#[derive(Debug)]
struct Frame {
    is_greatest: bool,
    intervals: BTreeMap<Key, (i64, u64)>,
}

impl Frame {
    /// Of those of one length it is the one with the most months, then the most days.
    fn extreme(&self) -> Option<IntervalMonthDayNano> {
        let last = match self.is_greatest {
            true => self.intervals.last_key_value(),
            false => {
                let ((least, ..), _) = self.intervals.first_key_value()?;
                let of_one_length = (*least, i32::MIN, i32::MIN)..=(*least, i32::MAX, i32::MAX);
                self.intervals.range(of_one_length).next_back()
            }
        };
        let ((_, months, days), (nanoseconds, _)) = last?;
        Some(IntervalMonthDayNano::new(*months, *days, *nanoseconds))
    }
}

fn given(values: &[ArrayRef]) -> impl Iterator<Item = (Key, i64)> {
    let intervals = values.iter().flat_map(|values| {
        values
            .as_primitive::<IntervalMonthDayNanoType>()
            .iter()
            .flatten()
    });
    intervals.map(|interval| {
        let key = (length(interval), interval.months, interval.days);
        (key, interval.nanoseconds)
    })
}

impl Accumulator for Frame {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for (key, nanoseconds) in given(values) {
            let (_, count) = self.intervals.entry(key).or_insert((nanoseconds, 0));
            *count += 1;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for (key, _) in given(values) {
            if let Some((_, count)) = self.intervals.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.intervals.remove(&key);
                }
            }
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::IntervalMonthDayNano(self.extreme()))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.intervals.len() * size_of::<(Key, (i64, u64))>()
    }

    /// Frames are never taken apart.
    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        not_impl_err!("extremes of intervals in parts")
    }

    fn merge_batch(&mut self, _states: &[ArrayRef]) -> Result<()> {
        not_impl_err!("extremes of intervals in parts")
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

    #[test]
    fn a_frame_forgets_what_leaves_it() {
        let hour = 3_600_000_000_000;
        let day = IntervalMonthDayNano::new(0, 1, 0);
        let same = IntervalMonthDayNano::new(0, 0, 24 * hour);
        let longer = IntervalMonthDayNano::new(0, 0, 25 * hour);
        let column = |intervals: &[IntervalMonthDayNano]| -> Vec<ArrayRef> {
            let intervals = intervals.iter().copied();
            vec![Arc::new(IntervalMonthDayNanoArray::from_iter_values(
                intervals,
            ))]
        };
        for (is_greatest, expected) in [(true, [longer, day, same]), (false, [day, day, same])] {
            let mut frame = Frame {
                is_greatest,
                intervals: BTreeMap::new(),
            };
            let all = column(&[same, day, same, longer]);
            frame.update_batch(&all).expect("intervals are added");
            let mut found = vec![frame.extreme()];
            for leaving in [longer, day] {
                let taken = frame.retract_batch(&column(&[leaving]));
                taken.expect("intervals are taken away");
                found.push(frame.extreme());
            }
            assert_eq!(found, expected.map(Some));
            let taken = frame.retract_batch(&column(&[same, same]));
            taken.expect("intervals are taken away");
            assert_eq!(frame.extreme(), None);
        }
    }
}
