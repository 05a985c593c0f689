//! Times by patterns of Postgres for which `strftime` has nothing: names in capitals or filled up with
//! blanks, ordinals, weeks of the month, years of less digits, zones, Roman numerals.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use chrono::{DateTime, Datelike, NaiveDateTime, Offset, TimeZone, Timelike};
use datafusion::common::exec_err;
use datafusion::error::Result;

use super::time_texts::in_seconds;

/// Names are filled up with blanks to so many characters.
const NAME_WIDTH: usize = 9;

/// How many days of the Julian count there are before the first of our era.
const DAYS_BEFORE: i64 = 1_721_425;

const NUMERALS: [&str; 12] = [
    "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII",
];

/// How letters are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Upper,
    Capital,
    Lower,
}

impl Case {
    fn of(self, text: &str) -> String {
        match self {
            Case::Upper => text.to_uppercase(),
            Case::Capital => text.to_owned(),
            Case::Lower => text.to_lowercase(),
        }
    }
}

/// A field with letters, whose own tell their case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Letters {
    Month,
    ShortMonth,
    Day,
    ShortDay,
    Half,
    DottedHalf,
    Era,
    Numeral,
    Zone,
}

/// A field with digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Hour,
    HourOfHalf,
    Minute,
    Second,
    SecondOfDay,
    Year,
    /// Of the year that its week is in.
    WeekYear,
    Century,
    Quarter,
    Month,
    DayOfYear,
    /// Of the year that begins with its first week.
    DayOfWeeks,
    Day,
    /// From Sunday on.
    WeekDay,
    /// From Monday on.
    IsoWeekDay,
    Week,
    IsoWeek,
    WeekOfMonth,
    Julian,
}

impl Number {
    fn of(self, moment: &NaiveDateTime) -> i64 {
        match self {
            Number::Hour => moment.hour().into(),
            Number::HourOfHalf => moment.hour12().1.into(),
            Number::Minute => moment.minute().into(),
            Number::Second => moment.second().into(),
            Number::SecondOfDay => moment.num_seconds_from_midnight().into(),
            Number::Year => moment.year().into(),
            Number::WeekYear => moment.iso_week().year().into(),
            Number::Century => (Number::Year.of(moment) - 1).div_euclid(100) + 1,
            Number::Quarter => (moment.month0() / 3 + 1).into(),
            Number::Month => moment.month().into(),
            Number::DayOfYear => moment.ordinal().into(),
            Number::DayOfWeeks => {
                let weeks = i64::from(moment.iso_week().week0());
                weeks * 7 + Number::IsoWeekDay.of(moment)
            }
            Number::Day => moment.day().into(),
            Number::WeekDay => moment.weekday().number_from_sunday().into(),
            Number::IsoWeekDay => moment.weekday().number_from_monday().into(),
            Number::Week => (moment.ordinal0() / 7 + 1).into(),
            Number::IsoWeek => moment.iso_week().week().into(),
            Number::WeekOfMonth => (moment.day0() / 7 + 1).into(),
            Number::Julian => i64::from(moment.num_days_from_ce()) + DAYS_BEFORE,
        }
    }
}

/// What a pattern consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// With letters, filled up with blanks or not.
    Letters(Letters, Case, bool),
    /// With so many digits at least, and the letters of an ordinal behind them.
    Number(Number, usize, Option<Case>),
    /// So many of the last digits, with zeros before them or not.
    Last(Number, u32, bool),
    /// So many digits of the fraction of a second.
    Fraction(usize),
    Offset,
    OffsetHours,
    OffsetMinutes,
}

/// Fields with letters, as they are written.
static LETTERS: [(&str, Letters, Case); 28] = [
    ("MONTH", Letters::Month, Case::Upper),
    ("Month", Letters::Month, Case::Capital),
    ("month", Letters::Month, Case::Lower),
    ("MON", Letters::ShortMonth, Case::Upper),
    ("Mon", Letters::ShortMonth, Case::Capital),
    ("mon", Letters::ShortMonth, Case::Lower),
    ("DAY", Letters::Day, Case::Upper),
    ("Day", Letters::Day, Case::Capital),
    ("day", Letters::Day, Case::Lower),
    ("DY", Letters::ShortDay, Case::Upper),
    ("Dy", Letters::ShortDay, Case::Capital),
    ("dy", Letters::ShortDay, Case::Lower),
    ("AM", Letters::Half, Case::Upper),
    ("PM", Letters::Half, Case::Upper),
    ("am", Letters::Half, Case::Lower),
    ("pm", Letters::Half, Case::Lower),
    ("A.M.", Letters::DottedHalf, Case::Upper),
    ("P.M.", Letters::DottedHalf, Case::Upper),
    ("a.m.", Letters::DottedHalf, Case::Lower),
    ("p.m.", Letters::DottedHalf, Case::Lower),
    ("AD", Letters::Era, Case::Upper),
    ("BC", Letters::Era, Case::Upper),
    ("ad", Letters::Era, Case::Lower),
    ("bc", Letters::Era, Case::Lower),
    ("RM", Letters::Numeral, Case::Upper),
    ("rm", Letters::Numeral, Case::Lower),
    ("TZ", Letters::Zone, Case::Upper),
    ("tz", Letters::Zone, Case::Lower),
];

