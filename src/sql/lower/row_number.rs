//! `ROW_NUMBER()`, and the filters on it, or on a rank, that make it a top-k.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, CastExpr, Literal};
use datafusion::physical_expr::split_conjunction;
use datafusion::scalar::ScalarValue;

use super::super::plan::{Expression, Node, Plan, SortKey, TopK};
use super::{as_column, plan_of};

/// Appends each row's position in its partition as a last column.
pub fn with_position(
    input: Arc<Plan>,
    partition: Vec<usize>,
    order: Vec<SortKey>,
    schema: SchemaRef,
) -> Arc<Plan> {
    let top = Node::TopK(TopK {
        input,
        partition,
        order,
        offset: 0,
        limit: None,
        emit_position: true,
    });
    plan_of(top, schema)
}

/// The input of a filter, computing no more rows than the filter lets through: a condition that
/// bounds a row's position from above becomes the limit of the top-k that computes it.
pub fn bounded(input: Arc<Plan>, predicate: &Expression) -> Arc<Plan> {
    let bounds = split_conjunction(predicate)
        .into_iter()
        .filter_map(upper_bound);
    let mut bounded = input;
    for (position, limit) in bounds {
        bounded = with_limit(&bounded, position, limit).unwrap_or(bounded);
    }
    bounded
}

/// The column that a condition bounds, and the greatest value it lets through.
fn upper_bound(condition: &Expression) -> Option<(usize, u64)> {
    let comparison = condition.downcast_ref::<BinaryExpr>()?;
    let (column, literal, operator) = match as_bound_column(comparison.left()) {
        Some(column) => (column, comparison.right(), *comparison.op()),
        None => {
            let column = as_bound_column(comparison.right())?;
            (column, comparison.left(), comparison.op().swap()?)
        }
    };
    let value = literal
        .downcast_ref::<Literal>()?
        .value()
        .cast_to(&DataType::Int64)
        .ok()?;
    let ScalarValue::Int64(Some(value)) = value else {
        return None;
    };
    let greatest = match operator {
        Operator::Lt => value.checked_sub(1)?,
        Operator::LtEq | Operator::Eq => value,
        _ => return None,
    };
    Some((column, u64::try_from(greatest).unwrap_or(0)))
}

/// A column, possibly cast to a wider number type.
fn as_bound_column(expression: &Expression) -> Option<usize> {
    match expression.downcast_ref::<CastExpr>() {
        Some(cast) if cast.cast_type().is_integer() => as_column(cast.expr()),
        Some(_) => None,
        None => as_column(expression),
    }
}

fn with_limit(plan: &Arc<Plan>, position: usize, limit: u64) -> Option<Arc<Plan>> {
    match &plan.node {
        Node::Map {
            input,
            predicate: None,
            projection,
        } => {
            let below = as_column(projection.get(position)?)?;
            let node = Node::Map {
                input: with_limit(input, below, limit)?,
                predicate: None,
                projection: projection.clone(),
            };
            Some(plan_of(node, Arc::clone(&plan.schema)))
        }
        Node::TopK(top) if top.emit_position && position + 1 == plan.schema.fields().len() => {
            let node = Node::TopK(TopK {
                limit: Some(top.limit.map_or(limit, |other| other.min(limit))),
                ..top.clone()
            });
            Some(plan_of(node, Arc::clone(&plan.schema)))
        }
        Node::Window(window) => {
            let call = position.checked_sub(window.input.schema.fields().len())?;
            let limited = Node::Window(window.limited(call, limit)?);
            Some(plan_of(limited, Arc::clone(&plan.schema)))
        }
        _ => None,
    }
}
