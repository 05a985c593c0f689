//! Aggregates that make JSON of the rows of a group: `array_agg`, written as JSON.

use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::functions_aggregate::array_agg::array_agg_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ReversedUDAF, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::build::embedded_texts;
use super::text::{list, member, object};

/// The functions with their other names and the number of their arguments.
const ALL: &[(&str, &str, usize)] = &[
    ("json_agg", "jsonb_agg", 1),
    ("json_object_agg", "jsonb_object_agg", 2),
];

/// Makes the functions known.
pub fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    for (name, alias, arguments) in ALL {
        let function = JsonAggregate {
            name,
            aliases: vec![(*alias).to_owned()],
            is_object: *arguments == 2,
            is_json: false,
            values: array_agg_udaf(),
            signature: Signature::any(*arguments, Volatility::Immutable),
        };
        registry.register_udaf(Arc::new(AggregateUDF::new_from_impl(function)))?;
    }
    Ok(())
}

/// Whether an aggregate of this name gives JSON.
pub fn gives_json(name: &str) -> bool {
    ALL.iter().any(|(known, _, _)| *known == name)
}

/// The same aggregate of values that are JSON already; `None` if it makes none.
pub fn embedding(function: &AggregateUDF) -> Option<AggregateUDF> {
    let known = function.inner().downcast_ref::<JsonAggregate>()?;
    Some(AggregateUDF::new_from_impl(JsonAggregate {
        is_json: true,
        ..known.copy()
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonAggregate {
    name: &'static str,
    aliases: Vec<String>,
    /// Whether rows are members, of a name and a value.
    is_object: bool,
    /// Whether the values are JSON already.
    is_json: bool,
    /// What collects the values, or the texts of the members.
    values: Arc<AggregateUDF>,
    signature: Signature,
}

impl JsonAggregate {
    fn copy(&self) -> JsonAggregate {
        JsonAggregate {
            name: self.name,
            aliases: self.aliases.clone(),
            is_object: self.is_object,
            is_json: self.is_json,
            values: Arc::clone(&self.values),
            signature: self.signature.clone(),
        }
    }

    /// The field of what is collected.
    fn collected(&self, given: &[FieldRef]) -> Vec<FieldRef> {
        match self.is_object {
            true => vec![Arc::new(Field::new("member", DataType::Utf8, true))],
            false => given.to_vec(),
        }
    }

    fn list_of(collected: &[FieldRef]) -> FieldRef {
        let element = collected.first().map(|field| field.data_type().clone());
        let element = Field::new_list_field(element.unwrap_or(DataType::Null), true);
        Arc::new(Field::new_list("values", element, true))
    }

    fn writing(
        &self,
        arguments: AccumulatorArgs,
        is_sliding: bool,
    ) -> Result<Box<dyn Accumulator>> {
        if self.is_object && arguments.is_distinct && !arguments.order_bys.is_empty() {
            let name = self.name;
            return plan_err!("{name}() takes DISTINCT or ORDER BY, not both");
        }
        let sorts = self.is_object && arguments.is_distinct;
        let fields = self.collected(arguments.expr_fields);
        let arguments = AccumulatorArgs {
            return_field: Self::list_of(&fields),
            expr_fields: &fields,
            // Members of NULL have no name.
            ignore_nulls: arguments.ignore_nulls || self.is_object,
            ..arguments
        };
        let collected = match is_sliding {
            true => self.values.create_sliding_accumulator(arguments)?,
            false => self.values.accumulator(arguments)?,
        };
        Ok(Box::new(Writing {
            collected,
            is_object: self.is_object,
            is_json: self.is_json,
            sorts,
        }))
    }
}

impl AggregateUDFImpl for JsonAggregate {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn accumulator(&self, arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.writing(arguments, false)
    }

    fn create_sliding_accumulator(
        &self,
        arguments: AccumulatorArgs,
    ) -> Result<Box<dyn Accumulator>> {
        self.writing(arguments, true)
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let fields = self.collected(arguments.input_fields);
        self.values.state_fields(StateFieldsArgs {
            return_field: Self::list_of(&fields),
            input_fields: &fields,
            ..arguments
        })
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::SoftRequirement
    }

    /// The values are always sorted here: DataFusion says that they come in order also where they
    /// come in the reverse one, which an aggregate that can't be reversed would not notice.
    fn with_beneficial_ordering(
        self: Arc<Self>,
        _beneficial_ordering: bool,
    ) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        Ok(Some(self))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::NotSupported
    }

    fn supports_null_handling_clause(&self) -> bool {
        !self.is_object
    }
}

/// Writes what is collected.
#[derive(Debug)]
struct Writing {
    collected: Box<dyn Accumulator>,
    is_object: bool,
    is_json: bool,
    /// Whether the order is to be that of the texts, for want of another.
    sorts: bool,
}

impl Writing {
    /// The columns to be collected: of an object one of members, and the order.
    fn columns(&self, given: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
        if !self.is_object {
            return Ok(given.to_vec());
        }
        let [names, values, order @ ..] = given else {
            return exec_err!("names and values make members");
        };
        let names = cast(names, &DataType::Utf8)?;
        let names = names.as_string::<i32>().iter();
        let texts = embedded_texts(values, self.is_json)?;
        let members = names
            .zip(&texts)
            .map(|(name, value)| Some(member(name?, value)));
        let members: ArrayRef = Arc::new(members.collect::<StringArray>());
        Ok([members].into_iter().chain(order.iter().cloned()).collect())
    }
}

impl Accumulator for Writing {
    fn update_batch(&mut self, given: &[ArrayRef]) -> Result<()> {
        let columns = self.columns(given)?;
        self.collected.update_batch(&columns)
    }

    fn retract_batch(&mut self, given: &[ArrayRef]) -> Result<()> {
        let columns = self.columns(given)?;
        self.collected.retract_batch(&columns)
    }

    fn supports_retract_batch(&self) -> bool {
        self.collected.supports_retract_batch()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.collected.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.collected.merge_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let ScalarValue::List(collected) = self.collected.evaluate()? else {
            return exec_err!("values are collected in a list");
        };
        if collected.is_null(0) {
            return Ok(ScalarValue::Utf8(None));
        }
        let mut texts = embedded_texts(&collected.value(0), self.is_json || self.is_object)?;
        if self.sorts {
            texts.sort();
        }
        Ok(ScalarValue::from(match self.is_object {
            true => object(texts.into_iter().flatten()),
            false => list(texts.iter()),
        }))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.collected.size()
    }
}