/// Numbers, in either case, and how many digits they have at least.
static NUMBERS: [(&str, Number, usize); 21] = [
    ("HH24", Number::Hour, 2),
    ("HH12", Number::HourOfHalf, 2),
    ("HH", Number::HourOfHalf, 2),
    ("MI", Number::Minute, 2),
    ("SSSSS", Number::SecondOfDay, 0),
    ("SSSS", Number::SecondOfDay, 0),
    ("SS", Number::Second, 2),
    ("YYYY", Number::Year, 4),
    ("IYYY", Number::WeekYear, 4),
    ("CC", Number::Century, 2),
    ("Q", Number::Quarter, 0),
    ("MM", Number::Month, 2),
    ("IDDD", Number::DayOfWeeks, 3),
    ("DDD", Number::DayOfYear, 3),
    ("DD", Number::Day, 2),
    ("ID", Number::IsoWeekDay, 0),
    ("D", Number::WeekDay, 0),
    ("IW", Number::IsoWeek, 2),
    ("WW", Number::Week, 2),
    ("W", Number::WeekOfMonth, 0),
    ("J", Number::Julian, 0),
];

/// Years of which the last digits are written, in either case.
static LAST: [(&str, Number, u32); 6] = [
    ("YYY", Number::Year, 3),
    ("YY", Number::Year, 2),
    ("Y", Number::Year, 1),
    ("IYY", Number::WeekYear, 3),
    ("IY", Number::WeekYear, 2),
    ("I", Number::WeekYear, 1),
];

/// Fractions and how far clocks are from UTC, in either case.
static OTHERS: [(&str, Part); 11] = [
    ("MS", Part::Fraction(3)),
    ("US", Part::Fraction(6)),
    ("FF1", Part::Fraction(1)),
    ("FF2", Part::Fraction(2)),
    ("FF3", Part::Fraction(3)),
    ("FF4", Part::Fraction(4)),
    ("FF5", Part::Fraction(5)),
    ("FF6", Part::Fraction(6)),
    ("OF", Part::Offset),
    ("TZH", Part::OffsetHours),
    ("TZM", Part::OffsetMinutes),
];

/// A time as its clocks show it.
pub struct Moment {
    local: NaiveDateTime,
    /// How many seconds it is before UTC, and what its zone is called.
    zone: Option<(i32, String)>,
}

/// The times that values are; `None` is NULL.
pub fn moments(values: &ArrayRef) -> Result<Vec<Option<Moment>>> {
    let values = match values.data_type() {
        DataType::Date32 | DataType::Date64 => {
            cast(values, &DataType::Timestamp(TimeUnit::Microsecond, None))?
        }
        _ => Arc::clone(values),
    };
    let (unit, zone) = match values.data_type() {
        DataType::Timestamp(unit, Some(zone)) => (*unit, Some(Zone::of(zone)?)),
        DataType::Timestamp(unit, None) => (*unit, None),
        other => return exec_err!("to_char() has no such pattern for {other}"),
    };
    let numbers = cast(&values, &DataType::Int64)?;
    let numbers = numbers.as_primitive::<Int64Type>();
    let moments = numbers.iter().map(|number| match number {
        Some(number) => moment_of(number, unit, zone).map(Some),
        None => Ok(None),
    });
    moments.collect()
}

/// A time zone.
#[derive(Clone, Copy)]
struct Zone {
    rules: Tz,
    /// The same if it has a name: Arrow's does not tell the abbreviations of its times.
    named: Option<chrono_tz::Tz>,
}

impl Zone {
    fn of(name: &str) -> Result<Zone> {
        Ok(Zone {
            rules: name.parse()?,
            named: name.parse().ok(),
        })
    }

