//! Names that a SELECT gives and that columns of its tables have, too: `SELECT sum(v) AS v FROM t`.
//!
//! In Postgres a key of ORDER BY that is nothing but a name means the column of the SELECT; within an
//! expression, and in HAVING, a name means the column of a table. DataFusion takes that of the SELECT
//! everywhere. So such an expression becomes a column of the SELECT, in which names mean columns of
//! tables, and a query above leaves that column out.
//!
//! A name that no table has, as far as these are known, stays what DataFusion takes it for.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, GroupByExpr, Ident, ObjectName, OrderByExpr, OrderByKind, Query, Select,
    SelectItem, SetExpr, Value,
};

use super::hidden_keys::{all_but, hide, is_known_above, output_names, put_below, shown_columns};
use super::output_columns::{meant, position_of, value_of};
use super::relation_columns::{Columns, Relation, of_source};
use super::same_names::column_name;
use crate::sql::error::SqlError;
use crate::sql::forms::grouping_elements::behind_distinct;
use crate::sql::place::of_part;
use crate::sql::planner::Sources;
use crate::sql::statement::identifier;
use crate::sql::syntax::{
    bare, edit_expressions, edit_own_expressions, edit_queries, edit_selects, has_queries,
};

/// Has names in ORDER BY and HAVING mean what they do in Postgres.
pub fn rewrite(
    query: &mut Query,
    sources: &dyn Sources,
    is_aggregate: &dyn Fn(&str) -> bool,
) -> Result<(), SqlError> {
    rewrite_with(query, &|name| of_source(sources, name), is_aggregate)
}

/// The same with what tells the columns of tables and views.
fn rewrite_with(
    query: &mut Query,
    tables: &dyn Fn(&str) -> Option<Vec<String>>,
    is_aggregate: &dyn Fn(&str) -> bool,
) -> Result<(), SqlError> {
    let columns = Columns::of(query, tables);
    edit_selects(query, &mut |select| {
        in_having(select, &columns, is_aggregate)
    });
    let mut refusal = Ok(());
    edit_queries(query, &mut |query| {
        if let Err(error) = in_order(query, &columns) {
            refusal = Err(error);
        }
    });
    refusal
}

/// The same of names by which forms are written anew: those in grouping sets, of which it is to be
/// told which are the same, and those by which ties are told.
pub fn in_forms(query: &mut Query, sources: &dyn Sources) {
    let mut is_concerned = false;
    edit_selects(query, &mut |select| is_concerned |= has_sets(select));
    edit_queries(query, &mut |query| is_concerned |= has_ties(query));
    if !is_concerned {
        return;
    }
    let tables = |name: &str| of_source(sources, name);
    let columns = Columns::of(query, &tables);
    edit_selects(query, &mut |select| {
        if has_sets(select) {
            put_values(select, &columns);
        }
    });
    edit_queries(query, &mut |query| {
        if has_ties(query) {
            in_ties(query, &columns);
        }
    });
}

fn has_ties(query: &Query) -> bool {
    query.fetch.as_ref().is_some_and(|fetch| fetch.with_ties)
}

/// The values of the keys move to where DataFusion takes names for those of the SELECT, so all that
/// are columns of tables are said with these.
fn in_ties(query: &mut Query, columns: &Columns<'_>) {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return;
    };
    let given = given_names(select);
    if given.is_empty() {
        return;
    }
    let known = columns.known(&select.from);
    for item in &mut select.projection {
        edit_own_expressions(item, &mut |part| qualify(part, &given, &known));
    }
    let Some(OrderByKind::Expressions(keys)) = query.order_by.as_mut().map(|order| &mut order.kind)
    else {
        return;
    };
    for key in keys
        .iter_mut()
        .filter(|key| is_expression_of(&key.expr, &given))
    {
        edit_own_expressions(&mut key.expr, &mut |part| qualify(part, &given, &known));
    }
}

fn has_sets(select: &Select) -> bool {
    let GroupByExpr::Expressions(keys, _) = &select.group_by else {
        return false;
    };
    keys.iter().any(|key| {
        let is_sets = matches!(key, Expr::Cube(_) | Expr::Rollup(_) | Expr::GroupingSets(_));
        is_sets || behind_distinct(key).is_some()
    })
}

