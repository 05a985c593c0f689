//! Statements: what Mainstem does with SQL text, before any of it is planned.

mod adjust;
mod copy;
mod create_table;
mod declared;
mod exclusion;
mod explain;
mod prepared;
mod refused;
mod setting;
mod subscribe;
mod tail;
mod view;
mod write;

use std::time::Duration;

use datafusion::sql::sqlparser::ast::{self, DescribeAlias, ObjectName, Query, Statement as Ast};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Span, Token, TokenWithSpan};

use super::dialect::MainstemDialect;
use super::error::{Place, SqlError};
use super::refusals::guard;
use super::view_options::ViewOptions;
use crate::model::TableDefinition;
use declared::Declared;

pub use copy::{Copy, CopyColumns, CopyFormat, CopyHeader, CopyOut, CopySource, CsvFormat};
pub use setting::duration;
pub use subscribe::{Subscribe, SubscribeSource};
pub use write::{Insert, OnConflict, calls_functions};

/// A statement that Mainstem understands.
#[derive(Clone, Debug)]
pub enum Statement {
    CreateTable {
        definition: TableDefinition,
        if_not_exists: bool,
    },
    CreateMaterializedView {
        name: String,
        or_replace: bool,
        if_not_exists: bool,
        query: Box<Query>,
        options: ViewOptions,
        /// The whole statement.
        text: String,
    },
    CreateView {
        name: String,
        or_replace: bool,
        if_not_exists: bool,
        query: Box<Query>,
        text: String,
    },
    Drop {
        kind: DropKind,
        names: Vec<String>,
        if_exists: bool,
        cascade: bool,
    },
    Insert(Insert),
    Update {
        table: String,
        /// What the table is called in the rest of the statement.
        alias: Option<String>,
        /// Column and the text of its new value.
        assignments: Vec<(String, String)>,
        /// Other tables that values and condition read, as text.
        from: Option<String>,
        condition: Option<String>,
        /// What is given back of the rows, as text.
        returning: Option<String>,
    },
    Delete {
        table: String,
        /// What the table is called in the rest of the statement.
        alias: Option<String>,
        /// Other tables that the condition reads, as text.
        using: Option<String>,
        condition: Option<String>,
        /// What is given back of the rows, as text.
        returning: Option<String>,
        /// Whether it was written as TRUNCATE.
        is_truncate: bool,
    },
    /// `COPY table FROM STDIN`.
    Copy(Copy),
    /// `COPY … TO STDOUT`.
    CopyOut(CopyOut),
    Query(Box<Query>),
    /// A query over the past: as of a timestamp (ms).
    QueryAsOf(Box<Query>, u64),
    /// The changes of a view or query, as they happen.
    Subscribe(Subscribe),
    /// The plan of a live view by name.
    ExplainView(String),
    /// The plan that a query would have as a live view.
    Explain(Box<Query>),
    /// The plan a query runs by on demand, with what each step did.
    ExplainAnalyze(Box<Query>),
    /// The plan of a live view, with what each step keeps and has cost so far.
    AnalyzeView(String),
    Show(Show),
    /// Changes a setting of the session; `None`: back to its default.
    Set {
        name: String,
        value: Option<String>,
        /// Only until the end of the transaction block.
        is_local: bool,
    },
    /// A setting back to its default; `None`: all of them.
    Reset(Option<String>),
    /// Opens a transaction block.
    Begin {
        /// The command tag.
        tag: &'static str,
        /// Whether nothing may be written in it.
        is_read_only: bool,
    },
    /// Ends a transaction block; what was written in it takes effect.
    Commit,
    /// Ends a transaction block; what was written in it is forgotten.
    Rollback,
    /// Marks a place in a transaction block.
    Savepoint(String),
    /// Goes back to such a place.
    RollbackTo(String),
    /// Forgets such a place.
    Release(String),
    /// Gives a query or subscription a name, under which its rows are fetched.
    DeclareCursor {
        name: String,
        statement: Box<Statement>,
    },
    /// The next rows of a cursor.
    Fetch {
        name: String,
        /// How many; `None`: all that are left.
        rows: Option<u64>,
        /// How long the first row of a subscription is waited for; `None`: until it comes.
        timeout: Option<Duration>,
    },
    /// Ends a cursor; `None`: all of them.
    CloseCursor(Option<String>),
    /// Keeps a statement under a name.
    Prepare {
        name: String,
        /// The types of its parameters as far as they are given, as text.
        types: Vec<String>,
        statement: Box<Statement>,
    },
    /// Runs a statement that is kept.
    Execute {
        name: String,
        /// The values of its parameters, as text.
        arguments: Vec<String>,
    },
    /// Lets go of a statement that is kept; `None`: of all of them.
    Deallocate(Option<String>),
    /// The session as it was at its beginning.
    DiscardAll,
    /// Accepted for the sake of drivers and without effect; the command tag.
    Session(&'static str),
}

/// What is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropKind {
    Table,
    MaterializedView,
    View,
}

