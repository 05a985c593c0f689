//! `mode`: the value that a group has most often; of several of them the least.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Int64Type};
use datafusion::common::utils::normalize_float_zero;
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

/// Makes the function known.
pub fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    let mode = AggregateUDF::new_from_impl(Mode {
        signature: Signature::any(1, Volatility::Immutable),
    });
    registry.register_udaf(Arc::new(mode))?;
    Ok(())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Mode {
    signature: Signature,
}

impl AggregateUDFImpl for Mode {
    fn name(&self) -> &str {
        "mode"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        match given {
            [DataType::Interval(_)] => plan_err!("mode() takes no intervals"),
            [value] if !value.is_nested() => Ok(value.clone()),
            _ => plan_err!("mode() takes numbers, texts, times and the like"),
        }
    }

    fn supports_within_group_clause(&self) -> bool {
        true
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if arguments.is_distinct {
            return plan_err!("mode() of distinct values is the least of them: use min()");
        }
        Ok(Box::new(Counts {
            data_type: arguments.return_field.data_type().clone(),
            counts: HashMap::new(),
        }))
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let list = |what: &str, data_type: DataType| -> FieldRef {
            let name = format!("{}[{what}]", arguments.name);
            Arc::new(Field::new_list(
                name,
                Field::new_list_field(data_type, true),
                true,
            ))
        };
        let values = arguments.return_field.data_type().clone();
        Ok(vec![
            list("values", values),
            list("counts", DataType::Int64),
        ])
    }
}

/// How often each value has come; NULL does not count.
#[derive(Debug)]
struct Counts {
    data_type: DataType,
    counts: HashMap<ScalarValue, i64>,
}

impl Counts {
    fn add(&mut self, values: &ArrayRef, count: impl Fn(usize) -> i64) -> Result<()> {
        let values = normalize_float_zero(values);
        for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
            let value = ScalarValue::try_from_array(&values, row)?;
            let total = self.counts.entry(value).or_default();
            *total += count(row);
        }
        Ok(())
    }

    fn add_each(&mut self, arguments: &[ArrayRef], count: i64) -> Result<()> {
        match arguments.first() {
            Some(values) => self.add(values, |_| count),
            None => exec_err!("mode() takes one argument"),
        }
    }
}

impl Accumulator for Counts {
    fn update_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        self.add_each(arguments, 1)
    }

    fn retract_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        self.add_each(arguments, -1)?;
        self.counts.retain(|_, count| *count != 0);
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let (values, counts): (Vec<_>, Vec<_>) = self
            .counts
            .iter()
            .map(|(value, count)| (value.clone(), ScalarValue::Int64(Some(*count))))
            .unzip();
        let list = |values: &[ScalarValue], data_type: &DataType| {
            ScalarValue::List(ScalarValue::new_list_nullable(values, data_type))
        };
        Ok(vec![
            list(&values, &self.data_type),
            list(&counts, &DataType::Int64),
        ])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [values, counts] = states else {
            return exec_err!("mode() keeps values and counts");
        };
        let states = values
            .as_list::<i32>()
            .iter()
            .zip(counts.as_list::<i32>().iter());
        for (values, counts) in states {
            if let (Some(values), Some(counts)) = (values, counts) {
                let counts = counts.as_primitive::<Int64Type>();
                self.add(&values, |row| counts.value(row))?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut most: Option<(&ScalarValue, i64)> = None;
        for (value, count) in &self.counts {
            let rank = |value, count| (count, Reverse(value));
            let is_more =
                most.is_none_or(|(other, known)| rank(value, *count) > rank(other, known));
            if is_more {
                most = Some((value, *count));
            }
        }
        match most {
            Some((value, _)) => Ok(value.clone()),
            None => ScalarValue::try_from(&self.data_type),
        }
    }

    fn size(&self) -> usize {
        let values = self.counts.keys().map(|value| value.size() + 16);
        size_of_val(self) + values.sum::<usize>()
    }
}
