//! The keys of `DISTINCT ON (…)`.
//!
//! DataFusion takes a position for a constant, and asks for the keys in the order in which rows are
//! ordered by all of them. In Postgres any order will do, and rows need not be ordered by each.

use std::mem::take;

use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, OrderByExpr, OrderByKind, OrderByOptions, Query, SelectItem, SetExpr,
};

use super::grouping_elements::are_same;
use super::row_keys;
use crate::sql::columns::output_columns::{at_position, meant, position_of};
use crate::sql::error::SqlError;

/// Writes those of a query in the order of its ORDER BY.
pub fn rewrite(query: &mut Query) -> Result<(), SqlError> {
    let Query { body, order_by, .. } = query;
    let SetExpr::Select(select) = body.as_mut() else {
        return Ok(());
    };
    let Some(Distinct::On(keys)) = &mut select.distinct else {
        return Ok(());
    };
    *keys = take(keys).into_iter().flat_map(row_keys::columns).collect();
    let columns = &select.projection;
    for key in keys.iter_mut() {
        without_position(key, columns, "DISTINCT ON")?;
    }
    if let Some(order) = order_by
        && let OrderByKind::Expressions(order) = &mut order.kind
    {
        for key in order.iter_mut() {
            // Behind a * DataFusion knows which column it is.
            let _ = without_position(&mut key.expr, columns, "ORDER BY");
        }
        in_one_order(keys, order, columns);
    }
    Ok(())
}

/// A position is the name of its column, or what that computes.
fn without_position(key: &mut Expr, columns: &[SelectItem], clause: &str) -> Result<(), SqlError> {
    let Some(position) = position_of(key) else {
        return Ok(());
    };
    let value = at_position(&position, columns, clause)?;
    let place = position.parse::<usize>().unwrap_or(1) - 1;
    *key = match columns.get(place) {
        Some(SelectItem::ExprWithAlias { alias, .. }) => Expr::Identifier(alias.clone()),
        _ => value,
    };
    Ok(())
}

/// Leaves both as they are where rows are ordered by something else first, which is refused.
fn in_one_order(keys: &mut Vec<Expr>, order: &mut Vec<OrderByExpr>, columns: &[SelectItem]) {
    let value_of = |key: &Expr| meant(key, columns, "ORDER BY").unwrap_or_else(|_| key.clone());
    let mut waiting: Vec<(Expr, Expr)> = Vec::new();
    for key in keys.iter() {
        let value = value_of(key);
        if place_of(&value, &waiting).is_none() {
            waiting.push((key.clone(), value));
        }
    }
    let mut found: Vec<(Expr, Expr)> = Vec::new();
    let mut ordered = Vec::new();
    for key in order.iter() {
        let value = value_of(&key.expr);
        if place_of(&value, &found).is_some() {
            continue;
        }
        match place_of(&value, &waiting) {
            Some(place) => found.push(waiting.remove(place)),
            None if waiting.is_empty() => {}
            None => return,
        }
        ordered.push(key.clone());
    }
    for (key, value) in waiting {
        ordered.push(OrderByExpr {
            expr: key.clone(),
            options: OrderByOptions::default(),
            with_fill: None,
        });
        found.push((key, value));
    }
    *order = ordered;
    *keys = found.into_iter().map(|(key, _)| key).collect();
}

/// Where a value is among those of keys.
fn place_of(value: &Expr, keys: &[(Expr, Expr)]) -> Option<usize> {
    keys.iter().position(|(_, other)| are_same(other, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::statement::parse_query;

    #[test]
    fn keys_are_in_the_order_of_the_rows() {
        for (written, expected) in [
            ("(a) a, b ORDER BY a, b", "(a) a, b ORDER BY a, b"),
            ("(1) a, b ORDER BY 1, 2 DESC", "(a) a, b ORDER BY a, b DESC"),
            (
                "(a, b) c ORDER BY b DESC, t.a, c",
                "(b, a) c ORDER BY b DESC, t.a, c",
            ),
            (
                "(x, b) a + 1 AS x ORDER BY b, x",
                "(b, x) a + 1 AS x ORDER BY b, x",
            ),
            (
                "(2) a, b + 1 AS x ORDER BY x",
                "(x) a, b + 1 AS x ORDER BY x",
            ),
            ("(a, b, a) c ORDER BY b", "(b, a) c ORDER BY b, a"),
            ("(a, b) c ORDER BY a, a, b", "(a, b) c ORDER BY a, b"),
            ("(a) b ORDER BY b, a", "(a) b ORDER BY b, a"),
            ("((a, b)) c ORDER BY b", "(b, a) c ORDER BY b, a"),
            ("(1) a", "(a) a"),
            ("(a) * ORDER BY 1, 2", "(a) * ORDER BY 1, 2"),
        ] {
            let text = |rest: &str| match rest.split_once(" ORDER BY ") {
                Some((select, order)) => {
                    format!("SELECT DISTINCT ON {select} FROM t ORDER BY {order}")
                }
                None => format!("SELECT DISTINCT ON {rest} FROM t"),
            };
            let mut query = parse_query(&text(written)).expect("a query");
            assert_eq!(rewrite(&mut query), Ok(()), "{written}");
            assert_eq!(query.to_string(), text(expected), "{written}");
        }
    }
}
