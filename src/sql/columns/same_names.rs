//! Several columns of one name.
//!
//! Postgres lets the rows of a query have them, and those of a subquery as long as nobody asks for
//! a column by such a name; DataFusion plans neither. Where it refuses a query for them, they have
//! names of their own while it is planned, and the rows get the names that are written.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use arrow::datatypes::Schema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, TableReference};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{
    Expr as Ast, Ident, OrderByKind, Query, Select, SelectItem, SetExpr,
};

use super::cast_keys;
use super::doubled_columns;
use super::output_columns::value_of;
use crate::sql::error::SqlError;
use crate::sql::statement::{calls_functions, identifier};
use crate::sql::syntax::{edit_expressions, edit_queries, edit_selects, take_value};

/// Plans a query, with columns of one name told apart if it cannot be planned otherwise.
pub fn planned(
    query: Query,
    plan: &dyn Fn(Query) -> Result<LogicalPlan, SqlError>,
) -> Result<LogicalPlan, SqlError> {
    let mut query = query;
    cast_keys::leave_out_determined(&mut query);
    let plan = |query: &Query| doubled_columns::checked(plan(query.clone())?, query);
    let error = match plan(&query) {
        Ok(planned) => return Ok(planned),
        Err(error) => error,
    };
    if !matches!(error.sqlstate, "42701" | "42702") || matches_names(&query) {
        return Err(error);
    }
    let mut told_apart = query;
    let has_keys = cast_keys::tell_apart(&mut told_apart);
    let mut names = Names::default();
    names.give(&mut told_apart);
    if names.given.is_empty() && !has_keys {
        return Err(error);
    }
    if let Some(name) = names.ordered_by(&mut told_apart) {
        return Err(several_columns(&name));
    }
    match plan(&told_apart) {
        Ok(planned) => Ok(names.restored(planned)?),
        Err(other) => Err(names.explained(other, error)),
    }
}

/// Refuses columns of one name where each must have its own.
pub fn refuse(view: &str, columns: &Schema) -> Result<(), SqlError> {
    let mut seen = HashSet::new();
    let twice = columns
        .fields()
        .iter()
        .find(|field| !seen.insert(field.name()));
    match twice {
        None => Ok(()),
        Some(field) => {
            let message = format!(
                "view \"{view}\" has two columns called \"{}\"",
                field.name()
            );
            let error = SqlError::new("42701", message).about(field.name());
            Err(error.with_hint("give each column a name of its own with AS"))
        }
    }
}

/// What is said of a name that does not tell which column is meant.
pub fn several_columns(name: &str) -> SqlError {
    SqlError::new("42702", format!("several columns are called \"{name}\""))
        .about(name)
        .with_hint("give each of them a name of its own with AS")
}

/// Rows with these names of their columns. A name that several have is told apart by a table's name
/// before it, which rows do not show.
pub fn with_names(
    plan: LogicalPlan,
    columns: &[Column],
    names: &[&String],
) -> DataFusionResult<LogicalPlan> {
    let expressions = columns.iter().zip(names).enumerate();
    let expressions = expressions.map(|(position, (column, name))| {
        let value = Expr::Column(column.clone());
        let is_alone = names.iter().filter(|other| *other == name).count() == 1;
        match is_alone && column.name == **name {
            true => value,
            false => {
                let table = TableReference::bare(format!("[column {}]", position + 1));
                value.alias_qualified(Some(table), name.as_str())
            }
        }
    });
    let expressions: Vec<Expr> = expressions.collect();
    LogicalPlanBuilder::from(plan).project(expressions)?.build()
}

/// Whether columns of several tables are matched by their names, which must stay what they are.
fn matches_names(query: &Query) -> bool {
    let text = query.to_string();
    text.contains(" NATURAL ") || text.contains(" BY NAME")
}

/// The names that have been given.
#[derive(Default)]
struct Names {
    /// With the name that is written; `None` where DataFusion calls the column by what it computes.
    given: HashMap<String, Option<String>>,
}

impl Names {
    fn give(&mut self, query: &mut Query) {
        edit_selects(query, &mut |select| self.give_in(select));
        let asked = names_asked(query);
        let ordered_by = columns_ordered_by(query);
        let SetExpr::Select(select) = query.body.as_mut() else {
            return;
        };
        if select.projection.iter().any(is_wildcard) {
            return self.give_beside_wildcard(&mut select.projection, &asked);
        }
        for item in &mut select.projection {
            if name_of(item)
                .is_some_and(|name| ordered_by.contains(&name) && !asked.contains(&name))
            {
                self.give_to(item);
            }
        }
    }

