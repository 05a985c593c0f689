//! Intervals by their length, wherever no operator compares them: in an order, as extremes, as keys of
//! groups, partitions and joins, in `CASE x WHEN`, `nullif` and beside subqueries and lists.
//!
//! DataFusion compares their months, then their days, then the rest. Here a day has 24 hours and a
//! month 30 days, as in Postgres.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Case, Cast, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    Distinct, Expr, ExprSchemable, Join, JoinConstraint, LogicalPlan, Projection, SortExpr,
    Subquery, WindowFrame, WindowFrameBound, WindowFrameUnits,
};
use datafusion::scalar::ScalarValue;

use super::{interval_elements, interval_extremes, interval_groups};
use crate::sql::node::has_part;
use crate::sql::operators::interval_length::{has_length, length_of};

/// Functions that choose by the order of their arguments.
const EXTREMES: [&str; 4] = ["min", "max", "least", "greatest"];

/// The function that is NULL where its two arguments are equal.
const UNLESS_EQUAL: &str = "nullif";

/// Takes the intervals of a plan by their length.
pub fn by_length(plan: LogicalPlan) -> Result<LogicalPlan> {
    let ordered = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Sort(mut sort) => {
            let is_changed = order_by_length(&mut sort.expr, sort.input.schema());
            let sort = LogicalPlan::Sort(sort);
            Ok(Transformed::new_transformed(sort, is_changed))
        }
        LogicalPlan::Distinct(Distinct::On(mut distinct)) => {
            // The first ones are those of ON, and stay the same as these.
            let keys = distinct.sort_expr.iter_mut().flatten();
            let is_ordered = order_by_length(keys, distinct.input.schema());
            let is_kept = keep_by_length(&mut distinct.on_expr, distinct.input.schema());
            let distinct = LogicalPlan::Distinct(Distinct::On(distinct));
            Ok(Transformed::new_transformed(
                distinct,
                is_ordered || is_kept,
            ))
        }
        other => in_expressions(other)?.transform_data(in_keys),
    });
    ordered.data()
}

/// Groups and joins by lengths.
fn in_keys(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match node {
        LogicalPlan::Aggregate(groups) => interval_groups::of_groups(groups),
        LogicalPlan::Distinct(Distinct::All(input)) => {
            Ok(match interval_groups::of_rows(Arc::clone(&input))? {
                Some(groups) => Transformed::yes(groups),
                None => Transformed::no(LogicalPlan::Distinct(Distinct::All(input))),
            })
        }
        LogicalPlan::Join(join) => Ok(joined_by_length(join)),
        other => Ok(Transformed::no(other)),
    }
}

/// The keys of `USING`, INTERSECT and EXCEPT: those of ON are compared by an operator.
fn joined_by_length(mut join: Join) -> Transformed<LogicalPlan> {
    let mut is_changed = false;
    for (left, right) in &mut join.on {
        let (of_left, of_right) = (join.left.schema(), join.right.schema());
        if is_interval(left, of_left) || is_interval(right, of_right) {
            *left = length_of(std::mem::take(left));
            *right = length_of(std::mem::take(right));
            is_changed = true;
        }
    }
    if is_changed {
        // The keys of USING are columns.
        join.join_constraint = JoinConstraint::On;
    }
    Transformed::new_transformed(LogicalPlan::Join(join), is_changed)
}

