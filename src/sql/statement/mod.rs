//! Statements: what Mainstem does with SQL text, before any of it is planned.

mod create_table;

use datafusion::sql::sqlparser::ast::{
    self, CopyOption, CopySource, CopyTarget as AstCopyTarget, CreateView, ObjectName, ObjectType,
    Query, Statement as Ast, TableObject,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::error::SqlError;
use super::guard;
use crate::model::TableDefinition;
use create_table::create_table;

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
    Insert {
        table: String,
        /// Empty: all columns in order.
        columns: Vec<String>,
        source: Box<Query>,
    },
    Update {
        table: String,
        /// Column and the text of its new value.
        assignments: Vec<(String, String)>,
        condition: Option<String>,
    },
    Delete {
        table: String,
        condition: Option<String>,
    },
    Copy(Copy),
    Query(Box<Query>),
    /// The plan of a live view by name.
    ExplainView(String),
    /// The plan that a query would have as a live view.
    Explain(Box<Query>),
    Show(Show),
    /// Opens a transaction block.
    Begin,
    /// Ends a transaction block; what was written in it takes effect.
    Commit,
    /// Ends a transaction block; what was written in it is forgotten.
    Rollback,
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
    /// A setting that drivers ask for.
    Setting(String),
}

/// `COPY table FROM STDIN`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    pub table: String,
    /// Empty: all columns in order.
    pub columns: Vec<String>,
    pub format: CopyFormat,
}

/// Text formats of `COPY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyFormat {
    /// Comma-separated values.
    Csv {
        header: bool,
        delimiter: u8,
        null: String,
    },
    /// Postgres's tab-separated text with backslash escapes.
    Text { delimiter: u8, null: String },
}

/// Parses SQL text into statements; an empty text has none.
pub fn parse(sql: &str) -> Result<Vec<Statement>, SqlError> {
    guard::check(sql)?;
    // The parser expects the data of a COPY behind its semicolon.
    let trimmed = sql.trim_end();
    let is_copy = sql
        .trim_start()
        .get(..4)
        .is_some_and(|word| word.eq_ignore_ascii_case("copy"));
    let text = match is_copy && !trimmed.ends_with(';') {
        true => format!("{trimmed};"),
        false => sql.to_owned(),
    };
    let statements = Parser::parse_sql(&GenericDialect {}, &text)
        .map_err(|error| SqlError::syntax(error.to_string()))?;
    statements.into_iter().map(statement).collect()
}

/// Parses one query.
pub fn parse_query(sql: &str) -> Result<Box<Query>, SqlError> {
    match <[Statement; 1]>::try_from(parse(sql)?) {
        Ok([Statement::Query(query)]) => Ok(query),
        _ => Err(SqlError::syntax("expected one SELECT")),
    }
}

fn statement(ast: Ast) -> Result<Statement, SqlError> {
    let text = ast.to_string();
    match ast {
        Ast::Query(query) => Ok(Statement::Query(query)),
        Ast::CreateTable(create) => create_table(create),
        Ast::CreateView(create) => create_view(create, text),
        Ast::Drop {
            object_type,
            if_exists,
            names,
            cascade,
            ..
        } => {
            let kind = match object_type {
                ObjectType::Table => DropKind::Table,
                ObjectType::View => DropKind::View,
                ObjectType::MaterializedView => DropKind::MaterializedView,
                other => return Err(unknown(&format!("DROP {other}"))),
            };
            let names = names.iter().map(name).collect::<Result<_, _>>()?;
            Ok(Statement::Drop {
                kind,
                names,
                if_exists,
                cascade,
            })
        }
        Ast::Insert(insert) => self::insert(insert),
        Ast::Update(update) => self::update(update),
        Ast::Delete(delete) => self::delete(delete),
        Ast::Copy {
            source,
            to: false,
            target: AstCopyTarget::Stdin,
            options,
            ..
        } => copy(source, options),
        Ast::Copy { .. } => Err(unknown("COPY to or from a file")
            .with_hint("COPY table FROM STDIN takes rows from the client")),
        Ast::Explain { statement, .. } => explain(*statement),
        Ast::ExplainTable { table_name, .. } => Ok(Statement::ExplainView(name(&table_name)?)),
        Ast::ShowTables { .. } => Ok(Statement::Show(Show::Tables)),
        Ast::ShowViews { .. } => Ok(Statement::Show(Show::Views)),
        Ast::ShowColumns { show_options, .. } => show_columns(show_options),
        Ast::ShowCreate { obj_name, .. } => Ok(Statement::Show(Show::Create(name(&obj_name)?))),
        Ast::ShowVariable { variable } => {
            let words: Vec<String> = variable.into_iter().map(|word| word.value).collect();
            Ok(Statement::Show(Show::Setting(
                words.join(" ").to_lowercase(),
            )))
        }
        other => session(&other).ok_or_else(|| unknown(first_words(&text))),
    }
}

fn session(ast: &Ast) -> Option<Statement> {
    let tag = match ast {
        Ast::StartTransaction { .. } => return Some(Statement::Begin),
        Ast::Commit { chain: false, .. } => return Some(Statement::Commit),
        Ast::Rollback {
            chain: false,
            savepoint: None,
        } => return Some(Statement::Rollback),
        Ast::Set(_) => "SET",
        Ast::Discard { .. } => "DISCARD ALL",
        Ast::Deallocate { .. } => "DEALLOCATE",
        Ast::Close { .. } => "CLOSE CURSOR",
        Ast::Flush { .. } => "FLUSH",
        _ => return None,
    };
    Some(Statement::Session(tag))
}

