//! `date_trunc` of all times that a column has: DataFusion computes most units in nanoseconds, which
//! reach from 1677 to 2262 only, and knows no decades, centuries and millennia.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use chrono::{DateTime, Datelike, NaiveDate, NaiveTime};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF};
use datafusion::scalar::ScalarValue;

use super::super::call_rows::CallRows;
use super::super::otherwise::{Computation, otherwise};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// Puts it in the place of DataFusion's.
pub fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    let truncate = otherwise(registry.udf("date_trunc")?, DateTrunc);
    registry.register_udf(truncate)?;
    Ok(())
}

/// DataFusion's is left for times of a day and those of other zones than UTC.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct DateTrunc;

impl Computation for DateTrunc {
    const HAS_OWN_TYPES: bool = true;

    fn coerce_types(&self, _function: &ScalarUDF, given: &[DataType]) -> Result<Vec<DataType>> {
        let [unit, moment] = given else {
            return plan_err!("date_trunc() takes a unit and a time");
        };
        if !unit.is_string() {
            return plan_err!("date_trunc() takes a unit such as 'day', not {unit}");
        }
        let moment = match moment {
            DataType::Date32 | DataType::Date64 => DataType::Timestamp(TimeUnit::Microsecond, None),
            text if text.is_string() => DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Timestamp(..)
            | DataType::Time32(_)
            | DataType::Time64(_)
            | DataType::Null => moment.clone(),
            other => return plan_err!("date_trunc() takes a time, not {other}"),
        };
        Ok(vec![unit.clone(), moment])
    }

    fn invoke(&self, function: &ScalarUDF, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some((unit, zone)) = unit_in_utc(&given.args) else {
            return as_column(function, given);
        };
        let [_, moments] = &given.args[..] else {
            return exec_err!("date_trunc() takes a unit and a time");
        };
        let rows = CallRows::of(&given);
        let given_type = moments.data_type();
        let in_microseconds = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
        let moments = cast(&moments.to_array(rows.count)?, &in_microseconds)?;
        let moments = moments.as_primitive::<TimestampMicrosecondType>();
        let truncated = moments.try_unary::<_, TimestampMicrosecondType, ArrowError>(|moment| {
            let begin = unit.begin(moment);
            begin
                .ok_or_else(|| ArrowError::ComputeError(format!("Timestamp {moment} out of range")))
        })?;
        let truncated: ArrayRef = Arc::new(truncated.with_timezone_opt(zone));
        let truncated = cast(&truncated, &given_type)?;
        rows.answer(truncated)
    }
}

/// What DataFusion gives for a column: constants before 1970 it cuts upwards.
fn as_column(function: &ScalarUDF, mut given: ScalarFunctionArgs) -> Result<ColumnarValue> {
    let moment = match given.args.get(1) {
        Some(ColumnarValue::Scalar(moment))
            if matches!(moment.data_type(), DataType::Timestamp(..)) =>
        {
            moment.to_array()?
        }
        _ => return function.invoke_with_args(given),
    };
    given.args[1] = ColumnarValue::Array(moment);
    given.number_rows = 1;
    let truncated = function.invoke_with_args(given)?.into_array(1)?;
    Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
        &truncated, 0,
    )?))
}
/// The unit of a call on timestamps in UTC, and their zone as they have it.
fn unit_in_utc(arguments: &[ColumnarValue]) -> Option<(Unit, Option<Arc<str>>)> {
    let [ColumnarValue::Scalar(unit), moments] = arguments else {
        return None;
    };
    let unit = Unit::of(unit.try_as_str().flatten()?)?;
    match moments.data_type() {
        DataType::Timestamp(precision, zone)
            if zone.as_deref().is_none_or(|zone| zone == "UTC")
                && (precision == TimeUnit::Microsecond || unit.is_only_here()) =>
        {
            Some((unit, zone))
        }
        _ => None,
    }
}

/// What a time is cut to.
#[derive(Clone, Copy)]
enum Unit {
    /// So many microseconds.
    Fixed(i64),
    /// From Monday.
    Week,
    /// So many months of a year.
    Months(u32),
    /// Ten years.
    Decade,
    /// So many years, of which the first begins with the year 1.
    Years(i32),
}

