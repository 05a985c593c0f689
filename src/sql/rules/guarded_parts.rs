//! AND and OR within expressions, of whose sides some may fail.
//!
//! In `SELECT q = 0 OR w / q > 1`, in a `CASE`, a `FILTER` or an argument, DataFusion computes both
//! sides for all rows of a batch. In live views each row stands for itself; in queries such an
//! expression becomes a `CASE` that computes a side only for the rows that those before it leave
//! open, and all of them together for these: NULL counts as it does in AND and OR. What stands at the
//! top of filters and joins is left for keys to be found in it; `guarded_conditions` looks after it.

use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{merge_schema, split_binary_owned};
use datafusion::logical_expr::{BinaryExpr, Case, Expr, LogicalPlan, Operator, binary_expr, lit};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use super::failing::may_fail;
use crate::sql::node::has_part;
use crate::sql::subqueries::decorrelate::is_subquery;

/// How deep AND and OR are taken apart within one another, as each is written twice.
const DEEPEST: usize = 4;

/// The rule; it stands before those that simplify.
#[derive(Debug)]
pub struct GuardedParts;

impl OptimizerRule for GuardedParts {
    fn name(&self) -> &str {
        "guarded_parts"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let is_left_out = matches!(
            plan,
            LogicalPlan::TableScan(_) | LogicalPlan::Values(_) | LogicalPlan::Distinct(_)
        );
        if is_left_out || !has_connectives(&plan)? {
            return Ok(Transformed::no(plan));
        }
        let schema = merge_schema(&plan.inputs());
        let names = NamePreserver::new(&plan);
        let has_names = !matches!(plan, LogicalPlan::Sort(_));
        let has_conditions = matches!(plan, LogicalPlan::Filter(_) | LogicalPlan::Join(_));
        plan.map_expressions(|expression| {
            // Sets have no name that could be kept.
            if matches!(expression, Expr::GroupingSet(_)) {
                return Ok(Transformed::no(expression));
            }
            let name = names.save(&expression);
            let guarded = match has_conditions {
                true => below_top(expression, &schema)?,
                false => within(expression, &schema)?,
            };
            Ok(match guarded.transformed && has_names {
                true => guarded.update_data(|expression| name.restore(expression)),
                false => guarded,
            })
        })
    }
}

/// Whether AND or OR stands in an expression of a plan.
fn has_connectives(plan: &LogicalPlan) -> Result<bool> {
    has_part(plan, |part| connective(part).is_some())
}

fn connective(part: &Expr) -> Option<Operator> {
    match part {
        Expr::BinaryExpr(BinaryExpr {
            op: op @ (Operator::And | Operator::Or),
            ..
        }) => Some(*op),
        _ => None,
    }
}

/// A condition of a filter or join, guarded within what AND and OR at its top connect.
fn below_top(condition: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Some(op) = connective(&condition) else {
        return within(condition, schema);
    };
    if !may_fail(&condition, schema)? {
        return Ok(Transformed::no(condition));
    }
    let mut is_changed = false;
    let mut parts = Vec::new();
    for part in split_binary_owned(condition, op) {
        let part = below_top(part, schema)?;
        is_changed |= part.transformed;
        parts.push(part.data);
    }
    let condition = connected(parts, op);
    Ok(Transformed::new_transformed(condition, is_changed))
}

/// An expression, each AND and OR in it guarded.
fn within(expression: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    expression.transform_down(|part| {
        if is_guarded(&part) {
            return Ok(Transformed::new(part, false, TreeNodeRecursion::Jump));
        }
        if connective(&part).is_none() || !is_concerned(&part, schema)? {
            return Ok(Transformed::no(part));
        }
        let guarded = guarded(part, schema, DEEPEST)?;
        Ok(Transformed::new(guarded, true, TreeNodeRecursion::Jump))
    })
}

