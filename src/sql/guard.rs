//! Limits on SQL text before it is parsed and planned.
//!
//! DataFusion recurses over expressions, and a flat chain of thousands of operators is a deep tree
//! to it that can overflow the stack, which would end the process. So chains and nesting are
//! counted in the tokens first.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::error::SqlError;

/// Longest SQL text, in bytes.
pub const TEXT_BYTES_MAX: usize = 256 * 1024;
/// Most tokens of one text.
pub const TOKENS_MAX: usize = 20_000;
/// Deepest nesting of parentheses.
pub const NESTING_MAX: usize = 50;
/// Most operators between two commas, parentheses or clauses.
pub const CHAIN_MAX: usize = 500;

/// The tokens of a text; refuses one that is too large or too deep to be planned safely.
pub fn tokens(sql: &str) -> Result<Vec<TokenWithSpan>, SqlError> {
    if sql.len() > TEXT_BYTES_MAX {
        return Err(too_complex(format!(
            "the statement has {} bytes; the limit is {TEXT_BYTES_MAX}",
            sql.len()
        )));
    }
    let tokens = Tokenizer::new(&GenericDialect {}, sql)
        .tokenize_with_location()
        .map_err(|error| SqlError::syntax(error.to_string()))?;
    check(tokens.iter().map(|token| &token.token))?;
    Ok(tokens)
}

fn check<'a>(tokens: impl Iterator<Item = &'a Token>) -> Result<(), SqlError> {
    let tokens = tokens.filter(|token| !matches!(token, Token::Whitespace(_)));
    let mut count = 0usize;
    let mut chains = vec![0usize];
    for token in tokens {
        count += 1;
        match token {
            Token::LParen | Token::LBracket => chains.push(0),
            Token::RParen | Token::RBracket => {
                chains.pop();
                if chains.is_empty() {
                    chains.push(0);
                }
            }
            Token::Comma | Token::SemiColon => reset(&mut chains),
            token if starts_clause(token) => reset(&mut chains),
            token if is_operator(token) => {
                if let Some(chain) = chains.last_mut() {
                    *chain += 1;
                }
            }
            _ => {}
        }
        if chains.len() > NESTING_MAX {
            return Err(too_complex(format!(
                "the statement is nested more than {NESTING_MAX} deep"
            )));
        }
        if chains.last().is_some_and(|chain| *chain > CHAIN_MAX) {
            return Err(too_complex(format!(
                "the statement chains more than {CHAIN_MAX} operators in one expression"
            ))
            .with_hint("put the values in a table and join it, or use IN (…)"));
        }
    }
    match count > TOKENS_MAX {
        true => Err(too_complex(format!(
            "the statement has {count} tokens; the limit is {TOKENS_MAX}"
        ))),
        false => Ok(()),
    }
}

fn too_complex(message: String) -> SqlError {
    SqlError::new("54001", message)
}

fn reset(chains: &mut [usize]) {
    if let Some(chain) = chains.last_mut() {
        *chain = 0;
    }
}

fn starts_clause(token: &Token) -> bool {
    let Token::Word(word) = token else {
        return false;
    };
    matches!(
        word.keyword,
        Keyword::SELECT | Keyword::FROM | Keyword::WHERE | Keyword::GROUP | Keyword::ORDER
    )
}

fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::JOIN
                | Keyword::LIKE
                | Keyword::WHEN
        ),
        Token::Plus
        | Token::Minus
        | Token::Mul
        | Token::Div
        | Token::Mod
        | Token::Eq
        | Token::DoubleEq
        | Token::Neq
        | Token::Lt
        | Token::Gt
        | Token::LtEq
        | Token::GtEq
        | Token::StringConcat
        | Token::DoubleColon
        | Token::Ampersand
        | Token::Pipe
        | Token::Caret => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_chains_are_refused_before_they_are_planned() {
        let chain = format!("SELECT {}", vec!["1"; 20_000].join(" + "));
        assert_eq!(tokens(&chain).unwrap_err().sqlstate, "54001");
        let ors = format!("SELECT 1 WHERE {}", vec!["a = 1"; 5_000].join(" OR "));
        assert_eq!(tokens(&ors).unwrap_err().sqlstate, "54001");
    }

    #[test]
    fn deep_nesting_is_refused() {
        let nested = format!("SELECT {}1{}", "(".repeat(60), ")".repeat(60));
        assert_eq!(tokens(&nested).unwrap_err().sqlstate, "54001");
    }

    #[test]
    fn long_lists_are_fine() {
        let list = format!("SELECT 1 WHERE a IN ({})", vec!["1"; 5_000].join(", "));
        assert!(tokens(&list).is_ok());
    }
}
