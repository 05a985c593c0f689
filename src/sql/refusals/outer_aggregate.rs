//! Aggregates of nothing but columns of an outer query.
//!
//! In standard SQL (ISO 9075-2, aggregate functions) such an aggregate belongs to the query of these
//! columns, whatever subquery it is written in. DataFusion takes it for one over the rows of the
//! subquery, which is another number.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Expr, LogicalPlan};

use crate::sql::error::SqlError;
use crate::sql::planner::external;
use crate::sql::subqueries::decorrelate::{outer_columns, subquery_of};

/// Refuses them.
pub fn check(plan: &LogicalPlan) -> Result<(), SqlError> {
    plan.apply_with_subqueries(|node| {
        let LogicalPlan::Aggregate(aggregate) = node else {
            return Ok(TreeNodeRecursion::Continue);
        };
        for expression in &aggregate.aggr_expr {
            expression.apply(|part| match part {
                Expr::AggregateFunction(call) if is_of_outer_columns(call, &aggregate.input)? => {
                    Err(external(refusal(call)))
                }
                _ => Ok(TreeNodeRecursion::Continue),
            })?;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

/// Whether an aggregate over some rows reads none of their columns, but outer ones, by itself or by
/// subqueries in its arguments.
fn is_of_outer_columns(call: &AggregateFunction, rows: &LogicalPlan) -> DataFusionResult<bool> {
    let parameters = &call.params;
    let sorted = parameters.order_by.iter().map(|key| &key.expr);
    let parts = parameters.args.iter().chain(parameters.filter.as_deref());
    let (mut has_outer, mut has_own) = (false, false);
    for part in parts.chain(sorted) {
        part.apply(|part| {
            has_outer |= matches!(part, Expr::OuterReferenceColumn(..));
            has_own |= matches!(part, Expr::Column(_));
            if let Some(subquery) = subquery_of(part) {
                for column in outer_columns(&subquery.subquery)? {
                    let is_own = rows.schema().has_column(&column);
                    has_own |= is_own;
                    has_outer |= !is_own;
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    Ok(has_outer && !has_own)
}

fn refusal(call: &AggregateFunction) -> SqlError {
    let name = call.func.name();
    SqlError::unsupported(format!(
        "{name}() of columns of an outer query is not supported in a subquery"
    ))
    .about(name)
    .with_hint("compute it in the outer query, where such an aggregate belongs in SQL")
}
