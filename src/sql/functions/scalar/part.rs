//! Parts of times that DataFusion's `date_part` gives otherwise than Postgres, or not at all: seconds,
//! milliseconds and microseconds with their fraction, how many seconds an interval has, decades, centuries and
//! millennia.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int32Array};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Field, FieldRef, Int32Type, Int64Type, IntervalMonthDayNano,
    IntervalMonthDayNanoType, TimeUnit,
};
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::functions::datetime;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use datafusion::scalar::ScalarValue;

use super::super::call_rows::CallRows;
use crate::sql::types::INTERVAL;

const SECONDS_OF_DAY: f64 = 86_400.0;

/// A year has 365.25 days and a month 30, as in Postgres.
const SECONDS_OF_YEAR: f64 = 365.25 * SECONDS_OF_DAY;
const SECONDS_OF_MONTH: f64 = 30.0 * SECONDS_OF_DAY;

/// Puts the function in the place of DataFusion's.
pub fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    let function = in_place_of(registry.udf("date_part")?);
    registry.register_udf(function)?;
    Ok(())
}

fn in_place_of(function: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(DatePart { function }))
}

/// The same for `extract`; it stands before DataFusion's own.
#[derive(Debug)]
pub struct Extracts;

impl ExprPlanner for Extracts {
    fn plan_extract(&self, arguments: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        if part_of(&arguments).is_none() {
            return Ok(PlannerResult::Original(arguments));
        }
        let function = in_place_of(datetime::date_part());
        let call = ScalarFunction::new_udf(function, arguments);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }
}

/// What a call asks for, if it is one of the parts here.
fn part_of(arguments: &[Expr]) -> Option<Part> {
    match arguments.first() {
        Some(Expr::Literal(part, _)) => Part::of(part),
        _ => None,
    }
}

/// A part of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The seconds of a minute, in units of which each has so many.
    Seconds(i64),
    /// All seconds.
    Epoch,
    /// Ten years, of which the first begins with the year 0.
    Decade,
    /// So many years, of which the first begins with the year 1.
    Years(i32),
}

impl Part {
    fn of(name: &ScalarValue) -> Option<Part> {
        let name = name.try_as_str().flatten()?;
        Some(
            match name.trim_matches(['\'', '"']).to_lowercase().as_str() {
                "s" | "sec" | "secs" | "second" | "seconds" => Part::Seconds(1),
                "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecond"
                | "milliseconds" => Part::Seconds(1000),
                "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecond"
                | "microseconds" => Part::Seconds(1_000_000),
                "epoch" => Part::Epoch,
                "dec" | "decs" | "decade" | "decades" => Part::Decade,
                "c" | "cent" | "cents" | "century" | "centuries" => Part::Years(100),
                "mil" | "mils" | "millennium" | "millenium" | "millennia" => Part::Years(1000),
                _ => return None,
            },
        )
    }

