//! `(start, end) OVERLAPS (start, end)`, of which DataFusion knows the name alone.
//!
//! A range reaches from the earlier of its two times up to the later one, without it; two that begin
//! together overlap. The second time may be an interval from the first one on. Of a range that has
//! one NULL the other time is the start, and its end is not known.

use datafusion::sql::sqlparser::ast::{BinaryOperator, DataType, Expr};

use super::over_rows::value;
use super::row_values::pairs;
use crate::sql::error::SqlError;

/// Writes it as comparisons of the times.
pub fn as_comparisons(expression: &mut Expr) -> Result<(), SqlError> {
    let Expr::BinaryOp {
        left,
        op: BinaryOperator::Overlaps,
        right,
    } = &*expression
    else {
        return Ok(());
    };
    let Some(pairs) = pairs(left, right)? else {
        return Err(of_two_times());
    };
    let [(first_start, second_start), (first_end, second_end)] = &pairs[..] else {
        return Err(of_two_times());
    };
    let first = Range::of(first_start, first_end);
    let second = Range::of(second_start, second_end);
    *expression = Expr::Nested(Box::new(value(&overlap(&first, &second))?));
    Ok(())
}

fn of_two_times() -> SqlError {
    SqlError::syntax("OVERLAPS compares two ranges: (start, end) OVERLAPS (start, end)")
}

/// A range of time, as text.
struct Range {
    start: String,
    end: String,
}

impl Range {
    fn of(one: &Expr, other: &Expr) -> Range {
        let other = match is_interval(other) {
            true => format!("(({one}) + ({other}))"),
            false => format!("({other})"),
        };
        let one = format!("({one})");
        let start =
            format!("CASE WHEN {one} <= {other} OR {other} IS NULL THEN {one} ELSE {other} END");
        let end =
            format!("CASE WHEN {one} <= {other} THEN {other} WHEN {one} > {other} THEN {one} END");
        Range {
            start: format!("({start})"),
            end: format!("({end})"),
        }
    }
}

fn is_interval(value: &Expr) -> bool {
    match value {
        Expr::Interval(_) => true,
        Expr::Nested(inner) => is_interval(inner),
        Expr::Cast { data_type, .. } => matches!(data_type, DataType::Interval { .. }),
        _ => false,
    }
}

/// NULL where an end that is not known decides.
fn overlap(first: &Range, second: &Range) -> String {
    let reaches = |one: &Range, other: &Range| {
        let (start, end, other) = (&one.start, &one.end, &other.end);
        format!("{start} < {other} OR {end} < {other}")
    };
    let (one, other) = (&first.start, &second.start);
    format!(
        "SELECT CASE WHEN {one} > {other} THEN {} WHEN {one} < {other} THEN {} \
         WHEN {one} = {other} AND {} IS NOT NULL AND {} IS NOT NULL THEN true END",
        reaches(first, second),
        reaches(second, first),
        first.end,
        second.end,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::statement::parse_query;
    use crate::sql::syntax::edit_expressions;

    fn written(condition: &str) -> Result<String, SqlError> {
        let mut query = parse_query(&format!("SELECT {condition}"))?;
        let mut result = Ok(());
        // It never breaks off.
        let _ = edit_expressions(&mut *query, &mut |expression| {
            if let Err(error) = as_comparisons(expression) {
                result = Err(error);
            }
            std::ops::ControlFlow::Continue(())
        });
        result.map(|()| query.to_string())
    }

    #[test]
    fn ranges_are_compared() {
        let plain = written("(a, b) OVERLAPS (c, d)").expect("a query");
        assert!(!plain.contains("OVERLAPS"), "{plain}");
        let of_length = written("(a, INTERVAL '1 day') OVERLAPS (c, d)").expect("a query");
        assert!(
            of_length.contains("(a) + (INTERVAL '1 day')"),
            "{of_length}"
        );
    }

    #[test]
    fn other_rows_are_refused() {
        for condition in [
            "(a, b, c) OVERLAPS (d, e, f)",
            "(a, b) OVERLAPS (c)",
            "a OVERLAPS b",
        ] {
            let refused = written(condition).map_err(|error| error.sqlstate);
            assert_eq!(refused, Err("42601"), "{condition}");
        }
    }
}
