//! Functions in FROM written as what DataFusion plans beside other tables.

use std::mem::take;

use datafusion::sql::sqlparser::ast::{
    FunctionArg, FunctionArgExpr, Ident, Join, JoinOperator, ObjectName, Query, SetExpr,
    TableAlias, TableFactor, TableFunctionArgs,
};

use super::element_functions::{has_columns, name_of};
use super::element_joins::is_filter;
use crate::sql::error::SqlError;
use crate::sql::statement::parse_query;

/// Writes such a function like a table with arguments, whatever the parser has made of it: as a
/// lateral one it would be planned as a subquery of its own.
pub fn as_table(relation: &mut TableFactor) {
    if name_of(relation).is_none() {
        return;
    }
    let (name, args, alias, with_ordinality) = match relation {
        TableFactor::UNNEST {
            array_exprs,
            alias,
            with_ordinality,
            ..
        } => {
            let lists = take(array_exprs).into_iter();
            let lists = lists.map(|list| FunctionArg::Unnamed(FunctionArgExpr::Expr(list)));
            let name = ObjectName::from(vec![Ident::new("unnest")]);
            (name, lists.collect(), alias.take(), *with_ordinality)
        }
        TableFactor::Function {
            name,
            args,
            alias,
            with_ordinality,
            ..
        } => (name.clone(), take(args), alias.take(), *with_ordinality),
        _ => return,
    };
    *relation = TableFactor::Table {
        name,
        alias,
        args: Some(TableFunctionArgs {
            args,
            settings: None,
        }),
        with_hints: Vec::new(),
        version: None,
        with_ordinality,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    };
}

/// `LEFT JOIN` with such a function on a condition, and joins by the names of columns: a row none of
/// whose elements has a partner stays, which a filter of the elements cannot say. A lateral subquery
/// with the elements can.
pub fn keep_rows(join: &mut Join) -> Result<(), SqlError> {
    let Some(function) = name_of(&join.relation) else {
        return Ok(());
    };
    if is_filter(&join.join_operator) || !has_columns(&join.relation) {
        return Ok(());
    }
    match &join.join_operator {
        JoinOperator::Join(_)
        | JoinOperator::Inner(_)
        | JoinOperator::Left(_)
        | JoinOperator::LeftOuter(_) => {}
        _ => return Err(refusal(function)),
    }
    let given = match &join.relation {
        TableFactor::Table { alias, .. } => alias.as_ref(),
        _ => None,
    };
    let name = given.map_or_else(|| Ident::new(function), |alias| alias.name.clone());
    let mut subquery = parse_query("SELECT * FROM elements")?;
    set_relation(&mut subquery, &mut join.relation);
    join.relation = TableFactor::Derived {
        lateral: true,
        subquery,
        alias: Some(TableAlias {
            explicit: true,
            name,
            columns: Vec::new(),
            at: None,
        }),
        sample: None,
    };
    Ok(())
}

/// Exchanges the one table of a query for another.
pub fn set_relation(query: &mut Query, relation: &mut TableFactor) {
    if let SetExpr::Select(select) = query.body.as_mut()
        && let Some(table) = select.from.first_mut()
    {
        std::mem::swap(&mut table.relation, relation);
    }
}

fn refusal(function: &str) -> SqlError {
    SqlError::unsupported(format!(
        "{function}() in FROM cannot read columns in this kind of join"
    ))
    .about(function)
    .with_hint(
        "it reads the tables before it in CROSS JOIN, JOIN … ON and LEFT JOIN … ON; or join a \
         subquery in which it stands beside its table: (SELECT t.id, e.x FROM t, unnest(t.list) \
         AS e(x)) AS e",
    )
}
