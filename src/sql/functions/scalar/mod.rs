//! Scalar functions of Postgres that DataFusion does not have.

mod bytes;
mod interval;
mod join;
mod number;
mod part;
pub mod real;
mod split;
mod text;
mod time;
mod truncate;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::call_rows::CallRows;
use crate::sql::types::INTERVAL;

pub use interval::PARTS as INTERVAL_PARTS;
pub use part::Extracts;
pub use text::quoted_name;

/// Names that Postgres has for functions that are there under others.
pub const OTHER_NAMES: &[(&str, &str)] = &[
    ("array_to_json", "to_json"),
    // Lists begin at 1.
    ("array_upper", "array_length"),
    ("ceiling", "ceil"),
    ("every", "bool_and"),
    ("gen_random_uuid", "uuid"),
    ("jsonb_array_length", "json_array_length"),
    ("jsonb_object_keys", "json_object_keys"),
    ("jsonb_typeof", "json_typeof"),
    ("row_to_json", "to_json"),
    ("sign", "signum"),
    ("statement_timestamp", "now"),
    ("transaction_timestamp", "now"),
    ("variance", "var_samp"),
];

/// Names that Postgres has for functions which are about all elements of a list, and DataFusion for
/// those about the first.
const OF_ALL_ELEMENTS: &[(&str, &str)] = &[
    ("array_remove", "array_remove_all"),
    ("array_replace", "array_replace_all"),
];

/// The name of the function that is meant where DataFusion and Postgres mean two by one name.
pub fn meant(name: &str) -> &str {
    let found = OF_ALL_ELEMENTS.iter().find(|(known, _)| *known == name);
    found.map_or(name, |(_, meant)| *meant)
}

/// The name under which a function that Postgres calls otherwise is there.
pub fn other_name(name: &str) -> Option<&'static str> {
    let found = OTHER_NAMES.iter().find(|(known, _)| *known == name);
    found.map(|(_, other)| *other)
}

/// Makes the functions known.
pub fn register(registry: &mut dyn FunctionRegistry) -> Result<()> {
    for (name, does) in ALL {
        let function = Function {
            name,
            does: *does,
            signature: Signature::user_defined(Volatility::Immutable),
        };
        registry.register_udf(Arc::new(ScalarUDF::new_from_impl(function)))?;
    }
    bytes::register(registry)?;
    join::register(registry)?;
    part::register(registry)?;
    real::register(registry)?;
    truncate::register(registry)
}

const ALL: &[(&str, Does)] = &[
    ("age", Does::Age),
    ("date", Does::Date),
    ("div", Does::Quotient),
    ("format", Does::Format),
    ("get_byte", Does::Byte),
    ("justify_days", Does::JustifyDays),
    ("justify_hours", Does::JustifyHours),
    ("justify_interval", Does::Justify),
    ("make_interval", Does::MakeInterval),
    ("make_timestamp", Does::MakeTime),
    ("mod", Does::Remainder),
    ("num_nonnulls", Does::CountValues),
    ("num_nulls", Does::CountNulls),
    ("quote_ident", Does::QuoteName),
    ("quote_literal", Does::QuoteLiteral),
    ("quote_nullable", Does::QuoteNullable),
    ("regexp_split_to_array", Does::Split),
    ("width_bucket", Does::Bucket),
];

