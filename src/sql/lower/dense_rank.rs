//! `dense_rank()` as the number of its key among the distinct keys of the partition.
//!
//! The distinct keys are numbered, and each row finds its number by a join. So a row that comes or
//! goes while an equal one stays costs that row alone, and where a key comes or goes, only rows
//! behind it change.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::super::plan::function::{WindowCall, WindowNode, moved_order};
use super::super::plan::{Node, Plan};
use super::row_number::with_position;
use super::{apart, column_of, map, plan_of};

/// The plan with each `dense_rank()` that stands beside functions a change does not recompute for
/// a whole partition taken apart. A bounded one is left: it reads few rows.
pub fn taken_apart(plan: &Arc<Plan>) -> Arc<Plan> {
    apart::replaced(plan, numbered)
}

fn numbered(window: &WindowNode, schema: &SchemaRef) -> Option<Arc<Plan>> {
    let is_dense = |call: &&WindowCall| call.function.name() == "dense_rank";
    if window.limit.is_some()
        || window.order.is_empty()
        || !window.calls.iter().any(|call| is_dense(&call))
    {
        return None;
    }
    let is_apart = |number: usize| is_dense(&&window.calls[number]);
    let rows = apart::others(window, schema, is_apart)?;
    let (numbers, keys) = numbered_keys(window);
    let places = keys.iter().enumerate();
    let on = places.map(|(place, key)| (*key, place)).collect();
    let number = numbers.schema.fields().len() - 1;
    let results = window.calls.iter();
    let results = results.map(|call| is_dense(&call).then_some(number));
    Some(apart::joined(window, schema, (rows, numbers), on, results))
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
    let projection = keys.iter().map(|key| column_of(input, *key)).collect();
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