/// What is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Show {
    Tables,
    Views,
    Columns(String),
    Create(String),
    /// A setting of the session.
    Setting(String),
    /// All settings of the session.
    Settings,
}

/// Parses SQL text into statements; an empty text has none.
pub fn parse(sql: &str) -> Result<Vec<Statement>, SqlError> {
    parse_tokens(&guard::tokens(sql)?, &Declared::default())
}

/// The same with the types that are declared for parameters, by their names in SQL.
pub fn parse_declared(sql: &str, types: &[Option<&str>]) -> Result<Vec<Statement>, SqlError> {
    parse_tokens(&guard::tokens(sql)?, &Declared::new(types)?)
}

fn parse_tokens(tokens: &[TokenWithSpan], declared: &Declared) -> Result<Vec<Statement>, SqlError> {
    tokens
        .split(|token| token.token == Token::SemiColon)
        .filter(|tokens| tokens.iter().any(is_meaningful))
        .map(|tokens| parse_one(tokens, declared))
        .collect()
}

/// Parses SQL text that is not the user's own, or no longer: places in it would say nothing.
pub fn parse_stored(sql: &str) -> Result<Vec<Statement>, SqlError> {
    let mut tokens = guard::tokens(sql)?;
    for token in &mut tokens {
        token.span = Span::empty();
    }
    parse_tokens(&tokens, &Declared::default())
}

/// Parses one query, whose text is not the user's own.
pub fn parse_query(sql: &str) -> Result<Box<Query>, SqlError> {
    match <[Statement; 1]>::try_from(parse_stored(sql)?) {
        Ok([Statement::Query(query)]) => Ok(query),
        _ => Err(SqlError::syntax("expected one SELECT")),
    }
}

fn is_meaningful(token: &TokenWithSpan) -> bool {
    !matches!(token.token, Token::Whitespace(_) | Token::EOF)
}

fn parse_one(tokens: &[TokenWithSpan], declared: &Declared) -> Result<Statement, SqlError> {
    let tokens: Vec<TokenWithSpan> = tokens
        .iter()
        .filter(|token| is_meaningful(token))
        .cloned()
        .collect();
    if tail::is_word(tokens.first(), "subscribe") {
        return Ok(Statement::Subscribe(subscribe::subscribe(&tokens[1..])?));
    }
    if tail::is_word(tokens.first(), "declare")
        && let Some(cursor) = subscribe::declare(&tokens, declared)?
    {
        return Ok(cursor);
    }
    if tail::is_word(tokens.first(), "fetch") {
        return subscribe::fetch(&tokens);
    }
    if tail::is_word(tokens.first(), "prepare") {
        return prepared::prepare(&tokens[1..]);
    }
    if let Some(explain) = explain::explained_view(&tokens)? {
        return Ok(explain);
    }
    if tail::is_word(tokens.first(), "refresh") {
        return Err(refused::refresh());
    }
    if tokens.len() == 1 && tail::is_word(tokens.first(), "flush") {
        return Ok(Statement::Session("FLUSH"));
    }
    if tail::is_word(tokens.first(), "copy") {
        return copy::copy(tokens);
    }
    let (tokens, as_of) = tail::without_as_of(&tokens)?;
    let mut ast = parse_ast(tokens.to_vec())?;
    declared.cast(&mut ast);
    match (statement(ast)?, as_of) {
        (statement, None) => Ok(statement),
        (Statement::Query(query), Some(as_of)) => Ok(Statement::QueryAsOf(query, as_of)),
        (_, Some(_)) => Err(SqlError::syntax("AS OF belongs at the end of a query")),
    }
}

/// One statement as the parser's tree.
fn parse_ast(mut tokens: Vec<TokenWithSpan>) -> Result<Ast, SqlError> {
    exclusion::taken_out(&mut tokens)?;
    let end = end_of(&tokens);
    let mut parser =
        Parser::new(&MainstemDialect).with_tokens_with_locations(adjust::adjusted(tokens));
    let statement = parser.parse_statement().map_err(|error| {
        let error = SqlError::from(error);
        match error.message.strip_suffix("EOF") {
            Some(found) => {
                SqlError::syntax(format!("{found}the end of the statement")).at_known(end)
            }
            None => error,
        }
    })?;
    let _ = parser.consume_token(&Token::SemiColon);
    let rest = parser.peek_token();
    match rest.token {
        Token::EOF => Ok(statement),
        _ => Ok(parser.expected("end of statement", rest)?),
    }
}

/// The place behind the last of some tokens; `None` if it is not one of the user's text.
fn end_of(tokens: &[TokenWithSpan]) -> Option<Place> {
    let end = tokens.iter().map(|token| token.span.end).max()?;
    let (line, column) = (end.line, end.column);
    (line > 0).then_some(Place { line, column })
}

