//! Functions of which DataFusion computes constants otherwise than columns.
//!
//! `map` of lists that are NULL is NULL in a column and empty as a constant, and `trunc` of −0.0 is
//! 0.0 in a column alone. `to_timestamp` and its like promise times in a zone and give columns of
//! times without; of a constant they take no columns of patterns. `map` also lets a row of more keys
//! than values pass where the lists of all rows together have as many.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, make_array};
use arrow::compute::cast;
use arrow::compute::kernels::length::length;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF};

use super::call_rows::CallRows;
use super::otherwise::{Computation, otherwise};

const MAP: &str = "map";

const CONCERNED: [&str; 9] = [
    MAP,
    "to_date",
    "to_timestamp",
    "to_timestamp_micros",
    "to_timestamp_millis",
    "to_timestamp_nanos",
    "to_timestamp_seconds",
    "to_unixtime",
    "trunc",
];

/// Puts others in their place.
pub fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    for name in CONCERNED {
        let function = registry.udf(name)?;
        registry.register_udf(otherwise(function, AsColumn))?;
    }
    Ok(())
}

/// The first argument is always a column, and the answer has the promised type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct AsColumn;

impl Computation for AsColumn {
    fn output_ordering(
        &self,
        function: &ScalarUDF,
        given: &[ExprProperties],
    ) -> Result<SortProperties> {
        function.output_ordering(given)
    }

    fn invoke(&self, function: &ScalarUDF, mut given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = CallRows::of(&given);
        given.number_rows = rows.count;
        if let Some(first) = given.args.first_mut() {
            *first = ColumnarValue::Array(first.to_array(given.number_rows)?);
        }
        if let [keys, values] = &given.args[..]
            && function.name() == MAP
        {
            check_pairs(keys, values, given.number_rows)?;
        }
        let promised = Arc::clone(&given.return_field);
        // Not by way of the outer function, which checks the type in builds for tests.
        let found = function.inner().invoke_with_args(given)?;
        let ColumnarValue::Array(found) = found else {
            return Ok(found);
        };
        rows.answer(in_zone(found, promised.data_type())?)
    }
}

/// Refuses rows that have more keys than values, or fewer.
fn check_pairs(keys: &ColumnarValue, values: &ColumnarValue, rows: usize) -> Result<()> {
    let (keys, values) = (lengths(keys, rows)?, lengths(values, rows)?);
    let mut pairs = keys.iter().zip(values.iter());
    match pairs.any(|(keys, values)| keys.is_some() && keys != values) {
        true => exec_err!("map requires key and value lists to have the same length"),
        false => Ok(()),
    }
}

fn lengths(lists: &ColumnarValue, rows: usize) -> Result<Int64Array> {
    let lengths = length(lists.to_array(rows)?.as_ref())?;
    let lengths = cast(&lengths, &DataType::Int64)?;
    Ok(lengths.as_primitive::<Int64Type>().clone())
}

/// The same moments with the zone that was promised.
fn in_zone(moments: ArrayRef, promised: &DataType) -> Result<ArrayRef> {
    let is_other = match (moments.data_type(), promised) {
        (DataType::Timestamp(unit, zone), DataType::Timestamp(promised_unit, promised_zone)) => {
            unit == promised_unit && zone != promised_zone
        }
        _ => false,
    };
    if !is_other {
        return Ok(moments);
    }
    let moments = moments.to_data().into_builder();
    Ok(make_array(moments.data_type(promised.clone()).build()?))
}
