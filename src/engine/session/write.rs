//! INSERT, UPDATE, DELETE and COPY: rows for tables.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::Query;
use futures::TryStreamExt;

use super::{CopyTarget, Session, reads_tables};
use crate::engine::EngineError;
use crate::model::{Change, ChangeKind, ColumnDefinition, TableDefinition};
use crate::sql::query::QueryContext;
use crate::sql::statement::parse_query;
use crate::sql::{Copy, SqlError, Statement};

/// Rows of one table by what is done with them, in order.
type Changes = Vec<(ChangeKind, Vec<RecordBatch>)>;

impl Session {
    /// Adds rows sent by a client for a `COPY`, at one timestamp; returns how many.
    pub async fn copy_in(
        &mut self,
        target: &CopyTarget,
        rows: Vec<RecordBatch>,
    ) -> Result<u64, EngineError> {
        let copied = self.copy_rows(target, &rows).await;
        self.failing(copied)
    }

    async fn copy_rows(
        &mut self,
        target: &CopyTarget,
        rows: &[RecordBatch],
    ) -> Result<u64, EngineError> {
        let table = self.table(&target.table)?;
        let columns: Vec<String> = names(&target.columns);
        let rows = rows.iter().map(|rows| fit(&table, &columns, rows));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        self.write(&table, vec![(ChangeKind::Upsert, rows)]).await
    }

    pub(super) fn copy_target(&self, copy: &Copy) -> Result<CopyTarget, EngineError> {
        let table = self.table(&copy.table)?;
        let schema = table.schema();
        let columns = match &copy.columns[..] {
            [] => schema,
            columns => {
                let fields = columns
                    .iter()
                    .map(|column| Ok(schema.field(known_column(&table, column)?).clone()));
                Arc::new(Schema::new(fields.collect::<Result<Vec<_>, SqlError>>()?))
            }
        };
        Ok(CopyTarget {
            table: copy.table.clone(),
            columns,
            format: copy.format.clone(),
        })
    }

    fn table(&self, name: &str) -> Result<Arc<TableDefinition>, EngineError> {
        let state = self.engine.shared.state();
        Ok(Arc::clone(state.catalog.table(name)?))
    }

    pub(super) async fn insert(
        &mut self,
        table: &str,
        columns: &[String],
        source: &Query,
        parameters: &[ScalarValue],
    ) -> Result<u64, EngineError> {
        let (table, columns) = self.insert_target(table, columns)?;
        let types = types(&table, &columns)?;
        let since_ms = self.last_write_ms;
        let (context, plan) = self
            .planned(source, since_ms, |context| {
                context.plan_rows(source, &types)
            })
            .await?;
        let plan = QueryContext::bind(plan, parameters)?;
        if reads_tables(&plan)? {
            self.block.check_readable()?;
        }
        let rows: Vec<RecordBatch> = context.execute(plan).await?.try_collect().await?;
        let rows = rows.iter().map(|rows| fit(&table, &columns, rows));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        self.write(&table, vec![(ChangeKind::Upsert, rows)]).await
    }

    /// The types of an INSERT's parameters.
    pub(super) async fn insert_parameters(
        &self,
        table: &str,
        columns: &[String],
        source: &Query,
    ) -> Result<Vec<DataType>, EngineError> {
        let (table, columns) = self.insert_target(table, columns)?;
        let context = self.context(source).await?;
        let plan = context.plan_rows(source, &types(&table, &columns)?)?;
        Ok(QueryContext::parameter_types(&plan)?)
    }

    /// The table of an INSERT and the columns that are given, all where none is named.
    fn insert_target(
        &self,
        table: &str,
        columns: &[String],
    ) -> Result<(Arc<TableDefinition>, Vec<String>), EngineError> {
        let table = self.table(table)?;
        let columns = match columns {
            [] => names(&table.schema()),
            columns => columns.to_vec(),
        };
        Ok((table, columns))
    }

    /// UPDATE and DELETE: reads the rows and writes them back; returns how many.
    ///
    /// Only one session rewrites at a time, and it sees what the one before it has written, so that
    /// no rewrite works on rows that another is changing.
    pub(super) async fn rewrite(
        &mut self,
        statement: &Statement,
        parameters: &[ScalarValue],
    ) -> Result<u64, EngineError> {
        let query = self.affected_rows(statement)?;
        let engine = self.engine.clone();
        let mut newest_rewrite_ms = engine.shared.newest_rewrite_ms.lock().await;
        let since_ms = self.last_write_ms.max(*newest_rewrite_ms);
        let (context, plan) = self
            .planned(&query, since_ms, |context| context.plan(&query))
            .await?;
        self.block.check_readable()?;
        let plan = QueryContext::bind(plan, parameters)?;
        let rows: Vec<RecordBatch> = context.execute(plan).await?.try_collect().await?;
        let (table, changes) = self.rewrites(statement, &rows)?;
        let written = self.write(&table, changes).await?;
        *newest_rewrite_ms = self.last_write_ms;
        Ok(written)
    }

