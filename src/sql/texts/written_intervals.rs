//! Intervals as Postgres reads them: `'1 day 02:03:04'`, `'1-2'`, `'P1Y2M3DT4H5M6S'`, `'@ 1 day ago'`.
//!
//! Arrow, which reads texts as intervals, takes numbers with their units alone.

use arrow::datatypes::IntervalMonthDayNano;
use datafusion::sql::sqlparser::ast::{DataType as SqlType, Expr as Ast, UnaryOperator};

use crate::sql::syntax::{take_value, text_of_mut};

const DAYS_OF_MONTH: f64 = 30.0;
const MICROSECONDS_OF_SECOND: i64 = 1_000_000;
const MICROSECONDS_OF_MINUTE: i64 = 60 * MICROSECONDS_OF_SECOND;
const MICROSECONDS_OF_HOUR: i64 = 60 * MICROSECONDS_OF_MINUTE;
const MICROSECONDS_OF_DAY: i64 = 24 * MICROSECONDS_OF_HOUR;

/// What numbers in an interval are numbers of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// So many years.
    Years(i64),
    Month,
    /// So many days.
    Days(i64),
    /// So many microseconds.
    Time(i64),
}

const DAY: Unit = Unit::Days(1);
const SECOND: Unit = Unit::Time(MICROSECONDS_OF_SECOND);

/// The interval that a text stands for; `None`: it stands for none, or for one that is too long.
fn interval_of(text: &str) -> Option<IntervalMonthDayNano> {
    let text = text.trim();
    let parts = match text.strip_prefix('P') {
        Some(designated) => of_designators(designated)?,
        None => of_words(text.strip_prefix('@').unwrap_or(text))?,
    };
    parts.interval()
}

/// The text of the same interval as Arrow reads it; `None`: it stands for none.
fn plain(text: &str) -> Option<String> {
    let interval = interval_of(text)?;
    let (months, days) = (interval.months, interval.days);
    let nanoseconds = interval.nanoseconds;
    Some(format!(
        "{months} months {days} days {nanoseconds} nanoseconds"
    ))
}

/// A text that is to be read as an interval, as Arrow reads it if it stands for one.
pub fn readable(text: &str) -> String {
    plain(text).unwrap_or_else(|| text.to_owned())
}

/// `INTERVAL '1 day 02:03'`, and the same as a cast, as Arrow reads it.
pub fn in_units(expression: &mut Ast) {
    // DataFusion puts the sign before the text, where it is that of the first number alone.
    if let Ast::UnaryOp {
        op: UnaryOperator::Minus,
        expr,
    } = expression
        && let Ast::Interval(_) = expr.as_ref()
    {
        **expr = Ast::Nested(Box::new(take_value(expr)));
        return;
    }
    let value = match expression {
        Ast::Interval(interval)
            if interval.leading_field.is_none() && interval.last_field.is_none() =>
        {
            interval.value.as_mut()
        }
        Ast::Cast {
            expr,
            data_type: SqlType::Interval { .. },
            ..
        } => expr.as_mut(),
        _ => return,
    };
    if let Some(text) = text_of_mut(value)
        && let Some(plain) = plain(text)
    {
        *text = plain;
    }
}

/// Numbers and times with words behind them: `1 year 2 mons -3 days 04:05:06.7 ago`.
fn of_words(text: &str) -> Option<Parts> {
    let mut fields = fields(text)?;
    let is_past = fields.last() == Some(&Field::Word("ago"));
    if is_past {
        fields.pop();
    }
    if fields.is_empty() {
        return None;
    }
    let mut parts = Parts::default();
    let mut fields = fields.into_iter().peekable();
    while let Some(field) = fields.next() {
        let Field::Amount(amount) = field else {
            return None;
        };
        if amount.contains(':') {
            parts.add_time(amount)?;
            continue;
        }
        if let Some(months) = years_and_months(amount) {
            parts.note(Unit::Years(1))?;
            parts.note(Unit::Month)?;
            parts.months = parts.months.checked_add(months)?;
            continue;
        }
        let unit = match fields.peek() {
            Some(Field::Word(word)) => unit_of(word)?,
            Some(Field::Amount(next)) if next.contains(':') => DAY,
            Some(Field::Amount(_)) => return None,
            None => SECOND,
        };
        fields.next_if(|next| matches!(next, Field::Word(_)));
        parts.add(Number::read(amount)?, unit)?;
    }
    match is_past {
        true => parts.negated(),
        false => Some(parts),
    }
}