/// A name in GROUP BY is first a column of a table, so all of them must be known.
fn put_values(select: &mut Select, columns: &Columns<'_>) {
    let Some(relations) = columns.relations(&select.from) else {
        return;
    };
    if relations.iter().any(|relation| relation.columns.is_none()) {
        return;
    }
    let Select {
        projection,
        group_by,
        ..
    } = select;
    edit_own_expressions(group_by, &mut |part| {
        let Expr::Identifier(name) = &*part else {
            return;
        };
        if relations
            .iter()
            .any(|relation| has(relation, &identifier(name)))
        {
            return;
        }
        match meant(part, projection, "GROUP BY") {
            // A number would be a position.
            Ok(value) if position_of(&value).is_none() && !has_queries(&value) => *part = value,
            _ => {}
        }
    });
}

/// The names that a SELECT gives to other values than the column of that name.
fn given_names(select: &Select) -> HashSet<String> {
    let names = select.projection.iter().filter_map(|item| match item {
        SelectItem::ExprWithAlias { expr, alias } => {
            let name = identifier(alias);
            (column_name(expr).as_ref() != Some(&name)).then_some(name)
        }
        _ => None,
    });
    names.collect()
}

fn has(relation: &Relation, column: &str) -> bool {
    let mut columns = relation.columns.iter().flatten();
    columns.any(|name| name == column)
}

/// What a name in HAVING means is said with its table: in the arguments of aggregates, and where the
/// column is a key. Elsewhere Postgres refuses it, and there DataFusion's meaning stays.
fn in_having(select: &mut Select, columns: &Columns<'_>, is_aggregate: &dyn Fn(&str) -> bool) {
    let given = given_names(select);
    let Some(having) = &mut select.having else {
        return;
    };
    if !reads(having, &given) {
        return;
    }
    let known = columns.known(&select.from);
    edit_own_expressions(having, &mut |part| {
        if let Expr::Function(call) = part
            && is_aggregate(&call.name.to_string().to_lowercase())
        {
            edit_own_expressions(call, &mut |part| qualify(part, &given, &known));
        }
    });
    let keys = key_columns(&select.group_by);
    edit_own_expressions(having, &mut |part| {
        if let Expr::Identifier(name) = &*part
            && keys.contains(&identifier(name))
        {
            qualify(part, &given, &known);
        }
    });
}

/// Says a name that is given with the table that has a column of that name.
fn qualify(part: &mut Expr, given: &HashSet<String>, known: &[Relation]) {
    if let Expr::Identifier(name) = &*part
        && given.contains(&identifier(name))
        && let Some(column) = with_table(name, known)
    {
        *part = column;
    }
}

/// The columns that are keys of GROUP BY by their names.
fn key_columns(group_by: &GroupByExpr) -> HashSet<String> {
    let GroupByExpr::Expressions(keys, _) = group_by else {
        return HashSet::new();
    };
    keys.iter().filter_map(column_name).collect()
}

/// A column with the name of the one relation that has it.
fn with_table(column: &Ident, known: &[Relation]) -> Option<Expr> {
    let name = identifier(column);
    let mut owners = known.iter().filter(|relation| has(relation, &name));
    match (owners.next(), owners.next()) {
        (Some(owner), None) => {
            let parts = vec![owner.name.clone(), column.clone()];
            Some(Expr::CompoundIdentifier(parts))
        }
        _ => None,
    }
}

