//! Values that are none of a type, or beyond its range.

use arrow::datatypes::DataType;

use super::super::error::SqlError;
use super::super::types::sql_name;

/// The most characters of a value in a message.
const SHOWN: usize = 60;

/// What is wrong with a value, by the text that says so.
pub(super) fn of_text(text: &str) -> Option<SqlError> {
    if text == "Divide by zero error" {
        let error = SqlError::new("22012", "divide by zero");
        return Some(error.with_hint("leave such rows out, or divide by nullif(…, 0)"));
    }
    no_value(text)
        .or_else(|| no_time(text))
        .or_else(|| no_number(text))
        .or_else(|| overflow(text))
        .or_else(|| other(text))
}

/// A text that is no value of a type.
fn no_value(text: &str) -> Option<SqlError> {
    let beginnings = ["Cannot cast string '", "Cannot cast value '"];
    let mut beginnings = beginnings.iter();
    let rest = beginnings.find_map(|beginning| text.strip_prefix(beginning))?;
    // The value may have quotes of its own.
    let (value, rest) = rest.rsplit_once("' to value of ")?;
    let name = rest.strip_suffix(" type").unwrap_or(rest);
    // Of decimals the precision is not told, but another one.
    let name = if name.starts_with("Decimal") {
        "Decimal"
    } else {
        name
    };
    let sqlstate = match name {
        "Date32" | "Date64" => state_of_time(value),
        _ if name.starts_with("Time") => state_of_time(value),
        _ if name.starts_with("Interval") => "22007",
        "Decimal" => state_of_number(value, value.parse::<f64>().is_ok()),
        _ if name.contains("Int") => state_of_number(value, is_whole(value)),
        _ => "22P02",
    };
    Some(match name.starts_with("Time64") {
        true => no_time_of_day(value),
        false => refused(value, sqlstate, &type_name(name)),
    })
}

/// A text that is no time of day: it may be that of the end of one, which a value here cannot be.
fn no_time_of_day(value: &str) -> SqlError {
    let error = refused(value, state_of_time(value), "TIME");
    match value.trim().starts_with("24:00") {
        true => SqlError {
            message: format!("{}, which ends at 23:59:59.999999", error.message),
            ..error
        },
        false => error,
    }
}

/// A text that is no time.
fn no_time(text: &str) -> Option<SqlError> {
    if text.contains("converted value exceeds the representable i64 range") {
        let message =
            "a date or time is out of range of nanoseconds, which reach from 1677 to 2262";
        let error = SqlError::new("22008", message);
        return Some(error.with_hint("compare columns and literals of one type, all TIMESTAMP"));
    }
    if let Some(rest) = text.strip_prefix("Error parsing timestamp from '") {
        let parts = rest.split_once("' using ");
        let (value, reason) = parts.or_else(|| rest.split_once("': "))?;
        let error = refused(value, state_of_time(value), "TIMESTAMP");
        return Some(SqlError {
            message: format!("{}: {reason}", error.message),
            ..error.with_hint("times are written like 2026-05-04 10:20:30")
        });
    }
    if let Some(rest) = text.strip_prefix("Failed to parse '") {
        let (value, _) = rest.rsplit_once("' as time")?;
        return Some(no_time_of_day(value));
    }
    if let Some(rest) = text.strip_prefix("Overflow converting ") {
        let (value, _) = rest.split_once(" to ")?;
        return Some(refused(value, "22008", "TIMESTAMP"));
    }
    let is_interval = text.contains("type interval") || text.contains("interval amount");
    if is_interval {
        return Some(SqlError::new("22007", text).with_hint("write INTERVAL '1 day 2 hours'"));
    }
    if text.starts_with("Unable to represent ") && text.contains("32-bit integer") {
        return Some(SqlError::new("22015", text));
    }
    None
}

