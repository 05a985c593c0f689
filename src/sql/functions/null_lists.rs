//! `array_has_all` and `array_has_any` of lists that are NULL.
//!
//! DataFusion answers true or false, not NULL, where no list of the rows at hand has an element: one
//! row has another answer by itself than among others, so that a live view could not take it back.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use datafusion::scalar::ScalarValue;

/// The functions that are concerned; `@>` and `<@` are planned as the first.
const CONCERNED: [&str; 2] = ["array_has_all", "array_has_any"];

/// Has them answer NULL if one of the lists is.
#[derive(Debug)]
pub struct NullLists;

impl FunctionRewrite for NullLists {
    fn name(&self) -> &str {
        "null_lists"
    }

    fn rewrite(
        &self,
        expression: Expr,
        _schema: &DFSchema,
        _config: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let Expr::ScalarFunction(mut call) = expression else {
            return Ok(Transformed::no(expression));
        };
        let is_strict = call.func.inner().downcast_ref::<Strict>().is_some();
        let is_changed = CONCERNED.contains(&call.func.name()) && !is_strict;
        if is_changed {
            let function = Arc::clone(&call.func);
            call.func = Arc::new(ScalarUDF::new_from_impl(Strict { function }));
        }
        let call = Expr::ScalarFunction(call);
        Ok(Transformed::new_transformed(call, is_changed))
    }
}

/// A function of truth values that is NULL where an argument is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Strict {
    function: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Strict {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(given)
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.function.return_type(given)
    }

    fn return_field_from_args(&self, given: ReturnFieldArgs) -> Result<FieldRef> {
        self.function.return_field_from_args(given)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = given.number_rows;
        let is_null = |argument: &ColumnarValue| match argument {
            ColumnarValue::Scalar(value) => value.is_null(),
            ColumnarValue::Array(_) => false,
        };
        if given.args.iter().any(is_null) {
            return Ok(ColumnarValue::Scalar(ScalarValue::Boolean(None)));
        }
        let nulls = given.args.iter().filter_map(|argument| match argument {
            ColumnarValue::Scalar(_) => None,
            ColumnarValue::Array(lists) => lists.logical_nulls(),
        });
        let nulls = nulls.reduce(|left, right| {
            let both = NullBuffer::union(Some(&left), Some(&right));
            both.unwrap_or(left)
        });
        let answers = self.function.invoke_with_args(given)?;
        let Some(nulls) = nulls else {
            return Ok(answers);
        };
        let answers = answers.into_array(rows)?;
        let answers = answers.as_boolean();
        let nulls = NullBuffer::union(Some(&nulls), answers.nulls());
        let answers = BooleanArray::new(answers.values().clone(), nulls);
        Ok(ColumnarValue::Array(Arc::new(answers)))
    }
}
