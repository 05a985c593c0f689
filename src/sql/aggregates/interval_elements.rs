//! Intervals beside the elements of a list, by their length: `took = ANY(list)`, `took > ALL(list)`.
//!
//! DataFusion plans these as functions of lists, and as comparisons with what is the least or the
//! greatest of one, which know `1 day` and `24 hours` for two.

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Expr, ExprSchemable};

use crate::sql::operators::comparison::is_planned_comparison;
use crate::sql::operators::interval_length::{has_length, length_of};
use crate::sql::operators::parameters::in_type;
use crate::sql::types::INTERVAL;

/// Whether it may be such a question.
pub fn concerns(part: &Expr) -> bool {
    match part {
        Expr::ScalarFunction(call) => call.name() == "array_has",
        Expr::BinaryExpr(binary) => {
            is_planned_comparison(binary.op)
                && (is_extreme(&binary.left) || is_extreme(&binary.right))
        }
        _ => false,
    }
}

/// Whether a value is the least or the greatest element of a list.
fn is_extreme(value: &Expr) -> bool {
    match value {
        Expr::ScalarFunction(call) => ["array_min", "array_max"].contains(&call.name()),
        _ => false,
    }
}

/// The same question of lengths, if it is one of intervals.
pub fn by_length(part: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match part {
        Expr::ScalarFunction(mut call) => {
            let is_changed = match &mut call.args[..] {
                [list, element] => in_lengths(list, element, schema),
                _ => false,
            };
            Transformed::new_transformed(Expr::ScalarFunction(call), is_changed)
        }
        Expr::BinaryExpr(mut binary) => {
            let are_extremes = (is_extreme(&binary.left), is_extreme(&binary.right));
            let (left, right) = (binary.left.as_mut(), binary.right.as_mut());
            let is_changed = match are_extremes {
                (true, false) => beside_extreme(left, right, schema),
                (false, true) => beside_extreme(right, left, schema),
                _ => false,
            };
            Transformed::new_transformed(Expr::BinaryExpr(binary), is_changed)
        }
        other => Transformed::no(other),
    }
}

fn beside_extreme(extreme: &mut Expr, value: &mut Expr, schema: &DFSchema) -> bool {
    let Expr::ScalarFunction(call) = extreme else {
        return false;
    };
    match &mut call.args[..] {
        [list] => in_lengths(list, value, schema),
        _ => false,
    }
}

/// Takes the lengths of the elements of a list and of a value, if they are intervals.
fn in_lengths(list: &mut Expr, value: &mut Expr, schema: &DFSchema) -> bool {
    let Ok(of_value) = value.get_type(schema) else {
        return false;
    };
    if matches!(of_value, DataType::Interval(_)) {
        // A parameter beside an interval is a list of some.
        *list = in_type(std::mem::take(list), &DataType::new_list(INTERVAL, true));
    }
    let are_intervals = match list.get_type(schema) {
        Ok(DataType::List(item)) => has_length(item.data_type()),
        _ => false,
    };
    let are_meant = are_intervals && (has_length(&of_value) || of_value == DataType::Null);
    if are_meant {
        *list = length_of(std::mem::take(list));
        *value = length_of(std::mem::take(value));
    }
    are_meant
}
