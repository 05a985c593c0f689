//! Conditions that keep others from the rows for which those fail.
//!
//! In `v <> 0 AND 10 / v > 1` the second condition is not looked at where the first does not hold, in
//! live views, where each row stands for itself, as in Postgres. In queries DataFusion computes both
//! for all rows of a batch if many satisfy the first. So what may fail stands in a `CASE` there.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::utils::split_binary_owned;
use datafusion::logical_expr::{
    BinaryExpr, Expr, Filter, LogicalPlan, Operator, binary_expr, lit, when,
};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use crate::sql::functions::scalar::real;

/// The rule; it stands behind those that take conditions apart.
#[derive(Debug)]
pub struct GuardedConditions;

impl OptimizerRule for GuardedConditions {
    fn name(&self) -> &str {
        "guarded_conditions"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Filter(filter) if is_concerned(&filter.predicate)? => {
                let predicate = guarded(filter.predicate)?;
                let filter = Filter::try_new(predicate, filter.input)?;
                Ok(Transformed::yes(LogicalPlan::Filter(filter)))
            }
            LogicalPlan::Join(mut join) => {
                let condition = join.filter.take();
                let is_changed = match &condition {
                    Some(condition) => is_concerned(condition)?,
                    None => false,
                };
                join.filter = match condition {
                    Some(condition) if is_changed => Some(guarded(condition)?),
                    other => other,
                };
                let join = LogicalPlan::Join(join);
                Ok(match is_changed {
                    true => Transformed::yes(join),
                    false => Transformed::no(join),
                })
            }
            other => Ok(Transformed::no(other)),
        }
    }
}

/// Whether a condition is one of several of which some may fail.
fn is_concerned(condition: &Expr) -> Result<bool> {
    let has_several = matches!(
        condition,
        Expr::BinaryExpr(BinaryExpr {
            op: Operator::And | Operator::Or,
            ..
        })
    );
    Ok(has_several && may_fail(condition)?)
}

/// Whether an expression divides, takes a logarithm, or computes what may become too large.
fn may_fail(expression: &Expr) -> Result<bool> {
    expression.exists(|part| {
        Ok(match part {
            Expr::BinaryExpr(binary) => matches!(binary.op, Operator::Divide | Operator::Modulo),
            Expr::ScalarFunction(call) => {
                let name = call.func.name();
                matches!(name, "+" | "-" | "*" | "/") || real::may_fail(name)
            }
            _ => false,
        })
    })
}

/// A condition that is true for the same rows, of which each part that may fail is looked at only
/// where those before it leave it open.
fn guarded(condition: Expr) -> Result<Expr> {
    let op = match &condition {
        Expr::BinaryExpr(BinaryExpr {
            op: op @ (Operator::And | Operator::Or),
            ..
        }) => *op,
        _ => return Ok(condition),
    };
    let mut steps: Vec<(bool, Expr)> = Vec::new();
    for part in split_binary_owned(condition, op) {
        let fails = may_fail(&part)?;
        let part = if fails { guarded(part)? } else { part };
        let step = match steps.pop_if(|(before_fails, _)| !*before_fails && !fails) {
            Some((_, before)) => binary_expr(before, op, part),
            None => part,
        };
        steps.push((fails, step));
    }
    // What can't fail needs no guard.
    let unguarded = steps.pop_if(|(fails, _)| !*fails);
    if let Some((_, last)) = unguarded {
        let step = match steps.pop() {
            Some((_, before)) => binary_expr(before, op, last),
            None => last,
        };
        steps.push((true, step));
    }
    let mut steps = steps.into_iter().map(|(_, step)| step).rev();
    let Some(last) = steps.next() else {
        return Ok(lit(op == Operator::And));
    };
    steps.try_fold(last, |rest, guard| match op {
        Operator::And => when(guard, rest).otherwise(lit(false)),
        _ => when(guard, lit(true)).otherwise(rest),
    })
}
