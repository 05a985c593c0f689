//! The functions, over columns of texts.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, Int64Builder, ListBuilder,
    StringArray, StringBuilder,
};
use arrow::datatypes::{DataType, Field, Int64Type};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

use super::super::call_rows::CallRows;
use super::value::{self, Step};

/// What is told about the value that is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Answer {
    Json,
    Text,
    String,
    Integer,
    Float,
    Boolean,
    List,
    Contains,
    Length,
    Elements,
    Kind,
    Names,
    Valid,
}

/// A function of a JSON text and the steps to a value in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JsonFunction {
    name: &'static str,
    answer: Answer,
    signature: Signature,
}

const fn function(name: &'static str, answer: Answer) -> JsonFunction {
    JsonFunction {
        name,
        answer,
        signature: Signature {
            type_signature: datafusion::logical_expr::TypeSignature::UserDefined,
            volatility: Volatility::Immutable,
            parameter_names: None,
        },
    }
}

impl JsonFunction {
    /// All of them.
    pub const ALL: &[JsonFunction] = &[
        function("json_get", Answer::Json),
        function("json_as_text", Answer::Text),
        function("json_contains", Answer::Contains),
        function("json_get_str", Answer::String),
        function("json_get_int", Answer::Integer),
        function("json_get_float", Answer::Float),
        function("json_get_bool", Answer::Boolean),
        function("json_get_array", Answer::List),
        function("json_length", Answer::Length),
        function("json_object_keys", Answer::Names),
        function("json_valid", Answer::Valid),
        function("json_array_length", Answer::Elements),
        function("json_typeof", Answer::Kind),
    ];
    /// What `->` stands for.
    pub const GET: &JsonFunction = &JsonFunction::ALL[0];
    /// What `->>` stands for.
    pub const AS_TEXT: &JsonFunction = &JsonFunction::ALL[1];
    /// What `?` stands for.
    pub const CONTAINS: &JsonFunction = &JsonFunction::ALL[2];
}

impl ScalarUDFImpl for JsonFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let name = self.name;
        let Some((json, steps)) = given.split_first() else {
            return plan_err!("{name}() takes a JSON text");
        };
        if !is_text(json) {
            return plan_err!("{name}() takes a JSON text first, not {json}");
        }
        if self.answer == Answer::Valid && !steps.is_empty() {
            return plan_err!("{name}() takes a JSON text and nothing more");
        }
        let steps = steps.iter().map(|step| match step {
            step if is_text(step) => Ok(DataType::Utf8),
            step if step.is_integer() => Ok(DataType::Int64),
            step => plan_err!(
                "{name}() takes names of members and positions of elements behind the JSON text, \
                 not {step}"
            ),
        });
        [Ok(DataType::Utf8)].into_iter().chain(steps).collect()
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(match self.answer {
            Answer::Json | Answer::Text | Answer::String | Answer::Kind => DataType::Utf8,
            Answer::Integer | Answer::Length | Answer::Elements => DataType::Int64,
            Answer::Float => DataType::Float64,
            Answer::Boolean | Answer::Contains | Answer::Valid => DataType::Boolean,
            Answer::List | Answer::Names => {
                DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
            }
        })
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = CallRows::of(&given);
        let Some((json, steps)) = given.args.split_first() else {
            return exec_err!("{}() takes a JSON text", self.name);
        };
        let json = json.to_array(rows.count)?;
        let steps = steps.iter().map(|step| Steps::new(step, rows.count));
        let steps = steps.collect::<Result<Vec<_>>>()?;
        rows.answer(self.answer.of(json.as_string::<i32>(), &steps))
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null
    )
}

/// A step of each row.
struct Steps {
    values: ArrayRef,
    /// Whether the first is that of all rows.
    is_constant: bool,
}

impl Steps {
    fn new(values: &ColumnarValue, rows: usize) -> Result<Steps> {
        let is_constant = matches!(values, ColumnarValue::Scalar(_));
        Ok(Steps {
            values: values.to_array(if is_constant { 1 } else { rows })?,
            is_constant,
        })
    }

