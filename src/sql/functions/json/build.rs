//! Functions that make JSON of values.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{plan_err, utils::take_function_args};
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};

use super::super::call_rows::CallRows;
use super::text::{json_texts, list, member, object};
use super::value;

/// What is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Made {
    /// The value itself.
    Value,
    /// A list of all values.
    List,
    /// An object of names and values.
    Object,
    /// A text that is JSON, as such.
    Given,
}

/// One of the functions.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct BuildFunction {
    name: &'static str,
    aliases: Vec<String>,
    made: Made,
    /// The arguments that are JSON already; none: it has not been looked at.
    embedded: Vec<bool>,
    signature: Signature,
}

/// All of them with their other names.
const ALL: &[(&str, &[&str], Made)] = &[
    ("to_json", &["to_jsonb"], Made::Value),
    (
        "json_build_array",
        &["jsonb_build_array", "json_array"],
        Made::List,
    ),
    (
        "json_build_object",
        &["jsonb_build_object", "json_object"],
        Made::Object,
    ),
    ("json", &["jsonb"], Made::Given),
];

/// Makes the functions known.
pub fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    for (name, aliases, made) in ALL {
        let function = BuildFunction {
            name,
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            made: *made,
            embedded: Vec::new(),
            signature: Signature::one_of(
                vec![TypeSignature::VariadicAny, TypeSignature::Nullary],
                Volatility::Immutable,
            ),
        };
        registry.register_udf(Arc::new(ScalarUDF::new_from_impl(function)))?;
    }
    Ok(())
}

/// Whether a function of this name gives JSON.
pub fn gives_json(name: &str) -> bool {
    name == "json_get" || ALL.iter().any(|(known, _, _)| *known == name)
}

/// Whether a function makes JSON of values.
pub fn is_one(function: &ScalarUDF) -> bool {
    function.inner().downcast_ref::<BuildFunction>().is_some()
}

/// The same function knowing which of its arguments are JSON; `None` if it makes none of values.
pub fn embedding(function: &ScalarUDF, embedded: Vec<bool>) -> Option<ScalarUDF> {
    let build = function.inner().downcast_ref::<BuildFunction>()?;
    Some(ScalarUDF::new_from_impl(BuildFunction {
        name: build.name,
        aliases: build.aliases.clone(),
        made: build.made,
        embedded,
        signature: build.signature.clone(),
    }))
}

impl ScalarUDFImpl for BuildFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        let name = self.name;
        match (self.made, given) {
            (Made::Value | Made::Given, [_]) | (Made::List, _) => Ok(DataType::Utf8),
            (Made::Object, given) if given.len().is_multiple_of(2) => Ok(DataType::Utf8),
            (Made::Object, _) => plan_err!("{name}() takes names and values by turns"),
            _ => plan_err!("{name}() takes one value"),
        }
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = CallRows::of(&given);
        let arguments = given.args.iter().map(|value| value.to_array(rows.count));
        let arguments = arguments.collect::<Result<Vec<ArrayRef>>>()?;
        let texts = match self.made {
            Made::Value => {
                let [values] = take_function_args(self.name, arguments)?;
                self.texts(0, &values)?
            }
            Made::Given => {
                let [values] = take_function_args(self.name, arguments)?;
                let texts = cast(&values, &DataType::Utf8)?;
                let texts = texts.as_string::<i32>().iter();
                let valid = |text: &&str| value::is_valid(text);
                texts
                    .map(|text| text.filter(valid).map(str::to_owned))
                    .collect()
            }
            Made::List => {
                let columns = arguments.iter().enumerate();
                let columns = columns.map(|(number, values)| self.texts(number, values));
                let columns = columns.collect::<Result<Vec<_>>>()?;
                (0..rows.count)
                    .map(|row| Some(list(columns.iter().map(|texts| &texts[row]))))
                    .collect()
            }
            Made::Object => self.objects(&arguments, rows.count)?,
        };
        rows.answer(Arc::new(StringArray::from(texts)))
    }
}

impl BuildFunction {
    /// The values of an argument as JSON.
    fn texts(&self, number: usize, values: &ArrayRef) -> Result<Vec<Option<String>>> {
        embedded_texts(values, self.embedded.get(number).copied().unwrap_or(false))
    }

    /// Members without a name are left out.
    fn objects(&self, arguments: &[ArrayRef], rows: usize) -> Result<Vec<Option<String>>> {
        let pairs = arguments.chunks_exact(2).enumerate();
        let pairs = pairs.map(|(number, pair)| {
            let names = cast(&pair[0], &DataType::Utf8)?;
            Ok((names, self.texts(2 * number + 1, &pair[1])?))
        });
        let pairs = pairs.collect::<Result<Vec<_>>>()?;
        let of_row = |row: usize| {
            let members = pairs.iter().filter_map(|(names, texts)| {
                let name = names
                    .is_valid(row)
                    .then(|| names.as_string::<i32>().value(row))?;
                Some(member(name, &texts[row]))
            });
            Some(object(members))
        };
        Ok((0..rows).map(of_row).collect())
    }
}

/// Values as JSON, which they may be already.
pub fn embedded_texts(values: &ArrayRef, is_json: bool) -> Result<Vec<Option<String>>> {
    if !is_json {
        return json_texts(values);
    }
    let texts = cast(values, &DataType::Utf8)?;
    let texts = texts.as_string::<i32>().iter();
    Ok(texts.map(|text| text.map(str::to_owned)).collect())
}
