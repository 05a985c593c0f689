//! Values of two types that meet in a comparison, where DataFusion brings them to another type than
//! Postgres: doubles beside decimals stay doubles (it would round them to 15 digits, and fail at
//! infinity), times of two units are compared at all, dates beside timestamps in microseconds (it
//! would take nanoseconds, which reach from 1677 to 2262 only), and intervals by their length.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, Operator};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::interval_length::{LENGTH, has_length, length_of};
use super::parameters::as_interval;
use crate::sql::forms::far_time::beside_time;
use crate::sql::texts::written_bytes::beside_bytes;
use crate::sql::texts::written_times::beside_moment;

/// Brings both sides of a comparison to one type.
#[derive(Debug)]
pub struct Comparisons;

impl ExprPlanner for Comparisons {
    fn plan_binary_op(
        &self,
        expression: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = expression;
        let (left, right) = match is_comparison(&op) {
            true => {
                let (left, right) = with_intervals(left, right, schema);
                let (left, right) = with_bytes(left, right, schema);
                let (left, right) = with_written_times(left, right, schema);
                pair_in_one_type(left, right, schema)
            }
            false => (left, right),
        };
        Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
    }
}

/// A parameter beside an interval is one.
fn with_intervals(left: Expr, right: Expr, schema: &DFSchema) -> (Expr, Expr) {
    let is_long = |side: &Expr| side.get_type(schema).is_ok_and(|found| has_length(&found));
    match (is_long(&left), is_long(&right)) {
        (true, false) => (left, as_interval(right)),
        (false, true) => (as_interval(left), right),
        _ => (left, right),
    }
}

/// A text beside bytes stands for some.
fn with_bytes(left: Expr, right: Expr, schema: &DFSchema) -> (Expr, Expr) {
    let is_bytes = |side: &Expr| side.get_type(schema).is_ok_and(|found| found.is_binary());
    match (is_bytes(&left), is_bytes(&right)) {
        (true, false) => (left, beside_bytes(right)),
        (false, true) => (beside_bytes(left), right),
        _ => (left, right),
    }
}

/// Texts beside times may be far from ours, or without seconds.
fn with_written_times(left: Expr, right: Expr, schema: &DFSchema) -> (Expr, Expr) {
    let (Ok(of_left), Ok(of_right)) = (left.get_type(schema), right.get_type(schema)) else {
        return (left, right);
    };
    let left = beside_moment(left, &of_right);
    let right = beside_moment(right, &of_left);
    (beside_time(left, &of_right), beside_time(right, &of_left))
}

/// Whether an operator compares two values.
pub fn is_comparison(operator: &BinaryOperator) -> bool {
    matches!(
        operator,
        BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq
    )
}

/// The same of an operator of a plan.
pub fn is_planned_comparison(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}

/// Two values that are compared, in one type where DataFusion's would be wrong.
pub fn pair_in_one_type(left: Expr, right: Expr, schema: &DFSchema) -> (Expr, Expr) {
    match common_type([&left, &right], schema) {
        None => (left, right),
        Some(common) => (
            in_type(left, &common, schema),
            in_type(right, &common, schema),
        ),
    }
}

/// The type in which values are compared; `None` where it is DataFusion's.
pub fn common_type<'e>(
    values: impl IntoIterator<Item = &'e Expr>,
    schema: &DFSchema,
) -> Option<DataType> {
    let types = values.into_iter().map(|value| value.get_type(schema));
    let types: Vec<DataType> = types.collect::<Result<_>>().ok()?;
    let is_any = |is_meant: fn(&DataType) -> bool| types.iter().any(is_meant);
    if is_any(DataType::is_decimal) && is_any(DataType::is_floating) {
        return Some(DataType::Float64);
    }
    let may_be_long =
        |found: &DataType| has_length(found) || found.is_string() || *found == DataType::Null;
    if is_any(has_length) && types.iter().all(may_be_long) {
        return Some(LENGTH);
    }
    if let Some(moment) = moment_of(&types) {
        return Some(moment);
    }
    let is_time =
        |data_type: &&DataType| matches!(data_type, DataType::Time32(_) | DataType::Time64(_));
    let mut times = types.iter().filter(is_time);
    let first = times.next()?;
    let differ = times.any(|other| other != first);
    differ.then_some(DataType::Time64(TimeUnit::Nanosecond))
}

/// The type in which dates are compared with timestamps; `None` of other types. As in Postgres they
/// begin in the zone of the session, which is UTC.
fn moment_of(types: &[DataType]) -> Option<DataType> {
    let is_meant = |found: &DataType| {
        let is_moment = matches!(found, DataType::Date32 | DataType::Timestamp(..));
        is_moment || found.is_string() || *found == DataType::Null
    };
    let zones = types.iter().filter_map(|found| match found {
        DataType::Timestamp(_, zone) => Some(zone.is_some()),
        _ => None,
    });
    let zones: Vec<bool> = zones.collect();
    if zones.is_empty() || !types.contains(&DataType::Date32) || !types.iter().all(is_meant) {
        return None;
    }
    let zone = zones.contains(&true).then(|| Arc::from("UTC"));
    Some(DataType::Timestamp(TimeUnit::Microsecond, zone))
}

/// A value in the common type, if it is one of those that are brought to it.
pub fn in_type(value: Expr, common: &DataType, schema: &DFSchema) -> Expr {
    if *common == LENGTH {
        let is_long = |found: DataType| has_length(&found) || found.is_string();
        return match value.get_type(schema).is_ok_and(is_long) {
            true => length_of(value),
            false => value,
        };
    }
    let is_brought = |found: DataType| match common {
        DataType::Float64 => found.is_decimal(),
        DataType::Timestamp(..) => {
            matches!(found, DataType::Date32 | DataType::Timestamp(..)) && found != *common
        }
        other => matches!(found, DataType::Time32(_) | DataType::Time64(_)) && found != *other,
    };
    match value.get_type(schema).is_ok_and(is_brought) {
        true => Expr::Cast(Cast::new(Box::new(value), common.clone())),
        false => value,
    }
}
