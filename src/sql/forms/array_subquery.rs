//! `ARRAY(SELECT x … ORDER BY y)`: the rows of a subquery as a list.
//!
//! DataFusion takes it for a call of a function. It is what `array_agg` makes of the rows, and an
//! empty list where there are none.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArgumentList, FunctionArguments, GroupByExpr, Ident, ObjectName, OrderByExpr,
    OrderByKind, OrderByOptions, Query, Select, SelectItem, SetExpr, Value,
};

use super::over_rows::{ROWS, STAND_IN, taken, with_rows};
use crate::sql::columns::output_columns::{name_of, position_of, value_of};
use crate::sql::error::SqlError;
use crate::sql::statement::identifier;
use crate::sql::syntax::{call, edit_expressions, edit_own_expressions, edit_selects};

/// Writes those of a query as aggregates.
pub fn rewrite(query: &mut Query, is_aggregate: &dyn Fn(&str) -> bool) -> Result<(), SqlError> {
    edit_selects(query, &mut |select| {
        select.projection.iter_mut().for_each(keep_name);
    });
    let mut refusal = Ok(());
    // It never breaks off.
    let _ = edit_expressions(query, &mut |expression| {
        if let Some(rows) = rows_of(expression) {
            match taken(rows).and_then(|rows| list(rows, is_aggregate)) {
                Ok(list) => *expression = list,
                Err(error) => refusal = Err(error),
            }
        }
        ControlFlow::Continue(())
    });
    refusal
}

fn rows_of(expression: &mut Expr) -> Option<&mut Box<Query>> {
    match expression {
        Expr::Function(Function {
            name,
            args: FunctionArguments::Subquery(rows),
            ..
        }) if name.to_string().eq_ignore_ascii_case("array") => Some(rows),
        _ => None,
    }
}

/// As in Postgres, such a column is called `array`.
fn keep_name(item: &mut SelectItem) {
    if let SelectItem::UnnamedExpr(value) = item
        && rows_of(value).is_some()
    {
        *item = SelectItem::ExprWithAlias {
            expr: value.clone(),
            alias: Ident::new("array"),
        };
    }
}

/// What the elements are ordered by.
struct Key {
    /// `None`: the elements themselves.
    by: Option<Expr>,
    options: OrderByOptions,
}

fn list(mut rows: Box<Query>, is_aggregate: &dyn Fn(&str) -> bool) -> Result<Expr, SqlError> {
    let is_whole = rows.limit_clause.is_none();
    let is_bare = is_whole && rows.order_by.is_none() && rows.with.is_none();
    if is_bare && let SetExpr::Query(inner) = rows.body.as_mut() {
        return list(taken(inner)?, is_aggregate);
    }
    check_columns(&rows)?;
    let keys = keys_of(&rows)?;
    let is_direct = match rows.body.as_ref() {
        SetExpr::Select(select) => is_whole && is_row_by_row(select, &keys, is_aggregate),
        _ => false,
    };
    let elements = match is_direct {
        true => gathered_in_place(rows, keys),
        false => gathered_from(rows, keys)?,
    };
    // An element more is always there to be taken off, so that no rows are an empty list.
    let at_least_one = call("array_append", vec![elements, Expr::value(Value::Null)]);
    Ok(call("array_pop_back", vec![at_least_one]))
}

fn check_columns(rows: &Query) -> Result<(), SqlError> {
    let SetExpr::Select(select) = rows.body.as_ref() else {
        return Ok(());
    };
    let is_known = select
        .projection
        .iter()
        .all(|item| value_of(item).is_some());
    match is_known && select.projection.len() != 1 {
        true => Err(SqlError::syntax(
            "ARRAY(SELECT …) takes a subquery of one column",
        )),
        false => Ok(()),
    }
}

fn keys_of(rows: &Query) -> Result<Vec<Key>, SqlError> {
    let mut keys: Vec<Key> = Vec::new();
    match rows.order_by.as_ref().map(|order| &order.kind) {
        None => {}
        Some(OrderByKind::All(options)) => keys.push(Key {
            by: None,
            options: *options,
        }),
        Some(OrderByKind::Expressions(written)) => {
            for key in written {
                let by = by_what(&key.expr, rows)?;
                // Behind the elements themselves nothing decides any more.
                if keys.iter().all(|key| key.by.is_some()) {
                    let options = key.options;
                    keys.push(Key { by, options });
                }
            }
        }
    }
    Ok(keys)
}