/// A text that is no decimal, or a number that is too large for one.
fn no_number(text: &str) -> Option<SqlError> {
    if let Some(rest) = text.strip_prefix("can't parse the string value ") {
        let value = rest.strip_suffix(" to decimal")?;
        return Some(refused(value, "22P02", "NUMERIC"));
    }
    for beginning in ["Invalid decimal format: ", "Cannot parse decimal format: "] {
        if let Some(value) = text.strip_prefix(beginning) {
            return Some(refused(value.trim_matches('"'), "22P02", "NUMERIC"));
        }
    }
    if let Some(rest) = text.strip_prefix("parse decimal overflow (") {
        let value = rest.strip_suffix(')').unwrap_or(rest);
        return Some(refused(value, "22003", "NUMERIC"));
    }
    let bounds = [
        " is too large to store in a Decimal",
        " is too small to store in a Decimal",
    ];
    let mut bounds = bounds.iter();
    if let Some((number, rest)) = bounds.find_map(|bound| text.split_once(bound)) {
        let (_, rest) = rest.split_once(" of precision ")?;
        let (digits, _) = rest.split_once('.')?;
        let message = format!("{number} is too large for a NUMERIC of {digits} digits");
        return Some(SqlError::new("22003", message));
    }
    None
}

/// A number beyond a range.
fn overflow(text: &str) -> Option<SqlError> {
    if let Some(rest) = text.strip_prefix("Can't cast value ") {
        let (value, name) = rest.rsplit_once(" to type ")?;
        return Some(beyond(value, &type_name(name)));
    }
    if let Some(rest) = text.strip_prefix("Cannot cast to ") {
        let (name, value) = rest.split_once(". Overflowing on ")?;
        return Some(beyond(value, &type_name(name)));
    }
    if let Some(rest) = text.strip_prefix("value of ") {
        let (value, name) = rest.split_once(" is out of range ")?;
        return Some(beyond(value, &type_name(name)));
    }
    if let Some(operation) = text.strip_prefix("Overflow happened on: ") {
        let message = format!("{operation} is out of range of its type");
        return Some(SqlError::new("22003", message).with_hint(WIDER));
    }
    if text.starts_with("Arithmetic Overflow in Avg") {
        return Some(SqlError::new(
            "22003",
            "an average is out of the range of its type",
        ));
    }
    if text.starts_with("Offset overflow") {
        let message = "more than 2 GiB of texts or lists would be made at once";
        return Some(SqlError::new("54000", message));
    }
    let words = text.to_lowercase();
    let is_beyond = words.contains("overflow") || words.contains("out of range");
    match is_beyond {
        false => None,
        true if is_of_time(&words) => Some(SqlError::new("22008", text)),
        true => Some(SqlError::new("22003", text)),
    }
}

const WIDER: &str = "cast to a wider type (BIGINT, NUMERIC, DOUBLE) before computing";

fn is_of_time(words: &str) -> bool {
    [
        "timestamp",
        "date",
        "month",
        "day",
        "hour",
        "minute",
        "second",
    ]
    .iter()
    .any(|unit| words.contains(unit))
}

fn other(text: &str) -> Option<SqlError> {
    let states = [
        ("Invalid timezone", "22023"),
        ("Unsupported date_trunc granularity", "22023"),
        ("Date part '", "22023"),
        ("Regular expression did not compile", "2201B"),
        ("regex parse error", "2201B"),
        ("cannot take square root of a negative number", "2201F"),
        ("zero raised to a negative power", "2201F"),
        ("factorial of a negative number", "22003"),
        ("takes a number of buckets from 1 on", "2201G"),
        ("Unable to parse date from", "22008"),
        ("takes names and values by turns", "22023"),
        ("format() has no value for the place", "22023"),
        ("Invalid escape character", "22019"),
        ("NTILE requires a positive integer", "22014"),
        ("Percentile value must be between", "22003"),
        ("invalid Unicode scalar value", "22023"),
        ("There is no built-in ", "22023"),
        ("Failed to decode value", "22023"),
        ("field position must not be zero", "22023"),
        ("Format error", "22007"),
    ];
    let mut states = states.iter();
    let &(_, sqlstate) = states.find(|(part, _)| text.contains(part))?;
    Some(SqlError::new(sqlstate, text))
}

/// A value is refused: as beyond the range of its type where the SQLSTATE says so.
fn refused(value: &str, sqlstate: &'static str, type_name: &str) -> SqlError {
    let value = beginning(value);
    let message = match sqlstate {
        "22003" | "22008" => format!("'{value}' is out of range of {type_name}"),
        _ => format!("'{value}' cannot be cast to {type_name}"),
    };
    SqlError::new(sqlstate, message)
}

