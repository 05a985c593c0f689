//! UPDATE and DELETE: rows are read and written back.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::DataType;
use datafusion::error::DataFusionError;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::Query;
use futures::TryStreamExt;

use super::Session;
use super::returning::{Returning, Written, returned};
use super::rows::{Encoded, default_of, fit, known_column, names, quoted, value_for};
use super::tries::{Found, Tries};
use super::write::Changes;
use crate::engine::EngineError;
use crate::model::{ChangeKind, ColumnDefinition, TableDefinition};
use crate::sql::query::QueryContext;
use crate::sql::statement::parse_query;
use crate::sql::{SqlError, Statement};

/// What the rows with keys of their own are called while they are looked for.
const CHANGED: &str = "changed rows";

impl Session {
    /// UPDATE and DELETE: reads the rows and writes them back.
    ///
    /// Only one session rewrites at a time, and it sees what the one before it has written. Others
    /// insert meanwhile: where they change the rows, these are read again.
    pub(super) async fn rewrite(
        &mut self,
        statement: &Statement,
        parameters: &[ScalarValue],
    ) -> Result<Written, EngineError> {
        let engine = self.engine.clone();
        let mut newest_rewrite_ms = engine.shared.newest_rewrite_ms.lock().await;
        let mut tries = Tries::from(self.last_write_ms.max(*newest_rewrite_ms));
        loop {
            let outcome = self.try_rewrite(statement, parameters, &tries).await;
            if let Some(written) = self.tried(&mut tries, outcome).await? {
                *newest_rewrite_ms = self.last_write_ms.max(*newest_rewrite_ms);
                return Ok(written);
            }
        }
    }

    async fn try_rewrite(
        &mut self,
        statement: &Statement,
        parameters: &[ScalarValue],
        tries: &Tries,
    ) -> Result<Written, EngineError> {
        let (table, query) = self.affected_rows(statement)?;
        let (context, plan) = self
            .planned(tries.since(), |context| context.plan(&query))
            .await?;
        let plan = QueryContext::bind(plan, parameters)?;
        let rows: Vec<RecordBatch> = context.execute(plan).await?.try_collect().await?;
        let width = table.columns.len();
        let mut old = part(&table, &rows, 0..width)?;
        let mut new = match statement {
            Statement::Update { .. } => part(&table, &rows, width..2 * width)?,
            _ => old.clone(),
        };
        if others(statement).is_some() {
            (old, new) = matched_once(&table, &old, &new)?;
        }
        let there = match (statement, table.is_keyed()) {
            // Rows without a key that are gone need no deletion.
            (Statement::Delete { .. }, false) => Vec::new(),
            _ => old.clone(),
        };
        let (changes, missing) = match statement {
            Statement::Update { assignments, .. } => {
                updates(&context, &table, assignments, old, new).await?
            }
            _ => (vec![(ChangeKind::Delete, old)], Vec::new()),
        };
        // Of an UPDATE the new rows, which come last.
        let rows = changes.last().map_or(&[][..], |(_, rows)| rows);
        let returning = Returning::of(&table, returning(statement), alias(statement));
        let returned = returned(&context, returning, rows, parameters).await?;
        let read_ms = context.timestamp_ms();
        let found = Found { there, missing };
        let count = self
            .write_back(&table, changes, read_ms, found, tries)
            .await?;
        Ok(Written { count, returned })
    }

    /// The rows that an UPDATE or DELETE is about: the old values of all columns and, for an
    /// UPDATE, the new ones behind them. One query, so that both are of one moment.
    pub(super) fn affected_rows(
        &self,
        statement: &Statement,
    ) -> Result<(Arc<TableDefinition>, Box<Query>), EngineError> {
        let (table, assignments, condition) = match statement {
            Statement::Update {
                table,
                assignments,
                condition,
                ..
            } => (table, assignments.as_slice(), condition),
            Statement::Delete {
                table, condition, ..
            } => (table, &[][..], condition),
            _ => return Err(SqlError::unsupported("this statement is not supported").into()),
        };
        let table = self.table(table)?;
        if table.append_only {
            let message = format!("table \"{}\" is append-only", table.name);
            let error = SqlError::new("55000", message);
            return Err(error
                .with_hint("its rows are never changed or deleted")
                .into());
        }
        check_assignments(&table, assignments)?;
        let others = others(statement);
        if others.is_some() && table.primary_key.is_empty() {
            let message = format!(
                "UPDATE … FROM and DELETE … USING need a primary key, and \"{}\" has none",
                table.name
            );
            return Err(SqlError::unsupported(message)
                .with_hint("write subqueries: SET a = (SELECT …), WHERE a IN (SELECT …)")
                .into());
        }
        let called = quoted(alias(statement).unwrap_or(&table.name));
        let column = |column: &ColumnDefinition| format!("{called}.{}", quoted(&column.name));
        let mut values: Vec<String> = table.columns.iter().map(column).collect();
        if !assignments.is_empty() {
            values.extend(table.columns.iter().enumerate().map(|(position, changed)| {
                let mut assigned = assignments.iter();
                let assigned = assigned.find(|(name, _)| *name == changed.name);
                let value = match assigned {
                    None => column(changed),
                    Some((_, value)) if value.eq_ignore_ascii_case("default") => {
                        default_of(changed)
                    }
                    Some((_, value)) => format!("({})", value_for(changed, value)),
                };
                format!("{value} AS {}", quoted(&new_column(position)))
            }));
        }
        let condition = condition.as_deref().unwrap_or("true");
        let values = values.join(", ");
        let others = others.map_or_else(String::new, |others| format!(", {others}"));
        let from = quoted(&table.name);
        let text = format!("SELECT {values} FROM {from} AS {called}{others} WHERE {condition}");
        Ok((table, parse_query(&text)?))
    }
}