impl Unit {
    fn of(name: &str) -> Option<Unit> {
        Some(match name.to_lowercase().as_str() {
            "microsecond" => Unit::Fixed(1),
            "millisecond" => Unit::Fixed(1000),
            "second" => Unit::Fixed(SECOND),
            "minute" => Unit::Fixed(60 * SECOND),
            "hour" => Unit::Fixed(3600 * SECOND),
            "day" => Unit::Fixed(DAY),
            "week" => Unit::Week,
            "month" => Unit::Months(1),
            "quarter" => Unit::Months(3),
            "year" => Unit::Months(12),
            "decade" => Unit::Decade,
            "century" => Unit::Years(100),
            "millennium" => Unit::Years(1000),
            _ => return None,
        })
    }

    /// Whether DataFusion does not know it.
    fn is_only_here(self) -> bool {
        matches!(self, Unit::Decade | Unit::Years(_))
    }

    /// When the unit begins that a moment is in; `None`: before all times.
    fn begin(self, moment: i64) -> Option<i64> {
        match self {
            Unit::Fixed(length) => moment.checked_sub(moment.rem_euclid(length)),
            Unit::Week => {
                let days = moment.div_euclid(DAY);
                // The first day of 1970 was a Thursday.
                (days - (days + 3).rem_euclid(7)).checked_mul(DAY)
            }
            Unit::Months(count) => {
                let date = DateTime::from_timestamp_micros(moment)?.date_naive();
                let month = date.month0() / count * count + 1;
                first_of(date.year(), month)
            }
            Unit::Decade => {
                let year = year_of(moment)?;
                first_of(year - year.rem_euclid(10), 1)
            }
            Unit::Years(count) => {
                let year = year_of(moment)?;
                first_of(year - (year - 1).rem_euclid(count), 1)
            }
        }
    }
}

fn year_of(moment: i64) -> Option<i32> {
    let moment = DateTime::from_timestamp_micros(moment)?;
    Some(moment.date_naive().year())
}

/// When a month begins.
fn first_of(year: i32, month: u32) -> Option<i64> {
    let first = NaiveDate::from_ymd_opt(year, month, 1)?;
    let begin = first.and_time(NaiveTime::MIN).and_utc();
    Some(begin.timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(unit: &str, moment: &str) -> String {
        let moment: DateTime<chrono::Utc> = moment.parse().expect(moment);
        let unit = Unit::of(unit).expect(unit);
        let begin = unit.begin(moment.timestamp_micros()).expect("in range");
        let begin = DateTime::from_timestamp_micros(begin).expect("in range");
        begin.format("%Y-%m-%dT%H:%M:%S%.3f").to_string()
    }

    #[test]
    fn units_begin_where_they_do_in_postgres() {
        for (unit, moment, expected) in [
            (
                "millisecond",
                "1969-12-31T23:59:59.123456Z",
                "1969-12-31T23:59:59.123",
            ),
            ("hour", "0001-01-01T05:30:00Z", "0001-01-01T05:00:00.000"),
            ("DAY", "1899-03-01T05:30:00Z", "1899-03-01T00:00:00.000"),
            ("week", "1970-01-01T00:00:00Z", "1969-12-29T00:00:00.000"),
            ("week", "9999-12-31T12:00:00Z", "9999-12-27T00:00:00.000"),
            ("week", "2026-05-04T00:00:00Z", "2026-05-04T00:00:00.000"),
            ("month", "2026-05-31T12:00:00Z", "2026-05-01T00:00:00.000"),
            ("quarter", "9999-12-31T12:00:00Z", "9999-10-01T00:00:00.000"),
            ("year", "1600-02-29T12:00:00Z", "1600-01-01T00:00:00.000"),
            ("decade", "2026-05-04T12:00:00Z", "2020-01-01T00:00:00.000"),
            ("century", "2026-05-04T12:00:00Z", "2001-01-01T00:00:00.000"),
            ("century", "2000-12-31T12:00:00Z", "1901-01-01T00:00:00.000"),
            (
                "millennium",
                "2026-05-04T12:00:00Z",
                "2001-01-01T00:00:00.000",
            ),
        ] {
            assert_eq!(cut(unit, moment), expected, "{unit} of {moment}");
        }
        assert!(Unit::of("fortnight").is_none());
        assert_eq!(Unit::Fixed(DAY).begin(i64::MIN), None);
    }
}
