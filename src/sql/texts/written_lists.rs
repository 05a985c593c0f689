//! Lists that are written as texts: `'{1,2}'::int[]`, `n = ANY('{1,2}')`, `n < ALL('{3,4}')`.
//!
//! DataFusion casts no text to a list, and compares with the elements of lists only. Which type the
//! elements have is known where each of them stands beside the value, so they are written there. Texts
//! beside operators of lists are read by `untyped_texts`.
//!
//! `n < ANY(list)` is written as `NOT n >= ALL(list)`: DataFusion minds NULL among the elements where
//! all of them are asked, and gives false where some are.

use datafusion::sql::sqlparser::ast::{
    Array, ArrayElemTypeDef, BinaryOperator, DataType as SqlType, Expr as Ast, UnaryOperator, Value,
};

use super::list_text;
use crate::sql::error::SqlError;
use crate::sql::operators::comparison::is_comparison;
use crate::sql::syntax::{bare, has_queries, take_value, text_of};

/// The most lists within one another that a text is read as.
const DEPTH_MAX: usize = 6;

/// Writes a list that is a text with its elements.
pub fn with_elements(expression: &mut Ast) -> Result<(), SqlError> {
    let (left, operator, right, is_all) = match expression {
        Ast::Cast {
            expr,
            data_type: data_type @ SqlType::Array(_),
            ..
        } => {
            if let Some(text) = text_of(expr) {
                **expr = list_of(text, depth_of(data_type))?;
            }
            return Ok(());
        }
        Ast::AnyOp {
            left,
            compare_op,
            right,
            ..
        } => (left, compare_op.clone(), right, false),
        Ast::AllOp {
            left,
            compare_op,
            right,
        } => (left, compare_op.clone(), right, true),
        _ => return Ok(()),
    };
    let is_membership = match operator {
        BinaryOperator::Eq => !is_all,
        BinaryOperator::NotEq => is_all,
        _ => false,
    };
    // A query on the left would be asked once for each element.
    if !is_comparison(&operator) || !is_membership && has_queries(left) {
        return Ok(());
    }
    if let Some(list) = elements_of(right)? {
        let left = take_value(left);
        *expression = match list.is_empty() {
            true => Ast::value(Value::Boolean(is_all)),
            false if is_membership => Ast::InList {
                expr: Box::new(left),
                list,
                negated: is_all,
            },
            false => with_each(&left, &operator, list, is_all),
        };
    } else if !is_all {
        as_exception(expression);
    }
    Ok(())
}

/// That a comparison holds for some element of a list, as that its opposite does not for all of them.
fn as_exception(expression: &mut Ast) {
    let Ast::AnyOp {
        left,
        compare_op,
        right,
        ..
    } = expression
    else {
        return;
    };
    let opposite = match compare_op {
        BinaryOperator::NotEq => BinaryOperator::Eq,
        BinaryOperator::Lt => BinaryOperator::GtEq,
        BinaryOperator::LtEq => BinaryOperator::Gt,
        BinaryOperator::Gt => BinaryOperator::LtEq,
        BinaryOperator::GtEq => BinaryOperator::Lt,
        _ => return,
    };
    if matches!(right.as_ref(), Ast::Subquery(_)) {
        return;
    }
    let all = Ast::AllOp {
        left: Box::new(take_value(left)),
        compare_op: opposite,
        right: Box::new(take_value(right)),
    };
    let negated = Ast::UnaryOp {
        op: UnaryOperator::Not,
        expr: Box::new(Ast::Nested(Box::new(all))),
    };
    *expression = Ast::Nested(Box::new(negated));
}

/// The comparisons of a value with each of several, of which all are to hold, or any.
fn with_each(left: &Ast, operator: &BinaryOperator, list: Vec<Ast>, is_all: bool) -> Ast {
    let connective = match is_all {
        true => BinaryOperator::And,
        false => BinaryOperator::Or,
    };
    let comparisons = list.into_iter();
    let comparisons = comparisons.map(|element| pair(left.clone(), operator, element));
    connected(comparisons.collect(), &connective)
}