/// What the new value of a column is called.
fn new_column(position: usize) -> String {
    format!("new {position}")
}

/// The new values of all columns, with their types.
pub(super) fn new_columns(table: &TableDefinition) -> Vec<(String, DataType)> {
    let columns = table.columns.iter().enumerate();
    columns
        .map(|(position, column)| (new_column(position), column.data_type.clone()))
        .collect()
}

/// What an UPDATE or DELETE gives back, as text.
pub(super) fn returning(statement: &Statement) -> Option<&str> {
    match statement {
        Statement::Update { returning, .. } | Statement::Delete { returning, .. } => {
            returning.as_deref()
        }
        _ => None,
    }
}

/// What the changed table is called in the rest of its statement.
pub(super) fn alias(statement: &Statement) -> Option<&str> {
    match statement {
        Statement::Update { alias, .. } | Statement::Delete { alias, .. } => alias.as_deref(),
        _ => None,
    }
}

/// The other tables that an UPDATE or DELETE reads.
fn others(statement: &Statement) -> Option<&str> {
    match statement {
        Statement::Update { from, .. } => from.as_deref(),
        Statement::Delete { using, .. } => using.as_deref(),
        _ => None,
    }
}

/// Old and new rows of a table that has been joined with others, each row once, however many rows
/// it matches: these have to agree on what becomes of it.
fn matched_once(
    table: &TableDefinition,
    old: &[RecordBatch],
    new: &[RecordBatch],
) -> Result<(Vec<RecordBatch>, Vec<RecordBatch>), SqlError> {
    let all: Vec<usize> = (0..table.columns.len()).collect();
    let keys = Encoded::new(table, &table.primary_key)?;
    let values = Encoded::new(table, &all)?;
    let mut seen: HashMap<Box<[u8]>, Box<[u8]>> = HashMap::new();
    let mut once = (Vec::new(), Vec::new());
    for (old, new) in old.iter().zip(new) {
        let keys = keys.rows(&table.primary_key, old)?;
        let values = values.rows(&all, new)?;
        let mut is_first = Vec::new();
        for (key, value) in keys.iter().zip(values.iter()) {
            let known = seen.get(key.data());
            if known.is_some_and(|known| **known != *value.data()) {
                let message = format!(
                    "a row of \"{}\" matches several rows that make different rows of it",
                    table.name
                );
                return Err(SqlError::new("21000", message)
                    .with_hint("let it match one row, for instance of an aggregate in FROM"));
            }
            is_first.push(known.is_none());
            seen.insert(key.data().into(), value.data().into());
        }
        let mask = BooleanArray::from(is_first);
        let kept = |rows| filter_record_batch(rows, &mask).map_err(DataFusionError::from);
        once.0.push(kept(old)?);
        once.1.push(kept(new)?);
    }
    Ok(once)
}

fn check_assignments(
    table: &TableDefinition,
    assignments: &[(String, String)],
) -> Result<(), SqlError> {
    for (position, (column, _)) in assignments.iter().enumerate() {
        known_column(table, column)?;
        if assignments[..position]
            .iter()
            .any(|(other, _)| other == column)
        {
            let message = format!("column \"{column}\" is assigned twice");
            return Err(SqlError::new("42601", message));
        }
    }
    Ok(())
}