    fn give_in(&mut self, select: &mut Select) {
        let items = &select.projection;
        let chosen: Vec<usize> = (0..items.len())
            .filter(|position| needs_name(items, *position))
            .collect();
        for position in chosen {
            self.give_to(&mut select.projection[position]);
        }
    }

    /// Which columns `*` stands for is not known here, so whatever has an alias beside it gets a
    /// name, unless that alias is asked for. Only for the rows of the whole query: those of a
    /// subquery may be asked for by any name.
    fn give_beside_wildcard(&mut self, items: &mut [SelectItem], asked: &HashSet<String>) {
        for item in items {
            let SelectItem::ExprWithAlias { alias, .. } = item else {
                continue;
            };
            let name = identifier(alias);
            if !self.given.contains_key(&name) && !asked.contains(&name) {
                self.give_to(item);
            }
        }
    }

    fn give_to(&mut self, item: &mut SelectItem) {
        if name_of(item).is_some_and(|name| self.given.contains_key(&name)) {
            return;
        }
        let (value, written) = match item {
            SelectItem::UnnamedExpr(value) => {
                let written = column_name(value);
                (value, written)
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                let written = identifier(alias);
                (expr, Some(written))
            }
            _ => return,
        };
        let shown = written.clone().unwrap_or_else(|| value.to_string());
        let name = format!("{shown} [{}]", self.given.len() + 1);
        *item = SelectItem::ExprWithAlias {
            expr: take_value(value),
            alias: Ident::with_quote('"', name.clone()),
        };
        self.given.insert(name, written);
    }

    /// The rows under the names that are written.
    fn restored(&self, plan: LogicalPlan) -> DataFusionResult<LogicalPlan> {
        let columns = plan.schema().columns();
        if !columns
            .iter()
            .any(|column| self.given.contains_key(&column.name))
        {
            return Ok(plan);
        }
        let computed = self.computed(&plan)?;
        let names: Vec<&String> = columns
            .iter()
            .map(|column| match self.given.get(&column.name) {
                Some(Some(written)) => written,
                Some(None) => computed.get(&column.name).unwrap_or(&column.name),
                None => &column.name,
            })
            .collect();
        with_names(plan, &columns, &names)
    }

    /// What DataFusion calls the columns for which no name is written.
    fn computed(&self, plan: &LogicalPlan) -> DataFusionResult<HashMap<String, String>> {
        let mut found = HashMap::new();
        plan.apply_with_subqueries(|node| {
            node.apply_expressions(|expression| {
                expression.apply(|part| {
                    if let Expr::Alias(alias) = part
                        && matches!(self.given.get(&alias.name), Some(None))
                    {
                        let name = match alias.expr.as_ref() {
                            Expr::Column(column) => column.name.clone(),
                            value => value.schema_name().to_string(),
                        };
                        found.entry(alias.name.clone()).or_insert(name);
                    }
                    Ok(TreeNodeRecursion::Continue)
                })
            })
        })?;
        Ok(found)
    }

    /// A name by which rows are ordered and that several different columns of them had.
    fn ordered_by(&self, query: &mut Query) -> Option<String> {
        let mut found = None;
        edit_queries(query, &mut |query| {
            found = found.take().or_else(|| {
                let SetExpr::Select(select) = query.body.as_ref() else {
                    return None;
                };
                let keys = match &query.order_by.as_ref()?.kind {
                    OrderByKind::Expressions(keys) => keys,
                    OrderByKind::All(_) => return None,
                };
                let names = keys.iter().filter_map(|key| match &key.expr {
                    Ast::Identifier(name) => Some(identifier(name)),
                    _ => None,
                });
                let mut names = names.filter(|name| self.is_taken(&select.projection, name));
                names.next()
            });
        });
        found
    }

    /// Whether columns had a name and none has it any more.
    fn is_taken(&self, items: &[SelectItem], name: &str) -> bool {
        let names: Vec<String> = items.iter().filter_map(name_of).collect();
        let was_called = |given: &String| {
            let written = self.given.get(given);
            written.is_some_and(|written| written.as_deref() == Some(name))
        };
        names.iter().any(was_called)
            && !names.iter().any(|other| other == name)
            && !items.iter().any(is_wildcard)
    }

