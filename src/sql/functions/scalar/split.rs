//! Texts taken apart by a regular expression.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListBuilder, StringArray, StringBuilder};
use datafusion::common::exec_err;
use datafusion::error::Result;
use regex::{Regex, RegexBuilder};

/// What stands between the matches of a regular expression, as a list.
pub fn split(arguments: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let columns = arguments.iter().map(|texts| texts.as_string::<i32>());
    let columns: Vec<&StringArray> = columns.collect();
    let (texts, patterns, flags) = match columns[..] {
        [texts, patterns] => (texts, patterns, None),
        [texts, patterns, flags] => (texts, patterns, Some(flags)),
        _ => return exec_err!("regexp_split_to_array() takes a text and a regular expression"),
    };
    let mut lists = ListBuilder::new(StringBuilder::new());
    let mut newest: Option<((&str, &str), Regex)> = None;
    for row in 0..rows {
        let is_null = |column: &StringArray| column.is_null(row);
        if is_null(texts) || is_null(patterns) || flags.is_some_and(is_null) {
            lists.append_null();
            continue;
        }
        let written = (
            patterns.value(row),
            flags.map_or("", |flags| flags.value(row)),
        );
        // It is the same one in most rows.
        let pattern = match newest.take() {
            Some((known, pattern)) if known == written => pattern,
            _ => pattern_of(written.0, written.1)?,
        };
        for part in between(texts.value(row), &pattern) {
            lists.values().append_value(part);
        }
        lists.append(true);
        newest = Some((written, pattern));
    }
    Ok(Arc::new(lists.finish()))
}

fn pattern_of(pattern: &str, flags: &str) -> Result<Regex> {
    if let Some(unknown) = flags.chars().find(|flag| !matches!(flag, 'i' | 'c')) {
        return exec_err!("regexp_split_to_array() knows the flags i and c, not {unknown}");
    }
    let mut builder = RegexBuilder::new(pattern);
    match builder.case_insensitive(flags.ends_with('i')).build() {
        Ok(pattern) => Ok(pattern),
        Err(error) => exec_err!("\"{pattern}\" is no regular expression: {error}"),
    }
}

/// As in Postgres, matches of nothing part a text only between two of its characters, and not right
/// behind another match.
fn between<'t>(text: &'t str, pattern: &Regex) -> Vec<&'t str> {
    let mut parts = Vec::new();
    let mut start = 0;
    for found in pattern.find_iter(text) {
        let is_idle = found.start() == start || found.start() == text.len();
        if found.is_empty() && is_idle {
            continue;
        }
        parts.push(&text[start..found.start()]);
        start = found.end();
    }
    parts.push(&text[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Postgres 15 answers.
    #[test]
    fn texts_are_taken_apart_as_in_postgres() {
        let parts = |text: &str, pattern: &str| {
            let pattern = pattern_of(pattern, "").expect("a regular expression");
            between(text, &pattern).join("|")
        };
        assert_eq!(parts("hello world", r"\s+"), "hello|world");
        assert_eq!(parts("the quick", r"\s*"), "t|h|e|q|u|i|c|k");
        assert_eq!(parts(",a,,b", ","), "|a||b");
        assert_eq!(parts("abc", ""), "a|b|c");
        assert_eq!(parts("", ","), "");
        let either = pattern_of("X", "i").expect("a regular expression");
        assert_eq!(between("axb", &either), ["a", "b"]);
        assert!(pattern_of("(", "").is_err());
        assert!(pattern_of("x", "g").is_err());
    }
}