    /// The rows that an UPDATE or DELETE is about: the old values of all columns and, for an
    /// UPDATE, the new ones behind them. One query, so that both are of one moment.
    pub(super) fn affected_rows(&self, statement: &Statement) -> Result<Box<Query>, EngineError> {
        let (table, assignments, condition) = match statement {
            Statement::Update {
                table,
                assignments,
                condition,
            } => (table, assignments.as_slice(), condition),
            Statement::Delete { table, condition } => (table, &[][..], condition),
            _ => return Err(SqlError::unsupported("this statement is not supported").into()),
        };
        let table = self.table(table)?;
        for (column, _) in assignments {
            known_column(&table, column)?;
        }
        let column = |column: &ColumnDefinition| quoted(&column.name);
        let mut values: Vec<String> = table.columns.iter().map(column).collect();
        if !assignments.is_empty() {
            values.extend(table.columns.iter().enumerate().map(|(position, column)| {
                let mut assigned = assignments.iter();
                let assigned = assigned.find(|(name, _)| *name == column.name);
                let value = assigned
                    .map_or_else(|| quoted(&column.name), |(_, value)| format!("({value})"));
                format!("{value} AS \"new {position}\"")
            }));
        }
        let condition = condition.as_deref().unwrap_or("true");
        let from = quoted(&table.name);
        let values = values.join(", ");
        let text = format!("SELECT {values} FROM {from} WHERE {condition}");
        Ok(parse_query(&text)?)
    }

    /// What is written for the affected rows.
    fn rewrites(
        &self,
        statement: &Statement,
        rows: &[RecordBatch],
    ) -> Result<(Arc<TableDefinition>, Changes), EngineError> {
        let (Statement::Update { table, .. } | Statement::Delete { table, .. }) = statement else {
            return Err(SqlError::unsupported("this statement is not supported").into());
        };
        let table = self.table(table)?;
        let columns: Vec<String> = names(&table.schema());
        let part = |positions: std::ops::Range<usize>| {
            let rows = rows.iter().map(|rows| {
                let positions: Vec<usize> = positions.clone().collect();
                let rows = rows.project(&positions).map_err(DataFusionError::from)?;
                fit(&table, &columns, &rows)
            });
            rows.collect::<Result<Vec<_>, SqlError>>()
        };
        let width = columns.len();
        let old = part(0..width)?;
        let changes = match statement {
            Statement::Delete { .. } => vec![(ChangeKind::Delete, old)],
            // Versions decide; a deletion would hide the new row of the same version.
            _ if !table.version.is_empty() => {
                vec![(ChangeKind::Upsert, part(width..2 * width)?)]
            }
            _ => vec![
                (ChangeKind::Delete, old),
                (ChangeKind::Upsert, part(width..2 * width)?),
            ],
        };
        Ok((table, changes))
    }

    /// Commits changes of one table at one timestamp, or keeps them for the COMMIT of the open
    /// block; returns the number of rows of the last kind.
    async fn write(
        &mut self,
        table: &TableDefinition,
        changes: Changes,
    ) -> Result<u64, EngineError> {
        let mut written = 0;
        let mut submitted = Vec::new();
        for (kind, rows) in changes {
            written = rows.iter().map(|rows| rows.num_rows() as u64).sum();
            let rows = rows.into_iter().filter(|rows| rows.num_rows() > 0);
            for rows in rows {
                submitted.push(Change {
                    table: Arc::from(table.name.as_str()),
                    kind,
                    rows: RecordBatch::try_new(table.schema(), rows.columns().to_vec())
                        .map_err(|error| SqlError::new("23502", error.to_string()))?,
                });
            }
        }
        if let Some(changes) = self.block.hold(submitted)? {
            self.submit(changes).await?;
        }
        Ok(written)
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The position of a column of a table.
fn known_column(table: &TableDefinition, column: &str) -> Result<usize, SqlError> {
    table.column_index(column).ok_or_else(|| {
        let message = format!("table \"{}\" has no column \"{column}\"", table.name);
        SqlError::new("42703", message)
    })
}

fn types(table: &TableDefinition, columns: &[String]) -> Result<Vec<DataType>, SqlError> {
    let columns = columns.iter().map(|column| {
        let position = known_column(table, column)?;
        Ok(table.columns[position].data_type.clone())
    });
    columns.collect()
}

fn names(schema: &SchemaRef) -> Vec<String> {
    schema
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect()
}

/// Rows given for some columns as rows of the table: cast, in order, the others NULL.
fn fit(
    table: &TableDefinition,
    columns: &[String],
    rows: &RecordBatch,
) -> Result<RecordBatch, SqlError> {
    if columns.len() != rows.num_columns() {
        let message = format!(
            "{} values are given for {} columns of \"{}\"",
            rows.num_columns(),
            columns.len(),
            table.name
        );
        return Err(SqlError::new("42601", message));
    }
    for column in columns {
        known_column(table, column)?;
    }
    let arrays = table
        .columns
        .iter()
        .map(|column| -> Result<ArrayRef, SqlError> {
            let Some(position) = columns.iter().position(|name| *name == column.name) else {
                return Ok(new_null_array(&column.data_type, rows.num_rows()));
            };
            let options = arrow::compute::CastOptions {
                safe: false,
                ..Default::default()
            };
            let value = rows.column(position);
            let cast = arrow::compute::cast_with_options(value, &column.data_type, &options);
            cast.map_err(|error| {
                let message = format!("column \"{}\" of \"{}\": {error}", column.name, table.name);
                SqlError::new("22000", message)
            })
        });
    let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(table.schema(), arrays).map_err(|error| {
        let message = format!("table \"{}\": {error}", table.name);
        SqlError::new("23502", message)
    })
}
