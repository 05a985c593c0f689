//! Moments that are written without seconds, dates that are written with a time, and times of day
//! without colons, as Postgres takes them: `'2026-05-04 10:20'`, `'1020'::time`.
//!
//! Arrow, which reads texts as times, asks for the seconds; of a date in another zone it takes that
//! in UTC, and digits alone it takes for the microseconds of the day.

use arrow::compute::kernels::cast_utils::string_to_datetime;
use arrow::datatypes::DataType;
use chrono::Utc;
use datafusion::logical_expr::Expr;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{DataType as SqlType, Expr as Ast, Value};

use super::readable::readable;

/// Where the day of a moment ends in its text.
const DAY_END: usize = 10;

/// Where its minutes end.
const MINUTES_END: usize = 16;

/// A time of day that is written as four digits or six, with colons; a text that Arrow does not read
/// if there are others. `None`: it is no whole number.
pub(super) fn with_colons(text: &str) -> Option<String> {
    let text = text.trim();
    text.parse::<i64>().ok()?;
    let are_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    Some(match text.len() {
        4 if are_digits => format!("{}:{}:00", &text[..2], &text[2..]),
        6 if are_digits => format!("{}:{}:{}", &text[..2], &text[2..4], &text[4..]),
        _ => format!("{text} "),
    })
}

/// The text of a moment with seconds, where it is written without; `None`: it has some, or is no
/// moment.
pub fn with_seconds(text: &str) -> Option<String> {
    let (moment, zone) = text.trim().split_at_checked(MINUTES_END)?;
    let is_moment = moment.bytes().enumerate().all(|(place, byte)| match place {
        4 | 7 => byte == b'-',
        10 => matches!(byte, b' ' | b'T' | b't'),
        13 => byte == b':',
        _ => byte.is_ascii_digit(),
    });
    let is_whole = zone.is_empty() || zone.starts_with(['+', '-', 'Z', 'z', ' ']);
    (is_moment && is_whole).then(|| format!("{moment}:00{zone}"))
}

/// The day of a text that is a moment, as the text has it; `None`: it is none.
pub(super) fn without_time(text: &str) -> Option<String> {
    let text = text.trim();
    let (day, time) = text.split_at_checked(DAY_END)?;
    if time.is_empty() {
        return None;
    }
    let complete = with_seconds(text);
    string_to_datetime(&Utc, complete.as_deref().unwrap_or(text)).ok()?;
    Some(day.to_owned())
}

/// `TIMESTAMP '2026-05-04 10:20'` with seconds, `DATE '2026-05-04 10:20'` without a time, and the same
/// as casts.
pub fn complete_moment(expression: &mut Ast) {
    let (data_type, value) = match expression {
        Ast::TypedString(typed) => (&typed.data_type, &mut typed.value),
        Ast::Cast {
            expr, data_type, ..
        } => match expr.as_mut() {
            Ast::Value(value) => (&*data_type, value),
            _ => return,
        },
        _ => return,
    };
    let Value::SingleQuotedString(text) = &mut value.value else {
        return;
    };
    let complete = match data_type {
        SqlType::Timestamp(..) => with_seconds(text),
        SqlType::Date => without_time(text),
        SqlType::Time(..) => with_colons(text),
        _ => None,
    };
    if let Some(complete) = complete {
        *text = complete;
    }
}

/// A text beside a column of moments or dates, as one of them is read.
pub fn beside_moment(value: Expr, column: &DataType) -> Expr {
    let complete = match &value {
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) => readable(text, column),
        _ => None,
    };
    match complete {
        Some(text) => Expr::Literal(ScalarValue::Utf8(Some(text)), None),
        None => value,
    }
}

#[cfg(test)]
mod tests {
    use super::{with_colons, with_seconds, without_time};

    #[test]
    fn times_get_the_colons_that_are_not_written() {
        for (text, expected) in [
            ("1000", Some("10:00:00")),
            (" 100530 ", Some("10:05:30")),
            ("5", Some("5 ")),
            ("-100", Some("-100 ")),
            ("10:00", None),
            ("noon", None),
        ] {
            assert_eq!(with_colons(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn moments_get_the_seconds_that_are_not_written() {
        for (text, expected) in [
            ("2026-05-04 10:20", "2026-05-04 10:20:00"),
            (" 2026-05-04T10:20Z ", "2026-05-04T10:20:00Z"),
            ("2026-05-04 10:20+02", "2026-05-04 10:20:00+02"),
            (
                "2026-05-04 10:20 Europe/Berlin",
                "2026-05-04 10:20:00 Europe/Berlin",
            ),
        ] {
            assert_eq!(with_seconds(text).as_deref(), Some(expected));
        }
        for text in [
            "2026-05-04",
            "2026-05-04 10:20:30",
            "2026-05-04 10:20.5",
            "2026-05-04 10-20",
            "four o'clock in May",
            "2026-05-04 10:2é",
        ] {
            assert_eq!(with_seconds(text), None, "{text}");
        }
    }

    #[test]
    fn dates_lose_the_time_that_is_written_behind_them() {
        for text in [
            "2026-05-04 10:20",
            " 2026-05-04T23:59:59.5",
            "2026-05-04 23:00-05",
        ] {
            assert_eq!(without_time(text).as_deref(), Some("2026-05-04"), "{text}");
        }
        for text in ["2026-05-04", "2026-05-04 25:00", "2026-05-04-03", "4 May"] {
            assert_eq!(without_time(text), None, "{text}");
        }
    }
}
