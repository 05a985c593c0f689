//! Dates from which hours are reckoned: `day + INTERVAL '90 minutes'` is a moment, as in Postgres,
//! where DataFusion gives a date and drops what is less than a day.
//!
//! A date with whole days, weeks or months stays a date.

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::expr::Cast;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::interval_product::PRODUCT;

/// Makes such dates moments.
#[derive(Debug)]
pub struct DateHours;

impl ExprPlanner for DateHours {
    fn plan_binary_op(
        &self,
        expression: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = expression;
        let is_date = |side: &Expr| matches!(side.get_type(schema), Ok(DataType::Date32));
        let (left, right) = match op {
            BinaryOperator::Plus | BinaryOperator::Minus
                if is_date(&left) && may_have_hours(&right, schema) =>
            {
                (at_midnight(left), right)
            }
            BinaryOperator::Plus if is_date(&right) && may_have_hours(&left, schema) => {
                (left, at_midnight(right))
            }
            _ => (left, right),
        };
        Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
    }
}

/// Whether it is an interval that may be something else than whole days and months.
fn may_have_hours(value: &Expr, schema: &DFSchema) -> bool {
    match value {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) => {
            interval.nanoseconds != 0
        }
        Expr::ScalarFunction(call) if call.name() == PRODUCT => match &call.args[..] {
            [interval, number] => {
                let number = number.get_type(schema);
                let is_whole = number.is_ok_and(|found| found.is_integer());
                !is_whole || may_have_hours(interval, schema)
            }
            _ => true,
        },
        other => matches!(
            other.get_type(schema),
            Ok(DataType::Interval(
                IntervalUnit::MonthDayNano | IntervalUnit::DayTime
            ))
        ),
    }
}

fn at_midnight(date: Expr) -> Expr {
    let moment = DataType::Timestamp(TimeUnit::Microsecond, None);
    Expr::Cast(Cast::new(Box::new(date), moment))
}