    /// Why a query is refused that was to be planned with other names.
    fn explained(&self, error: SqlError, first: SqlError) -> SqlError {
        if matches!(error.sqlstate, "42701" | "42702") {
            return first;
        }
        let mut written = self.given.values().flatten();
        match &error.about {
            Some(name) if error.sqlstate == "42703" && written.any(|other| other == name) => {
                several_columns(name)
            }
            _ => error,
        }
    }
}

/// Whether a column of a SELECT must get a name. Of columns that are the same value the first keeps
/// its own, so that it can be asked for.
fn needs_name(items: &[SelectItem], position: usize) -> bool {
    let Some(name) = name_of(&items[position]) else {
        return false;
    };
    let is_column = matches!(
        &items[position],
        SelectItem::UnnamedExpr(Ast::Identifier(_) | Ast::CompoundIdentifier(_))
    );
    if is_column && items.iter().any(is_wildcard) {
        return true;
    }
    // DataFusion calls different values by one name: a cast like its column, which it then takes it
    // for in ORDER BY, and functions that have several names by one of these.
    if matches!(&items[position], SelectItem::UnnamedExpr(value) if column_name(value).is_none()) {
        return true;
    }
    let same = items.iter().enumerate();
    let same: Vec<(usize, &SelectItem)> = same
        .filter(|(_, item)| name_of(item).is_some_and(|other| other == name))
        .collect();
    let value = value_of(&items[position]);
    let is_same_value = value.is_some_and(|value| !calls_functions(value))
        && same.iter().all(|(_, item)| value_of(item) == value);
    let is_first = same.first().is_some_and(|(first, _)| *first == position);
    same.len() > 1 && !(is_same_value && is_first)
}

fn is_wildcard(item: &SelectItem) -> bool {
    matches!(
        item,
        SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
    )
}

/// What a column is called, as far as names collide.
fn name_of(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(identifier(alias)),
        SelectItem::UnnamedExpr(value) => Some(name_of_value(value)),
        _ => None,
    }
}

/// The same of a value without a name: what it computes, of which casts are no part.
pub fn name_of_value(value: &Ast) -> String {
    let value = without_casts(value);
    column_name(&value).unwrap_or_else(|| value.to_string().to_lowercase())
}

/// A value as DataFusion names it.
pub fn without_casts(value: &Ast) -> Ast {
    let mut value = value.clone();
    // It never breaks off.
    let _ = edit_expressions(&mut value, &mut |part| {
        while let Ast::Cast { expr, .. } | Ast::Nested(expr) = part {
            *part = take_value(expr);
        }
        ControlFlow::Continue(())
    });
    value
}

/// The name that a column of a table gives to one of the result.
pub fn column_name(value: &Ast) -> Option<String> {
    match value {
        Ast::Identifier(column) => Some(identifier(column)),
        Ast::CompoundIdentifier(parts) => parts.last().map(identifier),
        Ast::Nested(inner) => column_name(inner),
        _ => None,
    }
}

/// The columns of tables, said with these, that the rows of a query are ordered by: no column of the
/// result may be called like one of them.
fn columns_ordered_by(query: &Query) -> HashSet<String> {
    let Some(OrderByKind::Expressions(keys)) = query.order_by.as_ref().map(|order| &order.kind)
    else {
        return HashSet::new();
    };
    let columns = keys.iter().filter_map(|key| match &key.expr {
        Ast::CompoundIdentifier(parts) => parts.last().map(identifier),
        _ => None,
    });
    columns.collect()
}

/// The names that are asked for in the clauses of a query that may mean columns of the result.
fn names_asked(query: &Query) -> HashSet<String> {
    let mut clauses = query.clone();
    clauses.with = None;
    if let SetExpr::Select(select) = clauses.body.as_mut() {
        select.projection.clear();
        select.from.clear();
        select.selection = None;
    }
    let mut names = HashSet::new();
    // It never breaks off.
    let _ = edit_expressions(&mut clauses, &mut |expression| {
        if let Ast::Identifier(name) = expression {
            names.insert(identifier(name));
        }
        ControlFlow::Continue(())
    });
    names
}
