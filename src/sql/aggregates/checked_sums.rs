//! `sum` of numbers, of which one that is too large for its type is an error.
//!
//! DataFusion adds up whole numbers modulo 2⁶⁴ and decimals modulo 2¹²⁸. Here whole numbers are
//! added up as decimals of 38 digits, and decimals that may come to more as decimals of 76, as many
//! as any number of rows can need. They are looked at in the end: a sum may leave the range and
//! come back. Decimals are added up in their own type as long as they are known to fit.

use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef};
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, Expr, GroupsAccumulator, LogicalPlan,
    ReversedUDAF, Signature,
};
use datafusion::optimizer::OptimizerConfig;
use datafusion::scalar::ScalarValue;

use super::distinct_in_frame::DistinctInFrame;
use super::wide_sums::{TOO_LARGE, as_wide, narrowed, wide_type};
use crate::sql::rules::held_back::{Rewrite, Rule, held_back};

/// The function in the place of `sum`, for arguments of a type; `None` for other functions and types.
pub fn in_place_of(function: &Arc<AggregateUDF>, argument: &DataType) -> Option<Arc<AggregateUDF>> {
    wide_sum(function, argument, false)
}

/// The same function, of which the sums come out in a type that they cannot leave; who calls it
/// brings them back by [`narrowed_each`](super::wide_sums::narrowed_each).
pub fn widened(function: &Arc<AggregateUDF>, argument: &DataType) -> Option<Arc<AggregateUDF>> {
    wide_sum(function, argument, true)
}

fn wide_sum(
    function: &Arc<AggregateUDF>,
    argument: &DataType,
    stays_wide: bool,
) -> Option<Arc<AggregateUDF>> {
    let wide = wide_type(argument)?;
    let is_meant =
        function.name() == "sum" && function.inner().downcast_ref::<CheckedSum>().is_none();
    is_meant.then(|| {
        Arc::new(AggregateUDF::new_from_impl(CheckedSum {
            function: Arc::clone(function),
            wide,
            stays_wide,
        }))
    })
}

/// DataFusion's rules, with sums beside `sum(DISTINCT …)` left as they are. One of the rules adds
/// up sums of sums instead, of which the first may be out of range though the last is not.
pub fn kept_whole(rules: Vec<Rule>) -> Vec<Rule> {
    held_back(rules, |name| {
        (name == "single_distinct_aggregation_to_group_by").then_some(unless_sums as Rewrite)
    })
}

fn unless_sums(
    rule: &Rule,
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    let is_sum = |aggregate: &Expr| match aggregate {
        Expr::AggregateFunction(call) => call.func.name() == "sum" && !call.params.distinct,
        _ => false,
    };
    match &plan {
        LogicalPlan::Aggregate(groups) if groups.aggr_expr.iter().any(is_sum) => {
            Ok(Transformed::no(plan))
        }
        _ => rule.rewrite(plan, config),
    }
}

/// DataFusion's function, over wider numbers.
#[derive(Debug, PartialEq, Eq, Hash)]
struct CheckedSum {
    function: Arc<AggregateUDF>,
    wide: DataType,
    /// Whether sums are not brought back to their type.
    stays_wide: bool,
}

impl CheckedSum {
    fn wide_field(&self, field: &FieldRef) -> FieldRef {
        Arc::new(Field::new(field.name(), self.wide.clone(), true))
    }

