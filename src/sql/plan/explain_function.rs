//! Aggregate and window functions as text.

use std::fmt::{self, Formatter};

use arrow::datatypes::SchemaRef;

use super::function::{Argument, RankLimit, WindowCall, WindowNode};
use super::reach::{Nearby, Reach};
use super::{Aggregate, AggregateFunction, AggregateNode, Plan, SortKey};
use crate::sql::aggregates::quantile::Quantile;
use crate::sql::relation::{LATEST, SESSION_END, SESSION_START};

/// An aggregate with its type and what a change costs where that is the size of the group.
pub fn write_call(node: &AggregateNode, call: &Aggregate, f: &mut Formatter<'_>) -> fmt::Result {
    let schema = &node.input.schema;
    let name = |column: usize| schema.field(column).name().clone();
    match &call.function {
        AggregateFunction::Pick(pick) => {
            let argument = call.argument.map(name).unwrap_or_default();
            write!(f, "{argument} of row {}", pick.offset + 1)?;
            if !pick.order.is_empty() {
                write!(f, " by ")?;
                write_order(&pick.order, schema, f)?;
            }
            write!(f, " {}", call.data_type)?;
            if pick.ignore_nulls {
                write!(f, " without NULLs")?;
            }
        }
        AggregateFunction::Recomputed(function) => {
            let distinct = if function.distinct { "distinct " } else { "" };
            write!(f, "{}({distinct}", call.function)?;
            write_arguments(&function.arguments, schema, f)?;
            if !function.order.is_empty() {
                write!(f, " order ")?;
                write_order(&function.order, schema, f)?;
            }
            write!(f, ") {} recomputes the group", call.data_type)?;
        }
        function => {
            let distinct = if call.distinct { "distinct " } else { "" };
            let argument = call.argument.map_or_else(|| "*".to_owned(), name);
            write!(f, "{function}({distinct}{argument}")?;
            if let AggregateFunction::Quantile(Quantile::Continuous(bits)) = function {
                write!(f, ", {}", f64::from_bits(*bits))?;
            }
            if let Some(partner) = call.partner {
                write!(f, ", {}", name(partner))?;
            }
            write!(f, ") {}", call.data_type)?;
        }
    }
    if let Some(filter) = call.filter {
        write!(f, " where {}", name(filter))?;
    }
    Ok(())
}

/// Window functions with what a change costs.
pub fn write_window(window: &WindowNode, plan: &Plan, f: &mut Formatter<'_>) -> fmt::Result {
    let schema = &window.input.schema;
    write!(f, "Window by [")?;
    for (position, column) in window.partition.iter().enumerate() {
        let separator = if position == 0 { "" } else { ", " };
        write!(f, "{separator}{}@{column}", schema.field(*column).name())?;
    }
    write!(f, "] order [")?;
    write_order(&window.order, schema, f)?;
    write!(f, "] [")?;
    for (position, call) in window.calls.iter().enumerate() {
        let separator = if position == 0 { "" } else { ", " };
        write!(f, "{separator}")?;
        write_window_call(call, schema, f)?;
        let result = schema.fields().len() + position;
        write!(f, " {}", plan.schema.field(result).data_type())?;
    }
    if let Some(RankLimit { is_dense, most }) = window.limit {
        let rank = if is_dense { "dense rank" } else { "rank" };
        return write!(f, "] up to {rank} {most}");
    }
    match window.reach() {
        None if window.running().is_some() => {
            write!(
                f,
                "]: a change recomputes the rows from it on, while it makes a difference"
            )
        }
        None => write!(f, "]: a change recomputes its whole partition"),
        Some(Reach::Nearby(Nearby { before, after })) => write!(
            f,
            "]: a change recomputes the rows near it, {after} before and {before} behind"
        ),
        Some(Reach::Session(_)) => write!(f, "]: a change recomputes the sessions that it touches"),
        Some(Reach::Newest(_)) => write!(
            f,
            "] of left rows: a change looks one row up; of the right side, it recomputes the left \
             rows up to the next right one"
        ),
    }
}

fn write_window_call(call: &WindowCall, schema: &SchemaRef, f: &mut Formatter<'_>) -> fmt::Result {
    let distinct = if call.distinct { "distinct " } else { "" };
    write!(f, "{}({distinct}", call.function.name())?;
    write_arguments(&call.arguments, schema, f)?;
    write!(f, ")")?;
    if call.ignore_nulls {
        write!(f, " ignore nulls")?;
    }
    if let Some(filter) = call.filter {
        write!(f, " where {}@{filter}", schema.field(filter).name())?;
    }
    match call.function.name() {
        "rank" | "dense_rank" | "percent_rank" | "cume_dist" | "ntile" | "lag" | "lead"
        | SESSION_START | SESSION_END | LATEST => Ok(()),
        _ => write!(f, " {}", call.frame),
    }
}

fn write_arguments(
    arguments: &[Argument],
    schema: &SchemaRef,
    f: &mut Formatter<'_>,
) -> fmt::Result {
    for (position, argument) in arguments.iter().enumerate() {
        let separator = if position == 0 { "" } else { ", " };
        match argument {
            Argument::Column(column) => {
                write!(f, "{separator}{}@{column}", schema.field(*column).name())?;
            }
            Argument::Constant(value) => write!(f, "{separator}{value}")?,
        }
    }
    Ok(())
}

/// The keys of an order, each with its direction.
pub fn write_order(order: &[SortKey], schema: &SchemaRef, f: &mut Formatter<'_>) -> fmt::Result {
    for (position, key) in order.iter().enumerate() {
        let separator = if position == 0 { "" } else { ", " };
        let SortKey {
            column,
            descending,
            nulls_first,
        } = key;
        let direction = if *descending { "desc" } else { "asc" };
        let nulls = if *nulls_first {
            "nulls first"
        } else {
            "nulls last"
        };
        let name = schema.field(*column).name();
        write!(f, "{separator}{name}@{column} {direction} {nulls}")?;
    }
    Ok(())
}
