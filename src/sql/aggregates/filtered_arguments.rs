//! Arguments of aggregates, computed only for the rows that `FILTER` lets through.
//!
//! DataFusion computes them for all rows, and a live view has them as columns, so that
//! `sum(10 / v) FILTER (WHERE v <> 0)` would fail for a row that takes no part. What may fail stands
//! in a `CASE` on the condition of the filter.

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{BinaryExpr, Case, Expr, LogicalPlan};

use crate::sql::functions::clock;
use crate::sql::subqueries::decorrelate::is_subquery;

/// Puts the arguments of a plan's aggregates and window functions under their filters.
pub fn guarded(plan: LogicalPlan) -> Result<LogicalPlan> {
    let guarded = plan.transform_up_with_subqueries(|node| {
        if !matches!(node, LogicalPlan::Aggregate(_) | LogicalPlan::Window(_)) {
            return Ok(Transformed::no(node));
        }
        let names = NamePreserver::new(&node);
        node.map_expressions(|expression| {
            let name = names.save(&expression);
            let guarded = expression.transform_up(of_call)?;
            Ok(match guarded.transformed {
                true => guarded.update_data(|expression| name.restore(expression)),
                false => guarded,
            })
        })
    });
    guarded.data()
}

fn of_call(part: Expr) -> Result<Transformed<Expr>> {
    match part {
        Expr::AggregateFunction(mut call) => {
            let parameters = &mut call.params;
            let mut is_changed = false;
            if let Some(filter) = &parameters.filter {
                let keys = parameters.order_by.iter_mut().map(|key| &mut key.expr);
                for value in parameters.args.iter_mut().chain(keys) {
                    is_changed |= guard(value, filter)?;
                }
            }
            Ok(told(Expr::AggregateFunction(call), is_changed))
        }
        Expr::WindowFunction(mut call) => {
            let parameters = &mut call.params;
            let mut is_changed = false;
            if let Some(filter) = &parameters.filter {
                for value in &mut parameters.args {
                    is_changed |= guard(value, filter)?;
                }
            }
            Ok(told(Expr::WindowFunction(call), is_changed))
        }
        other => Ok(Transformed::no(other)),
    }
}

fn told(call: Expr, is_changed: bool) -> Transformed<Expr> {
    match is_changed {
        true => Transformed::yes(call),
        false => Transformed::no(call),
    }
}

/// Puts a value that may fail under a condition; tells whether it has.
fn guard(value: &mut Expr, filter: &Expr) -> Result<bool> {
    // A condition on the time is scheduled by itself, and one that varies would be another one.
    if clock::is_asked(filter)? || filter.is_volatile() {
        return Ok(false);
    }
    if is_guarded(value, filter) || !may_fail(value)? {
        return Ok(false);
    }
    let computed = std::mem::take(value);
    let branch = (Box::new(filter.clone()), Box::new(computed));
    *value = Expr::Case(Case::new(None, vec![branch], None));
    Ok(true)
}

/// Whether a value stands under its condition already, as in a plain view that is read.
fn is_guarded(value: &Expr, filter: &Expr) -> bool {
    match value {
        Expr::Case(case) => match &case.when_then_expr[..] {
            [(condition, _)] => case.expr.is_none() && condition.as_ref() == filter,
            _ => false,
        },
        _ => false,
    }
}

/// Whether a value that is not the same for all rows is computed by what may fail for some.
fn may_fail(value: &Expr) -> Result<bool> {
    let (mut varies, mut fails) = (false, false);
    value.apply(|part| {
        let reads_row = matches!(part, Expr::Column(_) | Expr::OuterReferenceColumn(..));
        let asks = is_subquery(part);
        varies |= reads_row || asks;
        fails |= asks
            || match part {
                Expr::BinaryExpr(BinaryExpr { op, .. }) => op.is_numerical_operators(),
                Expr::Cast(_) | Expr::ScalarFunction(_) => true,
                _ => false,
            };
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(varies && fails)
}
