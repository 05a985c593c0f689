//! Literals of times far from ours, such as the year 9999 for what has no end.
//!
//! DataFusion gives literals nanoseconds, which reach from 1677 to 2262 only. Columns have
//! microseconds, and so have these literals here.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::Cast;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    DataType as SqlType, Expr as Ast, SelectItem, SetExpr, TimezoneInfo, Value,
};

use crate::sql::error::SqlError;
use crate::sql::statement::parse_query;
use crate::sql::syntax::{is_text, text_of};

/// The years that nanoseconds reach as a whole.
const NEAR: std::ops::RangeInclusive<u16> = 1678..=2261;

/// Whether a text is written like a time that nanoseconds do not reach.
fn is_far(text: &str) -> bool {
    let year = text.trim().split_once('-').map(|(year, _)| year);
    let year = year
        .filter(|year| year.len() == 4)
        .and_then(|year| year.parse().ok());
    year.is_some_and(|year: u16| !NEAR.contains(&year))
}

/// `TIMESTAMP '9999-12-31 00:00:00'`, and the same as a cast, in microseconds, and so all casts of
/// values that are no literals.
pub fn in_microseconds(expression: &mut Ast) -> Result<(), SqlError> {
    if let Ast::Cast {
        expr,
        data_type: SqlType::Timestamp(precision, _),
        ..
    } = &mut *expression
        && precision.is_none()
        && !is_text(expr)
    {
        *precision = Some(6);
        return Ok(());
    }
    let written = match &*expression {
        Ast::TypedString(typed) => match &typed.value.value {
            Value::SingleQuotedString(text) => Some(text.as_str()).zip(zone_of(&typed.data_type)),
            _ => None,
        },
        Ast::Cast {
            expr, data_type, ..
        } => text_of(expr).zip(zone_of(data_type)),
        _ => None,
    };
    let Some((text, zone)) = written.filter(|(text, _)| is_far(text)) else {
        return Ok(());
    };
    let text = text.replace('\'', "''");
    let query = format!("SELECT arrow_cast('{text}', 'Timestamp(Microsecond, {zone})')");
    if let SetExpr::Select(select) = *parse_query(&query)?.body
        && let Some(SelectItem::UnnamedExpr(literal)) = select.projection.into_iter().next()
    {
        *expression = literal;
    }
    Ok(())
}

/// The zone of a type of times as Arrow writes it; `None` of other types.
fn zone_of(data_type: &SqlType) -> Option<&'static str> {
    match data_type {
        SqlType::Timestamp(_, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => Some("None"),
        SqlType::Timestamp(_, TimezoneInfo::Tz | TimezoneInfo::WithTimeZone) => {
            Some("Some(\"UTC\")")
        }
        _ => None,
    }
}

/// A text beside a column of times, in the column's type where it is far.
pub fn beside_time(value: Expr, column: &DataType) -> Expr {
    let is_meant = matches!(column, DataType::Timestamp(TimeUnit::Microsecond, _))
        && matches!(&value, Expr::Literal(ScalarValue::Utf8(Some(text)), _) if is_far(text));
    match is_meant {
        true => Expr::Cast(Cast::new(Box::new(value), column.clone())),
        false => value,
    }
}

#[cfg(test)]
mod tests {
    use super::is_far;

    #[test]
    fn far_times_are_known_by_their_year() {
        for text in ["9999-12-31", " 0001-01-01 00:00:00", "2262-01-01"] {
            assert!(is_far(text), "{text}");
        }
        for text in ["2026-05-04", "1678-01-01", "soon", "99999-01-01", "", "-"] {
            assert!(!is_far(text), "{text}");
        }
    }
}
