//! Tokens as the parser is to take them, where it would take them for another database's.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tail::is_word;

/// The tokens of one statement, ready to be parsed.
pub(super) fn adjusted(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if is_word(tokens.first(), "create") {
        name_columns(&mut tokens);
    }
    for token in &mut tokens {
        // Parameters are called $1, so a question mark alone is the operator of JSON.
        if matches!(&token.token, Token::Placeholder(name) if name == "?") {
            token.token = Token::Question;
        }
    }
    tokens
}

/// Lets columns be called KEY, INDEX, FULLTEXT or SPATIAL, with which MySQL begins an index.
fn name_columns(tokens: &mut [TokenWithSpan]) {
    let mut depth = 0usize;
    for position in 1..tokens.len() {
        let begins = matches!(tokens[position - 1].token, Token::LParen | Token::Comma);
        let has_type = tokens
            .get(position + 1)
            .is_some_and(|next| matches!(next.token, Token::Word(_)));
        match &mut tokens[position].token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Word(word) if depth == 1 && begins && has_type => {
                if matches!(
                    word.keyword,
                    Keyword::KEY | Keyword::INDEX | Keyword::FULLTEXT | Keyword::SPATIAL
                ) {
                    word.keyword = Keyword::NoKeyword;
                }
            }
            _ => {}
        }
    }
}
