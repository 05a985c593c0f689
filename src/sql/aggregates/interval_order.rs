//! Intervals in an order: in ORDER BY of queries, windows and aggregates, and as extremes.
//!
//! DataFusion orders them by their months, then their days, then the rest. Here they are ordered by
//! their length, as in Postgres; extremes of windows, which go by another order, are refused.

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Distinct, Expr, ExprSchemable, LogicalPlan, SortExpr, WindowFrame, WindowFrameBound,
    WindowFrameUnits,
};

use super::interval_extremes;
use crate::sql::error::SqlError;
use crate::sql::operators::interval_length::length_of;
use crate::sql::planner::external;

/// Functions that choose by the order of their arguments.
const EXTREMES: [&str; 4] = ["min", "max", "least", "greatest"];

/// Orders the intervals of a plan by their length.
pub fn by_length(plan: LogicalPlan) -> Result<LogicalPlan> {
    let ordered = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Sort(mut sort) => {
            let is_changed = order_by_length(&mut sort.expr, sort.input.schema());
            let sort = LogicalPlan::Sort(sort);
            Ok(Transformed::new_transformed(sort, is_changed))
        }
        LogicalPlan::Distinct(Distinct::On(mut distinct)) => {
            // The first ones are those of ON, which are equal in a group.
            let skipped = distinct.on_expr.len();
            let keys = distinct.sort_expr.iter_mut().flatten().skip(skipped);
            let is_changed = order_by_length(keys, distinct.input.schema());
            let distinct = LogicalPlan::Distinct(Distinct::On(distinct));
            Ok(Transformed::new_transformed(distinct, is_changed))
        }
        other => in_expressions(other),
    });
    ordered.data()
}

fn in_expressions(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let mut is_concerned = false;
    node.apply_expressions(|expression| {
        is_concerned |= expression.exists(|part| Ok(concerns(part)))?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    if !is_concerned {
        return Ok(Transformed::no(node));
    }
    let schema = merge_schema(&node.inputs());
    let names = NamePreserver::new(&node);
    node.map_expressions(|expression| {
        let name = names.save(&expression);
        let ordered = expression.transform_up(|part| in_expression(part, &schema))?;
        Ok(ordered.update_data(|expression| name.restore(expression)))
    })
}

fn concerns(part: &Expr) -> bool {
    match part {
        Expr::AggregateFunction(_) | Expr::WindowFunction(_) => true,
        Expr::ScalarFunction(call) => EXTREMES.contains(&call.name()),
        _ => false,
    }
}

fn in_expression(part: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match part {
        Expr::AggregateFunction(call)
            if is_extreme(call.func.name(), &call.params.args, schema) =>
        {
            let first = interval_extremes::first_of(call);
            Ok(Transformed::yes(Expr::AggregateFunction(first)))
        }
        Expr::AggregateFunction(mut call) => {
            let is_changed = order_by_length(&mut call.params.order_by, schema);
            let call = Expr::AggregateFunction(call);
            Ok(Transformed::new_transformed(call, is_changed))
        }
        Expr::WindowFunction(mut call) => {
            if is_extreme(call.fun.name(), &call.params.args, schema) {
                return Err(without_window(call.fun.name()));
            }
            let is_changed = !has_distance(&call.params.window_frame)
                && order_by_length(&mut call.params.order_by, schema);
            let call = Expr::WindowFunction(call);
            Ok(Transformed::new_transformed(call, is_changed))
        }
        Expr::ScalarFunction(call) if is_extreme(call.name(), &call.args, schema) => {
            let one = interval_extremes::one_of(call);
            Ok(Transformed::yes(Expr::ScalarFunction(one)))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// Whether a frame reaches as far as a distance in what it is ordered by.
fn has_distance(frame: &WindowFrame) -> bool {
    let is_distance = |bound: &WindowFrameBound| match bound {
        WindowFrameBound::Preceding(distance) | WindowFrameBound::Following(distance) => {
            !distance.is_null()
        }
        WindowFrameBound::CurrentRow => false,
    };
    frame.units == WindowFrameUnits::Range
        && (is_distance(&frame.start_bound) || is_distance(&frame.end_bound))
}

/// Whether a function gives the least or the greatest of intervals.
fn is_extreme(name: &str, arguments: &[Expr], schema: &DFSchema) -> bool {
    EXTREMES.contains(&name) && arguments.iter().any(|value| is_interval(value, schema))
}

fn without_window(name: &str) -> DataFusionError {
    let message = format!("{name}() OVER a window takes no intervals");
    let hint = "take the first value in their order: first_value(…) OVER (… ORDER BY …)";
    external(SqlError::unsupported(message).about(name).with_hint(hint))
}

/// Orders by the lengths of those keys that are intervals; whether there are any.
fn order_by_length<'k>(
    keys: impl IntoIterator<Item = &'k mut SortExpr>,
    schema: &DFSchema,
) -> bool {
    let mut is_changed = false;
    for key in keys {
        if is_interval(&key.expr, schema) {
            key.expr = length_of(std::mem::take(&mut key.expr));
            is_changed = true;
        }
    }
    is_changed
}

fn is_interval(value: &Expr, schema: &DFSchema) -> bool {
    let found = value.get_type(schema);
    found.is_ok_and(|found| matches!(found, DataType::Interval(_)))
}