/// What a text consists of; words are as they stand below, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Field<'t> {
    Amount(&'t str),
    Word(&'t str),
}

fn fields(text: &str) -> Option<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    for mut rest in text.split(|c: char| c.is_whitespace() || c == ',') {
        while let Some(first) = rest.chars().next() {
            let is_word = first.is_ascii_alphabetic();
            let belongs = |c: char| match is_word {
                true => c.is_ascii_alphabetic(),
                false => c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | ':'),
            };
            let end = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
            let (field, behind) = rest.split_at(end);
            fields.push(match is_word {
                true => Field::Word(known(field)?),
                false if field.is_empty() => return None,
                false => Field::Amount(field),
            });
            rest = behind;
        }
    }
    Some(fields)
}

/// Words with what they stand for.
static UNITS: [(&[&str], Unit); 11] = [
    (
        &["millennium", "millennia", "mil", "mils"],
        Unit::Years(1000),
    ),
    (
        &["century", "centuries", "cent", "cents", "c"],
        Unit::Years(100),
    ),
    (&["decade", "decades", "dec", "decs"], Unit::Years(10)),
    (&["year", "years", "yr", "yrs", "y"], Unit::Years(1)),
    (&["month", "months", "mon", "mons"], Unit::Month),
    (&["week", "weeks", "w"], Unit::Days(7)),
    (&["day", "days", "d"], DAY),
    (
        &["hour", "hours", "hr", "hrs", "h"],
        Unit::Time(MICROSECONDS_OF_HOUR),
    ),
    (
        &["minute", "minutes", "min", "mins", "m"],
        Unit::Time(MICROSECONDS_OF_MINUTE),
    ),
    (&["second", "seconds", "sec", "secs", "s"], SECOND),
    (
        &[
            "millisecond",
            "milliseconds",
            "msecond",
            "mseconds",
            "msec",
            "msecs",
            "ms",
        ],
        Unit::Time(1000),
    ),
];

/// Words for the least of the units.
static MICROSECOND: [&str; 7] = [
    "microsecond",
    "microseconds",
    "usecond",
    "useconds",
    "usec",
    "usecs",
    "us",
];

/// A word as it is written here.
fn known(word: &str) -> Option<&'static str> {
    let words = UNITS.iter().flat_map(|(words, _)| words.iter());
    let mut words = words.chain(&MICROSECOND).chain(&["ago"]);
    words
        .find(|known| known.eq_ignore_ascii_case(word))
        .copied()
}

fn unit_of(word: &str) -> Option<Unit> {
    if MICROSECOND.contains(&word) {
        return Some(Unit::Time(1));
    }
    let found = UNITS.iter().find(|(words, _)| words.contains(&word));
    found.map(|(_, unit)| *unit)
}

/// `1-2`: a year and two months, in months.
fn years_and_months(text: &str) -> Option<i64> {
    let (sign, digits) = signed(text);
    let (years, months) = digits.split_once('-')?;
    let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !are_digits(years) || !are_digits(months) {
        return None;
    }
    let (years, months): (i64, i64) = (years.parse().ok()?, months.parse().ok()?);
    let all = years.checked_mul(12)?.checked_add(months)?;
    (months < 12).then_some(sign * all)
}

/// `1Y2M3DT4H5M6S`, the form of ISO 8601 behind its P.
fn of_designators(text: &str) -> Option<Parts> {
    let (days, time) = match text.split_once('T') {
        Some((days, time)) if !time.is_empty() => (days, time),
        Some(_) => return None,
        None => (text, ""),
    };
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let mut parts = Parts::default();
    let of_date = [
        ('Y', Unit::Years(1)),
        ('M', Unit::Month),
        ('W', Unit::Days(7)),
        ('D', DAY),
    ];
    let of_day = [
        ('H', Unit::Time(MICROSECONDS_OF_HOUR)),
        ('M', Unit::Time(MICROSECONDS_OF_MINUTE)),
        ('S', SECOND),
    ];
    parts.add_designated(days, &of_date)?;
    parts.add_designated(time, &of_day)?;
    Some(parts)
}

