//! Aggregates over the whole partition of a row, as a grouped aggregation joined back.
//!
//! `sum(x) OVER (PARTITION BY k)` is the same for all rows of a partition. Kept as a group, a change
//! costs the group; where it makes no difference to the aggregates, no other row is looked at.

use std::convert::Infallible;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::logical_expr::{WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition};

use super::super::function::{Argument, Statistic, WindowCall, WindowNode};
use super::super::plan::{Aggregate, AggregateFunction, AggregateNode, Join, JoinKind, Node, Plan};
use super::call::{has_counted_bits, is_averaged, is_summed};
use super::{column, map, plan_of, refuse_unordered};

/// The plan with such aggregates taken out of window functions, where what is left there does not
/// recompute whole partitions anyway.
pub fn taken_apart(plan: &Arc<Plan>) -> Arc<Plan> {
    let Ok(node) = plan
        .node
        .with_inputs(|input| Ok::<_, Infallible>(taken_apart(input)));
    if let Node::Window(window) = &node
        && let Some(joined) = joined(window, &plan.schema)
    {
        return joined;
    }
    plan_of(node, Arc::clone(&plan.schema))
}

fn joined(window: &WindowNode, schema: &SchemaRef) -> Option<Arc<Plan>> {
    let own = window.input.schema.fields().len();
    let types = schema.fields()[own..].iter().map(|field| field.data_type());
    let aggregates: Vec<Option<Aggregate>> = window
        .calls
        .iter()
        .zip(types)
        .map(|(call, data_type)| aggregate(window, call, data_type))
        .collect();
    if window.limit.is_some() || aggregates.iter().all(Option::is_none) {
        return None;
    }
    let rows = others(window, schema, &aggregates)?;
    let keys = window.partition.len();
    let groups = groups(window, schema, &aggregates);
    let partition = window.partition.iter().enumerate();
    let on = partition.map(|(place, column)| (*column, place)).collect();
    let first_group = rows.schema.fields().len();
    let fields = rows.schema.fields().iter().chain(groups.schema.fields());
    let fields: Vec<_> = fields.cloned().collect();
    let node = Node::Join(Join {
        kind: JoinKind::Inner,
        left: rows,
        right: groups,
        on,
        null_equals_null: true,
        residual: None,
    });
    let joined = plan_of(node, Arc::new(Schema::new(fields)));
    let (mut next_other, mut next_group) = (own.., first_group + keys..);
    let results = aggregates.iter().filter_map(|aggregate| match aggregate {
        Some(_) => next_group.next(),
        None => next_other.next(),
    });
    let kept: Vec<usize> = (0..own).chain(results).collect();
    let projection = kept.iter().map(|kept| column(&joined.schema, *kept));
    let projection = projection.collect();
    Some(map(joined, None, projection, Arc::clone(schema)))
}

/// The rows with the results of the other functions; `None` if these recompute whole partitions.
fn others(
    window: &WindowNode,
    schema: &SchemaRef,
    aggregates: &[Option<Aggregate>],
) -> Option<Arc<Plan>> {
    let own = window.input.schema.fields().len();
    let mut fields = schema.fields()[..own].to_vec();
    let mut calls = Vec::new();
    for (position, call) in window.calls.iter().enumerate() {
        if aggregates[position].is_none() {
            calls.push(call.clone());
            fields.push(Arc::clone(&schema.fields()[own + position]));
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

/// The partitions as groups.
fn groups(window: &WindowNode, schema: &SchemaRef, aggregates: &[Option<Aggregate>]) -> Arc<Plan> {
    let input = &window.input.schema;
    let own = input.fields().len();
    let keys = window.partition.iter();
    let mut fields: Vec<Field> = keys.map(|key| input.field(*key).clone()).collect();
    for (position, aggregate) in aggregates.iter().enumerate() {
        if aggregate.is_some() {
            let field = schema.field(own + position).clone();
            fields.push(field.with_nullable(true));
        }
    }
    let node = Node::Aggregate(AggregateNode {
        input: Arc::clone(&window.input),
        keys: window.partition.clone(),
        aggregates: aggregates.iter().flatten().cloned().collect(),
    });
    plan_of(node, Arc::new(Schema::new(fields)))
}

/// A call as an aggregate of its partition, if it is one that is kept without the group's rows.
fn aggregate(window: &WindowNode, call: &WindowCall, data_type: &DataType) -> Option<Aggregate> {
    let WindowFunctionDefinition::AggregateUDF(function) = &call.function else {
        return None;
    };
    if !is_of_whole_partition(window, call) || call.distinct || call.ignore_nulls {
        return None;
    }
    let columns = call.arguments.iter().map(|argument| match argument {
        Argument::Column(column) => Ok(*column),
        Argument::Constant(value) => Err(value),
    });
    let columns: Vec<_> = columns.collect();
    let type_of = |column: usize| window.input.schema.field(column).data_type();
    let (function, argument, partner) = match (function.name(), &columns[..]) {
        ("count", []) => (AggregateFunction::Count, None, None),
        ("count", [Err(value)]) if !value.is_null() => (AggregateFunction::Count, None, None),
        (name, [Ok(column)]) => (kept(name, type_of(*column))?, Some(*column), None),
        (name, [Ok(first), Ok(second)]) => {
            let statistic = AggregateFunction::Statistic(Statistic::named(name)?);
            (statistic, Some(*first), Some(*second))
        }
        _ => return None,
    };
    Some(Aggregate {
        function,
        argument,
        partner,
        distinct: false,
        filter: call.filter,
        data_type: data_type.clone(),
    })
}

fn is_of_whole_partition(window: &WindowNode, call: &WindowCall) -> bool {
    let frame = &call.frame;
    let ends_last = frame.end_bound.is_unbounded();
    // Without an order all rows of a partition are peers.
    let ends_with_peers = window.order.is_empty()
        && frame.units != WindowFrameUnits::Rows
        && frame.end_bound == WindowFrameBound::CurrentRow;
    frame.start_bound.is_unbounded() && (ends_last || ends_with_peers)
}

/// The aggregate function of a name for arguments of a type.
fn kept(name: &str, argument: &DataType) -> Option<AggregateFunction> {
    let function = match name {
        "count" => AggregateFunction::Count,
        "sum" if is_summed(argument) => AggregateFunction::Sum,
        "avg" if is_averaged(argument) => AggregateFunction::Avg,
        "min" if refuse_unordered(argument).is_ok() => AggregateFunction::Min,
        "max" if refuse_unordered(argument).is_ok() => AggregateFunction::Max,
        "bool_and" => AggregateFunction::BoolAnd,
        "bool_or" => AggregateFunction::BoolOr,
        "bit_and" if has_counted_bits(argument) => AggregateFunction::BitAnd,
        "bit_or" if has_counted_bits(argument) => AggregateFunction::BitOr,
        "bit_xor" if has_counted_bits(argument) => AggregateFunction::BitXor,
        _ => AggregateFunction::Statistic(Statistic::named(name)?),
    };
    Some(function)
}
