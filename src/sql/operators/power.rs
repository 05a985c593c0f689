//! `^`: a power, as in Postgres; of doubles, whatever the numbers are.

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use crate::sql::functions::scalar::real;

/// Puts the function in the place of the operator.
#[derive(Debug)]
pub struct Powers;

impl ExprPlanner for Powers {
    fn plan_binary_op(
        &self,
        expression: RawBinaryExpr,
        _schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        if expression.op != BinaryOperator::PGExp {
            return Ok(PlannerResult::Original(expression));
        }
        let double = |value: Expr| Expr::Cast(Cast::new(Box::new(value), DataType::Float64));
        let arguments = vec![double(expression.left), double(expression.right)];
        let call = ScalarFunction::new_udf(real::power(), arguments);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }
}