fn by_what(key: &Expr, rows: &Query) -> Result<Option<Expr>, SqlError> {
    if let Some(position) = position_of(key) {
        let message = format!("ORDER BY position {position} is not in the SELECT");
        return match position.as_str() {
            "1" => Ok(None),
            _ => Err(SqlError::new("42P10", message).with_hint("name what rows are ordered by")),
        };
    }
    let SetExpr::Select(select) = rows.body.as_ref() else {
        // Set operations are ordered by their columns, of which there is one.
        return Ok(None);
    };
    let element = select.projection.first();
    let is_named = match key {
        Expr::Identifier(name) => element.and_then(name_of) == Some(identifier(name)),
        _ => false,
    };
    if is_named || element.and_then(value_of) == Some(key) {
        return Ok(None);
    }
    match select.distinct {
        Some(Distinct::Distinct) => Err(SqlError::new(
            "42P10",
            "for SELECT DISTINCT, ORDER BY takes what is in the SELECT",
        )),
        _ => Ok(Some(key.clone())),
    }
}

/// Whether each row is an element for itself, whatever the other rows are.
fn is_row_by_row(select: &Select, keys: &[Key], is_aggregate: &dyn Fn(&str) -> bool) -> bool {
    let is_grouped = match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(keys, modifiers) => !keys.is_empty() || !modifiers.is_empty(),
    };
    let is_chosen =
        select.distinct.is_some() || select.having.is_some() || select.qualify.is_some();
    let Some(element) = select.projection.first().and_then(value_of) else {
        return false;
    };
    if keys.iter().any(|key| key.by.is_none()) && has_subquery(element) {
        // It would be written twice, and so would those within it.
        return false;
    }
    let mut values = keys
        .iter()
        .filter_map(|key| key.by.as_ref())
        .chain([element]);
    !is_grouped && !is_chosen && !values.any(|value| asks_for_rows(value, is_aggregate))
}