fn in_order(query: &mut Query, columns: &Columns<'_>) -> Result<(), SqlError> {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return Ok(());
    };
    let Some(OrderByKind::Expressions(keys)) = query.order_by.as_mut().map(|order| &mut order.kind)
    else {
        return Ok(());
    };
    in_order_of_distinct(select, keys);
    let given = given_names(select);
    if !keys.iter().any(|key| is_expression_of(&key.expr, &given)) || !takes_columns(select) {
        return Ok(());
    }
    let known = columns.known(&select.from);
    let given = given.into_iter();
    let hidden: HashSet<String> = given
        .filter(|name| known.iter().any(|relation| has(relation, name)))
        .collect();
    let Some(shown) = shown_columns(select) else {
        return Ok(());
    };
    let mut added = Vec::new();
    for key in keys
        .iter_mut()
        .filter(|key| is_expression_of(&key.expr, &hidden))
    {
        if let Some(column) = same_column(&key.expr, select) {
            key.expr = column;
        } else if matches!(select.distinct, Some(Distinct::Distinct)) {
            match has_one_table(select) {
                true => return Err(not_selected(&key.expr)),
                // The names of its tables are not compared.
                false => continue,
            }
        } else {
            hide(&mut key.expr, &mut added);
        }
    }
    if added.is_empty() {
        return Ok(());
    }
    let shown_names = output_names(select);
    for key in keys.iter_mut() {
        if !is_known_above(&key.expr, &shown_names) {
            hide(&mut key.expr, &mut added);
        }
    }
    let shown = shown.unwrap_or_else(|| vec![all_but(added.len())]);
    select.projection.extend(added);
    put_below(query, shown)
}

/// Different rows have nothing but their columns to be ordered by: a key that computes one of these
/// is that column, whatever it is called.
fn in_order_of_distinct(select: &Select, keys: &mut [OrderByExpr]) {
    if !matches!(select.distinct, Some(Distinct::Distinct)) {
        return;
    }
    for key in keys {
        let written = bare(&key.expr);
        let is_column = matches!(written, Expr::Identifier(_)) || position_of(written).is_some();
        if !is_column && let Some(column) = same_column(&key.expr, select) {
            key.expr = column;
        }
    }
}

/// Whether a column more in a SELECT changes nothing but that it is there.
fn takes_columns(select: &Select) -> bool {
    !matches!(select.distinct, Some(Distinct::On(_)))
        && !matches!(select.group_by, GroupByExpr::All(_))
}

/// Whether a key is no name alone, and reads one of some names.
fn is_expression_of(key: &Expr, names: &HashSet<String>) -> bool {
    !matches!(bare(key), Expr::Identifier(_)) && reads(key, names)
}