fn pair(left: Ast, op: &BinaryOperator, right: Ast) -> Ast {
    Ast::BinaryOp {
        left: Box::new(left),
        op: op.clone(),
        right: Box::new(right),
    }
}

/// Conditions with `AND` or `OR` between them; NULL if there are none.
pub fn connected(conditions: Vec<Ast>, connective: &BinaryOperator) -> Ast {
    let mut values = conditions;
    // In pairs, and pairs of these: a long list makes no deep expression.
    while values.len() > 1 {
        let mut rest = values.into_iter();
        let mut pairs = Vec::new();
        while let Some(first) = rest.next() {
            pairs.push(match rest.next() {
                Some(second) => pair(first, connective, second),
                None => first,
            });
        }
        values = pairs;
    }
    let value = values.pop().unwrap_or_else(|| Ast::value(Value::Null));
    Ast::Nested(Box::new(value))
}

/// The elements of a list that is a text, as texts of their own; `None`: it is something else.
pub fn elements_of(value: &Ast) -> Result<Option<Vec<Ast>>, SqlError> {
    text_of(bare(value)).map(elements).transpose()
}

fn elements(text: &str) -> Result<Vec<Ast>, SqlError> {
    let elements = list_text::elements(text)?.into_iter();
    let elements = elements.map(|element| {
        Ast::value(match element {
            Some(text) => Value::SingleQuotedString(text),
            None => Value::Null,
        })
    });
    Ok(elements.collect())
}

/// How many lists within one another a type is, up to as many as Postgres knows.
fn depth_of(data_type: &SqlType) -> usize {
    let mut depth = 0;
    let mut rest = data_type;
    while let SqlType::Array(ArrayElemTypeDef::SquareBracket(inner, _)) = rest
        && depth < DEPTH_MAX
    {
        depth += 1;
        rest = inner.as_ref();
    }
    depth
}

/// A list that is written as a text, of so many lists within one another.
fn list_of(text: &str, depth: usize) -> Result<Ast, SqlError> {
    let elem = match depth {
        0 | 1 => elements(text)?,
        _ => {
            let lists = list_text::lists(text)?.into_iter();
            let lists = lists.map(|list| list_of(list, depth - 1));
            lists.collect::<Result<Vec<Ast>, SqlError>>()?
        }
    };
    Ok(Ast::Array(Array { elem, named: true }))
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
                "SELECT '{{1,2},{3,NULL}}'::INT[][]",
                "SELECT ARRAY[ARRAY['1', '2'], ARRAY['3', NULL]]::INT[][]",
            ),
            (
                "SELECT n = ANY('{1,2}'), n <> ALL('{\"a b\"}')",
                "SELECT n IN ('1', '2'), n NOT IN ('a b')",
            ),
            ("SELECT n = ANY('{}'), n >= ALL('{}')", "SELECT false, true"),
            (
                "SELECT n = ALL('{1,2,3}'), n < ANY('{1}')",
                "SELECT (n = '1' AND n = '2' AND n = '3'), (n < '1')",
            ),
            (
                "SELECT (SELECT 1) < ANY('{1}')",
                "SELECT (SELECT 1) < ANY('{1}')",
            ),
            ("SELECT n = ANY(l), '1'::INT", "SELECT n = ANY(l), '1'::INT"),
            (
                "SELECT n < ANY(l), n <> ANY(l)",
                "SELECT (NOT (n >= ALL(l))), (NOT (n = ALL(l)))",
            ),
        ] {
            assert_eq!(written(text).expect(text), expected);
        }
        let error = written("SELECT '1,2'::INT[]").expect_err("no list");
        assert_eq!(error.sqlstate, "22P02");
    }
}
