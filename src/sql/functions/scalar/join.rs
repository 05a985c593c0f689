//! `concat`, `concat_ws` and `format` with truth values, which are `t` and `f` in them, as in
//! Postgres; by a cast to text they are `true` and `false`, there and here.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use super::super::call_rows::CallRows;
use crate::sql::texts::time_texts::texts_of;

/// Puts the functions in the place of DataFusion's.
pub fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    for name in ["concat", "concat_ws"] {
        let function = registry.udf(name)?;
        let joining = ScalarUDF::new_from_impl(Joining { function });
        registry.register_udf(Arc::new(joining))?;
    }
    Ok(())
}

/// Values as they are joined with texts.
pub fn parts_of(values: &ArrayRef) -> Result<ArrayRef> {
    if *values.data_type() != DataType::Boolean {
        return texts_of(values);
    }
    let truths = values.as_boolean().iter();
    let texts = truths.map(|truth| truth.map(|truth| if truth { "t" } else { "f" }));
    Ok(Arc::new(texts.collect::<StringArray>()))
}

/// The types of values as they are joined.
fn types_of_parts(given: &[DataType]) -> Vec<DataType> {
    let types = given.iter().map(|found| match found {
        DataType::Boolean => DataType::Utf8,
        other => other.clone(),
    });
    types.collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Joining {
    /// DataFusion's, for texts.
    function: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Joining {
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
        let taken = self.function.coerce_types(&types_of_parts(given))?;
        let taken = taken.into_iter().zip(given);
        let taken = taken.map(|(taken, given)| match given {
            DataType::Boolean => DataType::Boolean,
            _ => taken,
        });
        Ok(taken.collect())
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.function.return_type(&types_of_parts(given))
    }

    fn return_field_from_args(&self, given: ReturnFieldArgs) -> Result<FieldRef> {
        let fields = given
            .arg_fields
            .iter()
            .map(|field| match field.data_type() {
                DataType::Boolean => {
                    Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8))
                }
                _ => Arc::clone(field),
            });
        let fields: Vec<FieldRef> = fields.collect();
        self.function.return_field_from_args(ReturnFieldArgs {
            arg_fields: &fields,
            scalar_arguments: given.scalar_arguments,
        })
    }

    fn is_strict(&self) -> bool {
        self.function.is_strict()
    }

    fn invoke_with_args(&self, mut given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let joined = given.return_type().clone();
        for value in &mut given.args {
            if value.data_type() != DataType::Boolean {
                continue;
            }
            let rows = CallRows::of_one(value, given.number_rows);
            let texts = cast(&parts_of(&value.to_array(rows.count)?)?, &joined)?;
            *value = rows.answer(texts)?;
        }
        self.function.invoke_with_args(given)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{BooleanArray, Int64Array};

    use super::*;

    #[test]
    fn truth_values_are_joined_as_letters() {
        let truths: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]));
        let texts = parts_of(&truths).expect("texts");
        let texts: Vec<Option<&str>> = texts.as_string::<i32>().iter().collect();
        assert_eq!(texts, [Some("t"), Some("f"), None]);
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![5]));
        let texts = parts_of(&numbers).expect("texts");
        assert_eq!(texts.as_string::<i32>().value(0), "5");
        let types = types_of_parts(&[DataType::Boolean, DataType::Date32]);
        assert_eq!(types, [DataType::Utf8, DataType::Date32]);
    }
}
