//! Tokens as the parser is to take them, where it would take them for another database's.

use datafusion::sql::sqlparser::keywords::{Keyword, RESERVED_FOR_TABLE_ALIAS};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::tail::is_word;

/// The tokens of one statement, ready to be parsed.
pub(super) fn adjusted(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    if is_word(tokens.first(), "create") {
        name_columns(&mut tokens);
    }
    let shown = ["show", "create", "materialized"];
    if (0_usize..)
        .zip(shown)
        .all(|(place, word)| is_word(tokens.get(place), word))
    {
        // What is shown is the statement of whatever has the name.
        tokens.remove(2);
    }
    let mut tokens = with_whole_tables(tokens);
    for token in &mut tokens {
        // Parameters are called $1, so a question mark alone is the operator of JSON.
        if matches!(&token.token, Token::Placeholder(name) if name == "?") {
            token.token = Token::Question;
        }
        // Digits may be parted: 1_000.
        if let Token::Number(digits, _) = &mut token.token {
            digits.retain(|character| character != '_');
        }
    }
    tokens
}

/// `TABLE name` in the place of a query is `SELECT * FROM name`.
fn with_whole_tables(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let may_begin = |before: Option<&TokenWithSpan>| match before.map(|token| &token.token) {
        None | Some(Token::LParen) => true,
        Some(Token::Word(word)) => matches!(
            word.keyword,
            Keyword::AS
                | Keyword::UNION
                | Keyword::ALL
                | Keyword::DISTINCT
                | Keyword::EXCEPT
                | Keyword::INTERSECT
        ),
        Some(_) => false,
    };
    // Behind AS, the word may also be a name, which a clause follows.
    let is_name = |token: Option<&TokenWithSpan>| match token.map(|token| &token.token) {
        Some(Token::Word(word)) => !RESERVED_FOR_TABLE_ALIAS.contains(&word.keyword),
        _ => false,
    };
    let mut whole = Vec::with_capacity(tokens.len());
    for (position, token) in tokens.iter().enumerate() {
        let before = position
            .checked_sub(1)
            .and_then(|before| tokens.get(before));
        if is_word(Some(token), "table") && may_begin(before) && is_name(tokens.get(position + 1)) {
            let word = |word: &str| TokenWithSpan::new(Token::make_keyword(word), token.span);
            let star = TokenWithSpan::new(Token::Mul, token.span);
            whole.extend([word("SELECT"), star, word("FROM")]);
        } else {
            whole.push(token.clone());
        }
    }
    whole
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