    /// The abbreviation that is in use at a moment, or its distance from UTC.
    fn abbreviation(self, utc: &NaiveDateTime) -> String {
        match self.named {
            Some(named) => named.from_utc_datetime(utc).format("%Z").to_string(),
            None => self.rules.from_utc_datetime(utc).format("%Z").to_string(),
        }
    }
}

fn moment_of(number: i64, unit: TimeUnit, zone: Option<Zone>) -> Result<Moment> {
    let (seconds, nanoseconds) = in_seconds(number, unit);
    // There are less of them than a second has.
    let Some(moment) = DateTime::from_timestamp(seconds, nanoseconds as u32) else {
        return exec_err!("Timestamp {number} out of range");
    };
    let utc = moment.naive_utc();
    Ok(match zone {
        None => Moment {
            local: utc,
            zone: None,
        },
        Some(zone) => {
            let local = zone.rules.from_utc_datetime(&utc);
            let offset = local.offset().fix().local_minus_utc();
            Moment {
                local: local.naive_local(),
                zone: Some((offset, zone.abbreviation(&utc))),
            }
        }
    })
}

/// A pattern that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    parts: Vec<Part>,
}

impl Format {
    /// `None`: there is something in it that is not known.
    pub fn of(pattern: &str) -> Option<Format> {
        let mut parts = Vec::new();
        let mut rest = pattern;
        while let Some(first) = rest.chars().next() {
            if let Some(quoted) = rest.strip_prefix('"') {
                let (text, behind) = quoted.split_once('"')?;
                parts.push(Part::Text(text.to_owned()));
                rest = behind;
                continue;
            }
            let field = without_prefix(rest, "FM");
            let is_short = field.is_some();
            match part_of(field.unwrap_or(rest), is_short) {
                Some((part, behind)) => {
                    let (part, behind) = with_ordinal(part, behind);
                    parts.push(part);
                    rest = behind;
                }
                None if is_short || first.is_ascii_alphabetic() => return None,
                None => {
                    parts.push(Part::Text(first.to_string()));
                    rest = &rest[first.len_utf8()..];
                }
            }
        }
        Some(Format { parts })
    }

    /// A time as the pattern says.
    pub fn write(&self, moment: &Moment) -> String {
        let parts = self.parts.iter().map(|part| part.text(moment));
        parts.collect()
    }
}

/// The longest field that a pattern begins with, and what is behind it.
fn part_of(pattern: &str, is_short: bool) -> Option<(Part, &str)> {
    let letters = LETTERS.iter().filter_map(|(name, letters, case)| {
        let behind = pattern.strip_prefix(name)?;
        Some((Part::Letters(*letters, *case, !is_short), behind))
    });
    let numbers = NUMBERS.iter().filter_map(|(name, number, digits)| {
        let digits = if is_short { 0 } else { *digits };
        let behind = without_prefix(pattern, name)?;
        Some((Part::Number(*number, digits, None), behind))
    });
    let last = LAST.iter().filter_map(|(name, number, digits)| {
        let behind = without_prefix(pattern, name)?;
        Some((Part::Last(*number, *digits, !is_short), behind))
    });
    let others = OTHERS.iter().filter_map(|(name, part)| {
        let behind = without_prefix(pattern, name)?;
        Some((part.clone(), behind))
    });
    let known = letters.chain(numbers).chain(last).chain(others);
    known.min_by_key(|(_, behind)| behind.len())
}

/// A number with the letters of an ordinal that are asked for behind it.
fn with_ordinal(part: Part, behind: &str) -> (Part, &str) {
    let case = if behind.starts_with('T') {
        Case::Upper
    } else {
        Case::Lower
    };
    match (part, without_prefix(behind, "TH")) {
        (Part::Number(number, digits, _), Some(rest)) => {
            (Part::Number(number, digits, Some(case)), rest)
        }
        (part, _) => (part, behind),
    }
}

/// What is behind a prefix in either case.
fn without_prefix<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let (found, behind) = text.split_at_checked(prefix.len())?;
    found.eq_ignore_ascii_case(prefix).then_some(behind)
}