fn in_expressions(node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if !has_part(&node, concerns)? {
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
        Expr::ScalarFunction(call) => {
            let name = call.name();
            EXTREMES.contains(&name) || name == UNLESS_EQUAL || interval_elements::concerns(part)
        }
        Expr::Case(case) => case.expr.is_some(),
        Expr::InSubquery(_) | Expr::SetComparison(_) => true,
        other => interval_elements::concerns(other),
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
            let is_ordered = order_by_length(&mut call.params.order_by, schema);
            let counts_values = call.params.distinct && call.func.name() == "count";
            let is_counted = counts_values && keep_by_length(&mut call.params.args, schema);
            let is_changed = is_ordered || is_counted;
            let call = Expr::AggregateFunction(call);
            Ok(Transformed::new_transformed(call, is_changed))
        }
        Expr::WindowFunction(mut call) => {
            let is_extreme = is_extreme(call.fun.name(), &call.params.args, schema);
            if is_extreme {
                interval_extremes::over_window(&mut call);
            }
            let is_parted = keep_by_length(&mut call.params.partition_by, schema);
            let is_ordered = !has_distance(&call.params.window_frame)
                && order_by_length(&mut call.params.order_by, schema);
            let is_changed = is_extreme || is_parted || is_ordered;
            let call = Expr::WindowFunction(call);
            Ok(Transformed::new_transformed(call, is_changed))
        }
        Expr::ScalarFunction(call) if is_extreme(call.name(), &call.args, schema) => {
            let one = interval_extremes::one_of(call);
            Ok(Transformed::yes(Expr::ScalarFunction(one)))
        }
        Expr::ScalarFunction(call) if call.name() == UNLESS_EQUAL => unless_equal(call, schema),
        Expr::Case(case) => Ok(case_by_length(case, schema)),
        Expr::InSubquery(mut test) => {
            let is_changed = beside_rows(&mut test.expr, &mut test.subquery, schema)?;
            let test = Expr::InSubquery(test);
            Ok(Transformed::new_transformed(test, is_changed))
        }
        Expr::SetComparison(mut test) => {
            let is_changed = beside_rows(&mut test.expr, &mut test.subquery, schema)?;
            let test = Expr::SetComparison(test);
            Ok(Transformed::new_transformed(test, is_changed))
        }
        other if interval_elements::concerns(&other) => {
            Ok(interval_elements::by_length(other, schema))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// `nullif(a, b)` of intervals is `CASE WHEN a = b THEN NULL ELSE a END`.
fn unless_equal(call: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let [value, other] = &call.args[..] else {
        return Ok(Transformed::no(Expr::ScalarFunction(call)));
    };
    if !are_intervals([value, other], schema) {
        return Ok(Transformed::no(Expr::ScalarFunction(call)));
    }
    let are_equal = length_of(value.clone()).eq(length_of(other.clone()));
    let value = value.clone();
    let data_type = Expr::ScalarFunction(call).get_type(schema)?;
    let value = match value.get_type(schema)? == data_type {
        true => value,
        false => Expr::Cast(Cast::new(Box::new(value), data_type.clone())),
    };
    let null = Expr::Literal(ScalarValue::try_from(&data_type)?, None);
    let branches = vec![(Box::new(are_equal), Box::new(null))];
    let case = Case::new(None, branches, Some(Box::new(value)));
    Ok(Transformed::yes(Expr::Case(case)))
}

/// `CASE x WHEN y` of intervals compares their lengths.
fn case_by_length(mut case: Case, schema: &DFSchema) -> Transformed<Expr> {
    let whens = case.when_then_expr.iter().map(|(when, _)| when.as_ref());
    let is_meant = case
        .expr
        .as_deref()
        .is_some_and(|value| are_intervals([value].into_iter().chain(whens), schema));
    if is_meant {
        let whens = case.when_then_expr.iter_mut().map(|(when, _)| when);
        for value in case.expr.iter_mut().chain(whens) {
            **value = length_of(std::mem::take(value.as_mut()));
        }
    }
    Transformed::new_transformed(Expr::Case(case), is_meant)
}

/// Has the lengths of a value and of a subquery's rows compared, if they are intervals.
fn beside_rows(value: &mut Expr, rows: &mut Subquery, schema: &DFSchema) -> Result<bool> {
    let columns = rows.subquery.schema().columns();
    let [column] = &columns[..] else {
        return Ok(false);
    };
    let column = Expr::Column(column.clone());
    let types = (
        value.get_type(schema).ok(),
        column.get_type(rows.subquery.schema()).ok(),
    );
    let (Some(of_value), Some(of_rows)) = types else {
        return Ok(false);
    };
    if !are_of_intervals(&[of_value, of_rows]) {
        return Ok(false);
    }
    let lengths = Projection::try_new(vec![length_of(column)], Arc::clone(&rows.subquery))?;
    rows.subquery = Arc::new(LogicalPlan::Projection(lengths));
    *value = length_of(std::mem::take(value));
    Ok(true)
}

/// Whether values that are compared are intervals, or NULL.
fn are_intervals<'e>(values: impl IntoIterator<Item = &'e Expr>, schema: &DFSchema) -> bool {
    let types = values.into_iter().map(|value| value.get_type(schema));
    let types = types.collect::<Result<Vec<DataType>>>();
    types.is_ok_and(|types| are_of_intervals(&types))
}

/// What lies between two times has a length alone, and needs nothing where all values are such.
fn are_of_intervals(types: &[DataType]) -> bool {
    let is_long = |found: &DataType| has_length(found) || *found == DataType::Null;
    let is_interval = |found: &DataType| matches!(found, DataType::Interval(_));
    types.iter().all(is_long) && types.iter().any(is_interval)
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

/// Takes the lengths of those keys that are intervals; whether there are any.
fn keep_by_length(keys: &mut [Expr], schema: &DFSchema) -> bool {
    let mut is_changed = false;
    for key in keys {
        if is_interval(key, schema) {
            *key = length_of(std::mem::take(key));
            is_changed = true;
        }
    }
    is_changed
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
