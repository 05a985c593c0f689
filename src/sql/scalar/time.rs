//! Functions of times.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::datatypes::{
    DataType, IntervalMonthDayNano, IntervalMonthDayNanoType, TimeUnit, TimestampMicrosecondType,
};
use chrono::{DateTime, Datelike, NaiveDateTime, Timelike};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;

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
