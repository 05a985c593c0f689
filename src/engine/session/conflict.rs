//! INSERT … ON CONFLICT: rows whose key is there already are left out, or change what is there.

use std::collections::HashSet;
use std::ops::ControlFlow;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch, is_not_null, is_null};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlan;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{Expr, Ident};
use futures::TryStreamExt;

use super::Session;
use super::returning::{Returning, Written, returned};
use super::rows::{Encoded, fit, known_column, names, quoted};
use super::tries::{Found, Tries};
use crate::engine::EngineError;
use crate::model::{ChangeKind, ColumnDefinition, TableDefinition};
use crate::sql::decimal;
use crate::sql::query::QueryContext;
use crate::sql::statement::parse_query;
use crate::sql::syntax::edit_expressions;
use crate::sql::{Insert, OnConflict, SqlError};

/// What SQL calls the rows that are to be inserted.
const EXCLUDED: &str = "excluded";

/// Whether all that the statement asks is that rows replace those with their keys, which is what
/// keyed tables do by themselves. Fails where the table has no such key.
pub(super) fn replaces(insert: &Insert, table: &TableDefinition) -> Result<bool, SqlError> {
    let (key, assignments, condition) = match &insert.on_conflict {
        OnConflict::Replace => return Ok(true),
        OnConflict::Nothing(key) => (key, None, &None),
        OnConflict::Update {
            key,
            assignments,
            condition,
        } => (key, Some(assignments), condition),
    };
    check_key(table, key.as_deref())?;
    let Some(assignments) = assignments else {
        return Ok(false);
    };
    for (column, value) in assignments {
        let position = known_column(table, column)?;
        if table.primary_key.contains(&position) && !is_excluded(value, column) {
            return Err(SqlError::unsupported(format!(
                "ON CONFLICT cannot change the key column \"{column}\""
            ))
            .with_hint("the row has this key already; leave the assignment out"));
        }
    }
    if !table.version.is_empty() {
        return Err(SqlError::unsupported(format!(
            "the versions of \"{}\" decide which row stays, not ON CONFLICT",
            table.name
        ))
        .with_hint("write a plain INSERT: the greater version wins"));
    }
    let is_replaced = |column: &String| {
        let mut assignments = assignments.iter();
        assignments.any(|(name, value)| name == column && is_excluded(value, column))
    };
    let others = table.columns.iter().enumerate();
    let mut others = others.filter(|(position, _)| !table.primary_key.contains(position));
    Ok(condition.is_none() && others.all(|(_, column)| is_replaced(&column.name)))
}

fn check_key(table: &TableDefinition, key: Option<&[String]>) -> Result<(), SqlError> {
    let own: HashSet<&str> = table
        .primary_key
        .iter()
        .map(|column| table.columns[*column].name.as_str())
        .collect();
    let named: Option<HashSet<&str>> =
        key.map(|columns| columns.iter().map(String::as_str).collect());
    if table.is_keyed() && named.is_none_or(|named| named == own) {
        return Ok(());
    }
    let message = match table.is_keyed() {
        false => format!("table \"{}\" has no primary key to conflict on", table.name),
        true => format!(
            "the columns of ON CONFLICT are not the key of \"{}\"",
            table.name
        ),
    };
    Err(SqlError::new("42P10", message))
}

/// Whether a value is the column of the row that was to be inserted.
fn is_excluded(value: &Expr, column: &str) -> bool {
    let matches = |ident: &Ident, name: &str| match ident.quote_style {
        Some(_) => ident.value == name,
        None => ident.value.eq_ignore_ascii_case(name),
    };
    match value {
        Expr::CompoundIdentifier(parts) => match &parts[..] {
            [table, name] => matches(table, EXCLUDED) && matches(name, column),
            _ => false,
        },
        _ => false,
    }
}

impl Session {
    /// Inserts rows with regard to those that are there.
    pub(super) async fn insert_beside(
        &mut self,
        insert: &Insert,
        parameters: &[ScalarValue],
    ) -> Result<Written, EngineError> {
        let engine = self.engine.clone();
        let mut newest_rewrite_ms = engine.shared.newest_rewrite_ms.lock().await;
        let mut tries = Tries::from(self.last_write_ms.max(*newest_rewrite_ms));
        loop {
            let outcome = self.try_insert_beside(insert, parameters, &tries).await;
            if let Some(written) = self.tried(&mut tries, outcome).await? {
                *newest_rewrite_ms = self.last_write_ms.max(*newest_rewrite_ms);
                return Ok(written);
            }
        }
    }

