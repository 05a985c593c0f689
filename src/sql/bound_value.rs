//! Values that are bound to parameters.

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType};
use datafusion::error::Result;
use datafusion::scalar::ScalarValue;
use rust_decimal::Decimal;

use super::error::SqlError;
use super::planner::external;
use super::texts::list_text;
use super::texts::written_intervals;
use super::types::sql_name;

/// A value in the type that the statement expects, or, where that would change it, as it is: what it
/// is compared with is then brought to its type.
pub fn bound_value(value: ScalarValue, expected: &DataType) -> Result<ScalarValue> {
    refuse_number_as_time(&value, expected)?;
    if let DataType::Decimal128(precision, scale) = expected
        && let Some(text) = number_text(&value)
    {
        return decimal(text, *precision, *scale);
    }
    if let (ScalarValue::Utf8(Some(text)), DataType::List(item)) = (&value, expected) {
        let texts = list_text::elements(text)?;
        let list = match item.data_type().is_decimal() {
            true => list_of_numbers(texts)?,
            false => list_of(texts.into_iter().map(ScalarValue::Utf8), &DataType::Utf8)?,
        };
        return bound_value(list, expected);
    }
    if let (ScalarValue::Utf8(Some(text)), DataType::Interval(_)) = (&value, expected) {
        return ScalarValue::Utf8(Some(written_intervals::readable(text))).cast_to(expected);
    }
    if !may_change(&value.data_type(), expected) {
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

/// Values that have been bound for a statement whose parameters are now of these types: its tables may
/// have been made anew since. A decimal beside doubles is one.
pub fn rebound(values: &[ScalarValue], expected: &[DataType]) -> Result<Vec<ScalarValue>> {
    let values = values.iter().enumerate();
    let values = values.map(|(position, value)| match expected.get(position) {
        Some(expected) if expected.is_floating() && value.data_type().is_decimal() => {
            value.cast_to(&DataType::Float64)
        }
        Some(expected) => {
            refuse_number_as_time(value, expected)?;
            Ok(value.clone())
        }
        None => Ok(value.clone()),
    });
    values.collect()
}

/// A number would be taken for days or microseconds since 1970.
pub fn refuse_number_as_time(value: &ScalarValue, expected: &DataType) -> Result<()> {
    let found = value.data_type();
    let is_length = matches!(expected, DataType::Interval(_) | DataType::Duration(_));
    if value.is_null() || !found.is_numeric() || !expected.is_temporal() || is_length {
        return Ok(());
    }
    let (found, expected) = (sql_name(&found), sql_name(expected));
    let message = format!("a value of type {found} is given for one of type {expected}");
    let refusal = SqlError::new("42804", message);
    Err(external(
        refusal.with_hint("give the date or time, or its text"),
    ))
}

/// Whether values of a type may become others in the expected one: numbers, and times.
fn may_change(found: &DataType, expected: &DataType) -> bool {
    match (found, expected) {
        (DataType::List(found), DataType::List(expected)) => {
            may_change(found.data_type(), expected.data_type())
        }
        _ => {
            (found.is_numeric() && expected.is_numeric())
                || (found.is_temporal() && expected.is_temporal())
        }
    }
}

/// Values as a list of elements of a type.
pub fn list_of(
    values: impl IntoIterator<Item = ScalarValue>,
    item: &DataType,
) -> Result<ScalarValue> {
    let values = values.into_iter().map(|value| value.cast_to(item));
    let values = values.collect::<Result<Vec<ScalarValue>>>()?;
    Ok(ScalarValue::List(ScalarValue::new_list(
        &values, item, true,
    )))
}

/// Numbers as a list in a type that has all of their digits.
pub fn list_of_numbers(texts: Vec<Option<String>>) -> Result<ScalarValue> {
    let numbers = texts
        .into_iter()
        .map(|text| text.map(number_of).transpose());
    let numbers = numbers.collect::<Result<Vec<Option<ScalarValue>>>>()?;
    let (mut whole, mut fraction) = (0_usize, 0_usize);
    let mut is_exact = true;
    for number in numbers.iter().flatten() {
        match number.data_type() {
            DataType::Decimal128(precision, scale) => {
                let scale = usize::try_from(scale).unwrap_or(0);
                whole = whole.max(usize::from(precision) - scale);
                fraction = fraction.max(scale);
            }
            _ => is_exact = false,
        }
    }
    let item = narrowest(whole, fraction).filter(|_| is_exact);
    let item = item.unwrap_or(DataType::Float64);
    let null = ScalarValue::try_from(&item)?;
    let numbers = numbers
        .into_iter()
        .map(|number| number.unwrap_or_else(|| null.clone()));
    list_of(numbers, &item)
}

/// A number from its text, with all of its digits; a double of what no decimal is, such as infinity.
pub fn number_of(text: String) -> Result<ScalarValue> {
    let plain = without_exponent(&text).unwrap_or_else(|| text.clone());
    let (whole, fraction) = digits(&plain);
    let own = narrowest(whole, fraction);
    let own = own.unwrap_or(DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0));
    let exact = ScalarValue::Utf8(Some(plain)).cast_to(&own);
    exact.or_else(|error| {
        let double = ScalarValue::Utf8(Some(text)).cast_to(&DataType::Float64);
        double.map_err(|_| error)
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
    let (whole, fraction) = digits(&text);
    let (found, room) = (usize::from(precision), usize::try_from(scale).unwrap_or(0));
    let has_room = fraction <= room && whole + room <= found;
    let own = match has_room {
        true => None,
        false => narrowest(whole, fraction),
    };
    let own = own.unwrap_or(DataType::Decimal128(precision, scale));
    ScalarValue::Utf8(Some(text)).cast_to(&own)
}

/// How many digits a number has before the point and behind it, without zeros at the ends.
fn digits(text: &str) -> (usize, usize) {
    let unsigned = text.trim_start_matches(['-', '+']);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    (
        whole.trim_start_matches('0').len(),
        fraction.trim_end_matches('0').len(),
    )
}

/// The decimal with so many digits before the point and behind it; `None`: there is none.
fn narrowest(whole: usize, fraction: usize) -> Option<DataType> {
    let digits = u8::try_from((whole + fraction).max(1)).ok();
    let digits = digits.filter(|digits| *digits <= DECIMAL128_MAX_PRECISION);
    let (precision, scale) = digits.zip(i8::try_from(fraction).ok())?;
    Some(DataType::Decimal128(precision, scale))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;

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

    #[test]
    fn lists_and_times_keep_what_they_say() {
        let list = |item| DataType::List(Field::new_list_field(item, true).into());
        let text = |text: &str| ScalarValue::Utf8(Some(text.to_owned()));
        let bound = bound_value(text("{1,NULL}"), &list(DataType::Int32)).expect("numbers");
        let numbers = [ScalarValue::Int32(Some(1)), ScalarValue::Int32(None)];
        assert_eq!(bound, list_of(numbers, &DataType::Int32).expect("a list"));
        bound_value(text("{1.5}"), &list(DataType::Int32)).expect_err("no whole number");
        let prices = list(DataType::Decimal128(6, 2));
        let bound = bound_value(text("{1.5,20}"), &prices).expect("decimals");
        assert_eq!(bound.data_type(), prices);
        let bound = bound_value(text("{1.005,20}"), &prices).expect("decimals");
        assert_eq!(bound.data_type(), list(DataType::Decimal128(5, 3)));
        let halves = list_of_numbers(vec![Some("1.5".to_owned()), None]).expect("numbers");
        let bound = bound_value(halves.clone(), &list(DataType::Int64)).expect("kept");
        assert_eq!(bound, halves);
        let infinite = number_of("Infinity".to_owned()).expect("a double");
        assert_eq!(infinite, ScalarValue::Float64(Some(f64::INFINITY)));
        number_of("x".to_owned()).expect_err("no number");
        let noon = ScalarValue::TimestampMicrosecond(Some(43_200_000_000), None);
        let bound = bound_value(noon.clone(), &DataType::Date32).expect("kept");
        assert_eq!(bound, noon);
        let midnight = ScalarValue::TimestampMicrosecond(Some(86_400_000_000), None);
        let bound = bound_value(midnight, &DataType::Date32).expect("a day");
        assert_eq!(bound, ScalarValue::Date32(Some(1)));
    }
}
