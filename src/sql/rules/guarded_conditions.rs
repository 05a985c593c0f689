//! Conditions that keep others from the rows for which those fail.
//!
//! In `v <> 0 AND 10 / v > 1` the second condition is not looked at where the first does not hold, in
//! live views, where each row stands for itself, as in Postgres. In queries DataFusion computes both
//! for all rows of a batch if many satisfy the first. So what may fail stands in a `CASE` there.

use datafusion::common::DFSchema;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::utils::{merge_schema, split_binary_owned};
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator, binary_expr, lit, when};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use super::failing::may_fail;

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
            LogicalPlan::Filter(mut filter) => {
                let schema = filter.input.schema();
                if !is_concerned(&filter.predicate, schema)? {
                    return Ok(Transformed::no(LogicalPlan::Filter(filter)));
                }
                filter.predicate = guarded(filter.predicate, schema)?;
                Ok(Transformed::yes(LogicalPlan::Filter(filter)))
            }
            LogicalPlan::Join(mut join) => {
                let Some(condition) = join.filter.take() else {
                    return Ok(Transformed::no(LogicalPlan::Join(join)));
                };
                let schema = merge_schema(&[join.left.as_ref(), join.right.as_ref()]);
                let is_changed = is_concerned(&condition, &schema)?;
                join.filter = Some(match is_changed {
                    true => guarded(condition, &schema)?,
                    false => condition,
                });
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
fn is_concerned(condition: &Expr, schema: &DFSchema) -> Result<bool> {
    let has_several = matches!(
        condition,
        Expr::BinaryExpr(BinaryExpr {
            op: Operator::And | Operator::Or,
            ..
        })
    );
    Ok(has_several && may_fail(condition, schema)?)
}

/// A condition that is true for the same rows, of which each part that may fail is looked at only
/// where those before it leave it open.
fn guarded(condition: Expr, schema: &DFSchema) -> Result<Expr> {
    let op = match &condition {
        Expr::BinaryExpr(BinaryExpr {
            op: op @ (Operator::And | Operator::Or),
            ..
        }) => *op,
        _ => return Ok(condition),
    };
    let mut steps: Vec<(bool, Expr)> = Vec::new();
    for part in split_binary_owned(condition, op) {
        let fails = may_fail(&part, schema)?;
        let part = if fails { guarded(part, schema)? } else { part };
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
