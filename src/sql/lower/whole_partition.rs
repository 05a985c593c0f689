//! Aggregates over the whole partition of a row, as a grouped aggregation joined back.
//!
//! `sum(x) OVER (PARTITION BY k)` is the same for all rows of a partition. Kept as a group, a change
//! costs the group; where it makes no difference to the aggregates, no other row is looked at.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::logical_expr::{WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition};

use super::super::plan::function::{Argument, Statistic, WindowCall, WindowNode};
use super::super::plan::{Aggregate, AggregateFunction, AggregateNode, Node, Plan};
use super::call::{has_counted_bits, is_averaged, is_summed};
use super::{apart, plan_of, refuse_unordered};

/// The plan with such aggregates taken out of window functions, where what is left there does not
/// recompute whole partitions anyway.
pub fn taken_apart(plan: &Arc<Plan>) -> Arc<Plan> {
    apart::replaced(plan, joined)
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
    let rows = apart::others(window, schema, |number| aggregates[number].is_some())?;
    let groups = groups(window, schema, &aggregates);
    let partition = window.partition.iter().enumerate();
    let on = partition.map(|(place, column)| (*column, place)).collect();
    let mut next_group = window.partition.len()..;
    let results = aggregates.iter();
    let results = results.map(|aggregate| aggregate.as_ref().and_then(|_| next_group.next()));
    Some(apart::joined(window, schema, (rows, groups), on, results))
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
