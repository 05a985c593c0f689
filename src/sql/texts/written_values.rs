//! The value of a type that a text stands for, as Postgres reads it.

use arrow::datatypes::{DataType, IntervalUnit};
use datafusion::error::Result;
use datafusion::scalar::ScalarValue;

use super::list_text;
use super::readable::readable;
use super::written_bytes::{self, bytes_of};
use super::written_intervals;
use crate::sql::decimal;
use crate::sql::error::SqlError;
use crate::sql::planner::external;

/// The value; `None`: texts are not read as values of this type. A text that stands for none of its
/// values is an error.
pub fn value_of(text: &str, data_type: &DataType) -> Result<Option<ScalarValue>> {
    let trimmed = text.trim();
    let as_text = |text: String| ScalarValue::Utf8(Some(text));
    let read = |text: String| as_text(text).cast_to(data_type);
    let value = match data_type {
        DataType::Boolean => ScalarValue::Boolean(Some(truth_of(trimmed)?)),
        DataType::Decimal128(..) => {
            let digits = readable(trimmed, data_type).unwrap_or_else(|| trimmed.to_owned());
            match decimal::of_text(&digits) {
                Some(number) => number,
                None => read(digits)?,
            }
        }
        DataType::Time64(_) | DataType::Date32 | DataType::Timestamp(..) => {
            read(readable(trimmed, data_type).unwrap_or_else(|| trimmed.to_owned()))?
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            read(written_intervals::readable(trimmed))?
        }
        DataType::Binary => ScalarValue::Binary(Some(bytes(text)?)),
        DataType::List(item) => return list_of(text, item.data_type()),
        number if number.is_numeric() => read(trimmed.to_owned())?,
        _ => return Ok(None),
    };
    Ok(Some(value))
}

/// A list whose elements are read one by one.
fn list_of(text: &str, item: &DataType) -> Result<Option<ScalarValue>> {
    let mut values = Vec::new();
    if let DataType::List(inner) = item {
        for list in list_text::lists(text)? {
            let Some(list) = list_of(list, inner.data_type())? else {
                return Ok(None);
            };
            values.push(list);
        }
        let list = ScalarValue::new_list(&values, item, true);
        return Ok(Some(ScalarValue::List(list)));
    }
    for element in list_text::elements(text)? {
        let value = match element {
            None => Some(ScalarValue::try_from(item)?),
            Some(text) if item.is_string() => Some(ScalarValue::Utf8(Some(text)).cast_to(item)?),
            // Of decimals each has digits of its own.
            Some(text) if item.is_decimal() => Some(ScalarValue::Utf8(Some(text)).cast_to(item)?),
            Some(text) => value_of(&text, item)?,
        };
        let Some(value) = value else {
            return Ok(None);
        };
        values.push(value);
    }
    let list = ScalarValue::new_list(&values, item, true);
    Ok(Some(ScalarValue::List(list)))
}

/// The truth value that a word of Postgres, or the beginning of one, stands for.
fn truth_of(text: &str) -> Result<bool> {
    match text.to_lowercase().as_str() {
        "t" | "tr" | "tru" | "true" | "y" | "ye" | "yes" | "on" | "1" => Ok(true),
        "f" | "fa" | "fal" | "fals" | "false" | "n" | "no" | "of" | "off" | "0" => Ok(false),
        _ => {
            let message = format!("'{text}' cannot be cast to BOOLEAN");
            let error = SqlError::new("22P02", message);
            Err(external(error.with_hint("write true or false")))
        }
    }
}

fn bytes(text: &str) -> Result<Vec<u8>> {
    bytes_of(text).ok_or_else(|| external(SqlError::new("22P02", written_bytes::refusal(text))))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{Field, TimeUnit};

    use super::*;

    fn read(text: &str, data_type: &DataType) -> Option<String> {
        let value = value_of(text, data_type).expect(text)?;
        Some(value.to_string())
    }

    #[test]
    fn texts_are_read_as_values_of_a_type() {
        let moment = DataType::Timestamp(TimeUnit::Microsecond, None);
        for (text, data_type, expected) in [
            (" 5 ", DataType::Int64, "5"),
            ("1e2", DataType::Float64, "100"),
            ("Off", DataType::Boolean, "false"),
            ("2026-05-04", DataType::Date32, "2026-05-04"),
            ("2026-05-04 23:00-05", DataType::Date32, "2026-05-04"),
            ("2026-05-04 10:20", moment, "1777890000000000"),
        ] {
            assert_eq!(read(text, &data_type).as_deref(), Some(expected), "{text}");
        }
        let number = value_of("1.005", &DataType::Decimal128(6, 2)).expect("a number");
        assert_eq!(number, Some(ScalarValue::Decimal128(Some(1005), 4, 3)));
        let number = value_of("1.5e1", &DataType::Decimal128(6, 2)).expect("a number");
        assert_eq!(number, Some(ScalarValue::Decimal128(Some(15), 2, 0)));
        assert_eq!(read("a", &DataType::Utf8), None);
        let numbers = DataType::List(Arc::new(Field::new_list_field(DataType::Int32, true)));
        assert_eq!(read("{1,NULL,3}", &numbers).as_deref(), Some("[1, , 3]"));
        let lists = DataType::List(Arc::new(Field::new_list_field(numbers, true)));
        let read = read("{{1,2},{3,NULL}}", &lists);
        assert_eq!(read.as_deref(), Some("[[1, 2], [3, ]]"));
    }

    #[test]
    fn others_are_errors() {
        for (text, data_type) in [
            ("1.5", DataType::Int64),
            ("", DataType::Int64),
            ("perhaps", DataType::Boolean),
            ("soon", DataType::Date32),
            ("soon", DataType::Interval(IntervalUnit::MonthDayNano)),
            ("\\x0", DataType::Binary),
            ("a\\b", DataType::Binary),
        ] {
            assert!(value_of(text, &data_type).is_err(), "{text}");
        }
    }
}