/// A number as it is written, what is behind its point for itself.
#[derive(Clone, Copy)]
struct Number {
    whole: i64,
    fraction: f64,
}

impl Number {
    fn read(text: &str) -> Option<Number> {
        let (sign, digits) = signed(text);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let are_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !are_digits(whole) || !are_digits(fraction)
        {
            return None;
        }
        let whole: i64 = match whole {
            "" => 0,
            whole => whole.parse().ok()?,
        };
        let fraction: f64 = format!("0.{fraction}0").parse().ok()?;
        Some(Number {
            whole: sign * whole,
            fraction: sign as f64 * fraction,
        })
    }
}

/// The sign of a text, as 1 or −1, and what is behind it.
fn signed(text: &str) -> (i64, &str) {
    match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// What an interval consists of.
#[derive(Default)]
struct Parts {
    months: i64,
    days: i64,
    microseconds: i64,
    /// The units there have been, of which each may come once.
    seen: Vec<Unit>,
}

impl Parts {
    fn note(&mut self, unit: Unit) -> Option<()> {
        let is_new = !self.seen.contains(&unit);
        self.seen.push(unit);
        is_new.then_some(())
    }

    /// Adds so many of a unit. What is behind the point goes to the next smaller one, as in
    /// Postgres: of years to months, of months to days, of days to the time.
    fn add(&mut self, number: Number, unit: Unit) -> Option<()> {
        self.note(unit)?;
        let Number { whole, fraction } = number;
        match unit {
            Unit::Years(years) => {
                let months = years.checked_mul(12)?;
                let rest = (fraction * months as f64).round_ties_even() as i64;
                self.add_months(whole.checked_mul(months)?.checked_add(rest)?)
            }
            Unit::Month => {
                self.add_months(whole)?;
                self.add_days(0, fraction * DAYS_OF_MONTH)
            }
            Unit::Days(days) => self.add_days(whole.checked_mul(days)?, fraction * days as f64),
            Unit::Time(size) => self.add_microseconds(whole.checked_mul(size)?, fraction, size),
        }
    }

    fn add_months(&mut self, months: i64) -> Option<()> {
        self.months = self.months.checked_add(months)?;
        Some(())
    }

    /// Adds days, and a part of one.
    fn add_days(&mut self, whole: i64, more: f64) -> Option<()> {
        let days = more.trunc();
        self.days = self.days.checked_add(whole)?.checked_add(days as i64)?;
        self.add_microseconds(0, more - days, MICROSECONDS_OF_DAY)
    }

    /// Adds microseconds, and a part of something that has so many of them.
    fn add_microseconds(&mut self, whole: i64, fraction: f64, size: i64) -> Option<()> {
        let rest = (fraction * size as f64).round() as i64;
        self.microseconds = self.microseconds.checked_add(whole)?.checked_add(rest)?;
        Some(())
    }

    /// Adds `04:05:06.7`, of which the sign is that of all its parts.
    fn add_time(&mut self, text: &str) -> Option<()> {
        let (sign, digits) = signed(text);
        let mut places = digits.split(':');
        let (hours, minutes) = (places.next()?, places.next()?);
        let seconds = places.next().unwrap_or("0");
        let is_signed = |part: &str| part.starts_with(['+', '-']);
        if places.next().is_some() || [hours, minutes, seconds].into_iter().any(is_signed) {
            return None;
        }
        let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
        let seconds = Number::read(seconds)?;
        if minutes > 59 || seconds.whole > 59 {
            return None;
        }
        for unit in [MICROSECONDS_OF_HOUR, MICROSECONDS_OF_MINUTE] {
            self.note(Unit::Time(unit))?;
        }
        self.note(SECOND)?;
        let whole = hours
            .checked_mul(MICROSECONDS_OF_HOUR)?
            .checked_add(minutes * MICROSECONDS_OF_MINUTE)?
            .checked_add(seconds.whole * MICROSECONDS_OF_SECOND)?;
        let fraction = sign as f64 * seconds.fraction;
        self.add_microseconds(sign * whole, fraction, MICROSECONDS_OF_SECOND)
    }

    /// Adds numbers with the letter of their unit behind them.
    fn add_designated(&mut self, text: &str, units: &[(char, Unit)]) -> Option<()> {
        let mut rest = text;
        while let Some(end) = rest.find(|c: char| c.is_ascii_alphabetic()) {
            let (number, behind) = rest.split_at(end);
            let letter = behind.chars().next()?;
            let (_, unit) = units.iter().find(|(known, _)| *known == letter)?;
            self.add(Number::read(number)?, *unit)?;
            rest = &behind[1..];
        }
        rest.is_empty().then_some(())
    }

    fn negated(mut self) -> Option<Parts> {
        self.months = self.months.checked_neg()?;
        self.days = self.days.checked_neg()?;
        self.microseconds = self.microseconds.checked_neg()?;
        Some(self)
    }

    fn interval(&self) -> Option<IntervalMonthDayNano> {
        Some(IntervalMonthDayNano::new(
            i32::try_from(self.months).ok()?,
            i32::try_from(self.days).ok()?,
            self.microseconds.checked_mul(1000)?,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Months, days and seconds.
    fn read(text: &str) -> Option<(i32, i32, f64)> {
        let interval = interval_of(text)?;
        let seconds = interval.nanoseconds as f64 / 1e9;
        Some((interval.months, interval.days, seconds))
    }

    #[test]
    fn intervals_are_read_as_in_postgres() {
        for (text, expected) in [
            ("1 day 02:03:04", (0, 1, 7384.0)),
            ("02:03", (0, 0, 7380.0)),
            ("-02:03", (0, 0, -7380.0)),
            ("-1 day +02:03", (0, -1, 7380.0)),
            ("-1 day 02:03", (0, -1, 7380.0)),
            ("1-2", (14, 0, 0.0)),
            ("-1-2", (-14, 0, 0.0)),
            ("1-2 3 4:05:06", (14, 3, 14706.0)),
            ("1 year 2 mons", (14, 0, 0.0)),
            ("@ 1 day ago", (0, -1, 0.0)),
            ("1 year, 2 days 3 secs AGO", (-12, -2, -3.0)),
            ("P1Y2M3DT4H5M6S", (14, 3, 14706.0)),
            ("P-1W", (0, -7, 0.0)),
            ("PT1.5H", (0, 0, 5400.0)),
            ("1d2h", (0, 1, 7200.0)),
            ("1.5 years", (18, 0, 0.0)),
            ("1.5 months", (1, 15, 0.0)),
            ("1.5 weeks", (0, 10, 43200.0)),
            ("1.5 days", (0, 1, 43200.0)),
            ("-1.5 hours", (0, 0, -5400.0)),
            (".5 s", (0, 0, 0.5)),
            ("1.5", (0, 0, 1.5)),
            ("100:00:00.000001", (0, 0, 360_000.000_001)),
            ("1 century 1 decade", (1320, 0, 0.0)),
            ("3 us 2 ms", (0, 0, 0.002_003)),
        ] {
            assert_eq!(read(text), Some(expected), "{text}");
        }
        for text in [
            "",
            "@",
            "ago",
            "soon",
            "1 day 2 days",
            "1 2 days",
            "days 1",
            "1 hour 02:03",
            "02:60",
            "1:2:3:4",
            "1-12",
            "P",
            "PT",
            "P1",
            "P1H",
            "p1d",
            "1 lightyear",
            "1 day é",
            "300000000 years",
            "99999999999999999999 days",
        ] {
            assert_eq!(interval_of(text), None, "{text}");
        }
    }

    #[test]
    fn arrow_reads_what_they_become() {
        assert_eq!(
            plain("-1 day 00:00:01").as_deref(),
            Some("0 months -1 days 1000000000 nanoseconds")
        );
        assert_eq!(readable("soon"), "soon");
    }
}
