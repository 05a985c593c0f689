//! `VALUES` whose rows ask for columns: `CROSS JOIN LATERAL (VALUES (t.a), (t.b)) AS v(x)`.
//!
//! DataFusion plans rows of constants. Each column is written as the list of its values instead, and
//! the lists are taken apart side by side, with NULL as an element like others: a row costs nothing
//! but itself.

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, Query, Select, SetExpr, TableAlias,
    TableAliasColumnDef, TableFactor, TableFunctionArgs, TableWithJoins, Values,
};

use super::lateral::set_relation;
use crate::sql::error::SqlError;
use crate::sql::statement::parse_query;
use crate::sql::syntax::{call, edit_own_expressions};

/// What Postgres calls rows without a name.
const NAMELESS: &str = "*VALUES*";

/// Writes those of a SELECT as lists.
pub fn as_lists(select: &mut Select) -> Result<(), SqlError> {
    let mut tables = select.from.iter_mut().enumerate();
    tables.try_for_each(|(place, tables)| in_tables(tables, place == 0))
}

fn in_tables(tables: &mut TableWithJoins, is_first: bool) -> Result<(), SqlError> {
    in_factor(&mut tables.relation, is_first)?;
    let mut joins = tables.joins.iter_mut();
    joins.try_for_each(|join| in_factor(&mut join.relation, false))
}

/// What stands first has no tables before it that it could ask for, be it lateral or not.
fn in_factor(factor: &mut TableFactor, is_first: bool) -> Result<(), SqlError> {
    let (is_lateral, subquery, alias) = match factor {
        TableFactor::NestedJoin {
            table_with_joins, ..
        } => return in_tables(table_with_joins, is_first),
        TableFactor::Derived {
            lateral,
            subquery,
            alias,
            ..
        } => (*lateral, subquery, alias),
        _ => return Ok(()),
    };
    let Some(values) = rows_of(subquery).filter(|values| asks_for_columns(values)) else {
        return Ok(());
    };
    let lists = lists(values)?;
    if is_lateral || is_first {
        let alias = with_all_columns(alias.take(), lists.len())?;
        *factor = taken_apart(lists, alias);
    } else {
        let alias = with_all_columns(None, lists.len())?;
        let mut elements = parse_query("SELECT * FROM elements")?;
        set_relation(&mut elements, &mut taken_apart(lists, alias));
        *subquery = elements;
    }
    Ok(())
}

fn rows_of(query: &Query) -> Option<&Values> {
    let is_bare = query.with.is_none() && query.order_by.is_none() && query.limit_clause.is_none();
    match query.body.as_ref() {
        SetExpr::Values(values) if is_bare => Some(values),
        SetExpr::Query(inner) if is_bare => rows_of(inner),
        _ => None,
    }
}

fn asks_for_columns(values: &Values) -> bool {
    let mut asks = false;
    edit_own_expressions(&mut values.clone(), &mut |part| {
        asks |= matches!(part, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
    });
    asks
}

/// The values of each column.
fn lists(values: &Values) -> Result<Vec<Expr>, SqlError> {
    let rows = values.rows.iter().map(|row| &row.content);
    let rows: Vec<&Vec<Expr>> = rows.collect();
    let width = rows.first().map_or(0, |row| row.len());
    if rows.iter().any(|row| row.len() != width) {
        let message = "all rows of VALUES must have the same number of values";
        return Err(SqlError::syntax(message));
    }
    let columns = (0..width).map(|column| {
        let values = rows.iter().filter_map(|row| row.get(column));
        call("make_array", values.cloned().collect())
    });
    Ok(columns.collect())
}

/// An alias with a name for each column.
fn with_all_columns(alias: Option<TableAlias>, count: usize) -> Result<TableAlias, SqlError> {
    let mut alias = alias.unwrap_or_else(|| TableAlias {
        explicit: true,
        name: Ident::with_quote('"', NAMELESS),
        columns: Vec::new(),
        at: None,
    });
    let given = alias.columns.len();
    if given > count {
        let message = format!("{} has {count} columns, and {given} names", alias.name);
        return Err(SqlError::new("42P10", message));
    }
    let others = (given..count).map(|place| TableAliasColumnDef {
        name: Ident::new(format!("column{}", place + 1)),
        data_type: None,
    });
    alias.columns.extend(others);
    Ok(alias)
}

fn taken_apart(lists: Vec<Expr>, alias: TableAlias) -> TableFactor {
    let lists = lists.into_iter();
    let lists = lists.map(|list| FunctionArg::Unnamed(FunctionArgExpr::Expr(list)));
    TableFactor::Table {
        name: ObjectName::from(vec![Ident::new("unnest")]),
        alias: Some(alias),
        args: Some(TableFunctionArgs {
            args: lists.collect(),
            settings: None,
        }),
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(from: &str) -> Result<String, SqlError> {
        let mut query = parse_query(&format!("SELECT * FROM {from}"))?;
        let SetExpr::Select(select) = query.body.as_mut() else {
            return Err(SqlError::syntax("expected a SELECT"));
        };
        as_lists(select)?;
        Ok(query.to_string())
    }

    #[test]
    fn rows_become_lists_of_columns() {
        for (from, expected) in [
            (
                "t CROSS JOIN LATERAL (VALUES ('a', t.a), ('b', b)) AS v(name, x)",
                "t CROSS JOIN unnest(make_array('a', 'b'), make_array(t.a, b)) AS v (name, x)",
            ),
            (
                "t, LATERAL (VALUES (t.a, 1)) AS v(x)",
                "t, unnest(make_array(t.a), make_array(1)) AS v (x, column2)",
            ),
            (
                "(VALUES (t.a)) AS v",
                "unnest(make_array(t.a)) AS v (column1)",
            ),
            (
                "u, (VALUES (t.a)) AS v(x)",
                "u, (SELECT * FROM unnest(make_array(t.a)) AS \"*VALUES*\" (column1)) AS v (x)",
            ),
            (
                "t, LATERAL (VALUES (1), (2)) AS v(x)",
                "t, LATERAL (VALUES (1), (2)) AS v (x)",
            ),
        ] {
            let expected = format!("SELECT * FROM {expected}");
            assert_eq!(rewritten(from), Ok(expected), "{from}");
        }
    }

    #[test]
    fn rows_have_values_for_the_same_columns() {
        for (from, sqlstate) in [
            ("t, LATERAL (VALUES (t.a), (t.a, t.b)) AS v", "42601"),
            ("t, LATERAL (VALUES (t.a)) AS v(x, y)", "42P10"),
        ] {
            let refused = rewritten(from).map_err(|error| error.sqlstate);
            assert_eq!(refused, Err(sqlstate), "{from}");
        }
    }
}
