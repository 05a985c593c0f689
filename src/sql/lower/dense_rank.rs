//! `dense_rank()` as the number of its key among the distinct keys of the partition.
//!
//! The distinct keys are numbered, and each row finds its number by a join. So a row that comes or
//! goes while an equal one stays costs that row alone, and where a key comes or goes, only rows
//! behind it change.

use std::convert::Infallible;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::super::function::{WindowCall, WindowNode, moved_order};
use super::super::plan::{Join, JoinKind, Node, Plan};
use super::row_number::with_position;
use super::{column, map, plan_of};

/// The plan with each `dense_rank()` that stands beside functions a change does not recompute for
/// a whole partition taken apart. A bounded one is left: it reads few rows.
pub fn taken_apart(plan: &Arc<Plan>) -> Arc<Plan> {
    let Ok(node) = plan
        .node
        .with_inputs(|input| Ok::<_, Infallible>(taken_apart(input)));
    if let Node::Window(window) = &node
        && let Some(numbered) = numbered(window, &plan.schema)
    {
        return numbered;
    }
    plan_of(node, Arc::clone(&plan.schema))
}

fn numbered(window: &WindowNode, schema: &SchemaRef) -> Option<Arc<Plan>> {
    let is_dense = |call: &&WindowCall| call.function.name() == "dense_rank";
    if window.limit.is_some()
        || window.order.is_empty()
        || !window.calls.iter().any(|call| is_dense(&call))
    {
        return None;
    }
    let rows = others(window, schema)?;
    let (numbers, keys) = numbered_keys(window);
    let places = keys.iter().enumerate();
    let on = places.map(|(place, key)| (*key, place)).collect();
    let fields = rows.schema.fields().iter().chain(numbers.schema.fields());
    let fields: Vec<_> = fields.cloned().collect();
    let number = fields.len() - 1;
    let joined = Node::Join(Join {
        kind: JoinKind::Inner,
        left: rows,
        right: numbers,
        on,
        null_equals_null: true,
        residual: None,
    });
    let joined = plan_of(joined, Arc::new(Schema::new(fields)));
    let own = window.input.schema.fields().len();
    let mut next_other = own..;
    let results = window
        .calls
        .iter()
        .filter_map(|call| match is_dense(&call) {
            true => Some(number),
            false => next_other.next(),
        });
    let kept: Vec<usize> = (0..own).chain(results).collect();
    let projection = kept.iter().map(|kept| column(&joined.schema, *kept));
    let projection = projection.collect();
    Some(map(joined, None, projection, Arc::clone(schema)))
}

/// The rows with the results of the other functions; `None` if these recompute whole partitions.
fn others(window: &WindowNode, schema: &SchemaRef) -> Option<Arc<Plan>> {
    let own = window.input.schema.fields().len();
    let mut fields = schema.fields()[..own].to_vec();
    let mut calls = Vec::new();
    for (call, field) in window.calls.iter().zip(&schema.fields()[own..]) {
        if call.function.name() != "dense_rank" {
            calls.push(call.clone());
            fields.push(Arc::clone(field));
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

/// The distinct keys of all partitions with their numbers behind them, and the columns of the
/// input that they are.
fn numbered_keys(window: &WindowNode) -> (Arc<Plan>, Vec<usize>) {
    let mut keys: Vec<usize> = Vec::new();
    let mut partitions = 0;
    let ordered = window.order.iter().map(|key| key.column);
    for (position, column) in window.partition.iter().copied().chain(ordered).enumerate() {
        if !keys.contains(&column) {
            keys.push(column);
        }
        if position < window.partition.len() {
            partitions = keys.len();
        }
    }
    let input = &window.input.schema;
    let mut fields: Vec<Field> = keys.iter().map(|key| input.field(*key).clone()).collect();
    let projection = keys.iter().map(|key| column(input, *key)).collect();
    let schema = Arc::new(Schema::new(fields.clone()));
    let all = map(
        Arc::clone(&window.input),
        None,
        projection,
        Arc::clone(&schema),
    );
    let distinct = plan_of(Node::Distinct { input: all }, schema);
    let place = |column: usize| keys.iter().position(|key| *key == column);
    let order = moved_order(&window.order, |column| place(column).unwrap_or_default());
    fields.push(Field::new("dense_rank", DataType::UInt64, false));
    let numbers = with_position(
        distinct,
        (0..partitions).collect(),
        order,
        Arc::new(Schema::new(fields)),
    );
    (numbers, keys)
}