/// Some columns of the rows as rows of the table.
fn part(
    table: &TableDefinition,
    rows: &[RecordBatch],
    positions: Range<usize>,
) -> Result<Vec<RecordBatch>, SqlError> {
    let columns = names(&table.schema());
    let positions: Vec<usize> = positions.collect();
    let rows = rows.iter().map(|rows| {
        let rows = rows.project(&positions).map_err(DataFusionError::from)?;
        fit(table, &columns, &rows)
    });
    rows.collect()
}

/// What is written for the rows of an UPDATE, and those of them whose keys nobody has.
async fn updates(
    context: &QueryContext,
    table: &TableDefinition,
    assignments: &[(String, String)],
    old: Vec<RecordBatch>,
    new: Vec<RecordBatch>,
) -> Result<(Changes, Vec<RecordBatch>), SqlError> {
    let is_key = |column: &String| {
        let position = table.column_index(column);
        position.is_some_and(|position| table.primary_key.contains(&position))
    };
    let fresh = match assignments.iter().any(|(column, _)| is_key(column)) {
        true => fresh_keys(context, table, &old, &new).await?,
        false => Vec::new(),
    };
    if table.version.is_empty() {
        let changes = vec![(ChangeKind::Delete, old), (ChangeKind::Upsert, new)];
        return Ok((changes, fresh));
    }
    // Versions decide; a deletion would hide the new row of the same version.
    check_versions(table, &old, &new)?;
    Ok((vec![(ChangeKind::Upsert, new)], fresh))
}

/// The new rows whose keys are none of the old ones. Refuses new keys that are equal to each other
/// or to those of rows that stay as they are.
async fn fresh_keys(
    context: &QueryContext,
    table: &TableDefinition,
    old: &[RecordBatch],
    new: &[RecordBatch],
) -> Result<Vec<RecordBatch>, SqlError> {
    let duplicate = || {
        let message = format!("two rows of \"{}\" would have the same key", table.name);
        SqlError::new("23505", message)
    };
    let encoded = Encoded::new(table, &table.primary_key)?;
    let mut freed: HashSet<Box<[u8]>> = HashSet::new();
    for rows in old {
        let keys = encoded.rows(&table.primary_key, rows)?;
        freed.extend(keys.iter().map(|key| key.data().into()));
    }
    let mut taken: HashSet<Box<[u8]>> = HashSet::new();
    let mut fresh = Vec::new();
    for rows in new {
        let keys = encoded.rows(&table.primary_key, rows)?;
        let mut is_fresh = Vec::new();
        for key in &keys {
            if !taken.insert(key.data().into()) {
                return Err(duplicate());
            }
            is_fresh.push(!freed.contains(key.data()));
        }
        let mask = BooleanArray::from(is_fresh);
        let rows = filter_record_batch(rows, &mask);
        fresh.push(rows.map_err(DataFusionError::from)?);
    }
    if fresh.iter().all(|rows| rows.num_rows() == 0) {
        return Ok(fresh);
    }
    let name = quoted(&table.name);
    let keys = table.primary_key.iter().map(|column| {
        let column = quoted(&table.columns[*column].name);
        format!("{name}.{column} = {}.{column}", quoted(CHANGED))
    });
    let keys = keys.collect::<Vec<_>>().join(" AND ");
    let text = format!(
        "SELECT 1 FROM {} JOIN {name} ON {keys} LIMIT 1",
        quoted(CHANGED)
    );
    let context = context.with_rows(CHANGED, fresh.clone())?;
    let query = parse_query(&text)?;
    let plan = context.plan(&query)?;
    let found: Vec<RecordBatch> = context.execute(plan).await?.try_collect().await?;
    match found.iter().all(|rows| rows.num_rows() == 0) {
        true => Ok(fresh),
        false => Err(duplicate()),
    }
}

/// Refuses rows whose version does not go up: they would be taken for old news.
fn check_versions(
    table: &TableDefinition,
    old: &[RecordBatch],
    new: &[RecordBatch],
) -> Result<(), SqlError> {
    let encoded = Encoded::new(table, &table.version)?;
    for (old, new) in old.iter().zip(new) {
        let (old, new) = (
            encoded.rows(&table.version, old)?,
            encoded.rows(&table.version, new)?,
        );
        if old.iter().zip(new.iter()).any(|(old, new)| new <= old) {
            let columns = table.version.iter();
            let columns: Vec<&str> = columns
                .map(|column| table.columns[*column].name.as_str())
                .collect();
            let message = format!(
                "of two versions of a row of \"{}\" the one with the greater ({}) stays, and this \
                 UPDATE does not raise it",
                table.name,
                columns.join(", ")
            );
            let hint = format!("assign a greater value to {}, too", columns[0]);
            return Err(SqlError::new("55000", message).with_hint(hint));
        }
    }
    Ok(())
}
