//! Lists of Postgres that the parser does not know: `x LIKE ANY (ARRAY['a%', 'b%'])`, and
//! `x IN ((SELECT …), 0)`, which begins like a query.

use datafusion::sql::sqlparser::ast::{BinaryOperator, DataType, Expr, Value};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::sql::syntax::{has_queries, is_null, is_text};
use crate::sql::texts::written_lists::{connected, elements_of};

/// How long a value may be, written once for each of its patterns.
const LONGEST: usize = 1_000_000;

/// `x [NOT] LIKE ANY (…)` and `ALL`, also with `ILIKE`, of a list whose patterns are written: all or
/// any of the comparisons with one. Others are left to the parser.
pub fn like_each(parser: &mut Parser<'_>, left: &Expr) -> Option<Result<Expr, ParserError>> {
    let negated = keyword(parser, 0) == Keyword::NOT;
    let first = usize::from(negated);
    let minds_case = match keyword(parser, first) {
        Keyword::LIKE => true,
        Keyword::ILIKE => false,
        _ => return None,
    };
    let is_all = match keyword(parser, first + 1) {
        Keyword::ANY | Keyword::SOME => false,
        Keyword::ALL => true,
        _ => return None,
    };
    // A query would be asked once for each pattern.
    if has_queries(left) {
        return None;
    }
    let patterns = parser.maybe_parse(|parser| {
        (0..first + 2).for_each(|_| parser.advance_token());
        parser.expect_token(&Token::LParen)?;
        let list = parser.parse_expr()?;
        parser.expect_token(&Token::RParen)?;
        patterns(&list).ok_or_else(|| refusal("the patterns are not written"))
    });
    let patterns = match patterns {
        Ok(patterns) => patterns?,
        Err(error) => return Some(Err(error)),
    };
    if left.to_string().len().saturating_mul(patterns.len()) > LONGEST {
        let message = "what LIKE compares is too long for so many patterns";
        return Some(Err(refusal(message)));
    }
    if patterns.is_empty() {
        return Some(Ok(Expr::value(Value::Boolean(is_all))));
    }
    let tests = patterns.into_iter();
    let tests = tests.map(|pattern| like(left, pattern, negated, minds_case));
    let connective = match is_all {
        true => BinaryOperator::And,
        false => BinaryOperator::Or,
    };
    Some(Ok(connected(tests.collect(), &connective)))
}

fn like(left: &Expr, pattern: Expr, negated: bool, minds_case: bool) -> Expr {
    let expr = Box::new(left.clone());
    let pattern = Box::new(match pattern {
        Expr::Value(_) | Expr::Identifier(_) | Expr::CompoundIdentifier(_) => pattern,
        other => Expr::Nested(Box::new(other)),
    });
    let (any, escape_char) = (false, None);
    match minds_case {
        true => Expr::Like {
            negated,
            any,
            expr,
            pattern,
            escape_char,
        },
        false => Expr::ILike {
            negated,
            any,
            expr,
            pattern,
            escape_char,
        },
    }
}

/// The elements of a list that is written, as one or as a text; `None`: it is something else.
fn patterns(list: &Expr) -> Option<Vec<Expr>> {
    match list {
        Expr::Array(array) => Some(array.elem.clone()),
        Expr::Nested(inner) => patterns(inner),
        // Texts are texts already.
        Expr::Cast {
            expr,
            data_type: DataType::Array(_),
            ..
        } => {
            let are_texts = |pattern: &Expr| is_text(pattern) || is_null(pattern);
            patterns(expr).filter(|patterns| patterns.iter().all(are_texts))
        }
        other => elements_of(other).ok().flatten(),
    }
}

/// `x [NOT] IN ((SELECT …), …)`: the parser takes the first value for all of the query. That it is,
/// where it stands alone.
pub fn in_values(parser: &mut Parser<'_>, left: &Expr) -> Option<Result<Expr, ParserError>> {
    let negated = keyword(parser, 0) == Keyword::NOT;
    let first = usize::from(negated);
    let is_parenthesis =
        |place: usize| matches!(parser.peek_nth_token_ref(place).token, Token::LParen);
    let begins_query = keyword(parser, first) == Keyword::IN
        && is_parenthesis(first + 1)
        && is_parenthesis(first + 2)
        && matches!(keyword(parser, first + 3), Keyword::SELECT | Keyword::WITH);
    if !begins_query {
        return None;
    }
    let values = parser.maybe_parse(|parser| {
        (0..first + 2).for_each(|_| parser.advance_token());
        let values = parser.parse_comma_separated(Parser::parse_expr)?;
        parser.expect_token(&Token::RParen)?;
        Ok(values)
    });
    let values = match values {
        Ok(values) => values?,
        Err(error) => return Some(Err(error)),
    };
    let expr = Box::new(left.clone());
    Some(Ok(match &values[..] {
        [Expr::Subquery(query)] => Expr::InSubquery {
            expr,
            subquery: query.clone(),
            negated,
        },
        _ => Expr::InList {
            expr,
            list: values,
            negated,
        },
    }))
}

/// The keyword that a token ahead is.
fn keyword(parser: &Parser<'_>, place: usize) -> Keyword {
    match &parser.peek_nth_token_ref(place).token {
        Token::Word(word) => word.keyword,
        _ => Keyword::NoKeyword,
    }
}

fn refusal(message: &str) -> ParserError {
    ParserError::ParserError(message.to_owned())
}

#[cfg(test)]
mod tests {
    use crate::sql::statement::parse_query;

    #[test]
    fn lists_are_read() {
        for (written, expected) in [
            (
                "x LIKE ANY (ARRAY['a%', 'b%']) AND y",
                "(x LIKE 'a%' OR x LIKE 'b%') AND y",
            ),
            (
                "a || b NOT LIKE ALL (ARRAY['a%', p || '%'])",
                "(a || b NOT LIKE 'a%' AND a || b NOT LIKE (p || '%'))",
            ),
            (
                "x ILIKE ANY ('{a,b}'::TEXT[])",
                "(x ILIKE 'a' OR x ILIKE 'b')",
            ),
            ("x LIKE ALL ('{}')", "true"),
            ("x IN ((SELECT 1), 0)", "x IN ((SELECT 1), 0)"),
            (
                "x NOT IN ((SELECT 1) + 1, y)",
                "x NOT IN ((SELECT 1) + 1, y)",
            ),
            ("x IN ((SELECT y FROM u))", "x IN (SELECT y FROM u)"),
        ] {
            let query = parse_query(&format!("SELECT {written} FROM t")).expect(written);
            assert_eq!(query.to_string(), format!("SELECT {expected} FROM t"));
        }
        let union = "SELECT x IN ((SELECT 1) UNION (SELECT 2)) FROM t";
        assert!(parse_query(union).is_ok());
    }

    #[test]
    fn long_values_are_not_written_for_each_of_many_patterns() {
        let value = format!("concat(x, '{}')", "y".repeat(2000));
        let written = |count: usize| {
            let patterns = vec!["'a'"; count].join(", ");
            format!("SELECT {value} LIKE ANY (ARRAY[{patterns}]) FROM t")
        };
        assert!(parse_query(&written(100)).is_ok());
        assert!(parse_query(&written(1000)).is_err());
    }
}
