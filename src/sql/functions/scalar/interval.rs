//! Functions that make intervals.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, IntervalMonthDayNanoArray};
use arrow::datatypes::{
    DataType, Float64Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;

use crate::sql::error::SqlError;
use crate::sql::planner::external;
use crate::sql::types::INTERVAL;

/// The names of an interval's parts, in their order; each is 0 where nothing is said of it.
pub const PARTS: [&str; 7] = ["years", "months", "weeks", "days", "hours", "mins", "secs"];

const DAYS_OF_MONTH: i32 = 30;
const NANOSECONDS_OF_MINUTE: i64 = 60_000_000_000;
const NANOSECONDS_OF_DAY: i64 = 1440 * NANOSECONDS_OF_MINUTE;

/// The types of the parts: whole numbers, and seconds.
pub fn parts() -> Vec<DataType> {
    let mut parts = vec![DataType::Int64; PARTS.len() - 1];
    parts.push(DataType::Float64);
    parts
}

/// An interval, for one and for what lies between two times.
pub fn operand(given: &DataType) -> Result<Vec<DataType>> {
    match given {
        DataType::Interval(_) | DataType::Duration(_) | DataType::Null => Ok(vec![INTERVAL]),
        other => plan_err!("an interval is needed, not {other}"),
    }
}

/// The intervals that have these parts.
pub fn made(arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let [whole @ .., seconds] = arguments else {
        return exec_err!("make_interval() takes the parts of an interval");
    };
    let whole = whole.iter().map(|part| part.as_primitive::<Int64Type>());
    let whole: Vec<&Int64Array> = whole.collect();
    let seconds = seconds.as_primitive::<Float64Type>();
    let intervals = (0..rows).map(|row| {
        let parts = whole.iter();
        let parts = parts.map(|part| part.is_valid(row).then(|| part.value(row)));
        let parts: Option<Vec<i64>> = parts.collect();
        match parts.filter(|_| seconds.is_valid(row)) {
            Some(parts) => match interval_of(&parts, seconds.value(row)) {
                Some(interval) => Ok(Some(interval)),
                None => Err(external(SqlError::new(
                    "22008",
                    "an interval is out of range",
                ))),
            },
            None => Ok(None),
        }
    });
    Ok(Arc::new(
        intervals.collect::<Result<IntervalMonthDayNanoArray>>()?,
    ))
}

fn interval_of(parts: &[i64], seconds: f64) -> Option<IntervalMonthDayNano> {
    let [years, months, weeks, days, hours, minutes] = *parts else {
        return None;
    };
    let months = years.checked_mul(12)?.checked_add(months)?;
    let days = weeks.checked_mul(7)?.checked_add(days)?;
    let minutes = hours.checked_mul(60)?.checked_add(minutes)?;
    let microseconds = (seconds * 1e6).round();
    // Beyond 2⁵³ doubles have no single microseconds.
    if !microseconds.is_finite() || microseconds.abs() > 9e15 {
        return None;
    }
    let of_seconds = (microseconds as i64).checked_mul(1000)?;
    let of_minutes = minutes.checked_mul(NANOSECONDS_OF_MINUTE)?;
    Some(IntervalMonthDayNano::new(
        i32::try_from(months).ok()?,
        i32::try_from(days).ok()?,
        of_minutes.checked_add(of_seconds)?,
    ))
}

/// What is carried from the time of intervals to their days, and from days to months.
#[derive(Clone, Copy)]
pub enum Carried {
    /// 24 hours are a day.
    Hours,
    /// 30 days are a month.
    Days,
    /// Both, all with one sign.
    Both,
}

/// The same intervals in larger units.
pub fn justified(arguments: &[ArrayRef], carried: Carried) -> Result<ArrayRef> {
    let [intervals] = arguments else {
        return exec_err!("one interval is needed");
    };
    let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>().iter();
    let intervals = intervals.map(|interval| match interval {
        Some(interval) => match carry(interval, carried) {
            Some(interval) => Ok(Some(interval)),
            None => Err(external(SqlError::new(
                "22008",
                "an interval is out of range",
            ))),
        },
        None => Ok(None),
    });
    Ok(Arc::new(
        intervals.collect::<Result<IntervalMonthDayNanoArray>>()?,
    ))
}

/// As in Postgres; `None`: it has too many days or months.
fn carry(interval: IntervalMonthDayNano, carried: Carried) -> Option<IntervalMonthDayNano> {
    let (mut months, mut days, mut rest) = (interval.months, interval.days, interval.nanoseconds);
    if matches!(carried, Carried::Hours | Carried::Both) {
        days = days.checked_add(i32::try_from(rest / NANOSECONDS_OF_DAY).ok()?)?;
        rest %= NANOSECONDS_OF_DAY;
    }
    if matches!(carried, Carried::Days | Carried::Both) {
        months = months.checked_add(days / DAYS_OF_MONTH)?;
        days %= DAYS_OF_MONTH;
        // Of the days alone the time is no part.
        let below = match carried {
            Carried::Both => days.signum() * 2 + rest.signum() as i32,
            _ => days.signum(),
        };
        if months > 0 && below < 0 {
            (months, days) = (months - 1, days + DAYS_OF_MONTH);
        } else if months < 0 && below > 0 {
            (months, days) = (months + 1, days - DAYS_OF_MONTH);
        }
    }
    if matches!(carried, Carried::Hours | Carried::Both) {
        if days > 0 && rest < 0 {
            (days, rest) = (days - 1, rest + NANOSECONDS_OF_DAY);
        } else if days < 0 && rest > 0 {
            (days, rest) = (days + 1, rest - NANOSECONDS_OF_DAY);
        }
    }
    Some(IntervalMonthDayNano::new(months, days, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 60 * NANOSECONDS_OF_MINUTE;

    #[test]
    fn intervals_are_made_of_their_parts() {
        let made = interval_of(&[1, 2, 1, 3, 4, 5], 6.5);
        let nanoseconds = 4 * HOUR + 5 * NANOSECONDS_OF_MINUTE + 6_500_000_000;
        assert_eq!(made, Some(IntervalMonthDayNano::new(14, 10, nanoseconds)));
        assert_eq!(interval_of(&[i64::MAX, 0, 0, 0, 0, 0], 0.0), None);
        assert_eq!(interval_of(&[0; 6], f64::INFINITY), None);
        assert_eq!(interval_of(&[0; 6], f64::NAN), None);
    }

    #[test]
    fn time_is_carried_to_larger_units_as_in_postgres() {
        let interval = IntervalMonthDayNano::new;
        for (carried, given, expected) in [
            (
                Carried::Hours,
                interval(0, 0, 27 * HOUR),
                interval(0, 1, 3 * HOUR),
            ),
            (
                Carried::Hours,
                interval(0, 1, -HOUR),
                interval(0, 0, 23 * HOUR),
            ),
            (
                Carried::Days,
                interval(0, 35, 30 * HOUR),
                interval(1, 5, 30 * HOUR),
            ),
            (Carried::Days, interval(1, -5, 0), interval(0, 25, 0)),
            (
                Carried::Both,
                interval(1, 0, -HOUR),
                interval(0, 29, 23 * HOUR),
            ),
            (
                Carried::Both,
                interval(0, 29, 25 * HOUR),
                interval(1, 0, HOUR),
            ),
            (
                Carried::Both,
                interval(-1, 0, HOUR),
                interval(0, -29, -23 * HOUR),
            ),
        ] {
            assert_eq!(carry(given, carried), Some(expected));
        }
        assert_eq!(
            carry(interval(0, i32::MAX, 24 * HOUR), Carried::Hours),
            None
        );
    }
}
