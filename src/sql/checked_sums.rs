//! `sum` of whole numbers, of which one that is too large for its type is an error.
//!
//! DataFusion adds them up modulo 2⁶⁴. Here they are added up as decimals of 38 digits, as many as
//! any number of rows can need, and looked at in the end: a sum may leave the range and come back.

use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, PrimitiveArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Field, FieldRef, Int64Type, UInt64Type,
};
use arrow::error::ArrowError;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature,
};
use datafusion::scalar::ScalarValue;

/// What sums are kept as.
const WIDE: DataType = DataType::Decimal128(38, 0);

/// The function in the place of `sum`, for arguments of a type; `None` for other functions and types.
pub fn in_place_of(function: &Arc<AggregateUDF>, argument: &DataType) -> Option<Arc<AggregateUDF>> {
    let is_meant = function.name() == "sum"
        && matches!(argument, DataType::Int64 | DataType::UInt64)
        && function.inner().downcast_ref::<CheckedSum>().is_none();
    is_meant.then(|| {
        Arc::new(AggregateUDF::new_from_impl(CheckedSum {
            function: Arc::clone(function),
        }))
    })
}

/// DataFusion's function, over decimals.
#[derive(Debug, PartialEq, Eq, Hash)]
struct CheckedSum {
    function: Arc<AggregateUDF>,
}

fn wide_field(field: &FieldRef) -> FieldRef {
    Arc::new(Field::new(field.name(), WIDE, true))
}

fn wide_arguments(arguments: AccumulatorArgs<'_>) -> AccumulatorArgs<'_> {
    AccumulatorArgs {
        return_field: wide_field(&arguments.return_field),
        ..arguments
    }
}

impl AggregateUDFImpl for CheckedSum {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.function.return_type(given)
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let data_type = arguments.return_field.data_type().clone();
        let sum = self.function.accumulator(wide_arguments(arguments))?;
        Ok(Box::new(Checked { sum, data_type }))
    }

    fn create_sliding_accumulator(
        &self,
        arguments: AccumulatorArgs,
    ) -> Result<Box<dyn Accumulator>> {
        // DataFusion slides over distinct numbers of one type only, which is not the wide one.
        if arguments.is_distinct {
            return self.function.create_sliding_accumulator(arguments);
        }
        let data_type = arguments.return_field.data_type().clone();
        let arguments = wide_arguments(arguments);
        let sum = self.function.create_sliding_accumulator(arguments)?;
        Ok(Box::new(Checked { sum, data_type }))
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.function.state_fields(StateFieldsArgs {
            return_field: wide_field(&arguments.return_field),
            ..arguments
        })
    }

    fn groups_accumulator_supported(&self, arguments: AccumulatorArgs) -> bool {
        self.function.groups_accumulator_supported(arguments)
    }

    fn create_groups_accumulator(
        &self,
        arguments: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let data_type = arguments.return_field.data_type().clone();
        let arguments = wide_arguments(arguments);
        let sums = self.function.create_groups_accumulator(arguments)?;
        Ok(Box::new(CheckedGroups { sums, data_type }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.function.order_sensitivity()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

/// One sum.
#[derive(Debug)]
struct Checked {
    sum: Box<dyn Accumulator>,
    data_type: DataType,
}

impl Accumulator for Checked {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.sum.update_batch(&widened(values))
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.sum.retract_batch(&widened(values))
    }

    fn supports_retract_batch(&self) -> bool {
        self.sum.supports_retract_batch()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.sum.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.sum.merge_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = self.sum.evaluate()?.to_array()?;
        ScalarValue::try_from_array(&narrowed(&sum, &self.data_type)?, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.sum.size()
    }
}

/// The sums of groups.
struct CheckedGroups {
    sums: Box<dyn GroupsAccumulator>,
    data_type: DataType,
}

impl GroupsAccumulator for CheckedGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        number: usize,
    ) -> Result<()> {
        self.sums
            .update_batch(&widened(values), groups, filter, number)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        narrowed(&self.sums.evaluate(emit_to)?, &self.data_type)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.sums.state(emit_to)
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], number: usize) -> Result<()> {
        self.sums.merge_batch(states, groups, number)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        self.sums.convert_to_state(&widened(values), filter)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.sums.size()
    }
}

/// Whole numbers as decimals; what else there is, as it is.
fn widened(values: &[ArrayRef]) -> Vec<ArrayRef> {
    let wide = |values: &ArrayRef| -> ArrayRef {
        let numbers: PrimitiveArray<Decimal128Type> = match values.data_type() {
            DataType::Int64 => values.as_primitive::<Int64Type>().unary(i128::from),
            DataType::UInt64 => values.as_primitive::<UInt64Type>().unary(i128::from),
            _ => return Arc::clone(values),
        };
        Arc::new(numbers.with_data_type(WIDE))
    };
    values.iter().map(wide).collect()
}

/// Decimals as whole numbers of a type, if they are in its range.
fn narrowed(sums: &ArrayRef, data_type: &DataType) -> Result<ArrayRef> {
    match data_type {
        DataType::UInt64 => numbers::<UInt64Type>(sums, data_type),
        _ => numbers::<Int64Type>(sums, data_type),
    }
}

fn numbers<T>(sums: &ArrayRef, data_type: &DataType) -> Result<ArrayRef>
where
    T: ArrowPrimitiveType,
    T::Native: TryFrom<i128>,
{
    let number = |sum: i128| {
        <T::Native as TryFrom<i128>>::try_from(sum).map_err(|_| {
            let message = format!("a sum is out of the range of {data_type}: {sum}");
            ArrowError::ArithmeticOverflow(message)
        })
    };
    let numbers: PrimitiveArray<T> = sums.as_primitive::<Decimal128Type>().try_unary(number)?;
    Ok(Arc::new(numbers))
}

#[cfg(test)]
mod tests {
    use arrow::array::Decimal128Array;

    use super::*;

    #[test]
    fn sums_are_whole_numbers_again_if_they_are_in_range() {
        let sums = |sums: Vec<Option<i128>>| -> ArrayRef {
            Arc::new(Decimal128Array::from(sums).with_data_type(WIDE))
        };
        let largest = i128::from(i64::MAX);
        let within = sums(vec![Some(largest), None, Some(-1)]);
        let narrow = narrowed(&within, &DataType::Int64).expect("in range");
        let narrow = narrow.as_primitive::<Int64Type>();
        assert_eq!(narrow.value(0), i64::MAX);
        assert!(narrow.is_null(1));
        let error = narrowed(&sums(vec![Some(largest + 1)]), &DataType::Int64).unwrap_err();
        assert!(error.to_string().contains("out of the range of Int64"));
        assert!(narrowed(&sums(vec![Some(largest + 1)]), &DataType::UInt64).is_ok());
        assert!(narrowed(&within, &DataType::UInt64).is_err());
    }
}
