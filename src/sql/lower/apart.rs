//! Window functions that are computed apart from those beside them, and joined to the rows.

use std::convert::Infallible;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};

use super::super::plan::function::WindowNode;
use super::super::plan::{Join, JoinKind, Node, Plan};
use super::{column_of, map, plan_of};

/// The plan with another one wherever there is one for window functions.
pub fn replaced(
    plan: &Arc<Plan>,
    other: fn(&WindowNode, &SchemaRef) -> Option<Arc<Plan>>,
) -> Arc<Plan> {
    let Ok(node) = plan
        .node
        .with_inputs(|input| Ok::<_, Infallible>(replaced(input, other)));
    if let Node::Window(window) = &node
        && let Some(other) = other(window, &plan.schema)
    {
        return other;
    }
    plan_of(node, Arc::clone(&plan.schema))
}

/// The rows with the results of the functions that are not computed apart, by number; `None` if
/// these recompute whole partitions.
pub fn others(
    window: &WindowNode,
    schema: &SchemaRef,
    is_apart: impl Fn(usize) -> bool,
) -> Option<Arc<Plan>> {
    let own = window.input.schema.fields().len();
    let mut fields = schema.fields()[..own].to_vec();
    let mut calls = Vec::new();
    for (number, call) in window.calls.iter().enumerate() {
        if !is_apart(number) {
            calls.push(call.clone());
            fields.push(Arc::clone(&schema.fields()[own + number]));
        }
    }
    if calls.is_empty() {
        return Some(Arc::clone(&window.input));
    }
    let rest = WindowNode {
        calls,
        ..window.clone()
    };
    let is_followed = rest.reach().is_some() || rest.running().is_some();
    is_followed.then(|| plan_of(Node::Window(rest), Arc::new(Schema::new(fields))))
}

/// The rows of [`others`] joined with what was computed apart, in the columns of the window.
/// `results` has for each function its column in what was computed apart; `None` for the others.
pub fn joined(
    window: &WindowNode,
    schema: &SchemaRef,
    (rows, apart): (Arc<Plan>, Arc<Plan>),
    on: Vec<(usize, usize)>,
    results: impl IntoIterator<Item = Option<usize>>,
) -> Arc<Plan> {
    let first_apart = rows.schema.fields().len();
    let fields = rows.schema.fields().iter().chain(apart.schema.fields());
    let fields: Vec<_> = fields.cloned().collect();
    let node = Node::Join(Join {
        kind: JoinKind::Inner,
        left: rows,
        right: apart,
        on,
        null_equals_null: true,
        residual: None,
    });
    let joined = plan_of(node, Arc::new(Schema::new(fields)));
    let own = window.input.schema.fields().len();
    let mut next_other = own..;
    let results = results.into_iter().filter_map(|result| match result {
        Some(column) => Some(first_apart + column),
        None => next_other.next(),
    });
    let kept: Vec<usize> = (0..own).chain(results).collect();
    let projection = kept.iter().map(|kept| column_of(&joined.schema, *kept));
    let projection = projection.collect();
    map(joined, None, projection, Arc::clone(schema))
}