    fn wide_arguments<'a>(&self, arguments: &AccumulatorArgs<'a>) -> AccumulatorArgs<'a> {
        AccumulatorArgs {
            return_field: self.wide_field(&arguments.return_field),
            ..arguments.clone()
        }
    }

    /// The arguments for sums in the type of decimals themselves, where there is one.
    fn narrow_arguments<'a>(&self, arguments: &AccumulatorArgs<'a>) -> Option<AccumulatorArgs<'a>> {
        let DataType::Decimal256(_, scale) = self.wide else {
            return None;
        };
        if self.stays_wide {
            return None;
        }
        let data_type = DataType::Decimal128(38, scale);
        let field = Field::new(arguments.return_field.name(), data_type, true);
        Some(AccumulatorArgs {
            return_field: Arc::new(field),
            ..arguments.clone()
        })
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
        match self.stays_wide {
            true => Ok(self.wide.clone()),
            false => self.function.return_type(given),
        }
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let narrow = match self.narrow_arguments(&arguments) {
            Some(narrow) if !arguments.is_distinct => Some(self.function.accumulator(narrow)?),
            _ => None,
        };
        Ok(Box::new(Checked {
            narrow: narrow.map(Narrow::new),
            sum: self.function.accumulator(self.wide_arguments(&arguments))?,
            wide: self.wide.clone(),
            data_type: arguments.return_field.data_type().clone(),
        }))
    }

    fn create_sliding_accumulator(
        &self,
        arguments: AccumulatorArgs,
    ) -> Result<Box<dyn Accumulator>> {
        let sum: Box<dyn Accumulator> = match arguments.is_distinct {
            true => Box::new(DistinctInFrame::new(self.wide.clone())),
            false => {
                let arguments = self.wide_arguments(&arguments);
                self.function.create_sliding_accumulator(arguments)?
            }
        };
        Ok(Box::new(Checked {
            narrow: None,
            sum,
            wide: self.wide.clone(),
            data_type: arguments.return_field.data_type().clone(),
        }))
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.function.state_fields(StateFieldsArgs {
            return_field: self.wide_field(&arguments.return_field),
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
        let narrow = match self.narrow_arguments(&arguments) {
            Some(narrow) => Some(self.function.create_groups_accumulator(narrow)?),
            None => None,
        };
        let wide = self.wide_arguments(&arguments);
        Ok(Box::new(CheckedGroups {
            narrow: narrow.map(Narrow::new),
            sums: self.function.create_groups_accumulator(wide)?,
            wide: self.wide.clone(),
            data_type: arguments.return_field.data_type().clone(),
        }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.function.order_sensitivity()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

/// Sums of decimals in their own type, as long as they cannot leave its range.
#[derive(Debug)]
struct Narrow<T: ?Sized> {
    sums: Box<T>,
    /// What no sum is beyond, in either direction.
    bound: u128,
}

impl<T: ?Sized> Narrow<T> {
    fn new(sums: Box<T>) -> Narrow<T> {
        Narrow { sums, bound: 0 }
    }

    /// Whether some more numbers cannot lead out of the range; they are taken into the bound.
    fn has_room_for(&mut self, values: &[ArrayRef]) -> bool {
        let [numbers, ..] = values else {
            return true;
        };
        let numbers = numbers.as_primitive::<Decimal128Type>();
        let sizes = numbers.values().iter().map(|number| number.unsigned_abs());
        let largest = sizes.max().unwrap_or(0);
        self.bound = self
            .bound
            .saturating_add(largest.saturating_mul(numbers.len() as u128));
        self.bound < TOO_LARGE
    }
}

/// One sum.
#[derive(Debug)]
struct Checked {
    narrow: Option<Narrow<dyn Accumulator>>,
    /// The sum in the wide type, which has all there is once there is no narrow one.
    sum: Box<dyn Accumulator>,
    wide: DataType,
    data_type: DataType,
}

impl Checked {
    fn widen(&mut self) -> Result<()> {
        if let Some(mut narrow) = self.narrow.take() {
            let state = narrow.sums.state()?.into_iter();
            let state: Result<Vec<ArrayRef>> = state.map(|value| value.to_array()).collect();
            self.sum.merge_batch(&as_wide(&state?, &self.wide))?;
        }
        Ok(())
    }
}

impl Accumulator for Checked {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if let Some(narrow) = &mut self.narrow
            && narrow.has_room_for(values)
        {
            return narrow.sums.update_batch(values);
        }
        self.widen()?;
        self.sum.update_batch(&as_wide(values, &self.wide))
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.widen()?;
        self.sum.retract_batch(&as_wide(values, &self.wide))
    }

    fn supports_retract_batch(&self) -> bool {
        self.sum.supports_retract_batch()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.widen()?;
        self.sum.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.widen()?;
        self.sum.merge_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = match &mut self.narrow {
            Some(narrow) => narrow.sums.evaluate()?,
            None => self.sum.evaluate()?,
        };
        if sum.data_type() == self.data_type {
            return Ok(sum);
        }
        ScalarValue::try_from_array(&narrowed(&sum.to_array()?, &self.data_type)?, 0)
    }

    fn size(&self) -> usize {
        let narrow = self.narrow.as_ref();
        size_of_val(self) + self.sum.size() + narrow.map_or(0, |narrow| narrow.sums.size())
    }
}

/// The sums of groups.
struct CheckedGroups {
    narrow: Option<Narrow<dyn GroupsAccumulator>>,
    /// The sums in the wide type, which have all there is once there are no narrow ones.
    sums: Box<dyn GroupsAccumulator>,
    wide: DataType,
    data_type: DataType,
}

impl CheckedGroups {
    fn widen(&mut self) -> Result<()> {
        if let Some(mut narrow) = self.narrow.take() {
            let state = narrow.sums.state(EmitTo::All)?;
            let number = state.first().map_or(0, |sums| sums.len());
            let groups: Vec<usize> = (0..number).collect();
            let state = as_wide(&state, &self.wide);
            self.sums.merge_batch(&state, &groups, number)?;
        }
        Ok(())
    }
}

impl GroupsAccumulator for CheckedGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        number: usize,
    ) -> Result<()> {
        if let Some(narrow) = &mut self.narrow
            && narrow.has_room_for(values)
        {
            return narrow.sums.update_batch(values, groups, filter, number);
        }
        self.widen()?;
        let values = as_wide(values, &self.wide);
        self.sums.update_batch(&values, groups, filter, number)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let sums = match &mut self.narrow {
            Some(narrow) => narrow.sums.evaluate(emit_to)?,
            None => self.sums.evaluate(emit_to)?,
        };
        narrowed(&sums, &self.data_type)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        match &mut self.narrow {
            Some(narrow) => Ok(as_wide(&narrow.sums.state(emit_to)?, &self.wide)),
            None => self.sums.state(emit_to),
        }
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], number: usize) -> Result<()> {
        self.widen()?;
        self.sums.merge_batch(states, groups, number)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        self.sums
            .convert_to_state(&as_wide(values, &self.wide), filter)
    }

    fn size(&self) -> usize {
        let narrow = self.narrow.as_ref();
        size_of_val(self) + self.sums.size() + narrow.map_or(0, |narrow| narrow.sums.size())
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Decimal128Array;

    use super::*;

    #[test]
    fn a_bound_tells_how_long_decimals_have_room() {
        let third = Decimal128Array::from(vec![-(10i128.pow(38) / 3)]);
        let values: [ArrayRef; 1] = [Arc::new(third)];
        let mut narrow = Narrow::new(Box::new(()));
        let room: Vec<bool> = (0..4).map(|_| narrow.has_room_for(&values)).collect();
        assert_eq!(room, [true, true, true, false]);
    }
}
