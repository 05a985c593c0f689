//! Lists that are written as texts: `'{1,2}'::int[]`, `n = ANY('{1,2}')`, `n <> ALL('{1,2}')`.
//!
//! DataFusion casts no text to a list, and looks for elements in lists only. Texts beside operators
//! of lists are read by `untyped_texts`.

use datafusion::sql::sqlparser::ast::{
    Array, BinaryOperator, DataType as SqlType, Expr as Ast, Value,
};

use super::list_text;
use crate::sql::error::SqlError;

/// Writes a list that is a text with its elements.
pub fn with_elements(expression: &mut Ast) -> Result<(), SqlError> {
    let (left, right, negated) = match expression {
        Ast::Cast {
            expr,
            data_type: SqlType::Array(_),
            ..
        } => {
            if let Some(elem) = elements_of(expr)? {
                **expr = Ast::Array(Array { elem, named: true });
            }
            return Ok(());
        }
        Ast::AnyOp {
            left,
            compare_op: BinaryOperator::Eq,
            right,
            ..
        } => (left, right, false),
        Ast::AllOp {
            left,
            compare_op: BinaryOperator::NotEq,
            right,
        } => (left, right, true),
        _ => return Ok(()),
    };
    if let Some(list) = elements_of(right)? {
        let left = std::mem::replace(left.as_mut(), Ast::value(Value::Null));
        *expression = match list.is_empty() {
            true => Ast::value(Value::Boolean(negated)),
            false => Ast::InList {
                expr: Box::new(left),
                list,
                negated,
            },
        };
    }
    Ok(())
}

/// The elements of a list that is a text, as texts of their own; `None`: it is something else.
fn elements_of(value: &Ast) -> Result<Option<Vec<Ast>>, SqlError> {
    let text = match value {
        Ast::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => text,
            _ => return Ok(None),
        },
        Ast::Nested(inner) => return elements_of(inner),
        _ => return Ok(None),
    };
    let elements = list_text::elements(text)?.into_iter();
    let elements = elements.map(|element| {
        Ast::value(match element {
            Some(text) => Value::SingleQuotedString(text),
            None => Value::Null,
        })
    });
    Ok(Some(elements.collect()))
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::sql::statement::parse_query;
    use crate::sql::syntax::edit_expressions;

    fn written(text: &str) -> Result<String, SqlError> {
        let mut query = parse_query(text).expect(text);
        let mut refusal = Ok(());
        let _ = edit_expressions(&mut *query, &mut |expression| {
            if let Err(error) = with_elements(expression) {
                refusal = Err(error);
            }
            ControlFlow::Continue(())
        });
        refusal.map(|()| query.to_string())
    }

    #[test]
    fn texts_become_lists() {
        for (text, expected) in [
            ("SELECT '{1,NULL}'::INT[]", "SELECT ARRAY['1', NULL]::INT[]"),
            (
                "SELECT n = ANY('{1,2}'), n <> ALL('{\"a b\"}')",
                "SELECT n IN ('1', '2'), n NOT IN ('a b')",
            ),
            ("SELECT n = ANY('{}')", "SELECT false"),
            ("SELECT n = ANY(l), '1'::INT", "SELECT n = ANY(l), '1'::INT"),
        ] {
            assert_eq!(written(text).expect(text), expected);
        }
        let error = written("SELECT '1,2'::INT[]").expect_err("no list");
        assert_eq!(error.sqlstate, "22P02");
    }
}
