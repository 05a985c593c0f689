//! `percentile_disc`: the first value of a group, in order, up to which there is a fraction of them.

use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, new_empty_array};
use arrow::compute::{concat, filter, is_not_null, sort};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::utils::{SingleRowListArrayBuilder, normalize_float_zero};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
};
use datafusion::physical_expr::expressions::Literal;
use datafusion::scalar::ScalarValue;

use super::quantile::Quantile;

/// Makes the function known.
pub fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    let function = AggregateUDF::new_from_impl(PercentileDisc {
        signature: Signature::user_defined(Volatility::Immutable),
    });
    registry.register_udaf(Arc::new(function))?;
    Ok(())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct PercentileDisc {
    signature: Signature,
}

impl AggregateUDFImpl for PercentileDisc {
    fn name(&self) -> &str {
        "percentile_disc"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [DataType::Interval(_), _] => plan_err!("percentile_disc() takes no intervals"),
            [value, fraction] if !value.is_nested() && fraction.is_numeric() => {
                Ok(vec![value.clone(), DataType::Float64])
            }
            _ => plan_err!(
                "percentile_disc() takes a fraction and an order: \
                 percentile_disc(0.5) WITHIN GROUP (ORDER BY value)"
            ),
        }
    }

    fn return_type(&self, taken: &[DataType]) -> Result<DataType> {
        match taken.first() {
            Some(value) => Ok(value.clone()),
            None => plan_err!("percentile_disc() takes a value and a fraction"),
        }
    }

    fn supports_within_group_clause(&self) -> bool {
        true
    }

    /// It sorts the values itself, so that several orders may stand side by side.
    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if arguments.is_distinct {
            return plan_err!("percentile_disc() does not take DISTINCT values");
        }
        let fraction = arguments.exprs.get(1);
        let fraction = fraction.and_then(|fraction| fraction.downcast_ref::<Literal>());
        let fraction = fraction.and_then(|fraction| Quantile::fraction(fraction.value()));
        let Some(fraction) = fraction else {
            return plan_err!("percentile_disc() takes a fraction from 0 to 1 that is a constant");
        };
        let first = arguments.order_bys.first();
        Ok(Box::new(Values {
            data_type: arguments.return_field.data_type().clone(),
            fraction,
            is_descending: first.is_some_and(|key| key.options.descending),
            values: Vec::new(),
        }))
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let item = Field::new_list_field(arguments.return_field.data_type().clone(), true);
        let name = format!("{}[values]", arguments.name);
        Ok(vec![Arc::new(Field::new_list(name, item, true))])
    }
}

/// The values of a group; NULL does not count.
#[derive(Debug)]
struct Values {
    data_type: DataType,
    fraction: f64,
    is_descending: bool,
    values: Vec<ArrayRef>,
}

impl Values {
    fn add(&mut self, values: &ArrayRef) -> Result<()> {
        let values = normalize_float_zero(values);
        self.values.push(filter(&values, &is_not_null(&values)?)?);
        Ok(())
    }

    /// All values in one array.
    fn all(&self) -> Result<ArrayRef> {
        let values: Vec<&dyn Array> = self.values.iter().map(|values| values.as_ref()).collect();
        match values.is_empty() {
            true => Ok(new_empty_array(&self.data_type)),
            false => Ok(concat(&values)?),
        }
    }
}

impl Accumulator for Values {
    fn update_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        match arguments.first() {
            Some(values) => self.add(values),
            None => exec_err!("percentile_disc() takes values"),
        }
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = SingleRowListArrayBuilder::new(self.all()?);
        Ok(vec![values.build_list_scalar()])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(lists) = states.first() else {
            return exec_err!("percentile_disc() keeps values");
        };
        for values in lists.as_list::<i32>().iter().flatten() {
            self.add(&values)?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let values = self.all()?;
        let count = values.len();
        if count == 0 {
            return ScalarValue::try_from(&self.data_type);
        }
        let sorted = sort(&values, None)?;
        let up_to = (self.fraction * count as f64).ceil() as usize;
        let before = up_to.clamp(1, count) - 1;
        let place = match self.is_descending {
            true => count - 1 - before,
            false => before,
        };
        ScalarValue::try_from_array(&sorted, place)
    }

    fn size(&self) -> usize {
        let values = self.values.iter();
        let values: usize = values.map(|values| values.get_array_memory_size()).sum();
        size_of_val(self) + values
    }
}
