//! Functions that make texts.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use datafusion::common::exec_err;
use datafusion::error::Result;

use super::super::bounded::{BYTES_MAX, within};
use super::join::parts_of;
use crate::sql::texts::time_texts::texts_of;

/// A name as SQL needs it.
pub fn quoted_name(name: &str) -> String {
    let is_plain = name
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    match is_plain && starts_well {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// A text as SQL needs it; a backslash means itself.
fn quoted_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Names as SQL needs them.
pub fn quote_names(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    quoted(arguments, quoted_name, None)
}

/// Values as literals; what stands for NULL.
pub fn quote_literals(arguments: &[ArrayRef], null: Option<&str>) -> Result<ArrayRef> {
    quoted(arguments, quoted_literal, null)
}

fn quoted(
    arguments: &[ArrayRef],
    quote: fn(&str) -> String,
    null: Option<&str>,
) -> Result<ArrayRef> {
    let [values] = arguments else {
        return exec_err!("one value is quoted at a time");
    };
    let texts = texts_of(values)?;
    let texts = texts.as_string::<i32>().iter();
    let quoted = texts.map(|text| text.map(quote).or_else(|| null.map(str::to_owned)));
    Ok(Arc::new(quoted.collect::<StringArray>()))
}

/// Texts with values in the places of `%s`, `%I` and `%L`.
pub fn format(arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let texts = arguments.iter().map(parts_of);
    let texts = texts.collect::<Result<Vec<ArrayRef>>>()?;
    let columns: Vec<&StringArray> = texts.iter().map(|texts| texts.as_string::<i32>()).collect();
    let Some((patterns, columns)) = columns.split_first() else {
        return exec_err!("format() takes a text");
    };
    let mut made = 0.0;
    let formatted = (0..rows).map(|row| {
        if patterns.is_null(row) {
            return Ok(None);
        }
        let values = columns
            .iter()
            .map(|texts| texts.is_valid(row).then(|| texts.value(row)));
        let values: Vec<Option<&str>> = values.collect();
        formatted(patterns.value(row), &values, &mut made).map(Some)
    });
    Ok(Arc::new(formatted.collect::<Result<StringArray>>()?))
}

/// One text with its values; `made` is how many bytes there are so far.
fn formatted(pattern: &str, values: &[Option<&str>], made: &mut f64) -> Result<String> {
    let mut text = String::new();
    let mut rest = pattern;
    let mut next = 0_usize;
    while let Some((before, behind)) = rest.split_once('%') {
        text.push_str(before);
        if let Some(behind) = behind.strip_prefix('%') {
            text.push('%');
            rest = behind;
            continue;
        }
        let digits = behind.len()
            - behind
                .trim_start_matches(|c: char| c.is_ascii_digit())
                .len();
        let (position, behind) = match behind[digits..].strip_prefix('$') {
            Some(behind_dollar) => (
                behind[..digits].parse::<usize>().unwrap_or(0),
                behind_dollar,
            ),
            None => (next + 1, behind),
        };
        let value = position.checked_sub(1).and_then(|place| values.get(place));
        let Some(value) = value.copied() else {
            return exec_err!("format() has no value for the place {position} of its text");
        };
        let written = match (behind.chars().next(), value) {
            (Some('s'), value) => value.unwrap_or_default().to_owned(),
            (Some('I'), Some(name)) => quoted_name(name),
            (Some('I'), None) => return exec_err!("format() takes no NULL for a name (%I)"),
            (Some('L'), Some(value)) => quoted_literal(value),
            (Some('L'), None) => "NULL".to_owned(),
            _ => {
                return exec_err!("format() knows %s, %I, %L and %%, also with a place as in %1$s");
            }
        };
        within(
            "format",
            *made + (text.len() + written.len()) as f64,
            BYTES_MAX,
            "bytes",
        )?;
        text.push_str(&written);
        next = position;
        rest = &behind[1..];
    }
    text.push_str(rest);
    *made += text.len() as f64;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(pattern: &str, values: &[Option<&str>]) -> Result<String> {
        formatted(pattern, values, &mut 0.0)
    }

    #[test]
    fn texts_are_formatted_as_in_postgres() {
        let values = [Some("foo bar"), Some("O'Reilly"), None];
        for (pattern, expected) in [
            ("no place, 100%%", "no place, 100%"),
            ("%s and %s", "foo bar and O'Reilly"),
            ("%I = %L", "\"foo bar\" = 'O''Reilly'"),
            ("%3$L, %1$s, %s", "NULL, foo bar, O'Reilly"),
            ("%3$s.", "."),
        ] {
            let text = made(pattern, &values).expect(pattern);
            assert_eq!(text, expected, "{pattern}");
        }
        for pattern in ["%s %s %s %s", "%x", "%", "%0$s", "%3$I", "%10s"] {
            assert!(made(pattern, &values).is_err(), "{pattern}");
        }
    }
}
