//! `||` of texts and of bytes, with a bound on what it makes.
//!
//! DataFusion's own joins as much as it is given, and ends its thread at 2 GiB. All texts of a chain
//! are one call, so that none of its parts is made for itself and its depth costs nothing.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::compute::kernels::concat_elements::concat_elements_dyn;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{DFSchema, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use crate::sql::functions::bounded::Growth;
use crate::sql::functions::call_column::{operator_name, strict_field};
use crate::sql::functions::call_rows::CallRows;

const NAME: &str = "||";
/// Types of texts, the widest first.
const TEXTS: [DataType; 3] = [DataType::Utf8View, DataType::LargeUtf8, DataType::Utf8];
/// Types of bytes, the widest first.
const BYTES: [DataType; 3] = [
    DataType::BinaryView,
    DataType::LargeBinary,
    DataType::Binary,
];

/// Whether a function is this one.
pub fn is_joined(function: &ScalarUDF) -> bool {
    function.inner().downcast_ref::<JoinedText>().is_some()
}

/// Puts the function in the place of the operator.
#[derive(Debug)]
pub struct JoinedTexts;

impl ExprPlanner for JoinedTexts {
    fn plan_binary_op(
        &self,
        expression: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let is_one_of = |types: [DataType; 3]| {
            let sides = [&expression.left, &expression.right];
            let mut sides = sides.into_iter().map(|side| side.get_type(schema));
            sides.all(|side| side.is_ok_and(|side| types.contains(&side)))
        };
        let is_meant =
            expression.op == BinaryOperator::StringConcat && (is_one_of(TEXTS) || is_one_of(BYTES));
        if !is_meant {
            return Ok(PlannerResult::Original(expression));
        }
        let mut texts = match expression.left {
            Expr::ScalarFunction(call) if call.func.name() == NAME => call.args,
            left => vec![left],
        };
        texts.push(expression.right);
        let function = JoinedText {
            signature: Signature::variadic_any(Volatility::Immutable),
        };
        let function = Arc::new(ScalarUDF::new_from_impl(function));
        let call = ScalarFunction::new_udf(function, texts);
        Ok(PlannerResult::Planned(Expr::ScalarFunction(call)))
    }
}

/// NULL if one of the texts is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct JoinedText {
    signature: Signature,
}

impl ScalarUDFImpl for JoinedText {
    fn name(&self) -> &str {
        NAME
    }

    /// As the operator calls its column.
    fn schema_name(&self, texts: &[Expr]) -> Result<String> {
        Ok(operator_name(texts, NAME))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        let mut types = TEXTS.into_iter().chain(BYTES);
        let widest = types.find(|wide| given.contains(wide));
        Ok(widest.unwrap_or(DataType::Utf8))
    }

    fn return_field_from_args(&self, given: ReturnFieldArgs) -> Result<FieldRef> {
        strict_field(self, given)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Growth::Joined.check(NAME, &given)?;
        let rows = CallRows::of(&given);
        let mut joined: Option<ArrayRef> = None;
        for text in &given.args {
            let text = cast(&text.to_array(rows.count)?, given.return_type())?;
            joined = Some(match joined {
                Some(before) => concat_elements_dyn(&before, &text)?,
                None => text,
            });
        }
        match joined {
            Some(joined) => rows.answer(joined),
            None => plan_err!("|| joins texts"),
        }
    }
}
