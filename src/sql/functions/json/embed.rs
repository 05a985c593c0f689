//! Which values are JSON already, so that they become parts of other JSON rather than strings.
//!
//! JSON is kept as text, so the type does not tell. What tells is where a value comes from: one that
//! a function of JSON gives, directly or by way of a subquery, is JSON.

use std::cell::Cell;
use std::sync::Arc;

use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction};
use datafusion::logical_expr::{Expr, LogicalPlan, Union};

use super::{aggregate, build};

/// How many expressions are looked at for one value: a CASE may stand in a CASE in a subquery.
const LOOKS_MAX: usize = 1000;

/// Lets the functions of a plan that make JSON know which of their arguments are JSON.
pub fn told(plan: LogicalPlan) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|node| {
        let inputs: Vec<LogicalPlan> = node.inputs().into_iter().cloned().collect();
        node.map_expressions(|expression| {
            expression.transform_up(|part| Ok(told_function(part, &inputs)))
        })
    });
    rewritten.data()
}

fn told_function(expression: Expr, inputs: &[LogicalPlan]) -> Transformed<Expr> {
    let is_json = |value: &Expr| is_json(value, inputs, &Cell::new(LOOKS_MAX));
    match expression {
        Expr::ScalarFunction(ScalarFunction { func, args }) if build::is_one(&func) => {
            let embedded: Vec<bool> = args.iter().map(is_json).collect();
            let is_any = embedded.contains(&true);
            match build::embedding(&func, embedded).filter(|_| is_any) {
                Some(func) => Transformed::yes(Expr::ScalarFunction(ScalarFunction {
                    func: Arc::new(func),
                    args,
                })),
                None => Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args })),
            }
        }
        Expr::AggregateFunction(AggregateFunction { func, params })
            if aggregate::gives_json(func.name()) =>
        {
            let value = params.args.last();
            let is_json = value.is_some_and(is_json);
            match aggregate::embedding(&func).filter(|_| is_json) {
                Some(func) => Transformed::yes(Expr::AggregateFunction(AggregateFunction {
                    func: Arc::new(func),
                    params,
                })),
                None => {
                    Transformed::no(Expr::AggregateFunction(AggregateFunction { func, params }))
                }
            }
        }
        other => Transformed::no(other),
    }
}

/// Whether an expression over some plans gives JSON.
fn is_json(expression: &Expr, inputs: &[LogicalPlan], looks: &Cell<usize>) -> bool {
    let Some(left) = looks.get().checked_sub(1) else {
        return false;
    };
    looks.set(left);
    let is_json = |part: &Expr| is_json(part, inputs, looks);
    match expression {
        Expr::Alias(alias) => is_json(&alias.expr),
        Expr::Column(column) => inputs
            .iter()
            .any(|input| is_json_column(column, input, looks)),
        Expr::AggregateFunction(call) => aggregate::gives_json(call.func.name()),
        Expr::ScalarFunction(call) => match call.func.name() {
            "coalesce" | "nullif" | "nvl" => call.args.first().is_some_and(is_json),
            name => build::gives_json(name),
        },
        Expr::Case(case) => case
            .when_then_expr
            .iter()
            .map(|(_, then)| then)
            .chain(&case.else_expr)
            .any(|value| is_json(value)),
        Expr::ScalarSubquery(subquery) => is_json_at(&subquery.subquery, 0, looks),
        _ => false,
    }
}

fn is_json_column(column: &Column, plan: &LogicalPlan, looks: &Cell<usize>) -> bool {
    let position = plan.schema().maybe_index_of_column(column);
    position.is_some_and(|position| is_json_at(plan, position, looks))
}

/// Whether a column of a plan is JSON.
fn is_json_at(plan: &LogicalPlan, position: usize, looks: &Cell<usize>) -> bool {
    let inputs: Vec<LogicalPlan> = match plan {
        LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) => {
            plan.inputs().into_iter().cloned().collect()
        }
        _ => Vec::new(),
    };
    match plan {
        LogicalPlan::Projection(node) => is_json(&node.expr[position], &inputs, looks),
        LogicalPlan::Aggregate(node) => {
            let keys = match &node.group_expr[..] {
                // The columns of grouping sets have one more among them.
                [Expr::GroupingSet(_)] => return false,
                keys => keys,
            };
            let all = keys.iter().chain(&node.aggr_expr);
            let found = all.into_iter().nth(position);
            found.is_some_and(|found| is_json(found, &inputs, looks))
        }
        LogicalPlan::SubqueryAlias(node) => is_json_at(&node.input, position, looks),
        LogicalPlan::Subquery(node) => is_json_at(&node.subquery, position, looks),
        LogicalPlan::Union(Union { inputs, .. }) => inputs
            .iter()
            .all(|input| is_json_at(input, position, looks)),
        LogicalPlan::Join(join) => {
            let left = join.left.schema().fields().len();
            match position < left {
                true => is_json_at(&join.left, position, looks),
                false => is_json_at(&join.right, position - left, looks),
            }
        }
        LogicalPlan::Filter(node) => is_json_at(&node.input, position, looks),
        LogicalPlan::Sort(node) => is_json_at(&node.input, position, looks),
        LogicalPlan::Limit(node) => is_json_at(&node.input, position, looks),
        LogicalPlan::Window(node) => {
            let own = node.input.schema().fields().len();
            position < own && is_json_at(&node.input, position, looks)
        }
        _ => false,
    }
}
