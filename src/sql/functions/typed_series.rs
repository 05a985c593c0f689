//! `generate_series` of times or numbers whose beginning, end or step is a text, or whose beginning or
//! end is a date beside a moment: `generate_series(at, '2026-02-01', '1 day')`.
//!
//! DataFusion finds no function for a time and a text. While it plans it asks functions for the types
//! that they take, so texts get theirs here; they are read as in all casts.

use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF};

use super::otherwise::{Computation, otherwise, taken_types};
use crate::sql::types::INTERVAL;

/// Beginning and end; what comes behind them is the step.
const BOUNDS: usize = 2;

/// Puts it in the place of DataFusion's.
pub fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    let series = otherwise(registry.udf("generate_series")?, TypedSeries);
    registry.register_udf(series)?;
    Ok(())
}

/// The types of arguments, with those of times or numbers in the place of texts.
fn typed(given: &[DataType]) -> Vec<DataType> {
    let of_bounds = |is_meant: fn(&DataType) -> bool| {
        let mut bounds = given.iter().take(BOUNDS);
        bounds.find(|found| is_meant(found)).cloned()
    };
    let moment = of_bounds(|found| matches!(found, DataType::Timestamp(..)));
    let time = moment.or_else(|| of_bounds(|found| *found == DataType::Date32));
    let is_of_times = time.is_some();
    let (bound, step) = match time {
        Some(time) => (time, INTERVAL),
        None if given.iter().any(DataType::is_integer) => (DataType::Int64, DataType::Int64),
        None => return given.to_vec(),
    };
    let places = given.iter().enumerate();
    let taken = places.map(|(place, found)| {
        let is_bound = place < BOUNDS;
        let wanted = if is_bound { &bound } else { &step };
        match found {
            text if text.is_string() => wanted.clone(),
            // Parameters of which nothing is known, too.
            DataType::Null if is_of_times => wanted.clone(),
            DataType::Date32 if is_bound => wanted.clone(),
            other => other.clone(),
        }
    });
    taken.collect()
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct TypedSeries;

impl Computation for TypedSeries {
    const HAS_OWN_TYPES: bool = true;

    fn coerce_types(&self, function: &ScalarUDF, given: &[DataType]) -> Result<Vec<DataType>> {
        taken_types(function, typed(given))
    }

    fn invoke(&self, function: &ScalarUDF, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        function.invoke_with_args(given)
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::TimeUnit;

    use super::*;

    #[test]
    fn texts_take_the_types_of_times_and_numbers() {
        let moment = DataType::Timestamp(TimeUnit::Microsecond, None);
        let (text, day) = (DataType::Utf8, DataType::Date32);
        for (given, expected) in [
            (
                [moment.clone(), text.clone(), text.clone()],
                [moment.clone(), moment.clone(), INTERVAL],
            ),
            (
                [text.clone(), day.clone(), text.clone()],
                [day.clone(), day.clone(), INTERVAL],
            ),
            (
                [day.clone(), moment.clone(), INTERVAL],
                [moment.clone(), moment.clone(), INTERVAL],
            ),
            (
                [moment.clone(), DataType::Null, DataType::Null],
                [moment.clone(), moment.clone(), INTERVAL],
            ),
            (
                [DataType::Int32, text.clone(), text.clone()],
                [DataType::Int32, DataType::Int64, DataType::Int64],
            ),
            (
                [text.clone(), text.clone(), text.clone()],
                [text.clone(), text.clone(), text.clone()],
            ),
        ] {
            assert_eq!(typed(&given), expected);
        }
    }
}