/// As much of a value as tells which one it is.
fn beginning(value: &str) -> String {
    let shown: String = value.chars().take(SHOWN).collect();
    match shown.len() < value.len() {
        true => format!("{shown}…"),
        false => shown,
    }
}

fn beyond(value: &str, type_name: &str) -> SqlError {
    let message = format!("{value} is out of range of {type_name}");
    SqlError::new("22003", message)
}

fn state_of_number(value: &str, is_number: bool) -> &'static str {
    match is_number && value.contains(|character: char| character.is_ascii_digit()) {
        true => "22003",
        false => "22P02",
    }
}

fn is_whole(value: &str) -> bool {
    let value = value.trim();
    let digits = value.strip_prefix(['-', '+']).unwrap_or(value);
    !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
}

/// Of what is written like a time a part is out of range; anything else is no time.
fn state_of_time(value: &str) -> &'static str {
    let value = value.trim();
    let begins = value.starts_with(|character: char| character.is_ascii_digit());
    let is_of_parts = |character: char| {
        character.is_ascii_digit() || matches!(character, '-' | ':' | '.' | 'T' | ' ' | '+' | 'Z')
    };
    let has_parts = value.contains(['-', ':']);
    match begins && has_parts && value.chars().all(is_of_parts) {
        true => "22008",
        false => "22007",
    }
}

/// A type as SQL calls it, from its name in a text.
pub(super) fn type_name(text: &str) -> String {
    match text.parse::<DataType>() {
        Ok(data_type) => sql_name(&data_type),
        Err(_) if text.starts_with("Decimal") => "NUMERIC".to_owned(),
        Err(_) if text.starts_with("Timestamp") => "TIMESTAMP".to_owned(),
        Err(_) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::of_text;

    fn told(text: &str) -> (&'static str, String) {
        let error = of_text(text).expect(text);
        (error.sqlstate, error.message)
    }

    #[test]
    fn values_that_are_none_of_a_type() {
        for (text, sqlstate, message) in [
            (
                "Arrow error: Cast error: Cannot cast string 'x' to value of Int32 type",
                "22P02",
                "'x' cannot be cast to INTEGER",
            ),
            (
                "Cast error: Cannot cast string '99999999999' to value of Int32 type",
                "22003",
                "'99999999999' is out of range of INTEGER",
            ),
            (
                "Cast error: Cannot cast string '1.5' to value of Int64 type",
                "22P02",
                "'1.5' cannot be cast to BIGINT",
            ),
            (
                "Cast error: Cannot cast string '2026-13-01' to value of Date32 type",
                "22008",
                "'2026-13-01' is out of range of DATE",
            ),
            (
                "Cast error: Cannot cast string 'soon' to value of Date32 type",
                "22007",
                "'soon' cannot be cast to DATE",
            ),
            (
                "Cast error: Cannot cast string '24:00' to value of Time64(ns) type",
                "22008",
                "'24:00' is out of range of TIME, which ends at 23:59:59.999999",
            ),
            (
                "Cast error: Cannot cast value 'maybe' to value of Boolean type",
                "22P02",
                "'maybe' cannot be cast to BOOLEAN",
            ),
            (
                "Cast error: Cannot cast string 'it's' to value of Decimal128(10, 2) type",
                "22P02",
                "'it's' cannot be cast to NUMERIC",
            ),
        ] {
            assert_eq!(told(text), (sqlstate, message.to_owned()), "{text}");
        }
    }

    #[test]
    fn numbers_beyond_a_range() {
        for (text, sqlstate) in [
            ("Divide by zero error", "22012"),
            ("Arrow error: Divide by zero error", "22012"),
            ("Cast error: Can't cast value 70000 to type Int16", "22003"),
            (
                "Arithmetic overflow: Overflow happened on: 9223372036854775807 + 1",
                "22003",
            ),
            (
                "Invalid argument error: 12345 is too large to store in a Decimal128 of \
                 precision 4. Max is 9999",
                "22003",
            ),
            (
                "Cast error: Cannot cast to Decimal128(10, 2). Overflowing on inf",
                "22003",
            ),
            ("Execution error: Timestamp 1 out of range", "22008"),
            (
                "Cast error: Cannot cast Date32 value -141438 to Timestamp(ns): converted value \
                 exceeds the representable i64 range",
                "22008",
            ),
        ] {
            assert_eq!(told(text).0, sqlstate, "{text}");
        }
    }
}