/// Whether sides may fail and can be written twice: a subquery would be computed twice, and what
/// varies would be another value.
fn is_concerned(condition: &Expr, schema: &DFSchema) -> Result<bool> {
    if !may_fail(condition, schema)? || condition.is_volatile() {
        return Ok(false);
    }
    Ok(!condition.exists(|part| Ok(is_subquery(part)))?)
}

/// What is of the same value, of which each side that may fail is computed only where those before
/// it leave it open.
fn guarded(condition: Expr, schema: &DFSchema, depth: usize) -> Result<Expr> {
    let Some(op) = connective(&condition) else {
        return Ok(within(condition, schema)?.data);
    };
    let Some(depth) = depth.checked_sub(1) else {
        return Ok(condition);
    };
    let mut sides: Vec<(bool, Expr)> = Vec::new();
    for part in split_binary_owned(condition, op) {
        let fails = may_fail(&part, schema)?;
        let part = match fails {
            true => guarded(part, schema, depth)?,
            false => part,
        };
        let side = match sides.pop_if(|(before_fails, _)| !*before_fails && !fails) {
            Some((_, before)) => binary_expr(before, op, part),
            None => part,
        };
        sides.push((fails, side));
    }
    // What stands before the last side that may fail guards it.
    let guards = sides.iter().rposition(|(fails, _)| *fails).unwrap_or(0);
    let sides: Vec<Expr> = sides.into_iter().map(|(_, side)| side).collect();
    let decides = lit(op == Operator::Or);
    let branches: Vec<(Box<Expr>, Box<Expr>)> = sides[..guards]
        .iter()
        .map(|guard| (Box::new(guard.clone()), Box::new(decides.clone())))
        .collect();
    let all = connected(sides, op);
    Ok(match branches.is_empty() {
        true => all,
        false => Expr::Case(Case::new(
            Some(Box::new(decides)),
            branches,
            Some(Box::new(all)),
        )),
    })
}

fn connected(sides: Vec<Expr>, op: Operator) -> Expr {
    let all = sides
        .into_iter()
        .reduce(|before, side| binary_expr(before, op, side));
    all.unwrap_or_else(|| lit(op == Operator::And))
}

/// Whether an expression is what this rule makes.
fn is_guarded(expression: &Expr) -> bool {
    let Expr::Case(Case {
        expr: Some(decides),
        when_then_expr,
        else_expr: Some(all),
    }) = expression
    else {
        return false;
    };
    let op = match decides.as_ref() {
        same if *same == lit(true) => Operator::Or,
        same if *same == lit(false) => Operator::And,
        _ => return false,
    };
    let Some((first, _)) = when_then_expr.first() else {
        return false;
    };
    let decide = |(_, result): &(Box<Expr>, Box<Expr>)| result == decides;
    if !when_then_expr.iter().all(decide) {
        return false;
    }
    let mut before = all.as_ref();
    while let Expr::BinaryExpr(BinaryExpr { left, op: met, .. }) = before
        && *met == op
    {
        if left == first {
            return true;
        }
        before = left.as_ref();
    }
    false
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::logical_expr::col;

    use super::*;

    fn schema() -> DFSchema {
        let fields = ["q", "w"].map(|name| Field::new(name, DataType::Int64, true));
        DFSchema::try_from(Schema::new(fields.to_vec())).expect("a schema")
    }

    #[test]
    fn a_side_that_may_fail_is_guarded_once() {
        let fails = (col("w") / col("q")).gt(lit(1_i64));
        let condition = col("q").not_eq(lit(0_i64)).and(fails.clone());
        let guarded = within(condition, &schema()).expect("guarded");
        assert!(guarded.transformed);
        assert!(is_guarded(&guarded.data), "{}", guarded.data);
        let again = within(guarded.data, &schema()).expect("guarded");
        assert!(!again.transformed, "{}", again.data);
        // Nothing stands before it.
        let condition = fails.and(col("q").not_eq(lit(0_i64)));
        let plain = within(condition.clone(), &schema()).expect("guarded");
        assert_eq!(plain.data, condition);
    }
}
