//! An interval taken several times, or a part of it: `INTERVAL '1 day' * n`, `n * INTERVAL '1 day'`
//! and `INTERVAL '1 day' / n`, which DataFusion plans for no number.

use std::sync::Arc;

use arrow::array::{AsArray, IntervalMonthDayNanoArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Field, Float64Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
};
use arrow::error::ArrowError;
use datafusion::common::{DFSchema, plan_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::{Placeholder, ScalarFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use crate::sql::error::SqlError;
use crate::sql::functions::call_column::operator_name;
use crate::sql::functions::call_rows::CallRows;
use crate::sql::planner::external;
use crate::sql::types::INTERVAL;

/// The function that takes an interval several times.
pub const PRODUCT: &str = "interval_product";

/// What is left of a month or of a day goes to the next smaller unit, as in Postgres.
const DAYS_OF_MONTH: f64 = 30.0;
const MICROSECONDS_OF_DAY: f64 = 86_400_000_000.0;

/// Puts the functions in the place of the operators.
#[derive(Debug)]
pub struct IntervalProducts;

impl ExprPlanner for IntervalProducts {
    fn plan_binary_op(
        &self,
        expression: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let is_interval = |side: &Expr| matches!(side.get_type(schema), Ok(DataType::Interval(_)));
        let is_number = |side: &Expr| {
            let found = side.get_type(schema);
            is_open(side) || found.is_ok_and(|data_type| data_type.is_numeric())
        };
        let RawBinaryExpr { op, left, right } = expression;
        let (interval, number) = match op {
            BinaryOperator::Multiply if is_interval(&right) && is_number(&left) => (right, left),
            BinaryOperator::Multiply | BinaryOperator::Divide
                if is_interval(&left) && is_number(&right) =>
            {
                (left, right)
            }
            _ => return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right })),
        };
        let function = IntervalProduct {
            signature: Signature::user_defined(Volatility::Immutable),
            is_quotient: op == BinaryOperator::Divide,
        };
        let function = Arc::new(ScalarUDF::new_from_impl(function));
        let call = ScalarFunction::new_udf(function, vec![interval, as_double(number)]);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }
}

/// Whether it is a parameter of which nothing is known yet.
fn is_open(value: &Expr) -> bool {
    matches!(value, Expr::Placeholder(placeholder) if placeholder.field.is_none())
}

/// A parameter is a double, as in Postgres.
fn as_double(number: Expr) -> Expr {
    match number {
        Expr::Placeholder(Placeholder { id, field: None }) => {
            let field = Field::new(&id, DataType::Float64, true);
            Expr::Placeholder(Placeholder {
                id,
                field: Some(Arc::new(field)),
            })
        }
        other => other,
    }
}

/// NULL if one of the two is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct IntervalProduct {
    signature: Signature,
    is_quotient: bool,
}

impl ScalarUDFImpl for IntervalProduct {
    fn name(&self) -> &str {
        match self.is_quotient {
            true => "interval_quotient",
            false => PRODUCT,
        }
    }

    /// As the operator calls its column.
    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        let operator = if self.is_quotient { "/" } else { "*" };
        Ok(operator_name(arguments, operator))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [_, number]
                if !self.is_quotient && number.is_integer() && *number != DataType::UInt64 =>
            {
                Ok(vec![INTERVAL, DataType::Int64])
            }
            [_, number] if number.is_numeric() || *number == DataType::Null => {
                Ok(vec![INTERVAL, DataType::Float64])
            }
            _ => plan_err!("an interval is multiplied or divided by a number"),
        }
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(INTERVAL)
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [intervals, numbers] = &given.args[..] else {
            return plan_err!("an interval and a number are needed");
        };
        let rows = CallRows::of(&given);
        let intervals = cast(&intervals.to_array(rows.count)?, &INTERVAL)?;
        let intervals = intervals.as_primitive::<IntervalMonthDayNanoType>();
        let numbers = numbers.to_array(rows.count)?;
        let products: Result<IntervalMonthDayNanoArray> = match numbers.data_type() {
            DataType::Int64 => {
                let numbers = numbers.as_primitive::<Int64Type>();
                let pairs = intervals.iter().zip(numbers.iter());
                pairs
                    .map(|(interval, number)| product(interval, number, times))
                    .collect()
            }
            _ => {
                let numbers = cast(&numbers, &DataType::Float64)?;
                let numbers = numbers.as_primitive::<Float64Type>();
                let pairs = intervals.iter().zip(numbers.iter());
                let compute = match self.is_quotient {
                    true => part_of,
                    false => times_fraction,
                };
                pairs
                    .map(|(interval, number)| product(interval, number, compute))
                    .collect()
            }
        };
        rows.answer(Arc::new(products?))
    }
}