fn statement(ast: Ast) -> Result<Statement, SqlError> {
    if let Some(statement) = prepared::about_prepared(&ast) {
        return statement;
    }
    let text = ast.to_string();
    match ast {
        Ast::Query(query) => {
            refused::check(&query)?;
            Ok(Statement::Query(query))
        }
        Ast::CreateTable(create) => create_table::create_table(create),
        Ast::CreateView(create) => view::create_view(create, text),
        Ast::Drop {
            object_type,
            if_exists,
            names,
            cascade,
            ..
        } => view::drop(object_type, &names, if_exists, cascade),
        Ast::Insert(insert) => write::insert(insert),
        Ast::Update(update) => write::update(update),
        Ast::Delete(delete) => write::delete(delete),
        Ast::Truncate(truncate) => write::truncate(&truncate),
        Ast::Explain {
            statement,
            analyze,
            format,
            options,
            ..
        } => explain::explain(*statement, analyze, format, options.unwrap_or_default()),
        Ast::ExplainTable {
            describe_alias: DescribeAlias::Explain,
            table_name,
            ..
        } => Ok(Statement::ExplainView(name(&table_name)?)),
        Ast::ExplainTable { table_name, .. } => {
            Ok(Statement::Show(Show::Columns(name(&table_name)?)))
        }
        Ast::ShowTables { .. } => Ok(Statement::Show(Show::Tables)),
        Ast::ShowViews { .. } => Ok(Statement::Show(Show::Views)),
        Ast::ShowColumns { show_options, .. } => show_columns(show_options),
        Ast::ShowCreate { obj_name, .. } => Ok(Statement::Show(Show::Create(name(&obj_name)?))),
        Ast::ShowVariable { variable } => Ok(setting::show(&variable)),
        Ast::Set(set) => setting::set(set),
        Ast::Reset(reset) => Ok(setting::reset(reset)),
        other => session(other).ok_or_else(|| refused::statement(first_words(&text))),
    }
}

fn session(ast: Ast) -> Option<Statement> {
    Some(match ast {
        Ast::StartTransaction { begin, modes, .. } => Statement::Begin {
            tag: match begin {
                true => "BEGIN",
                false => "START TRANSACTION",
            },
            is_read_only: setting::is_read_only(&modes) == Some(true),
        },
        Ast::Commit { chain: false, .. } => Statement::Commit,
        Ast::Rollback {
            chain: false,
            savepoint: None,
        } => Statement::Rollback,
        Ast::Rollback {
            chain: false,
            savepoint: Some(name),
        } => Statement::RollbackTo(identifier(&name)),
        Ast::Savepoint { name } => Statement::Savepoint(identifier(&name)),
        Ast::ReleaseSavepoint { name } => Statement::Release(identifier(&name)),
        Ast::Close {
            cursor: ast::CloseCursor::All,
        } => Statement::CloseCursor(None),
        Ast::Close {
            cursor: ast::CloseCursor::Specific { name },
        } => Statement::CloseCursor(Some(identifier(&name))),
        Ast::Flush { .. } => Statement::Session("FLUSH"),
        Ast::UNLISTEN { .. } => Statement::Session("UNLISTEN"),
        _ => return None,
    })
}

pub(super) fn unknown(what: &str) -> SqlError {
    SqlError::unsupported(format!("{what} is not supported"))
}

fn first_words(text: &str) -> &str {
    let end = text
        .match_indices(' ')
        .nth(1)
        .map_or(text.len(), |(at, _)| at);
    &text[..end]
}

/// The last part of a name, in lower case unless quoted.
fn name(object: &ObjectName) -> Result<String, SqlError> {
    let parts: Vec<&ast::Ident> = object.0.iter().filter_map(|part| part.as_ident()).collect();
    let [qualifiers @ .., last] = &parts[..] else {
        return Err(SqlError::syntax(format!("\"{object}\" is not a name")));
    };
    let is_own = qualifiers
        .iter()
        .all(|part| ["public", "mainstem"].contains(&part.value.as_str()));
    if !is_own {
        return Err(SqlError::new(
            "3F000",
            format!("there is no schema for \"{object}\""),
        ));
    }
    Ok(identifier(last))
}

/// A name as it is known: in lower case unless quoted.
pub(super) fn identifier(ident: &ast::Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

fn show_columns(options: ast::ShowStatementOptions) -> Result<Statement, SqlError> {
    let parent = options.show_in.and_then(|show_in| show_in.parent_name);
    match parent {
        Some(object) => Ok(Statement::Show(Show::Columns(name(&object)?))),
        None => Err(SqlError::syntax("SHOW COLUMNS FROM which table?")),
    }
}