    /// The step of a row; `None` if it is NULL.
    fn get(&self, row: usize) -> Option<Step<'_>> {
        let row = if self.is_constant { 0 } else { row };
        if self.values.is_null(row) {
            return None;
        }
        Some(match self.values.data_type() {
            DataType::Int64 => Step::Element(self.values.as_primitive::<Int64Type>().value(row)),
            _ => Step::Member(self.values.as_string::<i32>().value(row)),
        })
    }
}

impl Answer {
    fn of(self, json: &StringArray, steps: &[Steps]) -> ArrayRef {
        let found = (0..json.len()).map(|row| {
            let text = json.is_valid(row).then(|| json.value(row))?;
            value::find(text, steps.iter().map(|steps| steps.get(row)))
        });
        match self {
            Answer::Json => Arc::new(found.collect::<StringArray>()),
            Answer::Text => Arc::new(found.map(|found| as_text(found?)).collect::<StringArray>()),
            Answer::String => {
                let strings = found.map(|found| value::string(found?));
                Arc::new(strings.collect::<StringArray>())
            }
            Answer::Integer => {
                let numbers = found.map(|found| found?.parse().ok());
                Arc::new(numbers.collect::<Int64Array>())
            }
            Answer::Float => Arc::new(found.map(|found| float(found?)).collect::<Float64Array>()),
            Answer::Boolean => {
                let truths = found.map(|found| found?.parse::<bool>().ok());
                Arc::new(truths.collect::<BooleanArray>())
            }
            Answer::List => lists(found.map(|found| {
                let elements = value::elements(found?)?;
                Some(
                    elements
                        .into_iter()
                        .map(|element| element.get().to_owned())
                        .collect(),
                )
            })),
            Answer::Names => lists(found.map(|found| value::names(found?))),
            Answer::Length => {
                let mut lengths = Int64Builder::new();
                for found in found {
                    let length = found.and_then(value::length);
                    lengths.append_option(length.and_then(|length| i64::try_from(length).ok()));
                }
                Arc::new(lengths.finish())
            }
            Answer::Elements => {
                let lengths = found.map(|found| Some(value::elements(found?)?.len() as i64));
                Arc::new(lengths.collect::<Int64Array>())
            }
            Answer::Kind => Arc::new(found.map(|found| kind(found?)).collect::<StringArray>()),
            Answer::Contains => Arc::new(contains(json, steps, found)),
            Answer::Valid => {
                let texts = json.iter().map(|text| Some(value::is_valid(text?)));
                Arc::new(texts.collect::<BooleanArray>())
            }
        }
    }
}

/// A value as text: of a string what it says, of JSON's null NULL, else what is written.
fn as_text(found: &str) -> Option<String> {
    match found.as_bytes().first() {
        Some(b'"') => value::string(found),
        Some(b'n') => None,
        _ => Some(found.to_owned()),
    }
}

/// What a value is, in the words of Postgres.
fn kind(found: &str) -> Option<&'static str> {
    Some(match found.as_bytes().first()? {
        b'"' => "string",
        b'{' => "object",
        b'[' => "array",
        b't' | b'f' => "boolean",
        b'n' => "null",
        _ => "number",
    })
}

fn float(found: &str) -> Option<f64> {
    let is_number = found.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    let number: f64 = is_number.then(|| found.parse().ok())??;
    number.is_finite().then_some(number)
}

fn lists(rows: impl Iterator<Item = Option<Vec<String>>>) -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in rows {
        let is_there = row.is_some();
        for element in row.into_iter().flatten() {
            lists.values().append_value(element);
        }
        lists.append(is_there);
    }
    Arc::new(lists.finish())
}

/// Whether there is a value; NULL where the text is not JSON or a step is NULL.
fn contains<'j>(
    json: &StringArray,
    steps: &[Steps],
    found: impl Iterator<Item = Option<&'j str>>,
) -> BooleanArray {
    let answers = found.enumerate().map(|(row, found)| {
        let has_steps = steps.iter().all(|steps| steps.get(row).is_some());
        match found {
            Some(_) => Some(true),
            None if json.is_valid(row) && has_steps => {
                value::is_valid(json.value(row)).then_some(false)
            }
            None => None,
        }
    });
    answers.collect()
}
