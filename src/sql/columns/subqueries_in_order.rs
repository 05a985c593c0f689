//! Subqueries within ORDER BY that are called like a column of the SELECT: `ORDER BY sum(v) * 1.0 /
//! (SELECT sum(v) FROM t)`.
//!
//! DataFusion takes an expression there for the column of the SELECT that has its name, and a subquery
//! has the name of its column, so that the one above would be `sum(v) / sum(v)`. Nobody sees what such
//! a column is called, so it gets a name that no other has.

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, OrderByKind, Query, Select, SelectItem, SetExpr,
};

use crate::sql::syntax::{edit_own_expressions, edit_queries};

/// Names the columns of scalar subqueries in the keys of ORDER BY.
pub fn rewrite(query: &mut Query) {
    edit_queries(query, &mut |query| {
        let Some(OrderByKind::Expressions(keys)) =
            query.order_by.as_mut().map(|order| &mut order.kind)
        else {
            return;
        };
        let mut number = 0;
        for key in keys {
            edit_own_expressions(&mut key.expr, &mut |part| {
                if let Expr::Subquery(subquery) = part
                    && let SetExpr::Select(select) = subquery.body.as_mut()
                {
                    number += 1;
                    name_column(select, number);
                }
            });
        }
    });
}

/// DISTINCT rows may be ordered by the very value that would get a name.
fn name_column(select: &mut Select, number: usize) {
    if select.distinct.is_none()
        && let [item] = &mut select.projection[..]
        && let SelectItem::UnnamedExpr(value) = item
    {
        *item = SelectItem::ExprWithAlias {
            expr: value.clone(),
            alias: Ident::with_quote('"', format!("[value {number}]")),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::statement::parse_query;

    #[test]
    fn subqueries_in_keys_have_columns_of_names_of_their_own() {
        for (sql, expected) in [
            (
                "SELECT k FROM t GROUP BY k ORDER BY sum(v) / (SELECT sum(v) FROM t), -(SELECT 1)",
                "SELECT k FROM t GROUP BY k ORDER BY sum(v) / (SELECT sum(v) AS \"[value 1]\" FROM \
                 t), -(SELECT 1 AS \"[value 2]\")",
            ),
            (
                "SELECT (SELECT max(v) FROM t) FROM t ORDER BY (SELECT v AS w FROM t), v",
                "SELECT (SELECT max(v) FROM t) FROM t ORDER BY (SELECT v AS w FROM t), v",
            ),
        ] {
            let mut query = parse_query(sql).expect(sql);
            rewrite(&mut query);
            assert_eq!(query.to_string(), expected);
        }
    }
}
