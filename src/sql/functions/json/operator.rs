//! `->`, `->>` and `?` as calls of functions.

use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ScalarUDF};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::function::JsonFunction;

/// Puts functions in the place of the operators.
#[derive(Debug)]
pub struct JsonOperators;

impl ExprPlanner for JsonOperators {
    fn plan_binary_op(
        &self,
        expression: RawBinaryExpr,
        _schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let function = match expression.op {
            BinaryOperator::Arrow => JsonFunction::GET,
            BinaryOperator::LongArrow => JsonFunction::AS_TEXT,
            BinaryOperator::Question => JsonFunction::CONTAINS,
            _ => return Ok(PlannerResult::Original(expression)),
        };
        let function = Arc::new(ScalarUDF::new_from_impl(function.clone()));
        let arguments = vec![expression.left, expression.right];
        let call = ScalarFunction::new_udf(function, arguments);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }
}
