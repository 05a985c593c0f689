//! Functions of lists of which DataFusion computes a row otherwise among others than by itself: a
//! live view could not take it back.
//!
//! `array_sort` takes the order of the first row for all of them. `array_position` takes what
//! happens to be in memory for a beginning that is NULL. `array_concat` of lists of several depths
//! gives NULL where the lists of all rows are NULL, and a list of NULL for such a row among others.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, make_array};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use datafusion::scalar::ScalarValue;

/// What has to be seen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Care {
    /// Each row has an order of its own.
    Orders,
    /// The beginning of a search may be NULL.
    Beginnings,
    /// All lists of a row may be NULL.
    Depths,
}

const CONCERNED: [(&str, Care); 3] = [
    ("array_sort", Care::Orders),
    ("array_position", Care::Beginnings),
    ("array_concat", Care::Depths),
];

/// Puts them in the place of DataFusion's.
pub fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    for (name, care) in CONCERNED {
        let function = registry.udf(name)?;
        let by_row = ByRow { function, care };
        registry.register_udf(Arc::new(ScalarUDF::new_from_impl(by_row)))?;
    }
    Ok(())
}

/// A function whose answer for a row is that which it gives for the row alone.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ByRow {
    function: Arc<ScalarUDF>,
    care: Care,
}

impl ScalarUDFImpl for ByRow {
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
        self.function.is_strict()
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match self.care {
            Care::Orders => self.in_orders(given),
            Care::Beginnings => self.from_beginnings(given),
            Care::Depths => self.of_depths(given),
        }
    }
}

impl ByRow {
    /// Lists in the order that stands in their row.
    fn in_orders(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_column = |value: &ColumnarValue| matches!(value, ColumnarValue::Array(_));
        if given.number_rows <= 1 || !given.args.iter().skip(1).any(is_column) {
            return self.function.invoke_with_args(given);
        }
        let mut sorted: Vec<ArrayRef> = Vec::with_capacity(given.number_rows);
        for row in 0..given.number_rows {
            let alone = given.args.iter().map(|value| alone(value, row));
            let alone = ScalarFunctionArgs {
                args: alone.collect(),
                arg_fields: given.arg_fields.clone(),
                number_rows: 1,
                return_field: Arc::clone(&given.return_field),
                config_options: Arc::clone(&given.config_options),
            };
            sorted.push(self.function.invoke_with_args(alone)?.into_array(1)?);
        }
        let sorted: Vec<&dyn Array> = sorted.iter().map(|list| list.as_ref()).collect();
        Ok(ColumnarValue::Array(concat(&sorted)?))
    }

    /// Positions from a beginning on, NULL where that is NULL.
    fn from_beginnings(&self, mut given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if given.args.len() < 3 {
            return self.function.invoke_with_args(given);
        }
        let rows = given.number_rows;
        let beginnings = cast(&given.args[2].to_array(rows)?, &DataType::Int64)?;
        let beginnings = beginnings.as_primitive::<Int64Type>();
        if beginnings.null_count() == 0 {
            return self.function.invoke_with_args(given);
        }
        // Any that is never out of bounds.
        let filled = beginnings.iter().map(|beginning| beginning.unwrap_or(1));
        let filled: ArrayRef = Arc::new(Int64Array::from_iter_values(filled));
        given.args[2] = ColumnarValue::Array(filled);
        let found = self.function.invoke_with_args(given)?.into_array(rows)?;
        known(&found, beginnings.nulls())
    }

    /// Joined lists, NULL where all of them are.
    fn of_depths(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = given.number_rows;
        let Some(lists) = lists_somewhere(&given.args, rows) else {
            return self.function.invoke_with_args(given);
        };
        match lists.null_count() {
            0 => self.function.invoke_with_args(given),
            nulls if nulls == rows => {
                let null = ScalarValue::try_new_null(given.return_field.data_type())?;
                Ok(ColumnarValue::Scalar(null))
            }
            _ => {
                let joined = self.function.invoke_with_args(given)?.into_array(rows)?;
                known(&joined, Some(&lists))
            }
        }
    }
}

/// An argument of one row.
fn alone(value: &ColumnarValue, row: usize) -> ColumnarValue {
    match value {
        ColumnarValue::Array(values) => ColumnarValue::Array(values.slice(row, 1)),
        ColumnarValue::Scalar(value) => ColumnarValue::Scalar(value.clone()),
    }
}

/// The rows in which some argument is not NULL; `None`: all of them.
fn lists_somewhere(arguments: &[ColumnarValue], rows: usize) -> Option<NullBuffer> {
    let mut found = BooleanBuffer::new_unset(rows);
    for argument in arguments {
        match argument {
            ColumnarValue::Array(lists) => found = &found | lists.logical_nulls()?.inner(),
            ColumnarValue::Scalar(list) if list.is_null() => {}
            ColumnarValue::Scalar(_) => return None,
        }
    }
    Some(NullBuffer::new(found))
}

/// Answers, where they are known.
fn known(answers: &ArrayRef, known: Option<&NullBuffer>) -> Result<ColumnarValue> {
    let nulls = NullBuffer::union(known, answers.nulls());
    let answers = answers.to_data().into_builder().nulls(nulls).build()?;
    Ok(ColumnarValue::Array(make_array(answers)))
}
