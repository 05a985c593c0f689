//! `COPY … FROM STDIN` and `COPY … TO STDOUT`.

mod format;
mod options;
mod reader;

use datafusion::sql::sqlparser::ast::{self, CopyTarget, Statement as Ast};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::subscribe::{Subscribe, subscribe};
use super::{Query, Statement, identifier, name, parse_ast, tail, unknown};
use crate::sql::SqlError;

pub use format::{CopyColumns, CopyFormat, CopyHeader, CsvFormat};

/// `COPY table FROM STDIN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    pub table: String,
    /// Empty: all columns in order.
    pub columns: Vec<String>,
    pub format: CopyFormat,
}

/// `COPY … TO STDOUT`.
#[derive(Clone, Debug)]
pub struct CopyOut {
    pub source: CopySource,
    pub format: CopyFormat,
}

/// What is copied out.
#[derive(Clone, Debug)]
pub enum CopySource {
    Query(Box<Query>),
    /// A query over the past: as of a timestamp (ms).
    QueryAsOf(Box<Query>, u64),
    Subscribe(Subscribe),
}

/// Reads a COPY, whose source may be a SUBSCRIBE.
pub(super) fn copy(mut tokens: Vec<TokenWithSpan>) -> Result<Statement, SqlError> {
    let subscription = take_subscription(&mut tokens)?;
    let as_of = take_as_of(&mut tokens)?;
    let tokens_of_options = take_options(&mut tokens);
    // The parser expects the data of a COPY behind its semicolon.
    tokens.push(TokenWithSpan::wrap(Token::SemiColon));
    let Ast::Copy {
        source, to, target, ..
    } = parse_ast(tokens)?
    else {
        return Err(SqlError::syntax("expected COPY"));
    };
    match (to, target) {
        (false, CopyTarget::Stdin) => copy_in(source, options::format(&tokens_of_options, true)?),
        (true, CopyTarget::Stdout) => {
            let format = options::format(&tokens_of_options, false)?;
            let source = match (subscription, as_of) {
                (Some(subscription), _) => CopySource::Subscribe(subscription),
                (None, Some(as_of)) => CopySource::QueryAsOf(copied_query(source)?, as_of),
                (None, None) => CopySource::Query(copied_query(source)?),
            };
            Ok(Statement::CopyOut(CopyOut { source, format }))
        }
        _ => Err(unknown("COPY to or from a file").with_hint(
            "COPY table FROM STDIN takes rows from the client, COPY … TO STDOUT gives it rows",
        )),
    }
}

/// Puts a query that the parser knows in the place of `(SUBSCRIBE …)`.
fn take_subscription(tokens: &mut Vec<TokenWithSpan>) -> Result<Option<Subscribe>, SqlError> {
    if !is_nested(tokens) || !tail::is_word(tokens.get(2), "subscribe") {
        return Ok(None);
    }
    let Some(closing) = closing(tokens) else {
        return Err(SqlError::syntax("COPY (SUBSCRIBE … has no end"));
    };
    let subscription = subscribe(&tokens[3..closing])?;
    let dialect = datafusion::sql::sqlparser::dialect::GenericDialect {};
    let query = Tokenizer::new(&dialect, "SELECT 1").tokenize();
    let query = query.map_err(|error| SqlError::syntax(error.to_string()))?;
    drop(tokens.splice(2..closing, query.into_iter().map(TokenWithSpan::wrap)));
    Ok(Some(subscription))
}

/// Takes `AS OF timestamp` from the end of a query in parentheses.
fn take_as_of(tokens: &mut Vec<TokenWithSpan>) -> Result<Option<u64>, SqlError> {
    let Some(closing) = closing(tokens).filter(|_| is_nested(tokens)) else {
        return Ok(None);
    };
    let (query, as_of) = tail::without_as_of(&tokens[2..closing])?;
    let end = 2 + query.len();
    tokens.drain(end..closing);
    Ok(as_of)
}

/// Takes what stands behind STDIN, STDOUT or another target.
fn take_options(tokens: &mut Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let source = match is_nested(tokens) {
        true => closing(tokens).unwrap_or_default(),
        false => 1,
    };
    let direction = tokens
        .iter()
        .skip(source + 1)
        .position(|token| tail::is_word(Some(token), "from") || tail::is_word(Some(token), "to"));
    let Some(direction) = direction.map(|position| source + 1 + position) else {
        return Vec::new();
    };
    let target = match tail::is_word(tokens.get(direction + 1), "program") {
        true => direction + 2,
        false => direction + 1,
    };
    tokens.split_off(tokens.len().min(target + 1))
}

/// Whether what is copied stands in parentheses.
fn is_nested(tokens: &[TokenWithSpan]) -> bool {
    tokens
        .get(1)
        .is_some_and(|token| token.token == Token::LParen)
}

/// Where the first parenthesis is closed.
fn closing(tokens: &[TokenWithSpan]) -> Option<usize> {
    let mut depth = 0usize;
    tokens.iter().position(|token| {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => return false,
        }
        depth == 0
    })
}

fn copy_in(source: ast::CopySource, format: CopyFormat) -> Result<Statement, SqlError> {
    let ast::CopySource::Table {
        table_name,
        columns,
    } = source
    else {
        return Err(SqlError::syntax("COPY … FROM STDIN fills a table"));
    };
    Ok(Statement::Copy(Copy {
        table: name(&table_name)?,
        columns: columns.iter().map(identifier).collect(),
        format,
    }))
}

fn copied_query(source: ast::CopySource) -> Result<Box<Query>, SqlError> {
    match source {
        ast::CopySource::Query(query) => Ok(query),
        ast::CopySource::Table {
            table_name,
            columns,
        } => {
            let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
            let columns = match columns.is_empty() {
                true => "*".to_owned(),
                false => columns.join(", "),
            };
            super::parse_query(&format!("SELECT {columns} FROM {table_name}"))
        }
    }
}
