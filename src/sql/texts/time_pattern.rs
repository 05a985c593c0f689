//! Patterns of Postgres for times, such as `'YYYY-MM-DD'`, written as those of `strftime`.
//!
//! DataFusion takes the latter, and one without `%` for a text that stands for itself. Those of
//! `to_char` for which there is none are left, and written by `time_format`.
//!
//! A pattern that stands in the text of a query is written anew before it is planned, so that one
//! that has no other is refused with its place. One that is bound to a parameter, or computed, is
//! written anew by the function that takes it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::error::Result as PlanResult;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
};

use super::number_format;
use super::time_format::{self, Format};
use crate::sql::error::SqlError;
use crate::sql::functions::call_rows::CallRows;
use crate::sql::functions::otherwise::{Computation, otherwise};
use crate::sql::planner::external;
use crate::sql::syntax::text_of_mut;

/// The functions that read times, and that which writes them.
const READING: [&str; 2] = ["to_date", "to_timestamp"];
const WRITING: &str = "to_char";

/// Patterns of DataFusion's own for lengths of time.
const OF_DURATIONS: [&str; 2] = ["iso8601", "pretty"];

/// Fields in either case, with what they are and what they are behind `FM`: not padded. One that
/// begins like another stands before it.
static FIELDS: [(&str, &str, &str); 16] = [
    ("HH24", "%H", "%-H"),
    ("HH12", "%I", "%-I"),
    ("HH", "%I", "%-I"),
    ("IYYY", "%G", "%G"),
    ("IW", "%V", "%-V"),
    ("ID", "%u", "%u"),
    ("YYYY", "%Y", "%Y"),
    ("YY", "%y", "%-y"),
    ("MM", "%m", "%-m"),
    ("DDD", "%j", "%-j"),
    ("DD", "%d", "%-d"),
    ("MI", "%M", "%-M"),
    ("SS", "%S", "%-S"),
    ("MS", "%3f", "%3f"),
    ("US", "%6f", "%6f"),
    ("Q", "%q", "%q"),
];

/// Fields that begin like others and mean something else.
const OTHERS: [&str; 2] = ["IDDD", "SSSS"];

/// Fields whose case tells that of what is written.
static IN_CASE: [(&str, &str); 6] = [
    ("Mon", "%b"),
    ("Dy", "%a"),
    ("AM", "%p"),
    ("PM", "%p"),
    ("am", "%P"),
    ("pm", "%P"),
];

/// Names, which are filled up with blanks to nine characters where they are not behind `FM`.
static NAMES: [(&str, &str); 2] = [("Month", "%B"), ("Day", "%A")];

/// Writes the pattern of a call anew if it is one of Postgres: a text with letters and without `%`.
pub fn as_strftime(expression: &mut Expr) -> Result<(), SqlError> {
    let Expr::Function(call) = expression else {
        return Ok(());
    };
    let name = function_name(call);
    if !READING.contains(&name.as_str()) && name != WRITING {
        return Ok(());
    }
    let Some(pattern) = pattern_of(call) else {
        return Ok(());
    };
    let is_left = || format_of(pattern).is_some() || number_format::is_known(pattern);
    if name == WRITING && is_left() {
        return Ok(());
    }
    // A text that only stands for itself is left in its quotes, or it would be read as fields.
    if let Some(written) = rewritten(&name, pattern)?
        && written.contains('%')
    {
        *pattern = written;
    }
    Ok(())
}

/// A pattern of Postgres for which there is none of `strftime`.
fn format_of(pattern: &str) -> Option<Format> {
    let is_other = is_of_postgres(pattern) && translated(pattern, false).is_err();
    is_other.then(|| Format::of(pattern)).flatten()
}

/// Whether it is a text with letters and without `%`, and none of DataFusion's own.
fn is_of_postgres(pattern: &str) -> bool {
    let has_letters = pattern.contains(|c: char| c.is_ascii_alphabetic());
    let is_of_durations = OF_DURATIONS.contains(&pattern.to_lowercase().as_str());
    !pattern.contains('%') && has_letters && !is_of_durations
}

/// The pattern of `strftime` for one of Postgres, which is a text with letters and without `%`;
/// `None`: it is another one.
fn rewritten(function: &str, pattern: &str) -> Result<Option<String>, SqlError> {
    if !is_of_postgres(pattern) {
        return Ok(None);
    }
    let reads = READING.contains(&function);
    let written = translated(pattern, reads).map_err(|rest| refusal(function, rest))?;
    Ok(Some(written))
}

/// The functions that take patterns, with those of Postgres, of those that are there.
pub fn functions(named: impl Fn(&str) -> Option<Arc<ScalarUDF>>) -> Vec<Arc<ScalarUDF>> {
    let names = READING.iter().chain([&WRITING]);
    let functions = names.filter_map(|name| {
        let function = named(name)?;
        let patterned = otherwise(function, Patterned);
        Some(match *name == WRITING {
            true => number_format::with_numbers(patterned),
            false => patterned,
        })
    });
    functions.collect()
}

