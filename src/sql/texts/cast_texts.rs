//! Texts of columns that are cast to lists, intervals, times and decimals: `tags::text[]` of `{a,b}`,
//! `took::interval` of `01:30`, `at::timestamp` of `2026-05-04 10:20`, `price::numeric` of `1e1`.
//!
//! Arrow makes a list of the whole text as its one element, reads numbers with their units alone, asks
//! for the seconds of times and knows no exponents of decimals. Lists, intervals and times that are
//! written in a query are read by `written_lists`, `written_intervals` and `written_times`, before
//! types are known.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, new_empty_array};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::readable;
use super::written_values::value_of;
use crate::sql::functions::call_column::strict_field;
use crate::sql::functions::call_rows::CallRows;
use crate::sql::types::INTERVAL;

/// What the function is called that reads them.
pub const NAME: &str = "read_text";

/// Whether it is a cast to times, decimals or intervals, or to lists whose elements are read one by
/// one.
pub fn is_reading_cast(part: &Expr) -> bool {
    match part {
        Expr::Cast(cast) => match cast.field.data_type() {
            DataType::List(item) => is_read(item.data_type()),
            other => readable::is_concerned(other) || *other == INTERVAL,
        },
        _ => false,
    }
}

fn is_read(item: &DataType) -> bool {
    if let DataType::List(inner) = item {
        return is_read(inner.data_type());
    }
    let is_other = matches!(item, DataType::Boolean | DataType::Utf8 | DataType::Binary);
    is_other || item.is_numeric() || item.is_temporal() && !matches!(item, DataType::Duration(_))
}

/// The function in the place of such a cast of a text.
pub fn with_function(part: Expr, schema: &DFSchema, keeps_names: bool) -> Transformed<Expr> {
    let is_meant = is_reading_cast(&part);
    match part {
        Expr::Cast(Cast { expr, field })
            if is_meant && expr.get_type(schema).is_ok_and(|found| found.is_string()) =>
        {
            let name = expr.schema_name().to_string();
            let function = ReadText {
                signature: Signature::any(1, Volatility::Immutable),
                data_type: field.data_type().clone(),
            };
            let function = Arc::new(ScalarUDF::new_from_impl(function));
            let value = Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![*expr]));
            Transformed::yes(match keeps_names {
                true => value.alias(name),
                false => value,
            })
        }
        other => Transformed::no(other),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ReadText {
    signature: Signature,
    /// That of the values.
    data_type: DataType,
}

impl ScalarUDFImpl for ReadText {
    fn name(&self) -> &str {
        NAME
    }

    /// With the type: one text may be read as values of several.
    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        let names = arguments.iter();
        let names: Vec<String> = names.map(|value| value.schema_name().to_string()).collect();
        Ok(format!(
            "{NAME}({} AS {})",
            names.join(", "),
            self.data_type
        ))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(self.data_type.clone())
    }

    /// NULL only where the text is.
    fn return_field_from_args(&self, given: ReturnFieldArgs) -> Result<FieldRef> {
        strict_field(self, given)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [texts] = &given.args[..] else {
            return plan_err!("one text is read at a time");
        };
        let rows = CallRows::of(&given);
        let values = values_of(&texts.to_array(rows.count)?, &self.data_type)?;
        rows.answer(values)
    }
}

/// The values that texts stand for.
fn values_of(texts: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    if texts.is_empty() {
        return Ok(new_empty_array(data_type));
    }
    if readable::is_concerned(data_type) {
        return at_once(texts, data_type);
    }
    let texts = cast(texts, &DataType::Utf8)?;
    let values = texts.as_string::<i32>().iter().map(|text| {
        let value = match text {
            None => Some(ScalarValue::try_from(data_type)?),
            Some(text) => value_of(text, data_type)?,
        };
        match value {
            Some(value) => value.cast_to(data_type),
            None => exec_err!("no text is read as {data_type}"),
        }
    });
    ScalarValue::iter_to_array(values.collect::<Result<Vec<ScalarValue>>>()?)
}

/// The times or decimals that texts stand for, all of them at once.
fn at_once(texts: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    let readable = readable::of_texts(texts, data_type)?;
    let options = CastOptions {
        safe: false,
        ..Default::default()
    };
    Ok(cast_with_options(&readable, data_type, &options)?)
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;
    use arrow::datatypes::{Field, TimeUnit, TimestampMicrosecondType};

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
        let lists = values_of(&texts, &data_type).expect("lists");
        assert_eq!(lists.data_type(), &data_type);
        let lists = lists.as_list::<i32>();
        assert_eq!(lists.value(0).len(), 3);
        assert!(lists.value(0).is_null(1) && lists.is_null(1));
        assert_eq!(lists.value(2).len(), 0);
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["{1,2"]));
        assert!(values_of(&texts, &data_type).is_err());
    }

    #[test]
    fn texts_are_times_as_they_are_in_literals() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![
            Some("2026-05-04 10:20"),
            None,
            Some("2026-05-04 23:30:00-05"),
        ]));
        let days = values_of(&texts, &DataType::Date32).expect("days");
        let days = cast(&days, &DataType::Utf8).expect("texts");
        let days = days.as_string::<i32>();
        assert_eq!((days.value(0), days.value(2)), ("2026-05-04", "2026-05-04"));
        let moment = DataType::Timestamp(TimeUnit::Microsecond, None);
        let moments = values_of(&texts, &moment).expect("moments");
        let moments = moments.as_primitive::<TimestampMicrosecondType>();
        assert_eq!(moments.value(0), 1_777_890_000_000_000);
        assert!(moments.is_null(1));
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["soon"]));
        assert!(values_of(&texts, &moment).is_err());
    }
}
