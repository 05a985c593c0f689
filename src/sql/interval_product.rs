//! `INTERVAL '1 day' * 3`: an interval as often as a whole number says.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::datatypes::{
    DataType, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
};
use datafusion::common::{DFSchema, exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::BinaryOperator;

const NAME: &str = "interval_product";

/// Puts the function in the place of the operator.
#[derive(Debug)]
pub struct IntervalProducts;

impl ExprPlanner for IntervalProducts {
    fn plan_binary_op(
        &self,
        expression: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        if expression.op != BinaryOperator::Multiply {
            return Ok(PlannerResult::Original(expression));
        }
        let left = expression.left.get_type(schema);
        let right = expression.right.get_type(schema);
        let arguments = match (left, right) {
            (Ok(DataType::Interval(_)), Ok(right)) if right.is_integer() => {
                vec![expression.left, expression.right]
            }
            (Ok(left), Ok(DataType::Interval(_))) if left.is_integer() => {
                vec![expression.right, expression.left]
            }
            _ => return Ok(PlannerResult::Original(expression)),
        };
        let function = IntervalProduct {
            signature: Signature::user_defined(Volatility::Immutable),
        };
        let function = Arc::new(ScalarUDF::new_from_impl(function));
        let call = ScalarFunction::new_udf(function, arguments);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }
}

/// NULL if one of the two is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct IntervalProduct {
    signature: Signature,
}

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

impl ScalarUDFImpl for IntervalProduct {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [DataType::Interval(_), number] if number.is_integer() => {
                Ok(vec![INTERVAL, DataType::Int64])
            }
            _ => plan_err!("an interval is taken as often as a whole number says"),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(INTERVAL)
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = |value: &ColumnarValue| matches!(value, ColumnarValue::Scalar(_));
        let is_constant = given.args.iter().all(is_scalar);
        let rows = if is_constant { 1 } else { given.number_rows };
        let [intervals, numbers] = &given.args[..] else {
            return exec_err!("an interval and a number are needed");
        };
        let (intervals, numbers) = (intervals.to_array(rows)?, numbers.to_array(rows)?);
        let pairs = intervals
            .as_primitive::<IntervalMonthDayNanoType>()
            .iter()
            .zip(numbers.as_primitive::<Int64Type>().iter());
        let products = pairs.map(|pair| match pair {
            (Some(interval), Some(number)) => match product(interval, number) {
                Some(product) => Ok(Some(product)),
                None => exec_err!("{number} times the interval is more than an interval can be"),
            },
            _ => Ok(None),
        });
        let products = products.collect::<Result<IntervalMonthDayNanoArray>>()?;
        let products: ArrayRef = Arc::new(products);
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&products, 0)?),
            false => ColumnarValue::Array(products),
        })
    }
}

fn product(interval: IntervalMonthDayNano, number: i64) -> Option<IntervalMonthDayNano> {
    let (months, days, nanoseconds) = IntervalMonthDayNanoType::to_parts(interval);
    let times = |part: i32| i32::try_from(i64::from(part).checked_mul(number)?).ok();
    Some(IntervalMonthDayNanoType::make_value(
        times(months)?,
        times(days)?,
        nanoseconds.checked_mul(number)?,
    ))
}