/// The second of two arguments is a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Patterned;

impl Computation for Patterned {
    fn invoke(
        &self,
        function: &ScalarUDF,
        mut given: ScalarFunctionArgs,
    ) -> PlanResult<ColumnarValue> {
        if function.name() == WRITING
            && let [moments, pattern] = &given.args[..]
            && let Some(texts) = formatted(moments, pattern, CallRows::of(&given))?
        {
            return Ok(texts);
        }
        if let [_, pattern] = &mut given.args[..]
            && let Some(written) = rewritten_values(function.name(), pattern)?
        {
            *pattern = written;
        }
        // DataFusion takes the first of the patterns for all where one time is given.
        if let [moment @ ColumnarValue::Scalar(_), ColumnarValue::Array(_)] = &mut given.args[..] {
            *moment = ColumnarValue::Array(moment.to_array(given.number_rows)?);
        }
        function.invoke_with_args(given)
    }
}

/// Times by patterns for which there are none of `strftime`; `None`: not all of them are such ones.
fn formatted(
    moments: &ColumnarValue,
    patterns: &ColumnarValue,
    rows: CallRows,
) -> PlanResult<Option<ColumnarValue>> {
    let formats = match patterns {
        ColumnarValue::Scalar(pattern) => {
            let format = pattern.try_as_str().flatten().and_then(format_of);
            format.map(|format| vec![Some(format); rows.count])
        }
        ColumnarValue::Array(patterns) if patterns.data_type().is_string() => {
            let patterns = cast(patterns, &DataType::Utf8)?;
            let patterns = patterns.as_string::<i32>().iter();
            let formats = patterns.map(|pattern| match pattern {
                Some(pattern) => format_of(pattern).map(Some),
                None => Some(None),
            });
            formats.collect()
        }
        ColumnarValue::Array(_) => None,
    };
    let is_any = |formats: &Vec<Option<Format>>| formats.iter().any(Option::is_some);
    let Some(formats) = formats.filter(is_any) else {
        return Ok(None);
    };
    let moments = time_format::moments(&moments.to_array(rows.count)?)?;
    let texts = moments.iter().zip(&formats);
    let texts = texts.map(|pair| match pair {
        (Some(moment), Some(format)) => Some(format.write(moment)),
        _ => None,
    });
    let texts: StringArray = texts.collect();
    rows.answer(Arc::new(texts)).map(Some)
}

/// Patterns as those of `strftime`; `None`: they are no texts, or there is nothing to be changed.
fn rewritten_values(function: &str, patterns: &ColumnarValue) -> PlanResult<Option<ColumnarValue>> {
    match patterns {
        ColumnarValue::Scalar(pattern) => {
            let Some(Some(text)) = pattern.try_as_str() else {
                return Ok(None);
            };
            let written = rewritten(function, text).map_err(external)?;
            let written = written.map(|written| {
                let written = ScalarValue::Utf8(Some(written));
                written.cast_to(&pattern.data_type())
            });
            Ok(written.transpose()?.map(ColumnarValue::Scalar))
        }
        ColumnarValue::Array(patterns) if patterns.data_type().is_string() => {
            let texts = cast(patterns, &DataType::Utf8)?;
            let written = texts.as_string::<i32>().iter().map(|text| {
                let Some(text) = text else {
                    return Ok(None);
                };
                let written = rewritten(function, text).map_err(external)?;
                Ok(Some(written.unwrap_or_else(|| text.to_owned())))
            });
            let written = written.collect::<PlanResult<Vec<Option<String>>>>()?;
            let written: ArrayRef = Arc::new(StringArray::from(written));
            let written = cast(&written, patterns.data_type())?;
            Ok(Some(ColumnarValue::Array(written)))
        }
        ColumnarValue::Array(_) => Ok(None),
    }
}

fn function_name(call: &Function) -> String {
    let last = call.name.0.last().and_then(|part| part.as_ident());
    last.map_or_else(String::new, |name| name.value.to_lowercase())
}

/// The second of two arguments, if it is a text.
fn pattern_of(call: &mut Function) -> Option<&mut String> {
    let FunctionArguments::List(list) = &mut call.args else {
        return None;
    };
    match &mut list.args[..] {
        [_, FunctionArg::Unnamed(FunctionArgExpr::Expr(pattern))] => text_of_mut(pattern),
        _ => None,
    }
}

