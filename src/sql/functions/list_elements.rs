//! Whether a list has an element, where both are numbers of different types.
//!
//! DataFusion finds no such function for whole numbers in lists of decimals. `n = ANY($1)`, which it
//! reads as `array_has`, is such a question where a client binds a list of another type.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::{Expr, ExprSchemable};

/// Brings the elements and what is looked for to one type.
#[derive(Debug)]
pub struct ListElements;

impl FunctionRewrite for ListElements {
    fn name(&self) -> &str {
        "list_elements"
    }

    fn rewrite(
        &self,
        expression: Expr,
        schema: &DFSchema,
        _config: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let Expr::ScalarFunction(mut call) = expression else {
            return Ok(Transformed::no(expression));
        };
        let mut is_changed = false;
        if call.name() == "array_has"
            && let [list, element] = &mut call.args[..]
            && let (Ok(DataType::List(item)), Ok(wanted)) =
                (list.get_type(schema), element.get_type(schema))
            && item.data_type() != &wanted
            && item.data_type().is_numeric()
            && wanted.is_numeric()
            && let Some(common) = comparison_coercion(item.data_type(), &wanted)
        {
            let elements = Arc::new(item.as_ref().clone().with_data_type(common.clone()));
            *list = list.clone().cast_to(&DataType::List(elements), schema)?;
            *element = element.clone().cast_to(&common, schema)?;
            is_changed = true;
        }
        let call = Expr::ScalarFunction(call);
        Ok(Transformed::new_transformed(call, is_changed))
    }
}
