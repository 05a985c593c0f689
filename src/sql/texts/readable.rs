//! Texts that Postgres reads as times and numbers and Arrow does not, as Arrow reads them: moments
//! without seconds, `'1e3'` as a decimal.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

use super::written_times::{with_colons, with_seconds, without_time};
use crate::sql::bound_value::without_exponent;

/// A text as Arrow reads it as a value of a type; `None`: as it is.
pub fn readable(text: &str, data_type: &DataType) -> Option<String> {
    match data_type {
        DataType::Timestamp(..) => with_seconds(text),
        DataType::Date32 => without_time(text),
        DataType::Time64(_) => with_colons(text),
        DataType::Decimal128(..) => without_exponent(text),
        _ => None,
    }
}

/// Whether some texts of values of a type are read here.
pub fn is_concerned(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Timestamp(..) | DataType::Date32 | DataType::Time64(_) | DataType::Decimal128(..)
    )
}

/// Texts as Arrow reads them as values of a type.
pub fn of_texts(texts: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    let texts = cast(texts, &DataType::Utf8)?;
    let values = texts.as_string::<i32>();
    let mut written = values.iter().flatten();
    if written.all(|text| readable(text, data_type).is_none()) {
        return Ok(Arc::clone(&texts));
    }
    let complete = values
        .iter()
        .map(|text| text.map(|text| readable(text, data_type).unwrap_or_else(|| text.to_owned())));
    let complete: StringArray = complete.collect();
    Ok(Arc::new(complete))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::TimeUnit;

    use super::*;

    #[test]
    fn texts_are_written_anew_where_arrow_does_not_read_them() {
        let moment = DataType::Timestamp(TimeUnit::Microsecond, None);
        let texts: ArrayRef = Arc::new(StringArray::from(vec![
            Some("2026-05-04 10:20"),
            None,
            Some("1e1"),
            Some("-1.5E+1"),
        ]));
        for (data_type, expected) in [
            (
                moment,
                [
                    Some("2026-05-04 10:20:00"),
                    None,
                    Some("1e1"),
                    Some("-1.5E+1"),
                ],
            ),
            (
                DataType::Decimal128(10, 2),
                [Some("2026-05-04 10:20"), None, Some("10"), Some("-15")],
            ),
            (
                DataType::Int64,
                [Some("2026-05-04 10:20"), None, Some("1e1"), Some("-1.5E+1")],
            ),
        ] {
            let read = of_texts(&texts, &data_type).expect("texts");
            let read: Vec<Option<&str>> = read.as_string::<i32>().iter().collect();
            assert_eq!(read, expected, "{data_type}");
        }
    }
}