/// What a function does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Does {
    Age,
    Bucket,
    Byte,
    CountNulls,
    CountValues,
    Date,
    Format,
    Justify,
    JustifyDays,
    JustifyHours,
    MakeInterval,
    MakeTime,
    QuoteLiteral,
    QuoteName,
    QuoteNullable,
    Quotient,
    Remainder,
    Split,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Function {
    name: &'static str,
    does: Does,
    signature: Signature,
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match (self.does, given) {
            (Does::Remainder, [left, right]) => number::remainder_operands(left, right),
            (Does::Quotient, [_, _]) => number::quotient_operands(given),
            (Does::Byte, [value, _]) if value.is_binary() => {
                Ok(vec![DataType::Binary, DataType::Int64])
            }
            (Does::Bucket, [_, _, _, _]) => number::bucket_operands(given),
            (Does::CountNulls | Does::CountValues, [_, ..]) => Ok(given.to_vec()),
            (Does::Format, [_, values @ ..]) => Ok([&[DataType::Utf8][..], values].concat()),
            (Does::QuoteName, [_]) => Ok(vec![DataType::Utf8]),
            (Does::QuoteLiteral | Does::QuoteNullable, [value]) => Ok(vec![value.clone()]),
            (Does::Age, [_, _]) => time::moments(given),
            (Does::Age, [_]) => plan_err!(
                "age() takes two times, as a view has no time of its own: write \
                 age(current_date, at)"
            ),
            (Does::Date, [_]) => time::dates(given),
            (Does::Justify | Does::JustifyDays | Does::JustifyHours, [given]) => {
                interval::operand(given)
            }
            (Does::MakeInterval, [_, _, _, _, _, _, _]) => Ok(interval::parts()),
            (Does::MakeTime, [_, _, _, _, _, _]) => Ok(time::parts()),
            (Does::Split, [_, _] | [_, _, _]) => Ok(vec![DataType::Utf8; given.len()]),
            _ => plan_err!("{}() takes {}", self.name, self.does.arguments()),
        }
    }

    fn return_type(&self, taken: &[DataType]) -> Result<DataType> {
        Ok(match self.does {
            Does::Remainder => return number::remainder_type(taken),
            Does::Quotient => number::quotient_type(taken),
            Does::Bucket | Does::CountNulls | Does::CountValues => DataType::Int64,
            Does::Byte => DataType::Int32,
            Does::Format | Does::QuoteLiteral | Does::QuoteName | Does::QuoteNullable => {
                DataType::Utf8
            }
            Does::Age
            | Does::Justify
            | Does::JustifyDays
            | Does::JustifyHours
            | Does::MakeInterval => INTERVAL,
            Does::Date => DataType::Date32,
            Does::MakeTime => DataType::Timestamp(TimeUnit::Microsecond, None),
            Does::Split => DataType::new_list(DataType::Utf8, true),
        })
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = CallRows::of(&given);
        let arguments = given.args.iter().map(|value| value.to_array(rows.count));
        let arguments = arguments.collect::<Result<Vec<ArrayRef>>>()?;
        rows.answer(self.does.of(&arguments, rows.count)?)
    }
}

impl Does {
    /// The arguments, in words.
    fn arguments(self) -> &'static str {
        match self {
            Does::Age => "two times",
            Does::Bucket => "a number, the bounds of all buckets, and how many there are",
            Does::Byte => "bytes and a position, a whole number",
            Does::CountNulls | Does::CountValues => "values",
            Does::Date => "a time",
            Does::Format => "a text and the values in it",
            Does::Justify | Does::JustifyDays | Does::JustifyHours => "an interval",
            Does::MakeInterval => "years, months, weeks, days, hours, mins and secs",
            Does::MakeTime => "a year, a month, a day, an hour, a minute and seconds",
            Does::QuoteLiteral | Does::QuoteName | Does::QuoteNullable => "one value",
            Does::Quotient | Does::Remainder => "two numbers",
            Does::Split => "a text, a regular expression and, if need be, flags",
        }
    }

    fn of(self, arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        match self {
            Does::Remainder => number::remainder(arguments),
            Does::Quotient => number::quotient(arguments),
            Does::Bucket => number::bucket(arguments),
            Does::Byte => bytes::byte(arguments),
            Does::CountNulls => Ok(counted(arguments, rows, false)),
            Does::CountValues => Ok(counted(arguments, rows, true)),
            Does::Format => text::format(arguments, rows),
            Does::QuoteName => text::quote_names(arguments),
            Does::QuoteLiteral => text::quote_literals(arguments, None),
            Does::QuoteNullable => text::quote_literals(arguments, Some("NULL")),
            Does::Age => time::age(arguments),
            Does::Date => time::date(arguments),
            Does::Justify => interval::justified(arguments, interval::Carried::Both),
            Does::JustifyDays => interval::justified(arguments, interval::Carried::Days),
            Does::JustifyHours => interval::justified(arguments, interval::Carried::Hours),
            Does::MakeInterval => interval::made(arguments, rows),
            Does::MakeTime => time::made(arguments, rows),
            Does::Split => split::split(arguments, rows),
        }
    }
}

/// How many arguments of each row are values, or NULL.
fn counted(arguments: &[ArrayRef], rows: usize, values: bool) -> ArrayRef {
    let nulls: Vec<_> = arguments
        .iter()
        .map(|argument| argument.logical_nulls())
        .collect();
    let counts = (0..rows).map(|row| {
        let is_value = nulls
            .iter()
            .map(|nulls| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)));
        is_value.filter(|is_value| *is_value == values).count() as i64
    });
    Arc::new(Int64Array::from_iter_values(counts))
}
