//! What may fail for some rows.

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::TreeNode;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, ExprSchemable, Operator};

use crate::sql::functions::scalar::real;
use crate::sql::texts::cast_texts;

/// Whether an expression over columns divides, takes a logarithm, computes with a function what may
/// become too large, or casts to what may not hold it.
pub fn may_fail(expression: &Expr, schema: &DFSchema) -> Result<bool> {
    expression.exists(|part| {
        Ok(match part {
            Expr::BinaryExpr(binary) => matches!(binary.op, Operator::Divide | Operator::Modulo),
            Expr::Cast(cast) => cast
                .expr
                .get_type(schema)
                .map_or(true, |from| !holds_all(cast.field.data_type(), &from)),
            Expr::ScalarFunction(call) => {
                let name = call.func.name();
                let computes = matches!(name, "+" | "-" | "*" | "/");
                computes || name == cast_texts::NAME || real::may_fail(name)
            }
            _ => false,
        })
    })
}

/// Whether an expression may fail, its operators included that compute of a row what may become too
/// large.
pub fn may_fail_or_overflow(expression: &Expr, schema: &DFSchema) -> Result<bool> {
    let computes = expression.exists(|part| {
        let computes = match part {
            Expr::BinaryExpr(binary) => binary.op.is_numerical_operators(),
            Expr::Negative(_) => true,
            _ => false,
        };
        Ok(computes && reads_row(part)?)
    })?;
    Ok(computes || may_fail(expression, schema)?)
}

fn reads_row(expression: &Expr) -> Result<bool> {
    expression.exists(|part| {
        Ok(matches!(
            part,
            Expr::Column(_) | Expr::OuterReferenceColumn(..)
        ))
    })
}

/// Whether every value of one type can be cast to another.
fn holds_all(to: &DataType, from: &DataType) -> bool {
    if from == to || from.is_null() || to.is_string() {
        return true;
    }
    // Between times only what is hundreds of thousands of years away does not fit.
    if from.is_temporal() && to.is_temporal() || from.is_numeric() && to.is_floating() {
        return true;
    }
    if from.is_integer() && to.is_integer() {
        let (of_from, of_to) = (from.primitive_width(), to.primitive_width());
        return match (from.is_signed_integer(), to.is_signed_integer()) {
            (true, true) | (false, false) => of_to >= of_from,
            (false, true) => of_to > of_from,
            (true, false) => false,
        };
    }
    match (digits(from), decimal(to)) {
        (Some((whole, behind)), Some((whole_of_to, behind_of_to))) => {
            whole <= whole_of_to && behind <= behind_of_to
        }
        _ => false,
    }
}

/// The most digits before and behind the point that a whole number or decimal has.
fn digits(data_type: &DataType) -> Option<(i16, i16)> {
    match data_type {
        DataType::Int8 | DataType::UInt8 => Some((3, 0)),
        DataType::Int16 | DataType::UInt16 => Some((5, 0)),
        DataType::Int32 | DataType::UInt32 => Some((10, 0)),
        DataType::Int64 => Some((19, 0)),
        DataType::UInt64 => Some((20, 0)),
        other => decimal(other),
    }
}

fn decimal(data_type: &DataType) -> Option<(i16, i16)> {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            let (precision, scale) = (i16::from(*precision), i16::from(*scale));
            Some((precision - scale, scale))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn casts_that_hold_all_values_cannot_fail() {
        let amount = DataType::Decimal128(10, 2);
        for (from, to, expected) in [
            (DataType::Int32, DataType::Int64, true),
            (DataType::Int64, DataType::Int32, false),
            (DataType::UInt32, DataType::Int32, false),
            (DataType::UInt32, DataType::Int64, true),
            (DataType::Int64, DataType::Float64, true),
            (DataType::Float64, DataType::Int64, false),
            (DataType::Int32, DataType::Decimal128(12, 2), true),
            (DataType::Int32, amount.clone(), false),
            (amount.clone(), DataType::Decimal128(12, 4), true),
            (amount.clone(), DataType::Decimal128(9, 1), false),
            (amount.clone(), DataType::Utf8, true),
            (DataType::Utf8, DataType::Int64, false),
            (DataType::Null, DataType::Int64, true),
        ] {
            assert_eq!(holds_all(&to, &from), expected, "{from} to {to}");
        }
    }
}
