//! Forms of Postgres that the parser does not know: `BETWEEN SYMMETRIC`, `GROUP BY DISTINCT` and
//! `GROUPING SETS` within others.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Ident};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::sql::syntax::edit_expressions;

/// `x BETWEEN SYMMETRIC a AND b`: between them, whichever is the lower one. `ASYMMETRIC` says
/// nothing.
pub fn between(parser: &mut Parser<'_>, left: &Expr) -> Option<Result<Expr, ParserError>> {
    let negated = [Keyword::NOT, Keyword::BETWEEN, Keyword::SYMMETRIC];
    if parser.parse_keywords(&negated) {
        return Some(either_way(parser.parse_between(left.clone(), true)));
    }
    if parser.parse_keywords(&negated[1..]) {
        return Some(either_way(parser.parse_between(left.clone(), false)));
    }
    let negated = [Keyword::NOT, Keyword::BETWEEN, Keyword::ASYMMETRIC];
    if parser.parse_keywords(&negated) {
        return Some(parser.parse_between(left.clone(), true));
    }
    let is_plain = parser.parse_keywords(&negated[1..]);
    is_plain.then(|| parser.parse_between(left.clone(), false))
}

fn either_way(between: Result<Expr, ParserError>) -> Result<Expr, ParserError> {
    let between = between?;
    if counted(&between) > 1 {
        // What is written twice would be written twice in what is written twice.
        return Err(ParserError::ParserError(
            "what BETWEEN SYMMETRIC compares has a BETWEEN in itself".to_owned(),
        ));
    }
    let Expr::Between {
        expr,
        negated,
        low,
        high,
    } = between.clone()
    else {
        return Ok(between);
    };
    let other = Expr::Between {
        expr,
        negated,
        low: high,
        high: low,
    };
    let op = match negated {
        true => BinaryOperator::And,
        false => BinaryOperator::Or,
    };
    Ok(Expr::Nested(Box::new(Expr::BinaryOp {
        left: Box::new(between),
        op,
        right: Box::new(other),
    })))
}

/// How many `BETWEEN` there are in an expression.
fn counted(expression: &Expr) -> usize {
    let mut count = 0;
    // It never breaks off.
    let _ = edit_expressions(&mut expression.clone(), &mut |part| {
        count += usize::from(matches!(part, Expr::Between { .. }));
        ControlFlow::Continue(())
    });
    count
}

/// `GROUP BY DISTINCT`, as a prefix of the first key.
pub fn distinct_keys(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    let is_keyword = |token: Option<&Token>, keyword: Keyword| match token {
        Some(Token::Word(word)) => word.keyword == keyword,
        _ => false,
    };
    if !is_keyword(Some(&parser.peek_token_ref().token), Keyword::DISTINCT) {
        return None;
    }
    let is_first = {
        let mut before = tokens_before(parser);
        is_keyword(before.next(), Keyword::BY) && is_keyword(before.next(), Keyword::GROUP)
    };
    if !is_first {
        return None;
    }
    parser.advance_token();
    Some(parser.parse_expr().map(|first| Expr::Prefixed {
        prefix: Ident::new("DISTINCT"),
        value: Box::new(first),
    }))
}

/// `GROUPING SETS` within others: the parser knows those that stand for themselves.
pub fn grouping_sets(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    if !parser.parse_keywords(&[Keyword::GROUPING, Keyword::SETS]) {
        return None;
    }
    Some(sets_in_parentheses(parser))
}

fn sets_in_parentheses(parser: &mut Parser<'_>) -> Result<Expr, ParserError> {
    parser.expect_token(&Token::LParen)?;
    let sets = parser.parse_comma_separated(|parser| {
        if !parser.consume_token(&Token::LParen) {
            return Ok(vec![parser.parse_expr()?]);
        }
        if parser.consume_token(&Token::RParen) {
            return Ok(Vec::new());
        }
        let columns = parser.parse_comma_separated(Parser::parse_expr)?;
        parser.expect_token(&Token::RParen)?;
        Ok(columns)
    })?;
    parser.expect_token(&Token::RParen)?;
    Ok(Expr::GroupingSets(sets))
}

/// What stands before the next token, the nearest first.
pub fn tokens_before<'p>(parser: &'p Parser<'_>) -> impl Iterator<Item = &'p Token> {
    let before = (0..parser.index()).rev();
    let before = before.map(move |place| &parser.token_at(place).token);
    before.filter(|token| !matches!(token, Token::Whitespace(_)))
}

#[cfg(test)]
mod tests {
    use crate::sql::statement::parse_query;

    #[test]
    fn forms_are_read() {
        for (written, expected) in [
            (
                "x BETWEEN SYMMETRIC 3 AND 1",
                "(x BETWEEN 3 AND 1 OR x BETWEEN 1 AND 3)",
            ),
            (
                "x NOT BETWEEN SYMMETRIC a + 1 AND b AND y",
                "(x NOT BETWEEN a + 1 AND b AND x NOT BETWEEN b AND a + 1) AND y",
            ),
            ("x BETWEEN ASYMMETRIC 3 AND 1", "x BETWEEN 3 AND 1"),
            ("x NOT BETWEEN 3 AND 1", "x NOT BETWEEN 3 AND 1"),
        ] {
            let query = parse_query(&format!("SELECT {written} FROM t")).expect("a query");
            assert_eq!(query.to_string(), format!("SELECT {expected} FROM t"));
        }
        let nested = "SELECT (x BETWEEN SYMMETRIC 1 AND 2) BETWEEN SYMMETRIC a AND b";
        assert!(parse_query(nested).is_err());
    }

    #[test]
    fn keys_of_groups_are_read() {
        for (keys, expected) in [
            (
                "DISTINCT ROLLUP (a, b), CUBE (a, c)",
                "DISTINCT ROLLUP(a, b), CUBE (a, c)",
            ),
            (
                "GROUPING SETS ((a), GROUPING SETS ((b), ()))",
                "GROUPING SETS ((a), (GROUPING SETS ((b), ())))",
            ),
        ] {
            let select = "SELECT count(*) FROM t GROUP BY";
            let query = parse_query(&format!("{select} {keys}")).expect("a query");
            assert_eq!(query.to_string(), format!("{select} {expected}"));
        }
    }
}
