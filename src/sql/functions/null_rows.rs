//! A field of a row that is NULL is NULL.
//!
//! DataFusion gives what lies in memory below the row: `CASE` and `nullif` make a row NULL and leave
//! its fields as they are, where other ways to the same row do not.

use std::sync::Arc;

use arrow::compute::{is_null, nullif};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExpressionPlacement, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature,
};
use datafusion::scalar::ScalarValue;

/// What `row['field']` is planned as.
const CONCERNED: &str = "get_field";

/// Has fields of rows and of maps minded.
#[derive(Debug)]
pub struct NullRows;

impl FunctionRewrite for NullRows {
    fn name(&self) -> &str {
        "null_rows"
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
        let is_minded = call.func.inner().downcast_ref::<FieldOfRow>().is_some();
        if call.func.name() != CONCERNED || is_minded || call.args.len() < 2 {
            return Ok(Transformed::no(Expr::ScalarFunction(call)));
        }
        let function = FieldOfRow {
            function: call.func,
        };
        let function = Arc::new(ScalarUDF::new_from_impl(function));
        // A field within a field has a call of its own: each row on the way may be NULL.
        let names = call.args.split_off(1);
        let row = call.args.swap_remove(0);
        let field = names.into_iter().fold(row, |row, name| {
            let call = ScalarFunction::new_udf(Arc::clone(&function), vec![row, name]);
            Expr::ScalarFunction(call)
        });
        Ok(Transformed::yes(field))
    }
}

/// A field of a row, NULL where the row is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct FieldOfRow {
    function: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for FieldOfRow {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        self.function.schema_name(arguments)
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

    fn simplify(
        &self,
        arguments: Vec<Expr>,
        context: &SimplifyContext,
    ) -> Result<ExprSimplifyResult> {
        self.function.simplify(arguments, context)
    }

    fn placement(&self, arguments: &[ExpressionPlacement]) -> ExpressionPlacement {
        self.function.placement(arguments)
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(row) = given.args.first() else {
            return self.function.invoke_with_args(given);
        };
        let is_constant = matches!(row, ColumnarValue::Scalar(_));
        let count = if is_constant { 1 } else { given.number_rows };
        let rows = row.to_array(count)?;
        let field = self.function.invoke_with_args(given)?.into_array(count)?;
        let field = match rows.logical_null_count() {
            0 => field,
            _ => nullif(field.as_ref(), &is_null(rows.as_ref())?)?,
        };
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&field, 0)?),
            false => ColumnarValue::Array(field),
        })
    }
}
