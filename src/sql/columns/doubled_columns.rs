//! Columns of one name that a subquery has of several tables, as in
//! `FROM (SELECT * FROM a JOIN b ON …) AS q`.
//!
//! DataFusion calls the second `id` of them `id:1`, and takes `q.id` for the first. In SQL `q.id` does
//! not tell which is meant, and `*` shows both by the name that they have.

use std::collections::{HashMap, HashSet};

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{Expr, LogicalPlan, SubqueryAlias};
use datafusion::sql::sqlparser::ast::{
    Expr as Ast, Ident, OrderByKind, Query, Select, SelectItem, SetExpr, TableFactor,
    TableWithJoins,
};

use super::same_names::{several_columns, with_names};
use crate::sql::error::SqlError;
use crate::sql::statement::identifier;
use crate::sql::syntax::{edit_own_expressions, edit_queries, edit_selects};

/// A table in FROM and a name that several of its columns have.
type Doubled = HashSet<(String, String)>;

/// The plan of a query with such columns called as they are, unless one is asked for by its name.
pub fn checked(plan: LogicalPlan, query: &Query) -> Result<LogicalPlan, SqlError> {
    let numbered = numbered(&plan)?;
    if numbered.is_empty() {
        return Ok(plan);
    }
    if let Some(name) = asked_for(query, &doubled(&plan, &numbered)?) {
        return Err(several_columns(&name));
    }
    let columns = plan.schema().columns();
    let names = columns.iter();
    let names = names.map(|column| numbered.get(&column.name).unwrap_or(&column.name));
    let names: Vec<&String> = names.collect();
    let mut pairs = columns.iter().zip(&names);
    match pairs.any(|(column, name)| column.name != **name) {
        true => Ok(with_names(plan, &columns, &names)?),
        false => Ok(plan),
    }
}

/// What DataFusion calls such columns, with what they are called.
fn numbered(plan: &LogicalPlan) -> DataFusionResult<HashMap<String, String>> {
    let mut found = HashMap::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::SubqueryAlias(SubqueryAlias { input, .. }) = node
            && let LogicalPlan::Projection(columns) = input.as_ref()
        {
            for column in &columns.expr {
                if let Expr::Alias(alias) = column
                    && alias.relation.is_some()
                    && let Expr::Column(column) = alias.expr.as_ref()
                    && is_numbered(&alias.name, &column.name)
                {
                    found.insert(alias.name.clone(), column.name.clone());
                }
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

fn is_numbered(name: &str, of: &str) -> bool {
    let behind = name.strip_prefix(of);
    let number = behind.and_then(|behind| behind.strip_prefix(':'));
    number.is_some_and(|number| number.parse::<usize>().is_ok())
}

/// The columns that are several wherever a table in FROM is called like theirs.
fn doubled(plan: &LogicalPlan, numbered: &HashMap<String, String>) -> DataFusionResult<Doubled> {
    let (mut several, mut single) = (Doubled::new(), Doubled::new());
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::SubqueryAlias(SubqueryAlias { schema, alias, .. }) = node {
            let has = |name: &str| schema.has_column_with_unqualified_name(name);
            for name in numbered.values().filter(|name| has(name)) {
                let mut others = numbered.iter().filter(|(_, other)| *other == name);
                let place = (alias.table().to_owned(), name.clone());
                match others.any(|(other, _)| has(other)) {
                    true => several.insert(place),
                    false => single.insert(place),
                };
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(several.difference(&single).cloned().collect())
}

/// A name by which a query asks for one of several columns.
fn asked_for(query: &Query, doubled: &Doubled) -> Option<String> {
    let mut query = query.clone();
    let mut found = None;
    edit_selects(&mut query, &mut |select| {
        let own = of_tables(&select.from, doubled);
        edit_own_expressions(select, &mut |part| {
            found = found.take().or_else(|| asked_by(part, &own, doubled));
        });
    });
    edit_queries(&mut query, &mut |query| {
        let SetExpr::Select(select) = query.body.as_ref() else {
            return;
        };
        let own = of_tables(&select.from, doubled);
        let Some(OrderByKind::Expressions(keys)) = query.order_by.as_mut().map(|by| &mut by.kind)
        else {
            return;
        };
        for key in keys
            .iter_mut()
            .filter(|key| !is_of_result(&key.expr, select))
        {
            edit_own_expressions(&mut key.expr, &mut |part| {
                found = found.take().or_else(|| asked_by(part, &own, doubled));
            });
        }
    });
    found
}

fn asked_by(part: &Ast, own: &HashSet<String>, doubled: &Doubled) -> Option<String> {
    match part {
        Ast::Identifier(name) => {
            let name = identifier(name);
            own.contains(&name).then_some(name)
        }
        Ast::CompoundIdentifier(parts) => {
            let [.., table, name] = &parts[..] else {
                return None;
            };
            let place = (identifier(table), identifier(name));
            doubled.contains(&place).then_some(place.1)
        }
        _ => None,
    }
}

/// Whether rows are ordered by what is given a name in SELECT.
fn is_of_result(key: &Ast, select: &Select) -> bool {
    let Ast::Identifier(name) = key else {
        return false;
    };
    let name = identifier(name);
    select.projection.iter().any(|item| match item {
        SelectItem::ExprWithAlias { alias, .. } => identifier(alias) == name,
        _ => false,
    })
}

/// The names that several columns of the tables have.
fn of_tables(from: &[TableWithJoins], doubled: &Doubled) -> HashSet<String> {
    let mut tables = HashSet::new();
    for table in from {
        add_tables(table, &mut tables);
    }
    let own = doubled.iter().filter(|(table, _)| tables.contains(table));
    own.map(|(_, column)| column.clone()).collect()
}

fn add_tables(tables: &TableWithJoins, found: &mut HashSet<String>) {
    let joined = tables.joins.iter().map(|join| &join.relation);
    for relation in joined.chain([&tables.relation]) {
        match relation {
            TableFactor::NestedJoin {
                table_with_joins,
                alias: None,
            } => add_tables(table_with_joins, found),
            other => found.extend(name_of(other).map(identifier)),
        }
    }
}

/// What a table is called in its query.
fn name_of(relation: &TableFactor) -> Option<&Ident> {
    match relation {
        TableFactor::Table {
            alias: Some(alias), ..
        }
        | TableFactor::Derived {
            alias: Some(alias), ..
        }
        | TableFactor::NestedJoin {
            alias: Some(alias), ..
        } => Some(&alias.name),
        TableFactor::Table { name, .. } => name.0.last().and_then(|part| part.as_ident()),
        _ => None,
    }
}
