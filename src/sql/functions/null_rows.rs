//! A field of a row that is NULL is NULL.
//!
//! DataFusion gives what lies in memory below the row: `CASE` and `nullif` make a row NULL and leave
//! its fields as they are, where other ways to the same row do not.

use std::sync::Arc;

use arrow::compute::{is_null, nullif};
use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF};

use super::call_rows::CallRows;
use super::otherwise::{Computation, is_computed_by, otherwise};

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
        let is_minded = is_computed_by::<Minded>(&call.func);
        if call.func.name() != CONCERNED || is_minded || call.args.len() < 2 {
            return Ok(Transformed::no(Expr::ScalarFunction(call)));
        }
        let function = otherwise(call.func, Minded);
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
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Minded;

impl Computation for Minded {
    fn simplify(
        &self,
        function: &ScalarUDF,
        given: Vec<Expr>,
        context: &SimplifyContext,
    ) -> Result<ExprSimplifyResult> {
        function.simplify(given, context)
    }

    fn invoke(&self, function: &ScalarUDF, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(row) = given.args.first() else {
            return function.invoke_with_args(given);
        };
        let rows = CallRows::of_one(row, given.number_rows);
        let row = row.to_array(rows.count)?;
        let field = function.invoke_with_args(given)?.into_array(rows.count)?;
        rows.answer(match row.logical_null_count() {
            0 => field,
            _ => nullif(field.as_ref(), &is_null(row.as_ref())?)?,
        })
    }
}
