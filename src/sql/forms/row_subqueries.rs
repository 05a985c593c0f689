//! Rows of values that are compared with the rows of a subquery: `(a, b) IN (SELECT x, y …)`,
//! `(a, b) = (SELECT x, y …)`, `(a, b) > ALL (SELECT x, y …)`.
//!
//! DataFusion has subqueries of one column only, so the comparison goes into the subquery, whose one
//! column it becomes.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Ident, Query, Select, UnaryOperator};

use super::over_rows::{ROWS, STAND_IN, taken, with_rows};
use super::row_values::{compare_values, values};
use crate::sql::error::SqlError;
use crate::sql::operators::comparison::is_comparison;
use crate::sql::syntax::take_value;

/// Writes the tests among the conditions of a WHERE as whether there is such a row, or certainly
/// none.
pub fn in_where(select: &mut Select) -> Result<(), SqlError> {
    match &mut select.selection {
        Some(condition) => in_condition(condition),
        None => Ok(()),
    }
}

fn in_condition(condition: &mut Expr) -> Result<(), SqlError> {
    as_membership(condition)?;
    match condition {
        Expr::Nested(inner) => in_condition(inner),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            in_condition(left)?;
            in_condition(right)
        }
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr,
        } => {
            as_membership(expr)?;
            match expr.as_mut() {
                Expr::InSubquery { negated, .. } => {
                    *negated = !*negated;
                    *condition = take_value(expr);
                    in_condition(condition)
                }
                _ => Ok(()),
            }
        }
        Expr::InSubquery {
            expr,
            subquery,
            negated,
        } => {
            let Expr::Tuple(values) = expr.as_ref() else {
                return Ok(());
            };
            let equal = equal_row(values);
            let (word, equal) = match negated {
                true => ("NOT EXISTS", format!("({equal}) IS NOT FALSE")),
                false => ("EXISTS", equal),
            };
            let text = format!(
                "SELECT {word} (SELECT 1 FROM ({STAND_IN}) AS {ROWS}({}) WHERE {equal})",
                names(values.len())
            );
            *condition = with_rows(&text, taken(subquery)?)?;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Writes such a test as a value: NULL where no row decides, but one might for its NULLs.
pub fn as_value(expression: &mut Expr) -> Result<(), SqlError> {
    as_membership(expression)?;
    is_among(expression)?;
    with_one_row(expression)?;
    with_any_row(expression)
}

/// `= ANY` and `<> ALL` are `IN` and `NOT IN`.
fn as_membership(expression: &mut Expr) -> Result<(), SqlError> {
    let (left, right, negated) = match expression {
        Expr::AnyOp {
            left,
            compare_op: BinaryOperator::Eq,
            right,
            ..
        } => (left, right, false),
        Expr::AllOp {
            left,
            compare_op: BinaryOperator::NotEq,
            right,
        } => (left, right, true),
        _ => return Ok(()),
    };
    if let (Some(values), Some(rows)) = (values(left), subquery_of(right)) {
        *expression = Expr::InSubquery {
            expr: Box::new(Expr::Tuple(values)),
            subquery: taken(rows)?,
            negated,
        };
    }
    Ok(())
}

/// `(a, b) IN (SELECT …)`
fn is_among(expression: &mut Expr) -> Result<(), SqlError> {
    let Expr::InSubquery {
        expr,
        subquery,
        negated,
    } = expression
    else {
        return Ok(());
    };
    let Expr::Tuple(values) = expr.as_ref() else {
        return Ok(());
    };
    let decided = !*negated;
    let text = decided_by_any(&equal_row(values), decided, values.len());
    *expression = with_rows(&text, taken(subquery)?)?;
    Ok(())
}

/// `(a, b) > ALL (SELECT …)`, `(a, b) < ANY (SELECT …)`
fn with_any_row(expression: &mut Expr) -> Result<(), SqlError> {
    let (left, op, right, is_any) = match expression {
        Expr::AnyOp {
            left,
            compare_op,
            right,
            ..
        } => (left, compare_op, right, true),
        Expr::AllOp {
            left,
            compare_op,
            right,
        } => (left, compare_op, right, false),
        _ => return Ok(()),
    };
    let (Some(values), Some(rows)) = (values(left), subquery_of(right)) else {
        return Ok(());
    };
    let count = values.len();
    let holds = compared(Expr::Tuple(values), op, row_of(count))?;
    let text = match is_any {
        true => decided_by_any(&holds, true, count),
        false => decided_by_any(&format!("NOT ({holds})"), false, count),
    };
    *expression = with_rows(&text, taken(rows)?)?;
    Ok(())
}

/// `(a, b) = (SELECT …)`: NULL if there is no row, and an error if there are several.
fn with_one_row(expression: &mut Expr) -> Result<(), SqlError> {
    let Expr::BinaryOp { left, op, right } = expression else {
        return Ok(());
    };
    if !is_comparison(op) {
        return Ok(());
    }
    let (Some(values), Some(rows)) = (values(left), subquery_of(right)) else {
        return Ok(());
    };
    let count = values.len();
    let compared = compared(Expr::Tuple(values), op, row_of(count))?;
    let text = format!(
        "SELECT (SELECT {compared} FROM ({STAND_IN}) AS {ROWS}({}))",
        names(count)
    );
    *expression = with_rows(&text, taken(rows)?)?;
    Ok(())
}

/// What decides as soon as it is true of one row, and what it decides.
fn decided_by_any(deciding: &str, decided: bool, count: usize) -> String {
    let otherwise = !decided;
    format!(
        "SELECT (SELECT CASE WHEN bool_or({deciding}) THEN {decided} WHEN bool_or(({deciding}) IS \
         NULL) THEN NULL ELSE {otherwise} END FROM ({STAND_IN}) AS {ROWS}({}))",
        names(count)
    )
}

/// A comparison of rows as one of their values, as text.
fn compared(left: Expr, op: &BinaryOperator, right: Expr) -> Result<String, SqlError> {
    let mut comparison = Expr::BinaryOp {
        left: Box::new(left),
        op: op.clone(),
        right: Box::new(right),
    };
    compare_values(&mut comparison)?;
    Ok(comparison.to_string())
}

fn subquery_of(expression: &mut Expr) -> Option<&mut Box<Query>> {
    match expression {
        Expr::Nested(inner) => subquery_of(inner),
        Expr::Subquery(query) => Some(query),
        _ => None,
    }
}

/// What the columns of the subquery's rows are called.
fn names(count: usize) -> String {
    let names = (0..count).map(|number| format!("\"{}\"", name(number)));
    names.collect::<Vec<_>>().join(", ")
}

fn name(number: usize) -> String {
    format!("[column {number}]")
}

/// A row of the subquery.
fn row_of(count: usize) -> Expr {
    let column = |number| {
        let parts = ["[rows]".to_owned(), name(number)];
        let parts = parts.map(|part| Ident::with_quote('"', part));
        Expr::CompoundIdentifier(parts.to_vec())
    };
    Expr::Tuple((0..count).map(column).collect())
}

fn equal_row(values: &[Expr]) -> String {
    let values = values.iter().enumerate();
    let values = values.map(|(number, value)| format!("{ROWS}.\"{}\" = ({value})", name(number)));
    values.collect::<Vec<_>>().join(" AND ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::statement::parse_query;
    use crate::sql::syntax::edit_expressions;

    fn rewritten(value: &str) -> Result<String, SqlError> {
        let mut query = parse_query(&format!("SELECT {value} FROM t"))?;
        let mut result = Ok(());
        // It never breaks off.
        let _ = edit_expressions(&mut *query, &mut |expression| {
            if let Err(error) = as_value(expression) {
                result = Err(error);
            }
            std::ops::ControlFlow::Continue(())
        });
        result.map(|()| query.to_string())
    }

    #[test]
    fn comparisons_go_into_the_subquery() {
        for (value, expected) in [
            (
                "a = (SELECT x FROM u)",
                "SELECT a = (SELECT x FROM u) FROM t",
            ),
            (
                "a = ANY (SELECT x FROM u)",
                "SELECT a = ANY(SELECT x FROM u) FROM t",
            ),
            ("(a, b) = (c, d)", "SELECT (a, b) = (c, d) FROM t"),
        ] {
            assert_eq!(rewritten(value).as_deref(), Ok(expected), "{value}");
        }
        let equal = rewritten("(a, b) = (SELECT x, y FROM u)").expect("a query");
        let rows = r#"FROM (SELECT x, y FROM u) AS "[rows]""#;
        assert!(equal.contains(rows), "{equal}");
        assert!(equal.contains(r#"a = "[rows]"."[column 0]""#), "{equal}");
        let all = rewritten("(a, b) >= ALL (SELECT x, y FROM u)").expect("a query");
        assert!(all.contains("bool_or(NOT ("), "{all}");
        assert!(all.contains("ELSE true END"), "{all}");
        let among = rewritten("(a, b) = SOME (SELECT x, y FROM u)").expect("a query");
        assert_eq!(rewritten("(a, b) IN (SELECT x, y FROM u)"), Ok(among));
    }

    /// A value may have subqueries itself.
    #[test]
    fn rows_take_their_own_place() {
        let value = "((SELECT max(z) FROM (SELECT 1 AS z) AS v), b) IN (SELECT x, y FROM u)";
        let among = rewritten(value).expect("a query");
        assert!(
            among.contains("FROM (SELECT x, y FROM u) AS \"[rows]\""),
            "{among}"
        );
        assert!(!among.contains("SELECT \"[rows]\""), "{among}");
    }
}
