//! Functions and operators for JSON that is kept as text.
//!
//! A value is found in the text as it stands and is given back as it is written, so numbers keep
//! all their digits. Text that is not JSON has no values: everything about it is NULL.

mod aggregate;
mod build;
mod embed;
mod function;
mod operator;
mod text;
mod value;

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::ScalarUDF;

pub use embed::told;
use function::JsonFunction;
use operator::JsonOperators;

/// Makes the functions and operators known.
pub fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    for function in JsonFunction::ALL {
        registry.register_udf(Arc::new(ScalarUDF::new_from_impl(function.clone())))?;
    }
    build::register(registry)?;
    aggregate::register(registry)?;
    registry.register_expr_planner(Arc::new(JsonOperators))
}
