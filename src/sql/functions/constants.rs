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
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use datafusion::scalar::ScalarValue;

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
        let as_column = AsColumn { function };
        registry.register_udf(Arc::new(ScalarUDF::new_from_impl(as_column)))?;
    }
    Ok(())
}

/// A function whose first argument is always a column, and whose answer has the promised type.
#[derive(Debug, PartialEq, Eq, Hash)]
struct AsColumn {
    function: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for AsColumn {
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

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let function = self.function.inner().with_updated_config(config)?;
        Some(ScalarUDF::new_from_impl(AsColumn {
            function: Arc::new(function),
        }))
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

    fn output_ordering(&self, given: &[ExprProperties]) -> Result<SortProperties> {
        self.function.output_ordering(given)
    }

    fn invoke_with_args(&self, mut given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = |value: &ColumnarValue| matches!(value, ColumnarValue::Scalar(_));
        let is_constant = given.args.iter().all(is_scalar);
        if is_constant {
            given.number_rows = 1;
        }
        if let Some(first) = given.args.first_mut() {
            *first = ColumnarValue::Array(first.to_array(given.number_rows)?);
        }
        if let [keys, values] = &given.args[..]
            && self.name() == MAP
        {
            check_pairs(keys, values, given.number_rows)?;
        }
        let promised = Arc::clone(&given.return_field);
        // Not by way of the outer function, which checks the type in builds for tests.
        let found = self.function.inner().invoke_with_args(given)?;
        let ColumnarValue::Array(found) = found else {
            return Ok(found);
        };
        let found = in_zone(found, promised.data_type())?;
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&found, 0)?),
            false => ColumnarValue::Array(found),
        })
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