/// The pattern of `strftime`, or from where on there is none.
fn translated(pattern: &str, reads: bool) -> Result<String, &str> {
    let mut written = String::new();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let (text, behind) = quoted.split_once('"').ok_or(rest)?;
            written.push_str(text);
            rest = behind;
            continue;
        }
        let field = without_prefix(rest, "FM");
        let is_short = field.is_some();
        let field = field.unwrap_or(rest);
        match field_of(field, is_short, reads) {
            Some((length, means)) => {
                written.push_str(means);
                rest = &field[length..];
            }
            None if first.is_ascii_alphabetic() => return Err(rest),
            None => {
                written.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    Ok(written)
}

/// The field that a pattern begins with: its length, and what it is in `strftime`.
fn field_of(pattern: &str, is_short: bool, reads: bool) -> Option<(usize, &'static str)> {
    if let Some((name, means)) = NAMES.iter().find(|(name, _)| pattern.starts_with(*name)) {
        return (is_short || reads).then_some((name.len(), *means));
    }
    let mut in_case = IN_CASE.iter();
    if let Some((field, means)) = in_case.find(|(field, _)| pattern.starts_with(*field)) {
        return Some((field.len(), *means));
    }
    let mut others = OTHERS.iter();
    if others.any(|other| without_prefix(pattern, other).is_some()) {
        return None;
    }
    let found = FIELDS
        .iter()
        .find(|(field, ..)| without_prefix(pattern, field).is_some());
    found.map(|(field, padded, short)| (field.len(), if is_short { *short } else { *padded }))
}

/// What is behind a prefix in either case.
fn without_prefix<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let (found, behind) = text.split_at_checked(prefix.len())?;
    found.eq_ignore_ascii_case(prefix).then_some(behind)
}

fn refusal(function: &str, rest: &str) -> SqlError {
    let message = format!("{function}() does not know its pattern from \"{rest}\" on");
    let hint = match NAMES.iter().find(|(name, _)| rest.starts_with(*name)) {
        Some((name, _)) => format!("write FM{name}: without FM it is filled up with blanks"),
        None => "put text into double quotes, or write the pattern of strftime: '%Y-%m-%d %H:%M'"
            .to_owned(),
    };
    SqlError::unsupported(message)
        .about(function)
        .with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_that_are_computed_become_those_of_strftime() {
        let texts = StringArray::from(vec![Some("YYYY"), None, Some("%m"), Some("-")]);
        let patterns = ColumnarValue::Array(Arc::new(texts));
        let written = rewritten_values(WRITING, &patterns).expect("known");
        let Some(ColumnarValue::Array(written)) = written else {
            panic!("no column");
        };
        let written: Vec<Option<&str>> = written.as_string::<i32>().iter().collect();
        assert_eq!(written, [Some("%Y"), None, Some("%m"), Some("-")]);
        for (pattern, expected) in [("YYYY-MM", Some("%Y-%m")), ("%Y", None), ("pretty", None)] {
            let value = ScalarValue::Utf8View(Some(pattern.to_owned()));
            let written = rewritten_values(WRITING, &ColumnarValue::Scalar(value));
            let written = match written.expect("known") {
                Some(ColumnarValue::Scalar(ScalarValue::Utf8View(written))) => written,
                _ => None,
            };
            assert_eq!(written.as_deref(), expected);
        }
        let unknown = ScalarValue::Utf8(Some("DDTH".to_owned()));
        rewritten_values(WRITING, &ColumnarValue::Scalar(unknown)).expect_err("not there");
        let number = ColumnarValue::Scalar(ScalarValue::Int64(Some(5)));
        let written = rewritten_values(WRITING, &number).expect("no pattern");
        assert!(written.is_none());
    }

    #[test]
    fn patterns_of_postgres_become_those_of_strftime() {
        for (pattern, expected) in [
            ("YYYY-MM-DD", "%Y-%m-%d"),
            ("yyyymmdd hh24miss", "%Y%m%d %H%M%S"),
            ("FMDD Mon YY, HH12:MI pm", "%-d %b %y, %I:%M %P"),
            ("FMMonth Dy FMHH:MI:SS.US", "%B %a %-I:%M:%S.%6f"),
            ("IYYY\"-W\"IW-ID Q DDD.MS", "%G-W%V-%u %q %j.%3f"),
            ("YYYY\"年\"MM月", "%Y年%m月"),
        ] {
            assert_eq!(translated(pattern, false).as_deref(), Ok(expected));
        }
        assert_eq!(translated("DD Month YYYY", true).as_deref(), Ok("%d %B %Y"));
        for (pattern, rest) in [
            ("DD Month", "Month"),
            ("DDTH", "TH"),
            ("MON", "MON"),
            ("IDDD", "IDDD"),
            ("SSSS", "SSSS"),
            ("YYYY \"open", "\"open"),
            ("FM999", "FM999"),
        ] {
            assert_eq!(translated(pattern, false), Err(rest));
        }
    }
}
