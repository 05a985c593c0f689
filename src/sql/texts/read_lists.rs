//! Texts of columns that are cast to lists: `tags::text[]`, of `{a,b}`.
//!
//! Arrow makes a list of the whole text as its one element. Lists that are written in a query are
//! read by `written_lists`, before types are known.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, new_empty_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::written_values::value_of;

/// The name of the function, which fails for texts that are no lists.
const NAME: &str = "read_list";

/// Whether it is a cast to a list whose elements are read one by one.
pub fn is_list_cast(part: &Expr) -> bool {
    match part {
        Expr::Cast(cast) => match cast.field.data_type() {
            DataType::List(item) => is_read(item.data_type()),
            _ => false,
        },
        _ => false,
    }
}

fn is_read(item: &DataType) -> bool {
    let is_other = matches!(item, DataType::Boolean | DataType::Utf8 | DataType::Binary);
    is_other || item.is_numeric() || item.is_temporal() && !matches!(item, DataType::Duration(_))
}

/// The function in the place of such a cast of a text.
pub fn with_function(part: Expr, schema: &DFSchema, keeps_names: bool) -> Transformed<Expr> {
    let is_meant = is_list_cast(&part);
    match part {
        Expr::Cast(Cast { expr, field })
            if is_meant && expr.get_type(schema).is_ok_and(|found| found.is_string()) =>
        {
            let name = expr.schema_name().to_string();
            let function = ReadList {
                signature: Signature::any(1, Volatility::Immutable),
                data_type: field.data_type().clone(),
            };
            let function = Arc::new(ScalarUDF::new_from_impl(function));
            let list = Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![*expr]));
            Transformed::yes(match keeps_names {
                true => list.alias(name),
                false => list,
            })
        }
        other => Transformed::no(other),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ReadList {
    signature: Signature,
    /// That of the lists.
    data_type: DataType,
}

impl ScalarUDFImpl for ReadList {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(self.data_type.clone())
    }

    /// NULL only where the text is.
    fn return_field_from_args(&self, given: ReturnFieldArgs) -> Result<FieldRef> {
        let is_nullable = given.arg_fields.iter().any(|field| field.is_nullable());
        let field = Field::new(self.name(), self.data_type.clone(), is_nullable);
        Ok(Arc::new(field))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [texts] = &given.args[..] else {
            return plan_err!("one list is read at a time");
        };
        let is_constant = matches!(texts, ColumnarValue::Scalar(_));
        let rows = if is_constant { 1 } else { given.number_rows };
        let lists = lists_of(&texts.to_array(rows)?, &self.data_type)?;
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&lists, 0)?),
            false => ColumnarValue::Array(lists),
        })
    }
}

/// The lists that texts stand for.
fn lists_of(texts: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    if texts.is_empty() {
        return Ok(new_empty_array(data_type));
    }
    let texts = cast(texts, &DataType::Utf8)?;
    let lists = texts.as_string::<i32>().iter().map(|text| {
        let list = match text {
            None => Some(ScalarValue::try_from(data_type)?),
            Some(text) => value_of(text, data_type)?,
        };
        match list {
            Some(list) => list.cast_to(data_type),
            None => exec_err!("no text is read as {data_type}"),
        }
    });
    ScalarValue::iter_to_array(lists.collect::<Result<Vec<ScalarValue>>>()?)
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;

    use super::*;

    #[test]
    fn texts_are_lists_of_their_elements() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![
            Some("{1,NULL,3}"),
            None,
            Some("{}"),
        ]));
        let item = Arc::new(Field::new_list_field(DataType::Int32, true));
        let data_type = DataType::List(item);
        let lists = lists_of(&texts, &data_type).expect("lists");
        assert_eq!(lists.data_type(), &data_type);
        let lists = lists.as_list::<i32>();
        assert_eq!(lists.value(0).len(), 3);
        assert!(lists.value(0).is_null(1) && lists.is_null(1));
        assert_eq!(lists.value(2).len(), 0);
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["{1,2"]));
        assert!(lists_of(&texts, &data_type).is_err());
    }
}
