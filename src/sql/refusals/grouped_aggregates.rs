//! Aggregates and window functions that a SELECT is to be grouped by, by themselves, by their
//! position or by their name.
//!
//! They are computed of groups, so that there is nothing to group by. DataFusion takes them for two
//! columns of one name, or makes a plan that nobody can carry out.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::sqlparser::ast::{Expr as Ast, GroupByExpr, Query};

use crate::sql::columns::output_columns::meant;
use crate::sql::error::{Place, SqlError};
use crate::sql::place::of_part;
use crate::sql::planner::external;
use crate::sql::syntax::{edit_own_expressions, edit_selects};

/// What DataFusion may call it where it makes no plan.
const OTHER_STATES: [&str; 5] = ["42701", "42803", "42000", "0A000", "XX000"];

/// What DataFusion says of aggregates in WHERE.
const IN_WHERE: &str = "Aggregate functions are not allowed in the WHERE clause";

/// Refuses them in a plan.
pub fn check(plan: &LogicalPlan) -> Result<(), SqlError> {
    plan.apply_with_subqueries(|node| {
        let LogicalPlan::Aggregate(aggregate) = node else {
            return Ok(TreeNodeRecursion::Continue);
        };
        for key in &aggregate.group_expr {
            key.apply(|part| match part {
                Expr::AggregateFunction(call) => Err(external(aggregate_key(call.func.name()))),
                Expr::WindowFunction(call) => Err(external(window_key(call.fun.name()))),
                _ => Ok(TreeNodeRecursion::Continue),
            })?;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// Why a query could not be planned, if it is for them.
pub fn explained(error: SqlError, query: &Query, is_aggregate: &dyn Fn(&str) -> bool) -> SqlError {
    if error.place.is_none() && error.message.contains(IN_WHERE) {
        return match in_where(query, is_aggregate) {
            Some((name, place)) => not_in_where(&name).at_known(place),
            None => error,
        };
    }
    if !OTHER_STATES.contains(&error.sqlstate) {
        return error;
    }
    // A column that is not grouped; a name may then be that of a column of a table.
    let is_of_columns = error.sqlstate == "42803";
    let mut refusal = None;
    edit_selects(&mut query.clone(), &mut |select| {
        let GroupByExpr::Expressions(keys, _) = &select.group_by else {
            return;
        };
        for key in keys.iter().flat_map(elements) {
            if is_of_columns && matches!(key, Ast::Identifier(_)) {
                continue;
            }
            if let Ok(value) = meant(key, &select.projection, "GROUP BY") {
                refusal = refusal.take().or_else(|| refusal_of(&value, is_aggregate));
            }
        }
    });
    refusal.unwrap_or(error)
}

/// The first aggregate in a WHERE.
fn in_where(query: &Query, is_aggregate: &dyn Fn(&str) -> bool) -> Option<(String, Option<Place>)> {
    let mut found = None;
    edit_selects(&mut query.clone(), &mut |select| {
        let Some(condition) = &mut select.selection else {
            return;
        };
        edit_own_expressions(condition, &mut |part| {
            let Ast::Function(call) = part else {
                return;
            };
            let name = call.name.to_string().to_lowercase();
            if found.is_none() && call.over.is_none() && is_aggregate(&name) {
                found = Some((name, of_part(call)));
            }
        });
    });
    found
}

fn not_in_where(name: &str) -> SqlError {
    let message = format!("aggregates are not allowed in WHERE, and {name}() is one");
    SqlError::new("42803", message)
        .with_hint("write the condition in HAVING, or aggregate in a subquery")
}

/// What stands in grouping sets, or a key that is none.
fn elements(key: &Ast) -> Vec<&Ast> {
    match key {
        Ast::Cube(sets) | Ast::Rollup(sets) | Ast::GroupingSets(sets) => {
            sets.iter().flatten().collect()
        }
        key => vec![key],
    }
}

fn refusal_of(value: &Ast, is_aggregate: &dyn Fn(&str) -> bool) -> Option<SqlError> {
    let mut refusal = None;
    edit_own_expressions(&mut value.clone(), &mut |part| {
        let Ast::Function(call) = part else {
            return;
        };
        let name = call.name.to_string().to_lowercase();
        if refusal.is_none() && call.over.is_some() {
            refusal = Some(window_key(&name));
        } else if refusal.is_none() && is_aggregate(&name) {
            refusal = Some(aggregate_key(&name));
        }
    });
    refusal
}

fn aggregate_key(name: &str) -> SqlError {
    let message = format!("aggregates are not allowed in GROUP BY, and {name}() is one");
    SqlError::new("42803", message)
        .about(name)
        .with_hint("aggregate in a subquery, and group its rows")
}

fn window_key(name: &str) -> SqlError {
    let message = format!("window functions are not allowed in GROUP BY, and {name}() is one");
    SqlError::new("42P20", message)
        .about(name)
        .with_hint("compute it in a subquery, and group its rows")
}
