//! Functions that give one of their arguments, such as `coalesce` and `greatest`, where some of these
//! are texts that stand for values of another type.
//!
//! While DataFusion plans, it asks functions for their types, and its own have none for a date and a
//! text. So those here take their place, until all types are known (`untyped_texts`).

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature, Volatility,
};
use datafusion::scalar::ScalarValue;

use crate::sql::error::SqlError;
use crate::sql::functions::otherwise::taken_types;
use crate::sql::planner::external;
use crate::sql::types::sql_name;

const NAMES: [&str; 5] = ["coalesce", "greatest", "least", "nullif", "nvl"];

/// The functions in the place of those that are there.
pub fn functions(named: impl Fn(&str) -> Option<Arc<ScalarUDF>>) -> Vec<Arc<ScalarUDF>> {
    let functions = NAMES.iter().filter_map(|name| {
        let function = named(name)?;
        Some(Arc::new(ScalarUDF::new_from_impl(Alternatives {
            function,
            signature: Signature::user_defined(Volatility::Immutable),
        })))
    });
    functions.collect()
}

/// The function that is meant by one of those here; `None`: it is none of them.
pub fn meant(function: &ScalarUDF) -> Option<Arc<ScalarUDF>> {
    let found = function.inner().downcast_ref::<Alternatives>();
    found.map(|found| Arc::clone(&found.function))
}

/// The type that values have in common; `None`: there are none, or some are texts.
pub fn common_type(types: &[DataType]) -> Option<DataType> {
    let mut known = types.iter().filter(|found| **found != DataType::Null);
    let first = known.next()?.clone();
    if types.iter().any(DataType::is_string) {
        return None;
    }
    Some(known.fold(first, |common, next| {
        comparison_coercion(&common, next).unwrap_or(common)
    }))
}

/// Whether some values are texts and others are not.
fn are_mixed(types: &[DataType]) -> bool {
    let is_other = |found: &DataType| !found.is_string() && *found != DataType::Null;
    types.iter().any(DataType::is_string) && types.iter().any(is_other)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Alternatives {
    function: Arc<ScalarUDF>,
    signature: Signature,
}

impl Alternatives {
    /// The types that the function takes instead of those that are given.
    fn coerced(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        if self.function.signature().type_signature == TypeSignature::UserDefined {
            return self.function.coerce_types(given);
        }
        taken_types(&self.function, given.iter().cloned())
    }

    fn without_common(&self, types: &[DataType]) -> DataFusionError {
        let name = self.name();
        let types: Vec<String> = types.iter().map(sql_name).collect();
        let message = format!("{name}(): {} have no type in common", types.join(" and "));
        let refusal = SqlError::new("42804", message).about(name);
        external(refusal.with_hint("cast one of them: CAST(… AS type)"))
    }
}

impl ScalarUDFImpl for Alternatives {
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
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match are_mixed(given) {
            // Which of the texts are literals is not known here.
            true => Ok(given.to_vec()),
            false => self.coerced(given),
        }
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.function.return_type(given)
    }

    fn return_field_from_args(&self, given: ReturnFieldArgs) -> Result<FieldRef> {
        let types = given
            .arg_fields
            .iter()
            .map(|field| field.data_type().clone());
        let types: Vec<DataType> = types.collect();
        if !are_mixed(&types) {
            return self.function.return_field_from_args(given);
        }
        let is_text =
            |value: &Option<&ScalarValue>| matches!(value, Some(ScalarValue::Utf8(Some(_))));
        let others = types.iter().zip(given.scalar_arguments);
        let others = others.filter(|(_, value)| !is_text(value));
        let others: Vec<DataType> = others.map(|(found, _)| found.clone()).collect();
        let read = match common_type(&others) {
            Some(common) => {
                let read = types.into_iter().zip(given.scalar_arguments);
                let read = read.map(|(found, value)| match is_text(value) {
                    true => common.clone(),
                    false => found,
                });
                read.collect()
            }
            None => types,
        };
        let taken = self
            .coerced(&read)
            .map_err(|_| self.without_common(&read))?;
        let taken = taken.into_iter().zip(given.arg_fields);
        let taken = taken.map(|(data_type, field)| -> FieldRef {
            Arc::new(field.as_ref().clone().with_data_type(data_type))
        });
        let taken: Vec<FieldRef> = taken.collect();
        self.function.return_field_from_args(ReturnFieldArgs {
            arg_fields: &taken,
            scalar_arguments: given.scalar_arguments,
        })
    }

    fn conditional_arguments<'a>(
        &self,
        arguments: &'a [Expr],
    ) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.function.conditional_arguments(arguments)
    }

    fn short_circuits(&self) -> bool {
        self.function.short_circuits()
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.function.invoke_with_args(given)
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;
    use datafusion::functions::core::coalesce;

    use super::*;

    fn field(data_type: DataType) -> FieldRef {
        Arc::new(Field::new("value", data_type, true))
    }

    #[test]
    fn texts_take_the_type_of_the_others() {
        let functions = functions(|name| (name == "coalesce").then(coalesce));
        let [function] = &functions[..] else {
            panic!("one function");
        };
        let fields = [DataType::Date32, DataType::Utf8].map(field);
        let text = ScalarValue::from("2026-05-04");
        let of = |scalar_arguments: &[Option<&ScalarValue>]| {
            function.return_field_from_args(ReturnFieldArgs {
                arg_fields: &fields,
                scalar_arguments,
            })
        };
        let found = of(&[None, Some(&text)]).expect("a date");
        assert_eq!(*found.data_type(), DataType::Date32);
        of(&[None, None]).expect_err("a column of texts is none of dates");
        assert_eq!(meant(function), Some(coalesce()));
        assert_eq!(meant(&coalesce()), None);
    }

    #[test]
    fn numbers_have_a_type_in_common_and_texts_none() {
        let common = |types: &[DataType]| common_type(types);
        assert_eq!(
            common(&[DataType::Null, DataType::Int32, DataType::Int64]),
            Some(DataType::Int64)
        );
        assert_eq!(common(&[DataType::Null]), None);
        assert_eq!(common(&[DataType::Date32, DataType::Utf8]), None);
    }
}
