//! Moments that are written without seconds, as Postgres takes them: `'2026-05-04 10:20'`.
//!
//! Arrow, which reads texts as times, asks for the seconds.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::logical_expr::Expr;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{DataType as SqlType, Expr as Ast, Value};

/// Where the minutes of a moment end in its text.
const MINUTES_END: usize = 16;

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

/// `TIMESTAMP '2026-05-04 10:20'`, and the same as a cast, with seconds.
pub fn complete_moment(expression: &mut Ast) {
    let value = match expression {
        Ast::TypedString(typed) if is_moment(&typed.data_type) => &mut typed.value,
        Ast::Cast {
            expr, data_type, ..
        } if is_moment(data_type) => match expr.as_mut() {
            Ast::Value(value) => value,
            _ => return,
        },
        _ => return,
    };
    if let Value::SingleQuotedString(text) = &mut value.value
        && let Some(complete) = with_seconds(text)
    {
        *text = complete;
    }
}

fn is_moment(data_type: &SqlType) -> bool {
    matches!(data_type, SqlType::Timestamp(..))
}

/// A text beside a column of moments, with seconds.
pub fn beside_moment(value: Expr, column: &DataType) -> Expr {
    let complete = match (&value, column) {
        (Expr::Literal(ScalarValue::Utf8(Some(text)), _), DataType::Timestamp(..)) => {
            with_seconds(text)
        }
        _ => None,
    };
    match complete {
        Some(text) => Expr::Literal(ScalarValue::Utf8(Some(text)), None),
        None => value,
    }
}

/// Texts that are to be read as moments, with seconds.
pub fn of_texts(texts: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let texts = cast(texts, &DataType::Utf8)?;
    let complete = texts
        .as_string::<i32>()
        .iter()
        .map(|text| text.map(|text| with_seconds(text).unwrap_or_else(|| text.to_owned())));
    let complete: StringArray = complete.collect();
    Ok(Arc::new(complete))
}

#[cfg(test)]
mod tests {
    use super::with_seconds;

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
}
