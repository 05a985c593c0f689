//! What is told of the column of a call by its arguments: its name, where the call stands for an
//! operator, and whether it may be NULL.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, ReturnFieldArgs, ScalarUDFImpl};

/// What an operator between values calls its column.
pub fn operator_name(values: &[Expr], operator: &str) -> String {
    let names = values.iter().map(|value| value.schema_name().to_string());
    let names: Vec<String> = names.collect();
    names.join(&format!(" {operator} "))
}

/// The column of a function that gives NULL only where an argument is NULL.
pub fn strict_field(function: &dyn ScalarUDFImpl, given: ReturnFieldArgs) -> Result<FieldRef> {
    let fields = given.arg_fields;
    let types: Vec<DataType> = fields
        .iter()
        .map(|field| field.data_type().clone())
        .collect();
    let is_nullable = fields.iter().any(|field| field.is_nullable());
    let data_type = function.return_type(&types)?;
    Ok(Arc::new(Field::new(
        function.name(),
        data_type,
        is_nullable,
    )))
}
