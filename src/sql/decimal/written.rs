//! Literals in the syntax tree.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    DataType, ExactNumberInfo, Expr, Query, SetExpr, UnaryOperator, Value, ValueWithSpan,
};

use super::Number;
use crate::sql::syntax::{cast, edit_expressions, edit_queries, is_parameter, is_text, take_value};

/// Writes literals with more digits than a double holds as casts of their text. Those that are rows
/// of VALUES by themselves stay doubles, as the others of their column may be.
pub fn keep_long(query: &mut Query) {
    edit_queries(query, &mut |query| {
        if let SetExpr::Values(values) = query.body.as_mut() {
            let cells = values.rows.iter_mut().flat_map(|row| &mut row.content);
            cells.for_each(keep_double);
        }
    });
    // It never breaks off.
    let _ = edit_expressions(query, &mut |expression| {
        keep_digits(expression);
        ControlFlow::Continue(())
    });
}

fn keep_double(cell: &mut Expr) {
    if let Some(text) = written_number(cell)
        && is_long(&text)
    {
        *cell = cast_text(text, DataType::Double(ExactNumberInfo::None));
    }
}

fn keep_digits(expression: &mut Expr) {
    let (literal, is_negative) = match expression {
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => (expr.as_mut(), true),
        other => (other, false),
    };
    let Expr::Value(ValueWithSpan {
        value: Value::Number(text, _),
        ..
    }) = literal
    else {
        return;
    };
    let Some(text) = plain(text).filter(|_| !text.contains(['e', 'E'])) else {
        return;
    };
    // Integers of 64 bits have a sign only up to half of them.
    let is_beyond = |value: u64| is_negative && value > i64::MIN.unsigned_abs();
    let is_beyond = text.parse::<u64>().is_ok_and(is_beyond);
    if let Some(number) = Number::of_text(&text)
        && (is_beyond || is_long(&text))
    {
        *literal = cast_text(text, decimal(number.precision() as u8, number.scale as i8));
    }
}

/// Whether a number is written with digits that a double does not hold, and a decimal does, or is a
/// whole one beyond 64 bits.
fn is_long(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (Some(number), Ok(double)) = (Number::of_text(text), text.parse::<f64>()) else {
        return false;
    };
    if !unsigned.contains('.') {
        return unsigned.parse::<u64>().is_err();
    }
    Number::of_double(double).map(Number::reduced) != Some(number.reduced())
}

/// A number literal, with or without a sign, that would not be an integer: its text.
pub fn inexact(expression: &Expr) -> Option<String> {
    written_number(expression).filter(|text| text.parse::<i64>().is_err())
}

/// The text of a number literal, with or without a sign.
pub fn written_number(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Nested(inner) => written_number(inner),
        Expr::UnaryOp {
            op: UnaryOperator::Plus,
            expr,
        } => written_number(expr),
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => {
            let text = written_number(expr)?;
            Some(match text.strip_prefix('-') {
                Some(positive) => positive.to_owned(),
                None => format!("-{text}"),
            })
        }
        Expr::Value(ValueWithSpan {
            value: Value::Number(text, _),
            ..
        }) => plain(text),
        _ => None,
    }
}

/// More digits behind the point than any rounding looks at, and as many as the reader of decimals
/// takes.
const FRACTION_MAX: usize = 60;

/// A number's text without an exponent, with digits before the point.
fn plain(text: &str) -> Option<String> {
    let mut text = text.replace('_', "");
    if text.contains(['e', 'E']) {
        let value: f64 = text.parse().ok()?;
        text = value.is_finite().then(|| value.to_string())?;
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text.as_str(), ""));
    let whole = if whole.is_empty() { "0" } else { whole };
    let fraction = fraction.get(..FRACTION_MAX).unwrap_or(fraction);
    Some(match fraction {
        "" => whole.to_owned(),
        _ => format!("{whole}.{fraction}"),
    })
}

/// Writes the values that VALUES has for a decimal column so that none of them becomes a double:
/// numbers as text, which the column reads, or, where others are computed, all as its type.
pub fn keep_in_column(cells: &mut [&mut Expr], precision: u8, scale: i8) {
    let is_mixed = cells.iter().any(|cell| is_text(cell))
        && cells.iter().any(|cell| written_number(cell).is_some());
    if !is_mixed && cells.iter().all(|cell| inexact(cell).is_none()) {
        return;
    }
    let are_texts = cells.iter().all(|cell| {
        let is_fixed = matches!(cell, Expr::Value(_)) && !is_parameter(cell);
        is_fixed || written_number(cell).is_some()
    });
    for cell in cells {
        match written_number(cell) {
            Some(text) if are_texts => {
                **cell = Expr::value(Value::SingleQuotedString(text));
            }
            Some(text) => **cell = cast_text(text, decimal(precision, scale)),
            // A parameter gets the type of its column elsewhere.
            None if are_texts || is_parameter(cell) => {}
            None => {
                **cell = cast(take_value(cell), decimal(precision, scale));
            }
        }
    }
}

fn decimal(precision: u8, scale: i8) -> DataType {
    DataType::Decimal(ExactNumberInfo::PrecisionAndScale(
        precision.into(),
        scale.into(),
    ))
}

fn cast_text(text: String, data_type: DataType) -> Expr {
    cast(Expr::value(Value::SingleQuotedString(text)), data_type)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::statement::parse_query;

    fn kept(text: &str) -> String {
        let mut query = parse_query(text).unwrap();
        keep_long(&mut query);
        query.to_string()
    }

    #[test]
    fn literals_that_a_double_holds_stay() {
        for text in [
            "SELECT 1.5, 0.10, -2.25, 1e30, 18446744073709551615",
            "SELECT 0.1234567890123456, 1000000000.0",
            "SELECT 0.00000000000000000000000000000000000000000000001",
        ] {
            assert_eq!(kept(text), text);
        }
    }

    #[test]
    fn longer_ones_are_casts() {
        assert_eq!(
            kept("SELECT 123456789012345678.91, -99999999999999999999, -18446744073709551615"),
            "SELECT CAST('123456789012345678.91' AS DECIMAL(20,2)), \
             -CAST('99999999999999999999' AS DECIMAL(20,0)), \
             -CAST('18446744073709551615' AS DECIMAL(20,0))"
        );
        assert_eq!(
            kept("VALUES (0.10000000000000001)"),
            "VALUES (CAST('0.10000000000000001' AS DOUBLE))"
        );
    }
}
