//! Functions of lists of which DataFusion computes a row otherwise among others than by itself: a
//! live view could not take it back.
//!
//! `array_sort` takes the order of the first row for all of them. `array_position` takes what
//! happens to be in memory for a beginning that is NULL. `array_concat` of lists of several depths
//! gives NULL where the lists of all rows are NULL, and a list of NULL for such a row among others.
//! Those that append, and those that look for a list in lists, read what lies in memory below a list
//! that is NULL. `array_remove` of NULL gives NULL where Postgres removes the elements that are.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, GenericListArray, Int64Array, OffsetSizeTrait,
    UInt64Array, make_array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow::compute::kernels::zip::zip;
use arrow::compute::{cast, concat, take};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF};
use datafusion::scalar::ScalarValue;

use super::bounded::is_bounded;
use super::otherwise::{Computation, is_computed_by, otherwise};

/// What has to be seen to, so that the answer for a row is that which is given for the row alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Care {
    /// Each row has an order of its own.
    Orders,
    /// The beginning of a search may be NULL.
    Beginnings,
    /// All lists of a row may be NULL.
    Depths,
    /// What is to be removed may be NULL, and then it is the elements that are NULL.
    Removals,
    /// Nothing but what lies below NULL, which is seen to in all of them.
    Hidden,
}

const CONCERNED: [(&str, Care); 12] = [
    ("array_sort", Care::Orders),
    ("array_position", Care::Beginnings),
    ("array_concat", Care::Depths),
    ("array_append", Care::Hidden),
    ("array_prepend", Care::Hidden),
    ("array_positions", Care::Hidden),
    ("array_remove", Care::Hidden),
    ("array_remove_all", Care::Removals),
    ("array_remove_n", Care::Hidden),
    ("array_replace", Care::Hidden),
    ("array_replace_all", Care::Hidden),
    ("array_replace_n", Care::Hidden),
];

/// Puts them in the place of DataFusion's.
pub fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    for (name, care) in CONCERNED {
        let function = registry.udf(name)?;
        registry.register_udf(otherwise(function, care))?;
    }
    Ok(())
}

/// Puts them in the place of those that DataFusion takes for `||`, which are not found by name.
#[derive(Debug)]
pub struct ListsByRow;

impl FunctionRewrite for ListsByRow {
    fn name(&self) -> &str {
        "lists_by_row"
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
        let care = care_of(&call.func);
        if let Some(care) = care {
            call.func = otherwise(call.func, care);
        }
        let call = Expr::ScalarFunction(call);
        Ok(Transformed::new_transformed(call, care.is_some()))
    }
}

/// What has to be seen to in a function; `None`: nothing, or it is one of those here.
fn care_of(function: &ScalarUDF) -> Option<Care> {
    // Those that have a bound were found by name.
    if is_bounded(function) || is_computed_by::<Care>(function) {
        return None;
    }
    let found = CONCERNED.iter().find(|(name, _)| *name == function.name());
    found.map(|(_, care)| *care)
}

impl Computation for Care {
    fn invoke(&self, function: &ScalarUDF, mut given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        for argument in &mut given.args {
            if let ColumnarValue::Array(values) = argument {
                *values = without_hidden(values)?;
            }
        }
        match self {
            Care::Hidden => function.invoke_with_args(given),
            Care::Orders => in_orders(function, given),
            Care::Beginnings => positions_behind_beginnings(function, given),
            Care::Depths => of_depths(function, given),
            Care::Removals => without_elements(function, given),
        }
    }
}

/// Lists in the order that stands in their row.
fn in_orders(function: &ScalarUDF, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
    let is_column = |value: &ColumnarValue| matches!(value, ColumnarValue::Array(_));
    if given.number_rows <= 1 || !given.args.iter().skip(1).any(is_column) {
        return function.invoke_with_args(given);
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
        sorted.push(function.invoke_with_args(alone)?.into_array(1)?);
    }
    let sorted: Vec<&dyn Array> = sorted.iter().map(|list| list.as_ref()).collect();
    Ok(ColumnarValue::Array(concat(&sorted)?))
}

/// Positions from a beginning on, NULL where that is NULL.
fn positions_behind_beginnings(
    function: &ScalarUDF,
    mut given: ScalarFunctionArgs,
) -> Result<ColumnarValue> {
    if given.args.len() < 3 {
        return function.invoke_with_args(given);
    }
    let rows = given.number_rows;
    let beginnings = cast(&given.args[2].to_array(rows)?, &DataType::Int64)?;
    let beginnings = beginnings.as_primitive::<Int64Type>();
    if beginnings.null_count() == 0 {
        return function.invoke_with_args(given);
    }
    // Any that is never out of bounds.
    let filled = beginnings.iter().map(|beginning| beginning.unwrap_or(1));
    let filled: ArrayRef = Arc::new(Int64Array::from_iter_values(filled));
    given.args[2] = ColumnarValue::Array(filled);
    let found = function.invoke_with_args(given)?.into_array(rows)?;
    known(&found, beginnings.nulls())
}