fn unknown(what: &str) -> SqlError {
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

fn identifier(ident: &ast::Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

fn create_view(create: CreateView, text: String) -> Result<Statement, SqlError> {
    if create.temporary || !create.columns.is_empty() {
        return Err(unknown("a temporary view, or one with a list of columns")
            .with_hint("name the columns with AS in the query"));
    }
    let name = name(&create.name)?;
    Ok(match create.materialized {
        true => Statement::CreateMaterializedView {
            name,
            or_replace: create.or_replace,
            if_not_exists: create.if_not_exists,
            query: create.query,
            text,
        },
        false => Statement::CreateView {
            name,
            or_replace: create.or_replace,
            if_not_exists: create.if_not_exists,
            query: create.query,
            text,
        },
    })
}

fn insert(insert: ast::Insert) -> Result<Statement, SqlError> {
    let TableObject::TableName(table) = &insert.table else {
        return Err(unknown("INSERT into anything but a table"));
    };
    if insert.returning.is_some() {
        return Err(unknown("RETURNING"));
    }
    let Some(source) = insert.source else {
        return Err(unknown("INSERT … DEFAULT VALUES"));
    };
    let columns = insert.columns.iter().map(name).collect::<Result<_, _>>()?;
    Ok(Statement::Insert {
        table: name(table)?,
        columns,
        source,
    })
}

fn update(update: ast::Update) -> Result<Statement, SqlError> {
    if update.from.is_some() || update.returning.is_some() {
        return Err(unknown("UPDATE … FROM or RETURNING"));
    }
    let assignments = update
        .assignments
        .iter()
        .map(|assignment| match &assignment.target {
            ast::AssignmentTarget::ColumnName(column) => {
                Ok((name(column)?, assignment.value.to_string()))
            }
            ast::AssignmentTarget::Tuple(_) => Err(unknown("assigning several columns at once")),
        });
    Ok(Statement::Update {
        table: relation_name(&update.table)?,
        assignments: assignments.collect::<Result<_, _>>()?,
        condition: update.selection.map(|condition| condition.to_string()),
    })
}

fn delete(delete: ast::Delete) -> Result<Statement, SqlError> {
    if delete.using.is_some() || delete.returning.is_some() || delete.limit.is_some() {
        return Err(unknown("DELETE … USING, LIMIT or RETURNING"));
    }
    let (ast::FromTable::WithFromKeyword(from) | ast::FromTable::WithoutKeyword(from)) =
        &delete.from;
    let [table] = &from[..] else {
        return Err(unknown("DELETE from several tables"));
    };
    Ok(Statement::Delete {
        table: relation_name(table)?,
        condition: delete.selection.map(|condition| condition.to_string()),
    })
}

fn relation_name(table: &ast::TableWithJoins) -> Result<String, SqlError> {
    match &table.relation {
        ast::TableFactor::Table { name: object, .. } if table.joins.is_empty() => name(object),
        other => Err(unknown(&format!("changing {other}"))),
    }
}

fn copy(source: CopySource, options: Vec<CopyOption>) -> Result<Statement, SqlError> {
    let CopySource::Table {
        table_name,
        columns,
    } = source
    else {
        return Err(unknown("COPY of a query"));
    };
    let (mut format, mut header, mut delimiter, mut null) = ("text".to_owned(), false, None, None);
    for option in options {
        match option {
            CopyOption::Format(name) => format = name.value.to_lowercase(),
            CopyOption::Header(on) => header = on,
            CopyOption::Delimiter(character) => {
                let byte = u8::try_from(character);
                delimiter = Some(byte.map_err(|_| unknown("a delimiter of several bytes"))?);
            }
            CopyOption::Null(text) => null = Some(text),
            CopyOption::Encoding(name) if name.eq_ignore_ascii_case("utf8") => {}
            CopyOption::Quote('"') => {}
            other => return Err(unknown(&format!("the COPY option {other}"))),
        }
    }
    let format = match format.as_str() {
        "csv" => CopyFormat::Csv {
            header,
            delimiter: delimiter.unwrap_or(b','),
            null: null.unwrap_or_default(),
        },
        "text" => CopyFormat::Text {
            delimiter: delimiter.unwrap_or(b'\t'),
            null: null.unwrap_or_else(|| "\\N".to_owned()),
        },
        other => return Err(unknown(&format!("COPY in the format \"{other}\""))),
    };
    Ok(Statement::Copy(Copy {
        table: name(&table_name)?,
        columns: columns.iter().map(identifier).collect(),
        format,
    }))
}

fn explain(statement: Ast) -> Result<Statement, SqlError> {
    match statement {
        Ast::Query(query) => Ok(Statement::Explain(query)),
        Ast::CreateView(create) => Ok(Statement::Explain(create.query)),
        other => Err(unknown(&format!(
            "EXPLAIN {}",
            first_words(&other.to_string())
        ))),
    }
}

fn show_columns(options: ast::ShowStatementOptions) -> Result<Statement, SqlError> {
    let parent = options.show_in.and_then(|show_in| show_in.parent_name);
    match parent {
        Some(object) => Ok(Statement::Show(Show::Columns(name(&object)?))),
        None => Err(SqlError::syntax("SHOW COLUMNS FROM which table?")),
    }
}
