//! Values that are bound to parameters.

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion::error::Result;
use datafusion::scalar::ScalarValue;
use rust_decimal::Decimal;

/// A value in the type that the statement expects, or, where that would change it, as it is: what it
/// is compared with is then brought to its type.
pub fn bound_value(value: ScalarValue, expected: &DataType) -> Result<ScalarValue> {
    if let DataType::Decimal128(precision, scale) = expected
        && let Some(text) = number_text(&value)
    {
        return decimal(text, *precision, *scale);
    }
    let is_number = value.data_type().is_numeric() && expected.is_numeric();
    if !is_number {
        return value.cast_to(expected);
    }
    Ok(match value.cast_to(expected) {
        Ok(cast)
            if cast
                .cast_to(&value.data_type())
                .is_ok_and(|back| back == value) =>
        {
            cast
        }
        _ => value,
    })
}

/// The digits of a number, or a text that should have some.
fn number_text(value: &ScalarValue) -> Option<String> {
    match value {
        ScalarValue::Utf8(text) => text.clone(),
        ScalarValue::Float32(Some(number)) if number.is_finite() => Some(number.to_string()),
        ScalarValue::Float64(Some(number)) if number.is_finite() => Some(number.to_string()),
        _ => None,
    }
}

/// The digits of a number that is written with an exponent; `None` of any other text.
pub fn without_exponent(text: &str) -> Option<String> {
    if !text.contains(['e', 'E']) {
        return None;
    }
    let number = Decimal::from_scientific(text.trim()).ok()?;
    Some(number.to_string())
}

/// A number with all of its digits, in the type that is expected if that has them.
fn decimal(text: String, precision: u8, scale: i8) -> Result<ScalarValue> {
    let text = without_exponent(&text).unwrap_or(text);
    let unsigned = text.trim_start_matches(['-', '+']);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let whole = whole.trim_start_matches('0').len();
    let fraction = fraction.trim_end_matches('0').len();
    let (found, room) = (usize::from(precision), usize::try_from(scale).unwrap_or(0));
    let has_room = fraction <= room && whole + room <= found;
    let own = match has_room {
        true => None,
        false => {
            let digits = u8::try_from((whole + fraction).max(1)).ok();
            let digits = digits.filter(|digits| *digits <= DECIMAL128_MAX_PRECISION);
            digits.zip(i8::try_from(fraction).ok())
        }
    };
    let (precision, scale) = own.unwrap_or((precision, scale));
    ScalarValue::Utf8(Some(text)).cast_to(&DataType::Decimal128(precision, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(text: &str, precision: u8, scale: i8) -> ScalarValue {
        let value = ScalarValue::Utf8(Some(text.to_owned()));
        bound_value(value, &DataType::Decimal128(precision, scale)).expect(text)
    }

    #[test]
    fn numbers_keep_their_digits() {
        let decimal =
            |digits, precision, scale| ScalarValue::Decimal128(Some(digits), precision, scale);
        assert_eq!(bound("1.5", 6, 2), decimal(150, 6, 2));
        assert_eq!(bound("1.005", 6, 2), decimal(1005, 4, 3));
        assert_eq!(bound("-123456", 6, 2), decimal(-123_456, 6, 0));
        assert_eq!(bound("1e3", 6, 2), decimal(100_000, 6, 2));
        let half = ScalarValue::Float64(Some(1.5));
        assert_eq!(
            bound_value(half.clone(), &DataType::Int32).expect("kept"),
            half
        );
        let large = ScalarValue::Int64(Some(70_000));
        assert_eq!(
            bound_value(large.clone(), &DataType::Int16).expect("kept"),
            large
        );
        let small = ScalarValue::Int64(Some(7));
        let cast = bound_value(small, &DataType::Int16).expect("cast");
        assert_eq!(cast, ScalarValue::Int16(Some(7)));
    }
}
