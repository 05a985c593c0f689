//! Queries over the rows of others, written as text with a stand-in for the others.

use std::mem::replace;

use datafusion::sql::sqlparser::ast::{Expr, Query, SelectItem, SetExpr, TableFactor};

use crate::sql::error::SqlError;
use crate::sql::statement::parse_query;
use crate::sql::syntax::edit_selects;

/// The name of the others' rows, which no relation of a query around them has.
pub const ROWS: &str = "\"[rows]\"";

/// The query that stands for the others, and that nobody writes.
pub const STAND_IN: &str = "SELECT \"[rows]\"";

/// Takes a query out of its place, where it is not needed any more.
pub fn taken(query: &mut Box<Query>) -> Result<Box<Query>, SqlError> {
    Ok(replace(query, parse_query(STAND_IN)?))
}

/// The one column of a query without a table.
pub fn value(text: &str) -> Result<Expr, SqlError> {
    column_of(parse_query(text)?)
}

/// The one column of a query, with other rows in the place of the stand-in.
pub fn with_rows(text: &str, rows: Box<Query>) -> Result<Expr, SqlError> {
    let mut query = parse_query(text)?;
    put(&mut query, rows);
    column_of(query)
}

fn column_of(query: Box<Query>) -> Result<Expr, SqlError> {
    let SetExpr::Select(select) = *query.body else {
        return Err(SqlError::syntax("expected a SELECT"));
    };
    let column = select.projection.into_iter().next();
    match column {
        Some(SelectItem::UnnamedExpr(value)) => Ok(value),
        _ => Err(SqlError::syntax("expected a value")),
    }
}

/// A query with its columns called as they are in a list.
pub fn with_names(query: Box<Query>, names: &[String]) -> Result<Box<Query>, SqlError> {
    let names: Vec<String> = names
        .iter()
        .map(|name| format!("\"{}\"", name.replace('"', "\"\"")))
        .collect();
    let text = format!("SELECT * FROM ({STAND_IN}) AS {ROWS}({})", names.join(", "));
    let mut named = parse_query(&text)?;
    put(&mut named, query);
    Ok(named)
}

/// Puts rows in the place of the stand-in.
fn put(query: &mut Query, rows: Box<Query>) {
    let mut rows = Some(rows);
    edit_selects(query, &mut |select| {
        for table in &mut select.from {
            if let TableFactor::Derived { subquery, .. } = &mut table.relation
                && is_stand_in(subquery)
                && let Some(rows) = rows.take()
            {
                *subquery = rows;
            }
        }
    });
}

fn is_stand_in(query: &Query) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return false;
    };
    match &select.projection[..] {
        [SelectItem::UnnamedExpr(Expr::Identifier(name))] => {
            select.from.is_empty() && name.value == "[rows]"
        }
        _ => false,
    }
}
