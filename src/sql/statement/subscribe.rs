//! SUBSCRIBE and cursors.
//!
//! ```sql
//! SUBSCRIBE [TO] view | query [AS OF timestamp] [WITH (snapshot [= false], progress)]
//! DECLARE name CURSOR FOR query | SUBSCRIBE …
//! FETCH … FROM name [WITH (timeout = '1s')]
//! ```

use datafusion::sql::sqlparser::ast::{self, FetchDirection, Query, Value};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{Declared, Statement, identifier, name, parse_ast, parse_one, setting, tail, unknown};
use crate::sql::SqlError;

/// The changes of a view or query, as they happen.
#[derive(Clone, Debug)]
pub struct Subscribe {
    /// Whose changes.
    pub source: SubscribeSource,
    /// The timestamp (ms) it begins with; `None`: the newest.
    pub as_of: Option<u64>,
    /// Whether the rows that are there come first.
    pub has_snapshot: bool,
    /// Whether the timestamps up to which all changes have been sent are told.
    pub has_progress: bool,
}

/// Whose changes are subscribed to.
#[derive(Clone, Debug)]
pub enum SubscribeSource {
    /// A table, live view or plain view.
    Relation(String),
    /// A query, which is maintained as long as the subscription lasts.
    Query(Box<Query>),
}

/// Reads what stands behind the word SUBSCRIBE.
pub(super) fn subscribe(tokens: &[TokenWithSpan]) -> Result<Subscribe, SqlError> {
    let tokens = match tail::is_word(tokens.first(), "to") {
        true => &tokens[1..],
        false => tokens,
    };
    let (tokens, options) = tail::without_options(tokens)?;
    let (tokens, as_of) = tail::without_as_of(tokens)?;
    let (mut has_snapshot, mut has_progress) = (true, false);
    for option in options {
        match option.0.as_str() {
            "snapshot" => has_snapshot = tail::is_on(&option)?,
            "progress" => has_progress = tail::is_on(&option)?,
            other => {
                return Err(unknown(&format!("the option {other} of SUBSCRIBE"))
                    .with_hint("the options are snapshot and progress"));
            }
        }
    }
    Ok(Subscribe {
        source: source(tokens)?,
        as_of,
        has_snapshot,
        has_progress,
    })
}

fn source(tokens: &[TokenWithSpan]) -> Result<SubscribeSource, SqlError> {
    let is_query = match tokens.first().map(|token| &token.token) {
        Some(Token::LParen) => true,
        Some(_) => ["select", "with", "values", "table"]
            .iter()
            .any(|word| tail::is_word(tokens.first(), word)),
        None => return Err(SqlError::syntax("SUBSCRIBE TO which view?")),
    };
    if is_query {
        return match parse_ast(tokens.to_vec())? {
            ast::Statement::Query(query) => Ok(SubscribeSource::Query(query)),
            _ => Err(SqlError::syntax("SUBSCRIBE takes a view or a query")),
        };
    }
    let dialect = datafusion::sql::sqlparser::dialect::GenericDialect {};
    let mut parser = datafusion::sql::sqlparser::parser::Parser::new(&dialect)
        .with_tokens_with_locations(tokens.to_vec());
    let object = parser.parse_object_name(false)?;
    let rest = parser.peek_token();
    match rest.token {
        Token::EOF => Ok(SubscribeSource::Relation(name(&object)?)),
        _ => Err(SqlError::syntax(format!(
            "\"{}\" is not expected behind SUBSCRIBE TO {object}",
            rest.token
        ))),
    }
}

/// `DECLARE name … CURSOR … FOR statement`; `None` for any other DECLARE.
pub(super) fn declare(
    tokens: &[TokenWithSpan],
    declared: &Declared,
) -> Result<Option<Statement>, SqlError> {
    let place = |word: &str| {
        let mut places = tokens.iter();
        places.position(|token| tail::is_word(Some(token), word))
    };
    let (Some(cursor), Some(behind), Some(Token::Word(named))) = (
        place("cursor"),
        place("for"),
        tokens.get(1).map(|token| &token.token),
    ) else {
        return Ok(None);
    };
    if behind < cursor {
        return Ok(None);
    }
    if tokens[..cursor]
        .iter()
        .any(|token| tail::is_word(Some(token), "binary"))
    {
        return Err(unknown("a binary cursor"));
    }
    let inner = &tokens[behind + 1..];
    let inner = match tail::is_word(inner.first(), "subscribe") {
        true => Statement::Subscribe(subscribe(&inner[1..])?),
        false => parse_one(inner, declared)?,
    };
    if !matches!(
        inner,
        Statement::Query(_) | Statement::QueryAsOf(..) | Statement::Subscribe(_)
    ) {
        return Err(SqlError::syntax("a cursor is for a query or a SUBSCRIBE"));
    }
    let ident = ast::Ident {
        value: named.value.clone(),
        quote_style: named.quote_style,
        span: tokens[1].span,
    };
    Ok(Some(Statement::DeclareCursor {
        name: identifier(&ident),
        statement: Box::new(inner),
    }))
}

/// `FETCH … FROM name` with a time to wait behind it.
pub(super) fn fetch(tokens: &[TokenWithSpan]) -> Result<Statement, SqlError> {
    let (tokens, options) = tail::without_options(tokens)?;
    let mut tokens = tokens.to_vec();
    let has_from = |token: &TokenWithSpan| {
        tail::is_word(Some(token), "from") || tail::is_word(Some(token), "in")
    };
    if tokens.len() > 2 && !tokens.iter().any(has_from) {
        let from = TokenWithSpan::wrap(Token::make_keyword("FROM"));
        tokens.insert(tokens.len() - 1, from);
    }
    let ast::Statement::Fetch {
        name, direction, ..
    } = parse_ast(tokens)?
    else {
        return Err(SqlError::syntax("FETCH how many FROM which cursor?"));
    };
    let mut timeout = None;
    for (option, value) in options {
        match (option.as_str(), value) {
            ("timeout", Some(value)) => timeout = Some(setting::duration(&value)?),
            _ => {
                return Err(unknown(&format!("the option {option} of FETCH"))
                    .with_hint("the option is timeout = '1s'"));
            }
        }
    }
    Ok(Statement::Fetch {
        name: identifier(&name),
        rows: row_count(&direction)?,
        timeout,
    })
}

/// How many rows are to be fetched; `None`: all.
fn row_count(direction: &FetchDirection) -> Result<Option<u64>, SqlError> {
    let backwards = || {
        unknown(&format!("FETCH {direction}"))
            .with_hint("cursors go forward: FETCH n, FETCH NEXT, FETCH ALL")
    };
    match direction {
        FetchDirection::Next | FetchDirection::Forward { limit: None } => Ok(Some(1)),
        FetchDirection::Count { limit } | FetchDirection::Forward { limit: Some(limit) } => {
            match &limit.value {
                Value::Number(digits, _) => {
                    let count = digits.to_string().parse().map_err(|_| backwards())?;
                    Ok(Some(count))
                }
                _ => Err(backwards()),
            }
        }
        FetchDirection::All | FetchDirection::ForwardAll => Ok(None),
        _ => Err(backwards()),
    }
}
