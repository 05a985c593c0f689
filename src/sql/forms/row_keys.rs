//! Rows of values as keys: `ORDER BY (a, b)`, `PARTITION BY (a, b)`.
//!
//! DataFusion makes structures of them, which are ordered by nobody in a live view, and in which NULL
//! is the least value. Rows are in the order of their values, one after the other.

use std::mem::take;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArgumentClause, FunctionArguments, OrderByExpr, OrderByKind, OrderByOptions,
    Query, WindowType,
};

use super::row_values::values;
use crate::sql::columns::output_columns::position_of;

/// Takes the rows apart that a query is ordered by.
pub fn in_query(query: &mut Query) {
    if let Some(order) = &mut query.order_by
        && let OrderByKind::Expressions(keys) = &mut order.kind
    {
        in_order(keys);
    }
}

/// The same in a call of a window or aggregate function.
pub fn in_call(expression: &mut Expr) {
    let Expr::Function(call) = expression else {
        return;
    };
    if let Some(WindowType::WindowSpec(window)) = &mut call.over {
        in_order(&mut window.order_by);
        let parts = take(&mut window.partition_by).into_iter();
        window.partition_by = parts.flat_map(columns).collect();
    }
    if let FunctionArguments::List(list) = &mut call.args {
        for clause in &mut list.clauses {
            if let FunctionArgumentClause::OrderBy(keys) = clause {
                in_order(keys);
            }
        }
    }
}

/// The columns of a key in parentheses.
pub fn columns(key: Expr) -> Vec<Expr> {
    match key {
        Expr::Tuple(columns) => columns,
        other => vec![other],
    }
}

fn in_order(keys: &mut Vec<OrderByExpr>) {
    if keys.iter().any(|key| values(&key.expr).is_some()) {
        *keys = take(keys).into_iter().flat_map(taken_apart).collect();
    }
}

/// A row is not NULL for its values, so these stand where they do by themselves; and numbers among
/// them are no positions.
fn taken_apart(key: OrderByExpr) -> Vec<OrderByExpr> {
    let Some(values) = values(&key.expr) else {
        return vec![key];
    };
    let options = OrderByOptions {
        nulls_first: None,
        ..key.options
    };
    let values = values
        .into_iter()
        .filter(|value| position_of(value).is_none());
    let keys = values.map(|expr| OrderByExpr {
        expr,
        options,
        with_fill: None,
    });
    keys.flat_map(taken_apart).collect()
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::sql::statement::parse_query;
    use crate::sql::syntax::edit_expressions;

    #[test]
    fn rows_become_their_values() {
        for (written, expected) in [
            (
                "a FROM t ORDER BY (a, b) DESC NULLS LAST, c",
                "a FROM t ORDER BY a DESC, b DESC, c",
            ),
            ("a FROM t ORDER BY ROW(a, (b, 1))", "a FROM t ORDER BY a, b"),
            ("a FROM t ORDER BY (a), 2", "a FROM t ORDER BY (a), 2"),
            (
                "rank() OVER (PARTITION BY (a, b) ORDER BY (c, d)) FROM t",
                "rank() OVER (PARTITION BY a, b ORDER BY c, d) FROM t",
            ),
            (
                "array_agg(a ORDER BY (b, c)) FROM t",
                "array_agg(a ORDER BY b, c) FROM t",
            ),
        ] {
            let mut query = parse_query(&format!("SELECT {written}")).expect("a query");
            in_query(&mut query);
            // It never breaks off.
            let _ = edit_expressions(&mut *query, &mut |expression| {
                in_call(expression);
                ControlFlow::Continue(())
            });
            assert_eq!(query.to_string(), format!("SELECT {expected}"), "{written}");
        }
    }
}