fn has_subquery(value: &Expr) -> bool {
    let found = edit_expressions(&mut value.clone(), &mut |part| match part {
        Expr::Subquery(_) | Expr::InSubquery { .. } | Expr::Exists { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// Whether a value is computed of several rows, or becomes several.
fn asks_for_rows(value: &Expr, is_aggregate: &dyn Fn(&str) -> bool) -> bool {
    let mut asks = false;
    edit_own_expressions(&mut value.clone(), &mut |part| {
        if let Expr::Function(call) = part {
            let name = call.name.to_string().to_lowercase();
            asks |= call.over.is_some() || name == "unnest" || is_aggregate(&name);
        }
    });
    asks
}

/// The subquery with the aggregate in the place of its column.
fn gathered_in_place(mut rows: Box<Query>, keys: Vec<Key>) -> Expr {
    rows.order_by = None;
    if let SetExpr::Select(select) = rows.body.as_mut()
        && let Some(element) = select.projection.first().and_then(value_of).cloned()
    {
        let order = keys.into_iter().map(|key| OrderByExpr {
            expr: key.by.unwrap_or_else(|| element.clone()),
            options: key.options,
            with_fill: None,
        });
        let gathered = array_agg(element.clone(), order.collect());
        select.projection = vec![SelectItem::UnnamedExpr(gathered)];
    }
    Expr::Subquery(rows)
}

fn array_agg(element: Expr, order: Vec<OrderByExpr>) -> Expr {
    let clauses = match order.is_empty() {
        true => Vec::new(),
        false => vec![FunctionArgumentClause::OrderBy(order)],
    };
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new("array_agg")]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(element))],
            clauses,
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// The aggregate over the rows of the subquery, which have what they are ordered by behind the
/// element.
fn gathered_from(mut rows: Box<Query>, keys: Vec<Key>) -> Result<Expr, SqlError> {
    let is_whole = rows.limit_clause.is_none();
    let mut names = vec!["\"[element]\"".to_owned()];
    let mut order = Vec::new();
    if let SetExpr::Select(select) = rows.body.as_mut() {
        // Which rows there are depends on their order here.
        let is_chosen_by_order = matches!(select.distinct, Some(Distinct::On(_)));
        for Key { by, options } in keys {
            let name = match by {
                None => names[0].clone(),
                Some(expr) => {
                    let alias = Ident::with_quote('"', format!("[key {}]", names.len()));
                    let name = alias.to_string();
                    select
                        .projection
                        .push(SelectItem::ExprWithAlias { expr, alias });
                    names.push(name.clone());
                    name
                }
            };
            order.push(format!("{ROWS}.{name}{options}"));
        }
        if is_whole && !is_chosen_by_order {
            rows.order_by = None;
        }
    } else {
        let by_element = keys
            .iter()
            .map(|key| format!("{ROWS}.{}{}", names[0], key.options));
        order.extend(by_element);
    }
    let order = match order.is_empty() {
        true => String::new(),
        false => format!(" ORDER BY {}", order.join(", ")),
    };
    let text = format!(
        "SELECT (SELECT array_agg({ROWS}.{}{order}) FROM ({STAND_IN}) AS {ROWS}({}))",
        names[0],
        names.join(", ")
    );
    with_rows(&text, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::statement::parse_query;

    fn rewritten(list: &str) -> Result<String, SqlError> {
        let mut query = parse_query(&format!("SELECT {list} FROM t"))?;
        rewrite(&mut query, &|name| name == "max")?;
        Ok(query.to_string())
    }

    #[test]
    fn rows_are_gathered_where_they_are_computed() {
        let within = |gathered: &str| -> Result<String, SqlError> {
            Ok(format!(
                "SELECT array_pop_back(array_append((SELECT {gathered}), NULL)) AS array FROM t"
            ))
        };
        for (list, gathered) in [
            ("ARRAY(SELECT x FROM u)", "array_agg(x) FROM u"),
            (
                "ARRAY(SELECT x FROM u WHERE u.k = t.k ORDER BY y DESC, 1)",
                "array_agg(x ORDER BY y DESC, x) FROM u WHERE u.k = t.k",
            ),
            (
                "array((SELECT upper(x) AS z FROM u ORDER BY z NULLS FIRST))",
                "array_agg(upper(x) ORDER BY upper(x) NULLS FIRST) FROM u",
            ),
        ] {
            assert_eq!(rewritten(list), within(gathered), "{list}");
        }
    }

    #[test]
    fn what_is_chosen_first_is_gathered_from() {
        for (list, parts) in [
            (
                "ARRAY(SELECT x FROM u ORDER BY y LIMIT 2)",
                [
                    r#"array_agg("[rows]"."[element]" ORDER BY "[rows]"."[key 1]")"#,
                    r#"(SELECT x, y AS "[key 1]" FROM u ORDER BY y LIMIT 2)"#,
                ],
            ),
            (
                "ARRAY(SELECT DISTINCT x FROM u ORDER BY x DESC)",
                [
                    r#"array_agg("[rows]"."[element]" ORDER BY "[rows]"."[element]" DESC)"#,
                    "(SELECT DISTINCT x FROM u)",
                ],
            ),
            (
                "ARRAY(SELECT max(x) FROM u GROUP BY y)",
                [
                    r#"array_agg("[rows]"."[element]")"#,
                    "(SELECT max(x) FROM u GROUP BY y)",
                ],
            ),
            (
                "ARRAY(SELECT x FROM u UNION SELECT 1 ORDER BY 1)",
                [
                    r#"array_agg("[rows]"."[element]" ORDER BY "[rows]"."[element]")"#,
                    "(SELECT x FROM u UNION SELECT 1 ORDER BY 1)",
                ],
            ),
        ] {
            let written = rewritten(list).expect("a query");
            for part in parts {
                assert!(written.contains(part), "{list}: {written}");
            }
        }
    }

    #[test]
    fn one_column_is_asked_for() {
        for (list, sqlstate) in [
            ("ARRAY(SELECT x, y FROM u)", "42601"),
            ("ARRAY(SELECT x FROM u ORDER BY 2)", "42P10"),
            ("ARRAY(SELECT DISTINCT x FROM u ORDER BY y)", "42P10"),
        ] {
            let refused = rewritten(list).map_err(|error| error.sqlstate);
            assert_eq!(refused, Err(sqlstate), "{list}");
        }
    }
}
