//! Which columns of the queries around it a subquery reads.

use datafusion::common::Column;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, Subquery, SubqueryAlias};

/// The columns of queries around it that a plan reads, itself or in subqueries within it, each
/// once.
pub fn outer_columns(plan: &LogicalPlan) -> Result<Vec<Column>> {
    let mut found = farther_columns(plan)?;
    plan.apply_expressions(|expression| {
        expression.apply(|part| {
            if let Expr::OuterReferenceColumn(_, column) = part {
                add(&mut found, column.clone());
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    let beside = beside_lateral(plan);
    for input in plan.inputs() {
        for column in outer_columns(input)? {
            if !beside.is_some_and(|left| left.schema().has_column(&column)) {
                add(&mut found, column);
            }
        }
    }
    Ok(found)
}

/// Whether a plan reads columns of an outer query.
pub fn is_correlated(plan: &LogicalPlan) -> Result<bool> {
    Ok(!outer_columns(plan)?.is_empty())
}

/// Whether a subquery within a plan reads columns of a query around the plan: two levels out.
pub fn reads_farther(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| Ok(!farther_columns(node)?.is_empty()))
}

/// The subquery that an expression is, or tests.
pub fn subquery_of(expression: &Expr) -> Option<&Subquery> {
    match expression {
        Expr::ScalarSubquery(subquery) => Some(subquery),
        Expr::Exists(test) => Some(&test.subquery),
        Expr::InSubquery(test) => Some(&test.subquery),
        Expr::SetComparison(test) => Some(&test.subquery),
        _ => None,
    }
}

/// What the subqueries in the expressions of a node read besides the columns of its inputs.
fn farther_columns(node: &LogicalPlan) -> Result<Vec<Column>> {
    let inputs = node.inputs();
    let is_own = |column: &Column| {
        let mut inputs = inputs.iter();
        inputs.any(|input| input.schema().has_column(column))
    };
    let mut found = Vec::new();
    node.apply_expressions(|expression| {
        expression.apply(|part| {
            if let Some(subquery) = subquery_of(part) {
                let columns = outer_columns(&subquery.subquery)?.into_iter();
                for column in columns.filter(|column| !is_own(column)) {
                    add(&mut found, column);
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(found)
}

fn add(found: &mut Vec<Column>, column: Column) {
    if !found.contains(&column) {
        found.push(column);
    }
}

/// The side of a join whose columns its other, lateral side reads.
fn beside_lateral(plan: &LogicalPlan) -> Option<&LogicalPlan> {
    let LogicalPlan::Join(join) = plan else {
        return None;
    };
    let is_lateral = match join.right.as_ref() {
        LogicalPlan::Subquery(_) => true,
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, .. }) => {
            matches!(input.as_ref(), LogicalPlan::Subquery(_))
        }
        _ => false,
    };
    is_lateral.then_some(join.left.as_ref())
}
