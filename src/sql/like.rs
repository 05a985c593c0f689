//! `LIKE … ESCAPE` in DataFusion's terms, whose escape is always the backslash.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Query, Value};

use super::syntax::edit_expressions;

/// Writes the patterns of a query with backslashes, where they are fixed texts.
pub fn with_backslashes(query: &mut Query) {
    // It never breaks off.
    let _ = edit_expressions(query, &mut |expression| {
        if let Expr::Like {
            pattern,
            escape_char,
            ..
        }
        | Expr::ILike {
            pattern,
            escape_char,
            ..
        } = expression
            && let Expr::Value(pattern) = pattern.as_mut()
            && let Value::SingleQuotedString(pattern) = &mut pattern.value
            && let Some(Value::SingleQuotedString(escape)) =
                escape_char.as_ref().map(|escape| &escape.value)
            && escape.chars().count() <= 1
        {
            *pattern = escaped(pattern, escape.chars().next());
            *escape_char = None;
        }
        ControlFlow::Continue(())
    });
}

/// A pattern with another escape character, or none, as one with backslashes.
fn escaped(pattern: &str, escape: Option<char>) -> String {
    let mut written = String::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        let literal = match character {
            _ if Some(character) == escape => characters.next(),
            '\\' => Some('\\'),
            _ => None,
        };
        match literal {
            Some(literal) if matches!(literal, '%' | '_' | '\\') => written.extend(['\\', literal]),
            Some(literal) => written.push(literal),
            None => written.push(character),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn patterns_keep_their_meaning() {
        assert_eq!(escaped("pg/_%", Some('/')), r"pg\_%");
        assert_eq!(escaped("100!%!!%", Some('!')), r"100\%!%");
        assert_eq!(escaped(r"a\b_", Some('/')), r"a\\b_");
        assert_eq!(escaped(r"a\%", None), r"a\\%");
        assert_eq!(escaped(r"a\_%", Some('\\')), r"a\_%");
        assert_eq!(escaped("a/", Some('/')), "a/");
    }
}
