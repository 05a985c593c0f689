//! `LIKE … ESCAPE` in DataFusion's terms, whose escape is always the backslash.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::{Expr, Query, Value};

use crate::sql::syntax::{call, edit_expressions, text_of_mut};

/// The function that writes a pattern with backslashes.
const FUNCTION: &str = "pattern_with_backslashes";

/// Writes the patterns of a query with backslashes: those that are fixed texts at once, others when
/// they are computed.
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
            && let Some(escape) = escape_char
            && let Value::SingleQuotedString(character) = &escape.value
            && character.chars().count() <= 1
        {
            let character = character.chars().next();
            let escape = Expr::Value(escape.clone());
            match text_of_mut(pattern) {
                Some(text) => *text = escaped(text, character),
                None => {
                    let computed = std::mem::replace(pattern.as_mut(), escape.clone());
                    **pattern = call(FUNCTION, vec![computed, escape]);
                }
            }
            *escape_char = None;
        }
        ControlFlow::Continue(())
    });
}

/// The function of a pattern and its escape character that gives the pattern with backslashes.
pub fn pattern_function() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(PatternFunction {
        signature: Signature::user_defined(Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct PatternFunction {
    signature: Signature,
}

impl ScalarUDFImpl for PatternFunction {
    fn name(&self) -> &str {
        FUNCTION
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        match given {
            [
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null,
                _,
            ] => Ok(vec![DataType::Utf8, DataType::Utf8]),
            _ => plan_err!("the pattern of LIKE is a text"),
        }
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, given: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = given.number_rows;
        let [patterns, escapes] = &given.args[..] else {
            return exec_err!("a pattern and its escape character are needed");
        };
        let (patterns, escapes) = (patterns.to_array(rows)?, escapes.to_array(rows)?);
        let pairs = patterns
            .as_string::<i32>()
            .iter()
            .zip(escapes.as_string::<i32>());
        let written: StringArray = pairs
            .map(|(pattern, escape)| Some(escaped(pattern?, escape?.chars().next())))
            .collect();
        Ok(ColumnarValue::Array(Arc::new(written) as ArrayRef))
    }
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
