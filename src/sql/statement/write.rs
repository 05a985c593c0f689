//! INSERT, UPDATE, DELETE and TRUNCATE.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, ConflictTarget, OnConflictAction, OnInsert, Query, SelectItem, TableObject,
};

use super::{Statement, identifier, name, unknown};
use crate::sql::SqlError;
use crate::sql::syntax::edit_expressions;

/// `INSERT INTO table …`.
#[derive(Clone, Debug)]
pub struct Insert {
    pub table: String,
    /// Empty: all columns in order.
    pub columns: Vec<String>,
    /// `None`: one row of defaults.
    pub source: Option<Box<Query>>,
    pub on_conflict: OnConflict,
    /// What is given back of the rows, as text.
    pub returning: Option<String>,
}

/// What becomes of a row whose key is there already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// It takes the place of the one that is there.
    Replace,
    /// It is left out. With the columns that must be the key, if named.
    Nothing(Option<Vec<String>>),
    /// The one that is there is changed.
    Update {
        /// The columns that must be the key.
        key: Option<Vec<String>>,
        /// Column and its new value.
        assignments: Vec<(String, Box<ast::Expr>)>,
        condition: Option<Box<ast::Expr>>,
    },
}

impl OnConflict {
    /// Whether what is assigned or asked calls functions, of which some ask for the time.
    pub fn calls_functions(&self) -> bool {
        let OnConflict::Update {
            assignments,
            condition,
            ..
        } = self
        else {
            return false;
        };
        let mut values = assignments.iter().map(|(_, value)| value).chain(condition);
        values.any(|value| calls_functions(value))
    }
}