    async fn try_insert_beside(
        &mut self,
        insert: &Insert,
        parameters: &[ScalarValue],
        tries: &Tries,
    ) -> Result<Written, EngineError> {
        // Once more for each try: the table may have been made anew.
        let table = self.table(&insert.table)?;
        let table = table.as_ref();
        replaces(insert, table)?;
        let (context, rows) = self
            .inserted_rows(tries.since(), insert, table, parameters)
            .await?;
        let read_ms = context.timestamp_ms();
        let rows = once_per_key(insert, table, rows)?;
        let (context, plan) = plan(&context, insert, table, rows)?;
        let plan = QueryContext::bind(plan, parameters)?;
        let rows: Vec<RecordBatch> = context.execute(plan).await?.try_collect().await?;
        let (rows, found) = written_and_found(insert, table, &rows)?;
        let returning = Returning::of(table, insert.returning.as_deref(), None);
        let returned = returned(&context, returning, &rows, parameters).await?;
        let changes = vec![(ChangeKind::Upsert, rows)];
        let count = self
            .write_back(table, changes, read_ms, found, tries)
            .await?;
        Ok(Written { count, returned })
    }
}

/// Of rows with the same key the first, where the others are to be left out; otherwise refused, as
/// the second would change what the first has just written.
fn once_per_key(
    insert: &Insert,
    table: &TableDefinition,
    rows: Vec<RecordBatch>,
) -> Result<Vec<RecordBatch>, SqlError> {
    let encoded = Encoded::new(table, &table.primary_key)?;
    let mut seen: HashSet<Box<[u8]>> = HashSet::new();
    let mut kept = Vec::new();
    for rows in rows {
        let keys = encoded.rows(&table.primary_key, &rows)?;
        let is_first: BooleanArray = keys
            .iter()
            .map(|key| Some(seen.insert(key.data().into())))
            .collect();
        if is_first.false_count() > 0 && matches!(insert.on_conflict, OnConflict::Update { .. }) {
            return Err(SqlError::new(
                "21000",
                "two of the rows have the same key, and ON CONFLICT DO UPDATE takes each once",
            ));
        }
        kept.push(filter_record_batch(&rows, &is_first).map_err(DataFusionError::from)?);
    }
    Ok(kept)
}

/// The rows that are written, and what has been found in their places.
fn written_and_found(
    insert: &Insert,
    table: &TableDefinition,
    rows: &[RecordBatch],
) -> Result<(Vec<RecordBatch>, Found), SqlError> {
    let columns = names(&table.schema());
    let width = columns.len();
    let positions: Vec<usize> = (0..width).collect();
    let written = rows.iter().map(|rows| {
        let rows = rows.project(&positions).map_err(DataFusionError::from)?;
        fit(table, &columns, &rows)
    });
    let written = written.collect::<Result<Vec<_>, SqlError>>()?;
    if !matches!(insert.on_conflict, OnConflict::Update { .. }) {
        let found = Found {
            there: Vec::new(),
            missing: written.clone(),
        };
        return Ok((written, found));
    }
    let (mut there, mut missing) = (Vec::new(), Vec::new());
    for (rows, written) in rows.iter().zip(&written) {
        // Behind what is written come the stored rows, of NULLs where there is none.
        let key = rows.column(width + table.primary_key[0]);
        let filtered = |rows: &RecordBatch, mask: Result<BooleanArray, ArrowError>| {
            let rows = mask.and_then(|mask| filter_record_batch(rows, &mask));
            rows.map_err(DataFusionError::from)
        };
        there.push(stored(table, &filtered(rows, is_not_null(key))?)?);
        missing.push(filtered(written, is_null(key))?);
    }
    Ok((written, Found { there, missing }))
}

/// The stored rows in the last columns of a query's rows, as they are stored.
fn stored(table: &TableDefinition, rows: &RecordBatch) -> Result<RecordBatch, DataFusionError> {
    let stored = &rows.columns()[rows.num_columns() - table.columns.len()..];
    let columns = table.columns.iter().zip(stored);
    let columns = columns.map(|(column, values)| cast(values, &column.data_type));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(table.schema(), columns)?)
}

