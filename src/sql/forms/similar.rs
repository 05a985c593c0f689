//! `SIMILAR TO` as the regular expression that its pattern stands for. DataFusion takes the pattern
//! itself for one, and looks for it anywhere in the text.

use std::iter::Peekable;
use std::str::Chars;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Value};

use crate::sql::error::SqlError;
use crate::sql::syntax::take_value;

/// Writes a comparison by `SIMILAR TO` as one by a regular expression.
pub fn as_regular_expression(expression: &mut Expr) -> Result<(), SqlError> {
    let Expr::SimilarTo {
        negated,
        expr,
        pattern,
        escape_char,
    } = expression
    else {
        return Ok(());
    };
    let escape = match escape_char.as_ref().map(|escape| &escape.value) {
        None => Some('\\'),
        Some(Value::SingleQuotedString(text)) if text.chars().count() <= 1 => text.chars().next(),
        Some(other) => {
            let message = format!("ESCAPE takes one character, not {other}");
            return Err(SqlError::syntax(message));
        }
    };
    let fixed = match pattern.as_ref() {
        Expr::Value(value) => Some(&value.value),
        _ => None,
    };
    let written = match fixed {
        Some(Value::SingleQuotedString(text)) => {
            Value::SingleQuotedString(regular_expression(text, escape))
        }
        Some(Value::Null) => Value::Null,
        _ => {
            let message = "SIMILAR TO takes a text as its pattern, not what is computed";
            return Err(SqlError::unsupported(message.to_owned())
                .with_hint("compare by a regular expression with ~"));
        }
    };
    let compared = match negated {
        true => BinaryOperator::PGRegexNotMatch,
        false => BinaryOperator::PGRegexMatch,
    };
    *expression = Expr::BinaryOp {
        left: Box::new(take_value(expr)),
        op: compared,
        right: Box::new(Expr::value(written)),
    };
    Ok(())
}

/// The regular expression for all of a text.
fn regular_expression(pattern: &str, escape: Option<char>) -> String {
    let mut written = String::from("(?s)^(?:");
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            _ if Some(character) == escape => literal(&mut written, characters.next()),
            '%' => written.push_str(".*"),
            '_' => written.push('.'),
            '(' => written.push_str("(?:"),
            '[' => class(&mut written, &mut characters, escape),
            '.' | '^' | '$' | '\\' => written.extend(['\\', character]),
            other => written.push(other),
        }
    }
    written.push_str(")$");
    written
}

/// A character that means itself; behind the last one, the escape does.
fn literal(written: &mut String, character: Option<char>) {
    match character {
        Some(character) if character.is_alphanumeric() || !character.is_ascii() => {
            written.push(character);
        }
        Some(character) => written.extend(['\\', character]),
        None => written.push_str(r"\\"),
    }
}

/// A set of characters in brackets, whose beginning has been read.
fn class(written: &mut String, characters: &mut Peekable<Chars<'_>>, escape: Option<char>) {
    written.push('[');
    if characters.next_if_eq(&'^').is_some() {
        written.push('^');
    }
    // A bracket that comes first is one of the characters.
    if characters.next_if_eq(&']').is_some() {
        written.push_str(r"\]");
    }
    while let Some(character) = characters.next() {
        match character {
            _ if Some(character) == escape => literal(written, characters.next()),
            ']' => {
                written.push(']');
                return;
            }
            '[' if characters.peek() == Some(&':') => {
                written.push('[');
                for named in characters.by_ref() {
                    written.push(named);
                    if named == ']' {
                        break;
                    }
                }
            }
            '[' | '&' | '~' | '\\' => written.extend(['\\', character]),
            other => written.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;

    /// As Postgres 15 answers.
    #[test]
    fn patterns_match_what_they_do_in_postgres() {
        for (text, pattern, escape, expected) in [
            ("abc", "abc", Some('\\'), true),
            ("abc", "b", Some('\\'), false),
            ("abc", "%(b|d)%", Some('\\'), true),
            ("abc", "(b|c)%", Some('\\'), false),
            ("a\nc", "a_c", Some('\\'), true),
            ("a.c", "a.c", Some('\\'), true),
            ("abc", "a.c", Some('\\'), false),
            ("50%", r"50\%", Some('\\'), true),
            ("50x", r"50\%", Some('\\'), false),
            ("50%", "50#%", Some('#'), true),
            (r"a\b", r"a\b", Some('#'), true),
            ("aaa", "a{2,3}", Some('\\'), true),
            ("x1", "[[:alpha:]][0-9]", Some('\\'), true),
            ("]", "[]x]", Some('\\'), true),
            ("a", "[^]x]", Some('\\'), true),
            ("&", "[&[]", Some('\\'), true),
            ("abc", "abc|d", Some('\\'), true),
            ("abcd", "abc|d", Some('\\'), false),
        ] {
            let written = regular_expression(pattern, escape);
            let regex = Regex::new(&written).expect(&written);
            assert_eq!(regex.is_match(text), expected, "{text} {pattern} {written}");
        }
    }
}