fn reads(expression: &Expr, names: &HashSet<String>) -> bool {
    if names.is_empty() {
        return false;
    }
    let found = edit_expressions(&mut expression.clone(), &mut |part| {
        let name = match part {
            Expr::Identifier(name) => Some(&*name),
            Expr::CompoundIdentifier(parts) => parts.last(),
            _ => None,
        };
        match name.is_some_and(|name| names.contains(&identifier(name))) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    found.is_break()
}

/// The column of a SELECT whose value is that of a key, by its position or name.
fn same_column(key: &Expr, select: &Select) -> Option<Expr> {
    let is_alone = has_one_table(select);
    let wanted = comparable(key, is_alone);
    let mut items = select.projection.iter();
    let place = items.position(|item| {
        value_of(item).is_some_and(|value| comparable(value, is_alone) == wanted)
    })?;
    let before = &select.projection[..place];
    match &select.projection[place] {
        // Behind a * it is not known which column is at a position.
        _ if before.iter().all(|item| value_of(item).is_some()) => {
            let position = (place + 1).to_string();
            Some(Expr::value(Value::Number(position, false)))
        }
        SelectItem::ExprWithAlias { alias, .. } => Some(Expr::Identifier(alias.clone())),
        _ => None,
    }
}

fn has_one_table(select: &Select) -> bool {
    matches!(&select.from[..], [tables] if tables.joins.is_empty())
}

/// A value as it is compared: its names in one spelling, and of one table without that.
fn comparable(value: &Expr, of_one_table: bool) -> Expr {
    let mut value = bare(value).clone();
    edit_own_expressions(&mut value, &mut |part| {
        let column = match &*part {
            Expr::Identifier(name) => Some(folded(name)),
            Expr::CompoundIdentifier(parts) if of_one_table => parts.last().map(folded),
            _ => None,
        };
        if let Some(column) = column {
            *part = Expr::Identifier(column);
        } else if let Expr::Function(call) = part {
            let name = call.name.to_string().to_lowercase();
            call.name = ObjectName::from(vec![Ident::new(name)]);
        }
    });
    value
}

fn folded(name: &Ident) -> Ident {
    Ident::new(identifier(name))
}

fn not_selected(key: &Expr) -> SqlError {
    let message = format!("SELECT DISTINCT is ordered by {key}, which is not among its columns");
    SqlError::new("42P10", message)
        .at_known(of_part(key))
        .with_hint(
            "within an expression a name is that of a column of a table; order by a name alone",
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::statement::parse_query;

    fn rewritten(sql: &str) -> Result<String, SqlError> {
        let mut query = parse_query(sql)?;
        let tables = |name: &str| {
            let columns = match name {
                "t" => ["k", "v"],
                "u" => ["k", "w"],
                _ => return None,
            };
            Some(columns.map(str::to_owned).to_vec())
        };
        rewrite_with(&mut query, &tables, &|name| name == "sum")?;
        Ok(query.to_string())
    }

    #[test]
    fn expressions_are_of_the_tables() {
        for (sql, expected) in [
            (
                "SELECT k, sum(t.v) AS v FROM t GROUP BY k ORDER BY SUM(v) DESC, -k",
                "SELECT k, sum(t.v) AS v FROM t GROUP BY k ORDER BY 2 DESC, -k",
            ),
            (
                "SELECT k, -v AS v FROM t ORDER BY abs(v), k LIMIT 1",
                "SELECT k, v FROM (SELECT k, -v AS v, abs(v) AS \"[order 1]\" FROM t) ORDER BY \
                 \"[order 1]\", k LIMIT 1",
            ),
            (
                "SELECT -v AS v FROM t ORDER BY t.v, k",
                "SELECT v FROM (SELECT -v AS v, t.v AS \"[order 1]\", k AS \"[order 2]\" FROM t) ORDER BY \
                 \"[order 1]\", \"[order 2]\"",
            ),
            (
                "SELECT *, -v AS v FROM t ORDER BY v + 1",
                "SELECT * EXCLUDE (\"[order 1]\") FROM (SELECT *, -v AS v, v + 1 AS \"[order 1]\" \
                 FROM t) ORDER BY \"[order 1]\"",
            ),
            (
                "SELECT k, sum(v) AS v FROM t GROUP BY k HAVING sum(v) > 3",
                "SELECT k, sum(v) AS v FROM t GROUP BY k HAVING sum(t.v) > 3",
            ),
            (
                "SELECT -k AS k FROM t AS x GROUP BY k HAVING k > 1",
                "SELECT -k AS k FROM t AS x GROUP BY k HAVING x.k > 1",
            ),
        ] {
            assert_eq!(rewritten(sql).as_deref(), Ok(expected), "{sql}");
        }
    }

    #[test]
    fn other_names_stay() {
        for sql in [
            "SELECT -v AS v FROM t ORDER BY v",
            "SELECT -v AS v FROM t ORDER BY (v)",
            "SELECT -v AS n FROM t ORDER BY n + 1",
            "SELECT v AS v FROM t ORDER BY v + 1",
            "SELECT -v AS v FROM unknown ORDER BY v + 1",
            "SELECT DISTINCT ON (k) -v AS v FROM t ORDER BY k, v + 1",
            "SELECT -v AS v FROM t UNION SELECT 1 ORDER BY v + 1",
            "SELECT v % 2 AS v FROM t GROUP BY 1 HAVING v > 1",
        ] {
            assert_eq!(rewritten(sql).as_deref(), Ok(sql));
        }
    }

    #[test]
    fn distinct_rows_are_ordered_by_their_columns() {
        for (sql, expected) in [
            (
                "SELECT DISTINCT -v AS v FROM t ORDER BY -v",
                "SELECT DISTINCT -v AS v FROM t ORDER BY 1",
            ),
            (
                "SELECT DISTINCT k, -v AS n FROM t ORDER BY (-t.v) DESC, k",
                "SELECT DISTINCT k, -v AS n FROM t ORDER BY 2 DESC, k",
            ),
            (
                "SELECT DISTINCT 7, k FROM t ORDER BY 2, 1",
                "SELECT DISTINCT 7, k FROM t ORDER BY 2, 1",
            ),
        ] {
            assert_eq!(rewritten(sql).as_deref(), Ok(expected), "{sql}");
        }
        let refused = rewritten("SELECT DISTINCT -v AS v FROM t ORDER BY v + 1");
        assert_eq!(refused.map_err(|error| error.sqlstate), Err("42P10"));
    }
}