/// Whether an expression calls functions.
pub fn calls_functions(expression: &ast::Expr) -> bool {
    let found = edit_expressions(&mut expression.clone(), &mut |part| match part {
        ast::Expr::Function(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

pub(super) fn insert(insert: ast::Insert) -> Result<Statement, SqlError> {
    let TableObject::TableName(table) = &insert.table else {
        return Err(unknown("INSERT into anything but a table"));
    };
    if insert.overwrite || insert.replace_into || insert.ignore || insert.or.is_some() {
        return Err(unknown("this form of INSERT").with_hint("write INSERT … ON CONFLICT …"));
    }
    let on_conflict = match insert.on {
        None => OnConflict::Replace,
        Some(OnInsert::OnConflict(conflict)) => on_conflict(conflict)?,
        Some(_) => return Err(unknown("ON DUPLICATE KEY").with_hint("write ON CONFLICT")),
    };
    Ok(Statement::Insert(Insert {
        table: name(table)?,
        columns: insert.columns.iter().map(name).collect::<Result<_, _>>()?,
        source: insert.source,
        on_conflict,
        returning: returning(insert.returning)?,
    }))
}

fn on_conflict(conflict: ast::OnConflict) -> Result<OnConflict, SqlError> {
    let key = match conflict.conflict_target {
        None => None,
        Some(ConflictTarget::Columns(columns)) => Some(columns.iter().map(identifier).collect()),
        Some(ConflictTarget::OnConstraint(_)) => {
            return Err(unknown("ON CONFLICT ON CONSTRAINT")
                .with_hint("name the columns of the key: ON CONFLICT (id)"));
        }
    };
    match conflict.action {
        OnConflictAction::DoNothing => Ok(OnConflict::Nothing(key)),
        OnConflictAction::DoUpdate(update) => Ok(OnConflict::Update {
            key,
            assignments: update
                .assignments
                .into_iter()
                .map(|assignment| Ok((column(&assignment)?, Box::new(assignment.value))))
                .collect::<Result<_, SqlError>>()?,
            condition: update.selection.map(Box::new),
        }),
    }
}

/// The column an assignment changes.
fn column(assignment: &ast::Assignment) -> Result<String, SqlError> {
    match &assignment.target {
        ast::AssignmentTarget::ColumnName(column) => match column.0.last() {
            Some(part) => part
                .as_ident()
                .map(identifier)
                .ok_or_else(|| SqlError::syntax(format!("\"{column}\" is not a column"))),
            None => Err(SqlError::syntax("which column is assigned?")),
        },
        ast::AssignmentTarget::Tuple(_) => Err(unknown("assigning several columns at once")),
    }
}

pub(super) fn update(update: ast::Update) -> Result<Statement, SqlError> {
    let from = match &update.from {
        None => None,
        Some(ast::UpdateTableFromKind::AfterSet(tables)) => Some(listed(tables)),
        Some(ast::UpdateTableFromKind::BeforeSet(_)) => {
            return Err(unknown("UPDATE FROM … SET").with_hint("write UPDATE … SET … FROM …"));
        }
    };
    if update.limit.is_some() || !update.order_by.is_empty() {
        return Err(unknown("UPDATE … ORDER BY, LIMIT")
            .with_hint("write the condition as a subquery: WHERE id IN (SELECT … LIMIT …)"));
    }
    let (table, alias) = relation_name(&update.table)?;
    let assignments = update
        .assignments
        .iter()
        .map(|assignment| Ok((column(assignment)?, assignment.value.to_string())));
    Ok(Statement::Update {
        table,
        alias,
        assignments: assignments.collect::<Result<_, SqlError>>()?,
        from,
        condition: update.selection.map(|condition| condition.to_string()),
        returning: returning(update.returning)?,
    })
}

pub(super) fn delete(delete: ast::Delete) -> Result<Statement, SqlError> {
    if delete.limit.is_some() {
        return Err(unknown("DELETE … LIMIT")
            .with_hint("write the condition as a subquery: WHERE id IN (SELECT … LIMIT …)"));
    }
    let (ast::FromTable::WithFromKeyword(from) | ast::FromTable::WithoutKeyword(from)) =
        &delete.from;
    let [table] = &from[..] else {
        return Err(unknown("DELETE from several tables"));
    };
    let (table, alias) = relation_name(table)?;
    Ok(Statement::Delete {
        table,
        alias,
        using: delete.using.as_deref().map(listed),
        condition: delete.selection.map(|condition| condition.to_string()),
        returning: returning(delete.returning)?,
        is_truncate: false,
    })
}

/// The text of a list of tables.
fn listed(tables: &[ast::TableWithJoins]) -> String {
    let tables: Vec<String> = tables.iter().map(ToString::to_string).collect();
    tables.join(", ")
}

/// The text of what is given back.
fn returning(items: Option<Vec<SelectItem>>) -> Result<Option<String>, SqlError> {
    let Some(mut items) = items else {
        return Ok(None);
    };
    let visited = edit_expressions(&mut items, &mut |part| match part {
        ast::Expr::Subquery(_) | ast::Expr::Exists { .. } | ast::Expr::InSubquery { .. } => {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    if visited.is_break() {
        return Err(unknown("a subquery in RETURNING")
            .with_hint("return the columns, and ask with a SELECT by the key"));
    }
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    Ok(Some(items.join(", ")))
}

/// TRUNCATE is a DELETE of all rows.
pub(super) fn truncate(truncate: &ast::Truncate) -> Result<Statement, SqlError> {
    let [table] = &truncate.table_names[..] else {
        return Err(unknown("TRUNCATE of several tables"));
    };
    Ok(Statement::Delete {
        table: name(&table.name)?,
        alias: None,
        using: None,
        condition: None,
        returning: None,
        is_truncate: true,
    })
}

/// The name of a table that is changed, and what it is called instead.
fn relation_name(table: &ast::TableWithJoins) -> Result<(String, Option<String>), SqlError> {
    match &table.relation {
        ast::TableFactor::Table {
            name: object,
            alias,
            ..
        } if table.joins.is_empty() => {
            let alias = match alias {
                Some(alias) if !alias.columns.is_empty() => {
                    return Err(unknown("an alias with columns of a table that is changed")
                        .with_hint("use the names that the columns have"));
                }
                alias => alias.as_ref().map(|alias| identifier(&alias.name)),
            };
            Ok((name(object)?, alias))
        }
        other => Err(unknown(&format!("changing {other}"))
            .with_hint("name one table; others go into FROM or USING")),
    }
}
