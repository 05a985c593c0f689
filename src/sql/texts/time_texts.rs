//! Times, intervals and lists as text, as Postgres writes them: `2026-05-04 10:00:00`,
//! `1 day 02:03:00`, `{1,NULL}`.
//!
//! Arrow writes a `T` between date and time, and intervals in words. Texts become so by casts, and by
//! what needs texts: `||`, `concat`. They are told apart when all casts are known, with those by which
//! texts become lists, times and others (`cast_texts`).

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{ArrayRef, AsArray, IntervalMonthDayNanoArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, FieldRef, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, TimeUnit,
};
use chrono::{DateTime, NaiveDateTime, Offset, TimeZone};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use super::cast_texts::{self, is_reading_cast};
use super::list_text;
use crate::sql::functions::call_column::strict_field;
use crate::sql::functions::call_rows::CallRows;
use crate::sql::node::has_part;
use crate::sql::types::INTERVAL;

const NANOSECONDS_OF_SECOND: i64 = 1_000_000_000;
const SECONDS_OF_DAY: i64 = 86_400;

/// The rule; it stands before those that compute constants.
#[derive(Debug)]
pub struct TimeTexts {
    /// Whether texts are read and none are written.
    pub reads_only: bool,
}

impl OptimizerRule for TimeTexts {
    fn name(&self) -> &str {
        "time_texts"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let is_written = |part: &Expr| !self.reads_only && text_cast(part).is_some();
        let concerns = |part: &Expr| is_written(part) || is_reading_cast(part);
        if !has_part(&plan, concerns)? || matches!(plan, LogicalPlan::TableScan(_)) {
            return Ok(Transformed::no(plan));
        }
        let schema = merge_schema(&plan.inputs());
        let names = NamePreserver::new(&plan);
        let has_names = !matches!(plan, LogicalPlan::Sort(_) | LogicalPlan::Values(_));
        plan.map_expressions(|expression| {
            // The columns of grouping sets are called as the expressions within them.
            let is_set = matches!(expression, Expr::GroupingSet(_));
            let name = names.save(&expression);
            let written = expression.transform_up(|part| {
                let read = cast_texts::with_function(part, &schema, is_set);
                Ok(match read.transformed || self.reads_only {
                    true => read,
                    false => with_function(read.data, &schema, is_set),
                })
            })?;
            Ok(
                written.update_data(|expression| match has_names && !is_set {
                    true => name.restore(expression),
                    false => expression,
                }),
            )
        })
    }
}

/// A cast to text.
fn text_cast(part: &Expr) -> Option<&Cast> {
    match part {
        Expr::Cast(cast) if cast.field.data_type().is_string() => Some(cast),
        _ => None,
    }
}

fn with_function(part: Expr, schema: &DFSchema, keeps_names: bool) -> Transformed<Expr> {
    let is_meant = text_cast(&part)
        .and_then(|cast| cast.expr.get_type(schema).ok())
        .is_some_and(|found| is_written_here(&found));
    match part {
        Expr::Cast(Cast { expr, field }) if is_meant => {
            let name = expr.schema_name().to_string();
            let function = TimeText {
                signature: Signature::any(1, Volatility::Immutable),
            };
            let function = Arc::new(ScalarUDF::new_from_impl(function));
            let text = Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![*expr]));
            let text = match field.data_type() {
                DataType::Utf8 => text,
                other => Expr::Cast(Cast::new(Box::new(text), other.clone())),
            };
            Transformed::yes(match keeps_names {
                true => text.alias(name),
                false => text,
            })
        }
        other => Transformed::no(other),
    }
}