    fn data_type(self) -> DataType {
        match self {
            Part::Seconds(_) | Part::Epoch => DataType::Float64,
            Part::Decade | Part::Years(_) => DataType::Int32,
        }
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DatePart {
    /// DataFusion's, for all other parts.
    function: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for DatePart {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.function.return_type(given)
    }

    fn return_field_from_args(&self, given: ReturnFieldArgs) -> Result<FieldRef> {
        let part = given.scalar_arguments.first().copied().flatten();
        match (part.and_then(Part::of), given.arg_fields) {
            (Some(part), [_, moment]) => {
                let field = Field::new(self.name(), part.data_type(), moment.is_nullable());
                Ok(Arc::new(field))
            }
            _ => self.function.return_field_from_args(given),
        }
    }

    /// Other parts are DataFusion's own from here on, which it knows more about.
    fn simplify(
        &self,
        arguments: Vec<Expr>,
        _info: &SimplifyContext,
    ) -> Result<ExprSimplifyResult> {
        Ok(match part_of(&arguments) {
            Some(_) => ExprSimplifyResult::Original(arguments),
            None => {
                let call = ScalarFunction::new_udf(Arc::clone(&self.function), arguments);
                ExprSimplifyResult::Simplified(Expr::ScalarFunction(call))
            }
        })
    }

    fn invoke_with_args(&self, mut given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Scalar(part), moments] = &given.args[..] else {
            return self.function.invoke_with_args(given);
        };
        let is_interval = matches!(moments.data_type(), DataType::Interval(_));
        let is_length = is_interval || matches!(moments.data_type(), DataType::Duration(_));
        let rows = CallRows::of(&given);
        let found: ArrayRef = match Part::of(part) {
            Some(Part::Seconds(units)) => Arc::new(seconds(&moments.to_array(rows.count)?, units)?),
            Some(Part::Epoch) if is_length => Arc::new(length(&moments.to_array(rows.count)?)?),
            Some(part @ (Part::Decade | Part::Years(_))) => {
                given.args[0] = ColumnarValue::Scalar(ScalarValue::from("year"));
                let years = self.function.invoke_with_args(given)?;
                let years = years.to_array(rows.count)?;
                Arc::new(spans(&years, part, is_interval))
            }
            _ => return self.function.invoke_with_args(given),
        };
        rows.answer(found)
    }
}

/// The seconds of the minutes, in units of which each has so many; of the time between two moments
/// all of them.
fn seconds(moments: &ArrayRef, units: i64) -> Result<Float64Array> {
    let moments = match moments.data_type() {
        DataType::Date32 | DataType::Date64 => {
            cast(moments, &DataType::Timestamp(TimeUnit::Microsecond, None))?
        }
        DataType::Interval(_) => {
            let intervals = cast(moments, &INTERVAL)?;
            let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
            let minute = 60 * per_second(TimeUnit::Nanosecond);
            return Ok(intervals
                .iter()
                .map(|interval| interval.map(|interval| interval.nanoseconds % minute))
                .map(|rest| rest.map(|rest| fraction(rest, units, TimeUnit::Nanosecond)))
                .collect());
        }
        _ => Arc::clone(moments),
    };
    let (unit, is_length) = match moments.data_type() {
        DataType::Timestamp(unit, _) | DataType::Time32(unit) | DataType::Time64(unit) => {
            (*unit, false)
        }
        DataType::Duration(unit) => (*unit, true),
        other => return exec_err!("there are no seconds in {other}"),
    };
    let minute = 60 * per_second(unit);
    let numbers = cast(&moments, &DataType::Int64)?;
    let numbers = numbers.as_primitive::<Int64Type>().iter();
    let rest = numbers.map(|number| {
        number.map(|number| match is_length {
            true => number,
            false => number.rem_euclid(minute),
        })
    });
    Ok(rest
        .map(|rest| rest.map(|rest| fraction(rest, units, unit)))
        .collect())
}

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// A number of one unit in another, of which a second has so many.
fn fraction(number: i64, units: i64, unit: TimeUnit) -> f64 {
    number as f64 * units as f64 / per_second(unit) as f64
}

/// How many seconds intervals have, or the times between two moments.
fn length(intervals: &ArrayRef) -> Result<Float64Array> {
    if let DataType::Duration(unit) = intervals.data_type() {
        let numbers = cast(intervals, &DataType::Int64)?;
        let numbers = numbers.as_primitive::<Int64Type>();
        return Ok(numbers.unary(|number| fraction(number, 1, *unit)));
    }
    let intervals = cast(intervals, &INTERVAL)?;
    let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
    let lengths = intervals.iter().map(|interval| interval.map(in_seconds));
    Ok(lengths.collect())
}

fn in_seconds(interval: IntervalMonthDayNano) -> f64 {
    let (years, months) = (interval.months / 12, interval.months % 12);
    f64::from(years) * SECONDS_OF_YEAR
        + f64::from(months) * SECONDS_OF_MONTH
        + f64::from(interval.days) * SECONDS_OF_DAY
        + interval.nanoseconds as f64 / 1e9
}

/// The decades, centuries or millennia that years are in, or that so many years have.
fn spans(years: &ArrayRef, part: Part, is_interval: bool) -> Int32Array {
    let years = years.as_primitive::<Int32Type>();
    years.unary(|year| match part {
        Part::Years(count) if is_interval => year / count,
        Part::Years(count) => (year - 1).div_euclid(count) + 1,
        _ if is_interval => year / 10,
        _ => year.div_euclid(10),
    })
}

#[cfg(test)]
mod tests {
    use arrow::array::{IntervalMonthDayNanoArray, TimestampMicrosecondArray};

    use super::*;

    #[test]
    fn seconds_have_their_fraction() {
        let moments: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![
            Some(1_777_890_030_500_000),
            Some(-500_000),
            None,
        ]));
        let found: Vec<Option<f64>> = seconds(&moments, 1).expect("seconds").iter().collect();
        assert_eq!(found, [Some(30.5), Some(59.5), None]);
        let found = seconds(&moments, 1000).expect("milliseconds");
        assert_eq!(found.value(0), 30_500.0);
        let interval = IntervalMonthDayNano::new(13, 1, -64_500_000_000);
        let intervals: ArrayRef = Arc::new(IntervalMonthDayNanoArray::from(vec![interval]));
        assert_eq!(seconds(&intervals, 1).expect("seconds").value(0), -4.5);
        assert_eq!(length(&intervals).expect("a length").value(0), 34_235_935.5);
    }

    #[test]
    fn years_are_in_centuries_and_decades() {
        let years: ArrayRef = Arc::new(Int32Array::from(vec![1, 100, 101, 2000, 2001, 2026]));
        let found = spans(&years, Part::Years(100), false);
        assert_eq!(found.values()[..], [1, 1, 2, 20, 21, 21]);
        let found = spans(&years, Part::Decade, false);
        assert_eq!(found.values()[..], [0, 10, 10, 200, 200, 202]);
        let found = spans(&years, Part::Years(1000), true);
        assert_eq!(found.values()[..], [0, 0, 0, 2, 2, 2]);
    }
}