/// The rows that are written, as a query over the rows to be inserted and the table; of DO UPDATE
/// behind them the stored rows that they replace.
pub(super) fn plan(
    context: &QueryContext,
    insert: &Insert,
    table: &TableDefinition,
    rows: Vec<RecordBatch>,
) -> Result<(QueryContext, LogicalPlan), SqlError> {
    let rows = match rows.is_empty() {
        true => vec![RecordBatch::new_empty(table.schema())],
        false => rows,
    };
    let context = context.with_rows(EXCLUDED, rows)?;
    let query = parse_query(&text(insert, table)?)?;
    let plan = context.plan(&query)?;
    Ok((context, plan))
}

fn text(insert: &Insert, table: &TableDefinition) -> Result<String, SqlError> {
    let name = quoted(&table.name);
    let keys = table.primary_key.iter().map(|column| {
        let column = quoted(&table.columns[*column].name);
        format!("{name}.{column} = {EXCLUDED}.{column}")
    });
    let keys = keys.collect::<Vec<_>>().join(" AND ");
    let OnConflict::Update {
        assignments,
        condition,
        ..
    } = &insert.on_conflict
    else {
        let columns = table.columns.iter();
        let columns = columns.map(|column| format!("{EXCLUDED}.{}", quoted(&column.name)));
        let columns = columns.collect::<Vec<_>>().join(", ");
        return Ok(format!(
            "SELECT {columns} FROM {EXCLUDED} \
             WHERE NOT EXISTS (SELECT 1 FROM {name} WHERE {keys})"
        ));
    };
    // Key columns are never NULL, so a NULL there is a row without a partner.
    let key = quoted(&table.columns[table.primary_key[0]].name);
    let is_new = format!("{name}.{key} IS NULL");
    let mut values = Vec::new();
    for column in &table.columns {
        let quoted = quoted(&column.name);
        let mut assigned = assignments.iter();
        let assigned = assigned.find(|(name, _)| *name == column.name);
        let value = match assigned {
            Some((_, value)) => assigned_value(column, value, table)?,
            None => format!("{name}.{quoted}"),
        };
        values.push(format!(
            "CASE WHEN {is_new} THEN {EXCLUDED}.{quoted} ELSE {value} END AS {quoted}"
        ));
    }
    let stored = table.columns.iter().enumerate();
    values.extend(stored.map(|(position, column)| {
        let column = quoted(&column.name);
        format!(
            "{name}.{column} AS {}",
            quoted(&format!("stored {position}"))
        )
    }));
    let condition = match condition {
        Some(condition) => qualified(condition, table)?,
        None => "true".to_owned(),
    };
    Ok(format!(
        "SELECT {} FROM {EXCLUDED} LEFT JOIN {name} ON {keys} WHERE {is_new} OR ({condition})",
        values.join(", ")
    ))
}

/// The text of a value for a column; a number for a decimal column keeps its digits.
fn assigned_value(
    column: &ColumnDefinition,
    value: &Expr,
    table: &TableDefinition,
) -> Result<String, SqlError> {
    match (decimal::inexact(value), &column.data_type) {
        (Some(number), DataType::Decimal128(precision, scale)) => {
            Ok(format!("CAST('{number}' AS NUMERIC({precision}, {scale}))"))
        }
        _ => Ok(format!("({})", qualified(value, table)?)),
    }
}

/// The text of an expression in which columns without a table are those of the table.
fn qualified(expression: &Expr, table: &TableDefinition) -> Result<String, SqlError> {
    let mut expression = expression.clone();
    let visited = edit_expressions(&mut expression, &mut |part| {
        match part {
            Expr::Identifier(column) => {
                let table = Ident::with_quote('"', &table.name);
                *part = Expr::CompoundIdentifier(vec![table, column.clone()]);
            }
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
                return ControlFlow::Break(());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
    match visited {
        ControlFlow::Continue(()) => Ok(expression.to_string()),
        ControlFlow::Break(()) => Err(SqlError::unsupported("a subquery in ON CONFLICT DO UPDATE")
            .with_hint("join in the INSERT's own query instead")),
    }
}
