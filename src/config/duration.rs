//! Durations as people write them: `30s`, `15 minutes`, `1h 30m`, `1.5 hours` is refused.
//!
//! Every number carries its unit, because a bare number is the usual way to be wrong by a factor
//! of a thousand.

use std::time::Duration;

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Nothing was written.
    #[error("a duration is missing")]
    Empty,
    /// A number without a unit.
    #[error("`{0}` has no unit")]
    UnitMissing(String),
    /// A unit that is not known.
    #[error("`{0}` is no unit of time")]
    UnitUnknown(String),
    /// Something else than a whole number before the unit.
    #[error("`{0}` does not begin with a whole number")]
    NumberMissing(String),
    /// More milliseconds than can be counted.
    #[error("`{0}` is too long")]
    TooLong(String),
}

const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Reads a duration: one or more whole numbers, each followed by a unit (`ms`, `s`, `m`, `h`, `d`,
/// `w` or the English word), added up.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(DurationError::Empty);
    }
    let too_long = || DurationError::TooLong(text.to_owned());
    let mut total_ms: u64 = 0;
    while !rest.is_empty() {
        let (digits, after) = split_where(rest, |c| !c.is_ascii_digit());
        if digits.is_empty() {
            return Err(DurationError::NumberMissing(rest.to_owned()));
        }
        let number: u64 = digits.parse().map_err(|_| too_long())?;
        let (unit, after) = split_where(after.trim_start(), |c| {
            c.is_ascii_digit() || c.is_whitespace()
        });
        if unit.is_empty() {
            return Err(DurationError::UnitMissing(digits.to_owned()));
        }
        let part_ms = number.checked_mul(unit_ms(unit)?).ok_or_else(too_long)?;
        total_ms = total_ms.checked_add(part_ms).ok_or_else(too_long)?;
        rest = after.trim_start();
    }
    Ok(Duration::from_millis(total_ms))
}

fn split_where(text: &str, end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(end).unwrap_or(text.len()))
}

fn unit_ms(unit: &str) -> Result<u64, DurationError> {
    match unit.to_ascii_lowercase().as_str() {
        "ms" | "millisecond" | "milliseconds" => Ok(1),
        "s" | "sec" | "secs" | "second" | "seconds" => Ok(SECOND_MS),
        "m" | "min" | "mins" | "minute" | "minutes" => Ok(MINUTE_MS),
        "h" | "hour" | "hours" => Ok(HOUR_MS),
        "d" | "day" | "days" => Ok(DAY_MS),
        "w" | "week" | "weeks" => Ok(7 * DAY_MS),
        _ => Err(DurationError::UnitUnknown(unit.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_spellings_are_read() {
        for (text, seconds) in [
            ("30s", 30),
            ("15 minutes", 900),
            ("15m", 900),
            ("1h 30m", 5_400),
            ("1h30min", 5_400),
            (" 2 Days ", 172_800),
            ("1 week", 604_800),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
    }

    #[test]
    fn each_mistake_has_its_own_error() {
        assert_eq!(parse("  "), Err(DurationError::Empty));
        assert_eq!(parse("15"), Err(DurationError::UnitMissing("15".into())));
        assert_eq!(
            parse("15 parsecs"),
            Err(DurationError::UnitUnknown("parsecs".into()))
        );
        assert_eq!(
            parse("minutes"),
            Err(DurationError::NumberMissing("minutes".into()))
        );
        assert_eq!(
            parse("-5m"),
            Err(DurationError::NumberMissing("-5m".into()))
        );
        assert!(matches!(parse("1.5h"), Err(DurationError::UnitUnknown(_))));
        assert!(matches!(
            parse("99999999999999999999w"),
            Err(DurationError::TooLong(_))
        ));
        assert!(matches!(
            parse("999999999999999999w"),
            Err(DurationError::TooLong(_))
        ));
    }
}
