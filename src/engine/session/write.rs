//! INSERT and COPY: rows for tables.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;

use super::describe::{Described, describe_returning};
use super::returning::{Returning, Written, returned};
use super::rows::{asks_for_time, complete, known_column, names, types, with_default_words};
use super::tries::Since;
use super::{CopyTarget, Session};
use crate::engine::EngineError;
use crate::model::{Change, ChangeKind, TableDefinition};
use crate::sql::query::QueryContext;
use crate::sql::{Copy, Insert, OnConflict, SqlError};

/// Rows of one table by what is done with them, in order.
pub(super) type Changes = Vec<(ChangeKind, Vec<RecordBatch>)>;

impl Session {
    /// Adds rows sent by a client for a `COPY`, at one timestamp; returns how many.
    pub async fn copy_in(
        &mut self,
        target: &CopyTarget,
        rows: Vec<RecordBatch>,
    ) -> Result<u64, EngineError> {
        let copied = self.copy_rows(target, rows).await;
        self.failing(copied)
    }

    async fn copy_rows(
        &mut self,
        target: &CopyTarget,
        rows: Vec<RecordBatch>,
    ) -> Result<u64, EngineError> {
        let table = self.table(&target.table)?;
        let columns: Vec<String> = names(&target.columns);
        let asks = asks_for_time(&table, &columns);
        let since_ms = self.moment(self.last_write_ms, asks).await?;
        let context = self.context_since(since_ms).await?;
        let rows = complete(&context, &table, &columns, rows).await?;
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

    pub(super) fn table(&self, name: &str) -> Result<Arc<TableDefinition>, EngineError> {
        let state = self.engine.shared.state();
        Ok(Arc::clone(state.catalog.table(name)?))
    }

    pub(super) async fn insert(
        &mut self,
        insert: &Insert,
        parameters: &[ScalarValue],
    ) -> Result<Written, EngineError> {
        let table = self.table(&insert.table)?;
        if !super::conflict::replaces(insert, &table)? {
            return self.insert_beside(insert, parameters).await;
        }
        let since_ms = self.last_write_ms;
        let (context, rows) = self
            .inserted_rows(since_ms, insert, &table, parameters)
            .await?;
        let returning = Returning::of(&table, insert.returning.as_deref(), None);
        let returned = returned(&context, returning, &rows, parameters).await?;
        let count = self.write(&table, vec![(ChangeKind::Upsert, rows)]).await?;
        Ok(Written { count, returned })
    }

    /// The rows that an INSERT gives, complete, as of a timestamp (ms) or later, and the moment
    /// they are of.
    pub(super) async fn inserted_rows(
        &self,
        since: impl Into<Since>,
        insert: &Insert,
        table: &TableDefinition,
        parameters: &[ScalarValue],
    ) -> Result<(QueryContext, Vec<RecordBatch>), EngineError> {
        let columns = given_columns(insert, table);
        let source = with_default_words(insert.source.as_deref(), table, &columns)?;
        let types = types(table, &columns)?;
        let asks = asks_for_time(table, &columns) || insert.on_conflict.calls_functions();
        let since = since.into();
        let timestamp_ms = self.moment(since, asks).await?;
        let since = Since {
            timestamp_ms,
            ..since
        };
        let (context, plan) = self
            .planned(since, |context| context.plan_rows(&source, &types))
            .await?;
        let plan = QueryContext::bind(plan, parameters)?;
        let rows: Vec<RecordBatch> = context.execute(plan).await?.try_collect().await?;
        let rows = complete(&context, table, &columns, rows).await?;
        Ok((context, rows))
    }

    /// The types of an INSERT's parameters, and the columns that it gives back.
    pub(super) async fn describe_insert(&self, insert: &Insert) -> Result<Described, EngineError> {
        let table = self.table(&insert.table)?;
        let columns = given_columns(insert, &table);
        let source = with_default_words(insert.source.as_deref(), &table, &columns)?;
        let context = self.context().await?;
        let plan = context.plan_rows(&source, &types(&table, &columns)?)?;
        let mut types = QueryContext::parameter_types(&plan)?;
        if insert.on_conflict != OnConflict::Replace && !super::conflict::replaces(insert, &table)?
        {
            let none = vec![RecordBatch::new_empty(table.schema())];
            let plan = super::conflict::plan(&context, insert, &table, none)?.1;
            let others = QueryContext::parameter_types(&plan)?;
            // A parameter that the rows do not have is one of the ON CONFLICT.
            types.extend(others.into_iter().skip(types.len()));
        }
        let returning = Returning::of(&table, insert.returning.as_deref(), None);
        describe_returning(&context, returning, types)
    }

    /// Commits changes of one table at one timestamp, or keeps them for the COMMIT of the open
    /// block; returns the number of rows of the last kind.
    pub(super) async fn write(
        &mut self,
        table: &TableDefinition,
        changes: Changes,
    ) -> Result<u64, EngineError> {
        let (written, changes) = submitted(table, changes)?;
        if let Some(changes) = self.block.hold(changes, &self.engine)? {
            self.submit(changes).await?;
        }
        Ok(written)
    }
}

/// The number of rows of the last kind, and changes as they are submitted.
pub(super) fn submitted(
    table: &TableDefinition,
    changes: Changes,
) -> Result<(u64, Vec<Change>), SqlError> {
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
    Ok((written, submitted))
}

/// The columns that an INSERT gives, all where none is named.
fn given_columns(insert: &Insert, table: &TableDefinition) -> Vec<String> {
    match &insert.columns[..] {
        [] => names(&table.schema()),
        columns => columns.to_vec(),
    }
}