impl Part {
    fn text(&self, moment: &Moment) -> String {
        let local = &moment.local;
        let (offset, zone) = match &moment.zone {
            Some((offset, zone)) => (*offset, zone.as_str()),
            None => (0, ""),
        };
        let sign = if offset < 0 { '-' } else { '+' };
        let (hours, minutes) = (offset.abs() / 3600, offset.abs() / 60 % 60);
        match self {
            Part::Text(text) => text.clone(),
            Part::Letters(Letters::Zone, case, _) => case.of(zone),
            Part::Letters(letters, case, is_filled) => {
                let (text, width) = letters.of(local);
                let width = if *is_filled { width } else { 0 };
                format!("{:width$}", case.of(&text))
            }
            Part::Number(number, digits, ordinal) => {
                let (number, digits) = (number.of(local), *digits);
                let ordinal = ordinal.map(|case| case.of(ordinal_of(number)));
                format!("{number:0digits$}{}", ordinal.unwrap_or_default())
            }
            Part::Last(number, digits, is_filled) => {
                let number = number.of(local).rem_euclid(10_i64.pow(*digits));
                let width = if *is_filled { *digits as usize } else { 0 };
                format!("{number:0width$}")
            }
            Part::Fraction(digits) => {
                let all = format!("{:09}", local.nanosecond() % 1_000_000_000);
                all[..*digits].to_owned()
            }
            Part::Offset if minutes != 0 => format!("{sign}{hours:02}:{minutes:02}"),
            Part::Offset | Part::OffsetHours => format!("{sign}{hours:02}"),
            Part::OffsetMinutes => format!("{minutes:02}"),
        }
    }
}

impl Letters {
    /// What stands for a time, and how many characters it is filled up to.
    fn of(self, moment: &NaiveDateTime) -> (String, usize) {
        let is_late = moment.hour() >= 12;
        match self {
            Letters::Month => (moment.format("%B").to_string(), NAME_WIDTH),
            Letters::ShortMonth => (moment.format("%b").to_string(), 0),
            Letters::Day => (moment.format("%A").to_string(), NAME_WIDTH),
            Letters::ShortDay => (moment.format("%a").to_string(), 0),
            Letters::Half => ((if is_late { "PM" } else { "AM" }).to_owned(), 0),
            Letters::DottedHalf => ((if is_late { "P.M." } else { "A.M." }).to_owned(), 0),
            Letters::Era => ((if moment.year() > 0 { "AD" } else { "BC" }).to_owned(), 0),
            Letters::Numeral => {
                let numeral = NUMERALS.get(moment.month0() as usize);
                (numeral.copied().unwrap_or_default().to_owned(), 4)
            }
            // It is told of the moment, not of what its clocks show.
            Letters::Zone => (String::new(), 0),
        }
    }
}

/// The letters of an ordinal.
fn ordinal_of(number: i64) -> &'static str {
    match (number / 10 % 10, number % 10) {
        (1, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Date32Array, TimestampMicrosecondArray};

    use super::*;

    fn written(values: ArrayRef, pattern: &str) -> String {
        let moments = moments(&values).expect("times");
        let moment = moments[0].as_ref().expect("a time");
        Format::of(pattern).expect(pattern).write(moment)
    }

    #[test]
    fn times_are_written_as_in_postgres() {
        let moment = TimestampMicrosecondArray::from(vec![1_777_907_225_123_456]);
        for (pattern, expected) in [
            ("DD-MON-YYYY", "04-MAY-2026"),
            ("FMDDth Month|month|FMMONTH", "4th May      |may      |MAY"),
            ("DAY, Dy", "MONDAY   , Mon"),
            ("D ID DDD W WW IW Q CC J", "2 1 124 1 18 19 2 21 2461165"),
            ("YYY YY Y IYY FMYY", "026 26 6 026 26"),
            ("HH12:MI:SS.US p.m.", "03:07:05.123456 p.m."),
            ("SSSS FF1 MS", "54425 1 123"),
            ("RM FMrm BC", "V    v AD"),
            ("IDDD TZ OF", "127  +00"),
            ("\"Day\" DDTH", "Day 04TH"),
        ] {
            let values: ArrayRef = Arc::new(moment.clone());
            assert_eq!(written(values, pattern), expected, "{pattern}");
        }
        let berlin: ArrayRef = Arc::new(moment.with_timezone("Europe/Berlin"));
        let pattern = "HH24 TZ tz OF TZH:TZM";
        assert_eq!(written(berlin, pattern), "17 CEST cest +02 +02:00");
        let day: ArrayRef = Arc::new(Date32Array::from(vec![0]));
        assert_eq!(written(day, "MON DD HH24"), "JAN 01 00");
        for pattern in ["X", "\"open", "FM9", "TH"] {
            assert_eq!(Format::of(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn ordinals_have_their_letters() {
        let letters = [1, 2, 3, 4, 11, 12, 13, 21, 112].map(ordinal_of);
        assert_eq!(
            letters,
            ["st", "nd", "rd", "th", "th", "th", "th", "st", "th"]
        );
    }
}
