//! Functions of times.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, IntervalMonthDayNanoArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{
    DataType, Float64Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, TimeUnit,
    TimestampMicrosecondType,
};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;

use crate::sql::error::SqlError;
use crate::sql::planner::external;

/// Timestamps without a zone, for times of any kind: those with one are told in UTC.
pub fn moments(given: &[DataType]) -> Result<Vec<DataType>> {
    match given.iter().find(|given| !is_time(given)) {
        Some(other) => plan_err!("age() takes times, not {other}"),
        None => Ok(vec![
            DataType::Timestamp(TimeUnit::Microsecond, None);
            given.len()
        ]),
    }
}

/// Dates, for times of any kind.
pub fn dates(given: &[DataType]) -> Result<Vec<DataType>> {
    match given.iter().find(|given| !is_time(given)) {
        Some(other) => plan_err!("date() takes a time, not {other}"),
        None => Ok(vec![DataType::Date32; given.len()]),
    }
}

/// Whether it is a time, or a text that may say one.
fn is_time(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Timestamp(..)
            | DataType::Date32
            | DataType::Date64
            | DataType::Utf8
            | DataType::Utf8View
            | DataType::LargeUtf8
            | DataType::Null
    )
}

/// The dates that the argument has become.
pub fn date(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    match arguments {
        [dates] => Ok(Arc::clone(dates)),
        _ => exec_err!("date() takes one time"),
    }
}

/// What is between two times, in years, months, days and time of day.
pub fn age(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let [later, earlier] = arguments else {
        return exec_err!("age() takes two times");
    };
    let pairs = later
        .as_primitive::<TimestampMicrosecondType>()
        .iter()
        .zip(earlier.as_primitive::<TimestampMicrosecondType>().iter());
    let ages = pairs.map(|pair| match pair {
        (Some(later), Some(earlier)) => match (calendar(later), calendar(earlier)) {
            (Some(later), Some(earlier)) => Ok(Some(between(later, earlier))),
            _ => exec_err!("age() takes times of the calendar"),
        },
        _ => Ok(None),
    });
    Ok(Arc::new(
        ages.collect::<Result<IntervalMonthDayNanoArray>>()?,
    ))
}

/// The parts of a time: whole numbers from the year to the minute, and seconds.
pub fn parts() -> Vec<DataType> {
    let mut parts = vec![DataType::Int64; 5];
    parts.push(DataType::Float64);
    parts
}

/// The times that have these parts.
pub fn made(arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let [whole @ .., seconds] = arguments else {
        return exec_err!("make_timestamp() takes the parts of a time");
    };
    let whole = whole.iter().map(|part| part.as_primitive::<Int64Type>());
    let whole: Vec<&Int64Array> = whole.collect();
    let seconds = seconds.as_primitive::<Float64Type>();
    let times = (0..rows).map(|row| {
        let parts = whole.iter();
        let parts = parts.map(|part| part.is_valid(row).then(|| part.value(row)));
        let parts: Option<Vec<i64>> = parts.collect();
        match parts.filter(|_| seconds.is_valid(row)) {
            Some(parts) => microseconds_of(&parts, seconds.value(row)).map(Some),
            None => Ok(None),
        }
    });
    Ok(Arc::new(
        times.collect::<Result<TimestampMicrosecondArray>>()?,
    ))
}

fn microseconds_of(parts: &[i64], seconds: f64) -> Result<i64> {
    let [year, month, day, hour, minute] = *parts else {
        return exec_err!("make_timestamp() takes the parts of a time");
    };
    let year = i32::try_from(year)
        .ok()
        .filter(|year| (1..=9999).contains(year));
    let month_and_day = u32::try_from(month).ok().zip(u32::try_from(day).ok());
    let date = year.zip(month_and_day);
    let date = date.and_then(|(year, (month, day))| NaiveDate::from_ymd_opt(year, month, day));
    let is_time =
        (0..24).contains(&hour) && (0..60).contains(&minute) && (0.0..=60.0).contains(&seconds);
    match date.filter(|_| is_time) {
        Some(date) => {
            let midnight = date.and_time(NaiveTime::MIN).and_utc().timestamp_micros();
            let minutes = hour * 60 + minute;
            Ok(midnight + minutes * 60_000_000 + (seconds * 1e6).round() as i64)
        }
        None => {
            let message =
                format!("make_timestamp(): there is no such time as {parts:?}, {seconds}");
            Err(external(SqlError::new("22008", message)))
        }
    }
}

fn calendar(microseconds: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp_micros(microseconds).map(|time| time.naive_utc())
}

/// As Postgres subtracts: field by field, and what is missing in one is taken from the next; a month
/// has as many days as that of the earlier time.
fn between(one: NaiveDateTime, other: NaiveDateTime) -> IntervalMonthDayNano {
    let is_negative = one < other;
    let (later, earlier) = match is_negative {
        true => (other, one),
        false => (one, other),
    };
    let of_day = |time: &NaiveDateTime| {
        i64::from(time.num_seconds_from_midnight()) * 1_000_000_000 + i64::from(time.nanosecond())
    };
    let months_of = |time: &NaiveDateTime| time.year() * 12 + time.month0() as i32;
    let mut nanoseconds = of_day(&later) - of_day(&earlier);
    let mut days = later.day() as i32 - earlier.day() as i32;
    let mut months = months_of(&later) - months_of(&earlier);
    if nanoseconds < 0 {
        nanoseconds += 86_400 * 1_000_000_000;
        days -= 1;
    }
    if days < 0 {
        days += days_of_month(&earlier);
        months -= 1;
    }
    let sign = if is_negative { -1 } else { 1 };
    IntervalMonthDayNanoType::make_value(sign * months, sign * days, i64::from(sign) * nanoseconds)
}

fn days_of_month(time: &NaiveDateTime) -> i32 {
    let year = time.year();
    match time.month() {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(one: &str, other: &str) -> (i32, i32, i64) {
        let time =
            |text: &str| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").expect("a time");
        let age = between(time(one), time(other));
        let (months, days, nanoseconds) = IntervalMonthDayNanoType::to_parts(age);
        (months, days, nanoseconds / 1_000_000_000)
    }

    /// As Postgres 15 answers.
    #[test]
    fn ages_are_those_of_postgres() {
        let (midnight, noon) = ("2001-04-10 00:00:00", "2001-04-10 12:00:00");
        assert_eq!(parts(midnight, "1957-06-13 00:00:00"), (525, 27, 0));
        assert_eq!(parts("1957-06-13 00:00:00", midnight), (-525, -27, 0));
        assert_eq!(parts(noon, midnight), (0, 0, 43_200));
        assert_eq!(parts(midnight, noon), (0, 0, -43_200));
        let (march, january) = ("2024-03-01 01:00:00", "2024-01-31 23:30:00");
        assert_eq!(parts(march, january), (1, 0, 5_400));
        assert_eq!(
            parts("2024-03-01 00:00:00", "2024-02-29 00:00:00"),
            (0, 1, 0)
        );
    }
}
