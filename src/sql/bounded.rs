//! Functions that make much of little, with a bound on what one call of them may make.
//!
//! `repeat('x', 1e12)` or `generate_series(1, 1e12)` would otherwise take all memory before anything
//! could stop them: what a function makes is in no query's account.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Int64Type, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use super::error::SqlError;
use super::planner::external;

/// Most values that the lists of one call may have together.
const VALUES_MAX: f64 = 10_000_000.0;
/// Most bytes that the texts of one call may have together.
const BYTES_MAX: f64 = 268_435_456.0;
/// Nanoseconds of a day.
const DAY: f64 = 86_400e9;

/// How the size of what is made follows from the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Growth {
    /// The values from one to another.
    Series,
    /// As many values as the second argument says.
    Values,
    /// As many characters as the second argument says.
    Characters,
    /// The first argument as often as the second says.
    Copies,
}

const BOUNDED: &[(&str, Growth)] = &[
    ("generate_series", Growth::Series),
    ("range", Growth::Series),
    ("array_repeat", Growth::Values),
    ("array_resize", Growth::Values),
    ("lpad", Growth::Characters),
    ("rpad", Growth::Characters),
    ("repeat", Growth::Copies),
];

/// The functions with their bounds, of those that are there.
pub fn functions(named: impl Fn(&str) -> Option<Arc<ScalarUDF>>) -> Vec<Arc<ScalarUDF>> {
    let functions = BOUNDED.iter().filter_map(|(name, growth)| {
        let bounded = Bounded {
            function: named(name)?,
            growth: *growth,
        };
        Some(Arc::new(ScalarUDF::new_from_impl(bounded)))
    });
    functions.collect()
}

/// A function that is asked only for what it may make.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    function: Arc<ScalarUDF>,
    growth: Growth,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(given)
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.function.return_type(given)
    }

    fn return_field_from_args(&self, given: ReturnFieldArgs) -> Result<FieldRef> {
        self.function.return_field_from_args(given)
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.growth.check(self.name(), &given)?;
        self.function.invoke_with_args(given)
    }
}

impl Growth {
    fn check(self, function: &str, given: &ScalarFunctionArgs) -> Result<()> {
        let is_constant = |value: &ColumnarValue| matches!(value, ColumnarValue::Scalar(_));
        let rows = match given.args.iter().all(is_constant) {
            true => 1,
            false => given.number_rows,
        };
        let arguments = given.args.iter().map(|value| value.to_array(rows));
        let arguments = arguments.collect::<Result<Vec<_>>>()?;
        let made: f64 = self.of(&arguments, rows)?.into_iter().sum();
        let (most, what) = match self {
            Growth::Series | Growth::Values => (VALUES_MAX, "values"),
            Growth::Characters | Growth::Copies => (BYTES_MAX, "bytes"),
        };
        if made <= most {
            return Ok(());
        }
        let message = format!("{function}() would make {made} {what} at once; the limit is {most}");
        Err(external(SqlError::new("54000", message)))
    }

    /// What is made of each row.
    fn of(self, arguments: &[ArrayRef], rows: usize) -> Result<Vec<f64>> {
        if let Growth::Series = self {
            return series(arguments, rows);
        }
        let Some(counts) = arguments.get(1) else {
            return Ok(Vec::new());
        };
        let counts = cast(counts, &DataType::Int64)?;
        let lengths = match (self, arguments.first()) {
            (Growth::Copies, Some(texts)) => {
                let texts = cast(texts, &DataType::Utf8)?;
                let texts = texts.as_string::<i32>();
                texts.iter().map(|text| text.map_or(0, str::len)).collect()
            }
            _ => vec![1; rows],
        };
        let counts = counts.as_primitive::<Int64Type>();
        let made = counts.iter().zip(lengths);
        Ok(made
            .map(|(count, length)| count.unwrap_or(0).max(0) as f64 * length as f64)
            .collect())
    }
}

/// The lengths of series from a beginning to an end by a step.
fn series(arguments: &[ArrayRef], rows: usize) -> Result<Vec<f64>> {
    let constant = |value: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![value; rows])) };
    let (from, to, step) = match arguments {
        [to] => (constant(0), to.clone(), constant(1)),
        [from, to] => (from.clone(), to.clone(), constant(1)),
        [from, to, step, ..] => (from.clone(), to.clone(), step.clone()),
        [] => return Ok(Vec::new()),
    };
    let (from, to, step) = (positions(&from)?, positions(&to)?, positions(&step)?);
    let lengths = (0..rows).map(|row| match (from[row], to[row], step[row]) {
        (Some(from), Some(to), Some(step)) if step != 0.0 => ((to - from) / step).max(-1.0) + 1.0,
        _ => 0.0,
    });
    Ok(lengths.collect())
}

/// Numbers as they are, times and intervals in nanoseconds; months count as the shortest.
fn positions(values: &ArrayRef) -> Result<Vec<Option<f64>>> {
    let (data_type, unit) = match values.data_type() {
        DataType::Interval(_) => {
            let intervals = cast(values, &DataType::Interval(IntervalUnit::MonthDayNano))?;
            let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
            let nanoseconds = intervals.iter().map(|interval| {
                let (months, days, nanoseconds) = IntervalMonthDayNanoType::to_parts(interval?);
                let days = f64::from(months) * 28.0 + f64::from(days);
                Some(days * DAY + nanoseconds as f64)
            });
            return Ok(nanoseconds.collect());
        }
        DataType::Date32 | DataType::Date64 => (DataType::Date32, DAY),
        DataType::Timestamp(unit, _) => {
            let unit = match unit {
                arrow::datatypes::TimeUnit::Second => 1e9,
                arrow::datatypes::TimeUnit::Millisecond => 1e6,
                arrow::datatypes::TimeUnit::Microsecond => 1e3,
                arrow::datatypes::TimeUnit::Nanosecond => 1.0,
            };
            (values.data_type().clone(), unit)
        }
        _ => (DataType::Int64, 1.0),
    };
    let values = cast(values, &data_type)?;
    // Days are 32 bits wide.
    let values = match data_type {
        DataType::Date32 => cast(&values, &DataType::Int32)?,
        _ => values,
    };
    let numbers = cast(&values, &DataType::Int64)?;
    let numbers = numbers.as_primitive::<Int64Type>().iter();
    Ok(numbers.map(|number| Some(number? as f64 * unit)).collect())
}