/// Joined lists, NULL where all of them are.
fn of_depths(function: &ScalarUDF, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
    let rows = given.number_rows;
    let Some(lists) = lists_somewhere(&given.args, rows) else {
        return function.invoke_with_args(given);
    };
    match lists.null_count() {
        0 => function.invoke_with_args(given),
        nulls if nulls == rows => {
            let null = ScalarValue::try_new_null(given.return_field.data_type())?;
            Ok(ColumnarValue::Scalar(null))
        }
        _ => {
            let joined = function.invoke_with_args(given)?.into_array(rows)?;
            known(&joined, Some(&lists))
        }
    }
}

/// Lists without an element, without those that are NULL where it is.
fn without_elements(function: &ScalarUDF, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
    let rows = given.number_rows;
    let [lists, elements] = &given.args[..] else {
        return function.invoke_with_args(given);
    };
    let elements = elements.to_array(rows)?;
    let absent = elements.logical_nulls();
    let Some(absent) = absent.filter(|absent| absent.null_count() > 0) else {
        return function.invoke_with_args(given);
    };
    let lists = lists.to_array(rows)?;
    let lists = match lists.data_type() {
        DataType::List(_) => without_nulls(lists.as_list::<i32>())?,
        DataType::LargeList(_) => without_nulls(lists.as_list::<i64>())?,
        _ => return function.invoke_with_args(given),
    };
    if absent.null_count() == rows {
        return Ok(ColumnarValue::Array(lists));
    }
    let removed = function.invoke_with_args(given)?.into_array(rows)?;
    let is_known = BooleanArray::new(absent.into_inner(), None);
    Ok(ColumnarValue::Array(zip(&is_known, &removed, &lists)?))
}

/// A column, if it is one of lists, with nothing below those that are NULL.
fn without_hidden(values: &ArrayRef) -> Result<ArrayRef> {
    match values.data_type() {
        DataType::List(_) => lists_without_hidden(values.as_list::<i32>()),
        DataType::LargeList(_) => lists_without_hidden(values.as_list::<i64>()),
        _ => Ok(Arc::clone(values)),
    }
}

fn lists_without_hidden<O: OffsetSizeTrait>(lists: &GenericListArray<O>) -> Result<ArrayRef> {
    let (item, offsets, values, nulls) = lists.clone().into_parts();
    let values = without_hidden(&values)?;
    let hides = |row: usize| lists.is_null(row) && lists.value_length(row).as_usize() > 0;
    if nulls.is_none() || !(0..lists.len()).any(hides) {
        let lists = GenericListArray::try_new(item, offsets, values, nulls)?;
        return Ok(Arc::new(lists));
    }
    let mut lengths = Vec::with_capacity(lists.len());
    let mut kept: Vec<u64> = Vec::new();
    for row in 0..lists.len() {
        let shown = match lists.is_null(row) {
            true => 0..0,
            false => offsets[row].as_usize()..offsets[row + 1].as_usize(),
        };
        lengths.push(shown.len());
        kept.extend(shown.map(|place| place as u64));
    }
    let values = take(values.as_ref(), &UInt64Array::from(kept), None)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    let lists = GenericListArray::<O>::try_new(item, offsets, values, nulls)?;
    Ok(Arc::new(lists))
}

/// Lists without the elements that are NULL.
fn without_nulls<O: OffsetSizeTrait>(lists: &GenericListArray<O>) -> Result<ArrayRef> {
    let (item, offsets, values, nulls) = lists.clone().into_parts();
    let absent = values.logical_nulls();
    let is_there = |place: &usize| absent.as_ref().is_none_or(|absent| absent.is_valid(*place));
    let mut lengths = Vec::with_capacity(lists.len());
    let mut kept: Vec<u64> = Vec::new();
    for row in 0..lists.len() {
        let shown = match lists.is_null(row) {
            true => 0..0,
            false => offsets[row].as_usize()..offsets[row + 1].as_usize(),
        };
        let before = kept.len();
        kept.extend(shown.filter(is_there).map(|place| place as u64));
        lengths.push(kept.len() - before);
    }
    let values = take(values.as_ref(), &UInt64Array::from(kept), None)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    let lists = GenericListArray::<O>::try_new(item, offsets, values, nulls)?;
    Ok(Arc::new(lists))
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

#[cfg(test)]
mod tests {
    use arrow::array::ListArray;
    use arrow::datatypes::Field;

    use super::*;

    #[test]
    fn what_lies_below_null_is_taken_out_at_every_depth() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3, 4, 5]));
        let item = Arc::new(Field::new_list_field(DataType::Int64, true));
        let nulls = NullBuffer::from(vec![true, false, true]);
        let lengths = OffsetBuffer::from_lengths([2, 2, 1]);
        let lists = ListArray::new(item, lengths, numbers, Some(nulls));
        let lists: ArrayRef = Arc::new(lists);
        let item = Arc::new(Field::new_list_field(lists.data_type().clone(), true));
        let lengths = OffsetBuffer::from_lengths([2, 1]);
        let nested: ArrayRef = Arc::new(ListArray::new(item, lengths, Arc::clone(&lists), None));

        let shown = without_hidden(&lists).expect("lists");
        assert_eq!(&shown, &lists);
        assert_eq!(shown.as_list::<i32>().values().len(), 3);
        let shown = without_hidden(&nested).expect("lists of lists");
        assert_eq!(&shown, &nested);
        let within = shown.as_list::<i32>().values();
        assert_eq!(within.as_list::<i32>().values().len(), 3);
    }
}