/// Whether Arrow writes values of a type otherwise.
pub fn is_written_here(data_type: &DataType) -> bool {
    let is_time = matches!(
        data_type,
        DataType::Timestamp(..)
            | DataType::Time32(_)
            | DataType::Time64(_)
            | DataType::Interval(_)
            | DataType::Duration(_)
    );
    is_time || list_text::is_written(data_type)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TimeText {
    signature: Signature,
}

impl ScalarUDFImpl for TimeText {
    fn name(&self) -> &str {
        "time_text"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    /// NULL only where the time is.
    fn return_field_from_args(&self, given: ReturnFieldArgs) -> Result<FieldRef> {
        strict_field(self, given)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [times] = &given.args[..] else {
            return plan_err!("one time is written at a time");
        };
        let rows = CallRows::of(&given);
        let texts = texts_of(&times.to_array(rows.count)?)?;
        rows.answer(texts)
    }
}

/// Values as texts.
pub fn texts_of(values: &ArrayRef) -> Result<ArrayRef> {
    let unit = match values.data_type() {
        DataType::Timestamp(unit, _)
        | DataType::Time32(unit)
        | DataType::Time64(unit)
        | DataType::Duration(unit) => *unit,
        DataType::Interval(_) => {
            let intervals = cast(values, &INTERVAL)?;
            let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
            let texts = intervals.iter().map(|interval| interval.map(of_interval));
            return Ok(Arc::new(texts.collect::<StringArray>()));
        }
        lists if list_text::is_written(lists) => return list_text::of_lists(values),
        _ => return Ok(cast(values, &DataType::Utf8)?),
    };
    let zone = match values.data_type() {
        DataType::Timestamp(_, Some(zone)) => Some(zone.parse::<Tz>()?),
        _ => None,
    };
    let numbers = cast(values, &DataType::Int64)?;
    let numbers = numbers.as_primitive::<Int64Type>();
    let texts = numbers.iter().map(|number| {
        let Some(number) = number else {
            return Ok(None);
        };
        let (seconds, nanoseconds) = in_seconds(number, unit);
        match values.data_type() {
            DataType::Timestamp(..) => of_moment(seconds, nanoseconds, zone).map(Some),
            DataType::Duration(_) => Ok(Some(of_length(seconds, nanoseconds))),
            _ => Ok(Some(of_clock(seconds, nanoseconds))),
        }
    });
    Ok(Arc::new(texts.collect::<Result<StringArray>>()?))
}

/// Whole seconds, and the nanoseconds behind them.
pub fn in_seconds(number: i64, unit: TimeUnit) -> (i64, i64) {
    let per_second = match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => NANOSECONDS_OF_SECOND,
    };
    let rest = number.rem_euclid(per_second);
    let nanoseconds = rest * (NANOSECONDS_OF_SECOND / per_second);
    (number.div_euclid(per_second), nanoseconds)
}

/// A moment; one with a zone as its clocks show it, with the hours that they are before UTC.
fn of_moment(seconds: i64, nanoseconds: i64, zone: Option<Tz>) -> Result<String> {
    // There are less of them than a second has.
    let Some(moment) = DateTime::from_timestamp(seconds, nanoseconds as u32) else {
        return exec_err!("Timestamp {seconds} out of range");
    };
    let moment = moment.naive_utc();
    let Some(zone) = zone else {
        return Ok(of_local(moment, nanoseconds));
    };
    let local = zone.from_utc_datetime(&moment);
    let offset = local.offset().fix().local_minus_utc();
    let sign = if offset < 0 { '-' } else { '+' };
    let (hours, minutes) = (offset.abs() / 3600, offset.abs() / 60 % 60);
    let text = of_local(local.naive_local(), nanoseconds);
    Ok(match minutes {
        0 => format!("{text}{sign}{hours:02}"),
        _ => format!("{text}{sign}{hours:02}:{minutes:02}"),
    })
}

fn of_local(moment: NaiveDateTime, nanoseconds: i64) -> String {
    let seconds = moment.format("%Y-%m-%d %H:%M:%S");
    format!("{seconds}{}", fraction(nanoseconds))
}

/// What is behind the point of seconds, without zeros at its end.
fn fraction(nanoseconds: i64) -> String {
    match nanoseconds {
        0 => String::new(),
        _ => {
            let digits = format!("{nanoseconds:09}");
            format!(".{}", digits.trim_end_matches('0'))
        }
    }
}

/// Hours, minutes and seconds.
fn of_clock(seconds: i64, nanoseconds: i64) -> String {
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    let fraction = fraction(nanoseconds);
    format!("{hours:02}:{minutes:02}:{:02}{fraction}", seconds % 60)
}

/// The time between two moments, with its days.
fn of_length(seconds: i64, nanoseconds: i64) -> String {
    let (days, seconds, nanoseconds) = in_days(seconds, nanoseconds);
    in_words(&[(days, "day")], seconds, nanoseconds)
}

/// Whole days of seconds and nanoseconds, and what is left of both.
fn in_days(seconds: i64, nanoseconds: i64) -> (i64, i64, i64) {
    // Rounded toward zero, as all parts have one sign.
    let is_past = seconds < 0 && nanoseconds > 0;
    let (seconds, nanoseconds) = match is_past {
        true => (seconds + 1, nanoseconds - NANOSECONDS_OF_SECOND),
        false => (seconds, nanoseconds),
    };
    let days = seconds / SECONDS_OF_DAY;
    (days, seconds % SECONDS_OF_DAY, nanoseconds)
}

/// Times between two moments as intervals of days and hours; other values as they are.
pub fn with_days(lengths: &ArrayRef) -> Result<ArrayRef> {
    let DataType::Duration(unit) = lengths.data_type() else {
        return Ok(Arc::clone(lengths));
    };
    let numbers = cast(lengths, &DataType::Int64)?;
    let numbers = numbers.as_primitive::<Int64Type>().iter();
    let intervals = numbers.map(|number| {
        let Some(number) = number else {
            return Ok(None);
        };
        let (seconds, nanoseconds) = in_seconds(number, *unit);
        let (days, seconds, nanoseconds) = in_days(seconds, nanoseconds);
        let Ok(days) = i32::try_from(days) else {
            return exec_err!("interval of {days} days out of range");
        };
        let nanoseconds = seconds * NANOSECONDS_OF_SECOND + nanoseconds;
        Ok(Some(IntervalMonthDayNano::new(0, days, nanoseconds)))
    });
    Ok(Arc::new(
        intervals.collect::<Result<IntervalMonthDayNanoArray>>()?,
    ))
}

/// An interval as text.
pub fn of_interval(interval: IntervalMonthDayNano) -> String {
    let (years, months) = (interval.months / 12, interval.months % 12);
    let parts = [
        (i64::from(years), "year"),
        (i64::from(months), "mon"),
        (i64::from(interval.days), "day"),
    ];
    let seconds = interval.nanoseconds / NANOSECONDS_OF_SECOND;
    in_words(
        &parts,
        seconds,
        interval.nanoseconds % NANOSECONDS_OF_SECOND,
    )
}

/// Numbers with their units, and the rest as a time of day; what comes behind something negative and
/// is not has a sign.
fn in_words(parts: &[(i64, &str)], seconds: i64, nanoseconds: i64) -> String {
    let mut text = String::new();
    let mut is_behind_negative = false;
    for (number, unit) in parts.iter().filter(|(number, _)| *number != 0) {
        let space = if text.is_empty() { "" } else { " " };
        let sign = if is_behind_negative && *number > 0 {
            "+"
        } else {
            ""
        };
        let plural = if *number == 1 { "" } else { "s" };
        // Writing to a text never fails.
        let _ = write!(text, "{space}{sign}{number} {unit}{plural}");
        is_behind_negative = *number < 0;
    }
    let is_negative = seconds < 0 || nanoseconds < 0;
    if text.is_empty() || seconds != 0 || nanoseconds != 0 {
        let space = if text.is_empty() { "" } else { " " };
        let sign = match (is_negative, is_behind_negative) {
            (true, _) => "-",
            (false, true) => "+",
            (false, false) => "",
        };
        let clock = of_clock(seconds.abs(), nanoseconds.abs());
        let _ = write!(text, "{space}{sign}{clock}");
    }
    text
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        DurationMicrosecondArray, Time64MicrosecondArray, TimestampMicrosecondArray,
    };

    use super::*;

    fn first(values: ArrayRef) -> String {
        let texts = texts_of(&values).expect("texts");
        texts.as_string::<i32>().value(0).to_owned()
    }

    #[test]
    fn times_are_written_as_in_postgres() {
        let moment = TimestampMicrosecondArray::from(vec![1_777_890_030_500_000]);
        assert_eq!(first(Arc::new(moment.clone())), "2026-05-04 10:20:30.5");
        for (zone, expected) in [
            ("UTC", "2026-05-04 10:20:30.5+00"),
            ("Europe/Berlin", "2026-05-04 12:20:30.5+02"),
            ("Asia/Kolkata", "2026-05-04 15:50:30.5+05:30"),
        ] {
            let moment = moment.clone().with_timezone(zone);
            assert_eq!(first(Arc::new(moment)), expected);
        }
        let clock = Time64MicrosecondArray::from(vec![37_230_250_000]);
        assert_eq!(first(Arc::new(clock)), "10:20:30.25");
        for (microseconds, expected) in [
            (0, "00:00:00"),
            (93_784_000_001, "1 day 02:03:04.000001"),
            (-93_784_500_000, "-1 days -02:03:04.5"),
            (-500_000, "-00:00:00.5"),
            (172_800_000_000, "2 days"),
        ] {
            let length: ArrayRef = Arc::new(DurationMicrosecondArray::from(vec![microseconds]));
            let interval = with_days(&length).expect("an interval");
            assert_eq!(first(length), expected);
            assert_eq!(first(interval), expected);
        }
    }

    #[test]
    fn intervals_are_written_as_in_postgres() {
        let hour = 3_600 * NANOSECONDS_OF_SECOND;
        for (months, days, nanoseconds, expected) in [
            (0, 0, 36 * hour, "36:00:00"),
            (14, 3, hour / 2, "1 year 2 mons 3 days 00:30:00"),
            (0, -1, 2 * hour, "-1 days +02:00:00"),
            (-1, 1, 0, "-1 mons +1 day"),
            (-12, 0, -hour, "-1 years -01:00:00"),
            (0, 0, 0, "00:00:00"),
            (24, 0, 0, "2 years"),
        ] {
            let interval = IntervalMonthDayNano::new(months, days, nanoseconds);
            assert_eq!(of_interval(interval), expected);
        }
    }
}
