//! `generate_series` of times or numbers whose beginning, end or step is a text, or whose beginning or
//! end is a date beside a moment: `generate_series(at, '2026-02-01', '1 day')`.
//!
//! DataFusion finds no function for a time and a text. While it plans it asks functions for the types
//! that they take, so texts get theirs here; they are read as in all casts.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, IntervalUnit};
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

/// Beginning and end; what comes behind them is the step.
const BOUNDS: usize = 2;

/// Puts it in the place of DataFusion's.
pub fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    let series = TypedSeries {
        function: registry.udf("generate_series")?,
        signature: Signature::user_defined(Volatility::Immutable),
    };
    registry.register_udf(Arc::new(ScalarUDF::new_from_impl(series)))?;
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
        Some(time) => (time, DataType::Interval(IntervalUnit::MonthDayNano)),
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

#[derive(Debug, PartialEq, Eq, Hash)]
struct TypedSeries {
    function: Arc<ScalarUDF>,
    signature: Signature,
}

impl ScalarUDFImpl for TypedSeries {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let fields = typed(given).into_iter();
        let fields = fields.map(|found| Arc::new(Field::new("value", found, true)));
        let fields: Vec<FieldRef> = fields.collect();
        let taken = fields_with_udf(&fields, self.function.as_ref())?;
        Ok(taken
            .iter()
            .map(|field| field.data_type().clone())
            .collect())
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.function.return_type(given)
    }

    fn return_field_from_args(&self, given: ReturnFieldArgs) -> Result<FieldRef> {
        self.function.return_field_from_args(given)
    }

    fn is_strict(&self) -> bool {
        self.function.is_strict()
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.function.invoke_with_args(given)
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::TimeUnit;

    use super::*;

    #[test]
    fn texts_take_the_types_of_times_and_numbers() {
        let moment = DataType::Timestamp(TimeUnit::Microsecond, None);
        let interval = DataType::Interval(IntervalUnit::MonthDayNano);
        let (text, day) = (DataType::Utf8, DataType::Date32);
        for (given, expected) in [
            (
                [moment.clone(), text.clone(), text.clone()],
                [moment.clone(), moment.clone(), interval.clone()],
            ),
            (
                [text.clone(), day.clone(), text.clone()],
                [day.clone(), day.clone(), interval.clone()],
            ),
            (
                [day.clone(), moment.clone(), interval.clone()],
                [moment.clone(), moment.clone(), interval.clone()],
            ),
            (
                [moment.clone(), DataType::Null, DataType::Null],
                [moment.clone(), moment.clone(), interval.clone()],
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
