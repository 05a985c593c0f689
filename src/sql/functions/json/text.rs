//! Values of any type as JSON texts.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::Result;

/// The values as JSON; `None` for NULL. Numbers keep their digits, and what JSON has no form for
/// becomes a string.
pub fn json_texts(values: &ArrayRef) -> Result<Vec<Option<String>>> {
    Ok(match values.data_type() {
        DataType::Null => vec![None; values.len()],
        DataType::Boolean => {
            let values = values.as_boolean().iter();
            values.map(|value| Some(value?.to_string())).collect()
        }
        DataType::Float64 => {
            let values = values.as_primitive::<Float64Type>().iter();
            values.map(|value| Some(number(value?))).collect()
        }
        DataType::Float32 => {
            let values = values.as_primitive::<Float32Type>().iter();
            values.map(|value| Some(short_number(value?))).collect()
        }
        DataType::Float16 => json_texts(&cast(values, &DataType::Float32)?)?,
        DataType::Dictionary(_, inner) => json_texts(&cast(values, inner)?)?,
        DataType::Utf8 => {
            let values = values.as_string::<i32>().iter();
            values.map(|value| Some(quoted(value?))).collect()
        }
        DataType::LargeUtf8 | DataType::Utf8View => json_texts(&cast(values, &DataType::Utf8)?)?,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            formatted(values, |text| quoted(&format!("\\x{text}")))?
        }
        DataType::List(_) => {
            let lists = values.as_list::<i32>();
            let texts = json_texts(lists.values())?;
            let ranges = lists.value_offsets().windows(2);
            let ranges = ranges.map(|pair| pair[0] as usize..pair[1] as usize);
            let lists = ranges
                .enumerate()
                .map(|(row, range)| lists.is_valid(row).then(|| list(texts[range].iter())));
            lists.collect()
        }
        DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::ListView(field)
        | DataType::LargeListView(field) => {
            json_texts(&cast(values, &DataType::List(field.clone()))?)?
        }
        DataType::Struct(fields) => {
            let members = values.as_struct().columns().iter().map(json_texts);
            let members = members.collect::<Result<Vec<_>>>()?;
            let rows = 0..values.len();
            let rows = rows.map(|row| {
                let members = fields.iter().zip(&members);
                let members = members.map(|(field, texts)| member(field.name(), &texts[row]));
                values.is_valid(row).then(|| object(members))
            });
            rows.collect()
        }
        data_type if data_type.is_integer() || is_decimal(data_type) => {
            formatted(values, ToOwned::to_owned)?
        }
        _ => formatted(values, quoted)?,
    })
}

fn is_decimal(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..)
    )
}

fn formatted(values: &ArrayRef, of: impl Fn(&str) -> String) -> Result<Vec<Option<String>>> {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(values.as_ref(), &options)?;
    let rows = 0..values.len();
    let texts = rows.map(|row| match values.is_valid(row) {
        true => Ok(Some(of(&formatter.value(row).try_to_string()?))),
        false => Ok(None),
    });
    texts.collect()
}

/// A string with its quotes.
pub fn quoted(text: &str) -> String {
    // A text can always be written.
    serde_json::to_string(text).unwrap_or_default()
}

/// A list of values that are JSON already.
pub fn list<'a>(values: impl Iterator<Item = &'a Option<String>>) -> String {
    let values: Vec<&str> = values.map(or_null).collect();
    format!("[{}]", values.join(", "))
}

/// An object of such members.
pub fn object(members: impl Iterator<Item = String>) -> String {
    let members: Vec<String> = members.collect();
    format!("{{{}}}", members.join(", "))
}

/// A member with a value that is JSON already.
pub fn member(name: &str, value: &Option<String>) -> String {
    format!("{}: {}", quoted(name), or_null(value))
}

fn or_null(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or("null")
}

/// The shortest digits that give the number back; NaN and infinity are strings.
fn number(value: f64) -> String {
    let size = value.abs();
    match value.is_finite() {
        false => quoted(&not_finite(value)),
        true if size == 0.0 || (1e-5..1e15).contains(&size) => value.to_string(),
        true => format!("{value:e}"),
    }
}

fn short_number(value: f32) -> String {
    let size = value.abs();
    match value.is_finite() {
        false => number(f64::from(value)),
        true if size == 0.0 || (1e-5..1e15).contains(&size) => value.to_string(),
        true => format!("{value:e}"),
    }
}

fn not_finite(value: f64) -> String {
    let word = match value {
        value if value.is_nan() => "NaN",
        value if value > 0.0 => "Infinity",
        _ => "-Infinity",
    };
    word.to_owned()
}