fn product<N>(
    interval: Option<IntervalMonthDayNano>,
    number: Option<N>,
    compute: Compute<N>,
) -> Result<Option<IntervalMonthDayNano>> {
    let (Some(interval), Some(number)) = (interval, number) else {
        return Ok(None);
    };
    compute(interval, number).map(Some)
}

/// What is made of an interval and a number.
type Compute<N> = fn(IntervalMonthDayNano, N) -> Result<IntervalMonthDayNano>;

fn in_range(interval: Option<IntervalMonthDayNano>) -> Result<IntervalMonthDayNano> {
    let out_of_range = || external(SqlError::new("22008", "an interval is out of range"));
    interval.ok_or_else(out_of_range)
}

/// Exactly so many times.
fn times(interval: IntervalMonthDayNano, number: i64) -> Result<IntervalMonthDayNano> {
    let small = |part: i32| i32::try_from(i64::from(part).checked_mul(number)?).ok();
    let all = || {
        Some(IntervalMonthDayNano::new(
            small(interval.months)?,
            small(interval.days)?,
            interval.nanoseconds.checked_mul(number)?,
        ))
    };
    in_range(all())
}

fn times_fraction(interval: IntervalMonthDayNano, number: f64) -> Result<IntervalMonthDayNano> {
    in_range(scaled(interval, |part| part * number))
}

fn part_of(interval: IntervalMonthDayNano, number: f64) -> Result<IntervalMonthDayNano> {
    match number == 0.0 {
        true => Err(DataFusionError::from(ArrowError::DivideByZero)),
        false => in_range(scaled(interval, |part| part / number)),
    }
}

/// The interval with all its parts made larger or smaller, to the microsecond.
fn scaled(
    interval: IntervalMonthDayNano,
    scale: impl Fn(f64) -> f64,
) -> Option<IntervalMonthDayNano> {
    let (months, days) = (scale(interval.months.into()), scale(interval.days.into()));
    let days_of_rest = rounded((months - months.trunc()) * DAYS_OF_MONTH);
    let rest = (days - days.trunc() + days_of_rest - days_of_rest.trunc()) * MICROSECONDS_OF_DAY;
    let microseconds = scale((interval.nanoseconds / 1000) as f64) + rest.round();
    Some(IntervalMonthDayNano::new(
        whole(months.trunc(), i32::MAX.into())? as i32,
        whole(days.trunc() + days_of_rest.trunc(), i32::MAX.into())? as i32,
        (whole(microseconds.round(), i64::MAX as f64)? as i64).checked_mul(1000)?,
    ))
}

/// To the microsecond of a day, so that what doubles do not hold does not show.
fn rounded(days: f64) -> f64 {
    (days * MICROSECONDS_OF_DAY).round() / MICROSECONDS_OF_DAY
}

/// The number if it is less than a limit on either side.
fn whole(number: f64, limit: f64) -> Option<f64> {
    (number.is_finite() && number.abs() < limit).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000_000;

    #[test]
    fn intervals_are_multiplied_as_in_postgres() {
        let interval = IntervalMonthDayNano::new;
        let product = |value, number| times(value, number).ok();
        assert_eq!(product(interval(1, 2, 3), -4), Some(interval(-4, -8, -12)));
        assert_eq!(product(interval(1 << 30, 0, 0), 4), None);
        let product = |value, number| times_fraction(value, number).ok();
        for (value, half) in [
            (interval(0, 1, 0), interval(0, 0, 12 * HOUR)),
            (interval(1, 0, 0), interval(0, 15, 0)),
            (interval(3, 0, 0), interval(1, 15, 0)),
            (interval(0, 0, 3 * HOUR), interval(0, 0, HOUR / 2 * 3)),
        ] {
            assert_eq!(product(value, 0.5), Some(half));
            assert_eq!(part_of(value, 2.0).ok(), Some(half));
        }
        assert_eq!(product(interval(0, 1, 0), f64::NAN), None);
        assert_eq!(product(interval(0, 0, HOUR), 1e300), None);
        let all = part_of(interval(49, 0, 0), 49.0).ok();
        assert_eq!(all, Some(interval(1, 0, 0)));
        let third = part_of(interval(1, 1, 0), 3.0).ok();
        assert_eq!(third, Some(interval(0, 10, 8 * HOUR)));
        assert!(part_of(interval(0, 1, 0), 0.0).is_err());
    }
}
