//! What stands at the end of a statement and the parser does not know: `AS OF …`, `WITH (…)`.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::sql::SqlError;

/// Whether a token is the given word, whatever its case.
pub(super) fn is_word(token: Option<&TokenWithSpan>, word: &str) -> bool {
    match token.map(|token| &token.token) {
        Some(Token::Word(found)) => {
            found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word)
        }
        _ => false,
    }
}

/// The statement without `AS OF timestamp` at its end, and the timestamp (ms).
pub(super) fn without_as_of(
    tokens: &[TokenWithSpan],
) -> Result<(&[TokenWithSpan], Option<u64>), SqlError> {
    let [rest @ .., first, second, value] = tokens else {
        return Ok((tokens, None));
    };
    if !is_word(Some(first), "as") || !is_word(Some(second), "of") {
        return Ok((tokens, None));
    }
    let timestamp_ms = match &value.token {
        Token::Number(digits, _) => digits.parse().ok(),
        Token::SingleQuotedString(text) => timestamp_of(text),
        _ => None,
    };
    match timestamp_ms {
        Some(_) => Ok((rest, timestamp_ms)),
        None => Err(
            SqlError::syntax(format!("AS OF takes a timestamp, not {}", value.token))
                .with_hint("write milliseconds since 1970, or '2026-05-04 10:20:30.5'"),
        ),
    }
}

/// Milliseconds since the epoch; a text without a zone is in UTC.
fn timestamp_of(text: &str) -> Option<u64> {
    let utc = arrow::compute::kernels::cast_utils::string_to_datetime(&chrono::Utc, text).ok()?;
    u64::try_from(utc.timestamp_millis()).ok()
}

/// An option and what it is set to, in lower case; `None`: it is only named.
pub(super) type Setting = (String, Option<String>);

/// The statement without `WITH (option, …)` at its end, and the options.
pub(super) fn without_options(
    tokens: &[TokenWithSpan],
) -> Result<(&[TokenWithSpan], Vec<Setting>), SqlError> {
    let is_end =
        |token: Option<&TokenWithSpan>| token.is_some_and(|token| token.token == Token::RParen);
    let opening = tokens
        .iter()
        .rposition(|token| token.token == Token::LParen);
    let (Some(opening), true) = (opening, is_end(tokens.last())) else {
        return Ok((tokens, Vec::new()));
    };
    let before = opening.checked_sub(1);
    if !before.is_some_and(|before| is_with(&tokens[before])) {
        return Ok((tokens, Vec::new()));
    }
    let inside = &tokens[opening + 1..tokens.len() - 1];
    let options = inside.split(|token| token.token == Token::Comma);
    let options = options.map(setting).collect::<Result<_, _>>()?;
    Ok((&tokens[..opening - 1], options))
}

fn is_with(token: &TokenWithSpan) -> bool {
    matches!(&token.token, Token::Word(word) if word.keyword == Keyword::WITH)
}

fn setting(tokens: &[TokenWithSpan]) -> Result<Setting, SqlError> {
    let words: Vec<String> = tokens
        .iter()
        .filter(|token| token.token != Token::Eq)
        .map(|token| token.token.to_string().trim_matches('\'').to_lowercase())
        .collect();
    match &words[..] {
        [name] => Ok((name.clone(), None)),
        [name, value] => Ok((name.clone(), Some(value.clone()))),
        _ => Err(SqlError::syntax(format!(
            "\"{}\" is not an option with a value",
            words.join(" ")
        ))),
    }
}

/// Whether an option is switched on.
pub(super) fn is_on((name, value): &Setting) -> Result<bool, SqlError> {
    match value.as_deref() {
        None | Some("true" | "on" | "1") => Ok(true),
        Some("false" | "off" | "0") => Ok(false),
        Some(other) => Err(SqlError::syntax(format!(
            "the option {name} is on or off, not {other}"
        ))),
    }
}
