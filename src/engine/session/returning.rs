//! RETURNING: what a statement gives back of the rows that it writes.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::scalar::ScalarValue;
use futures::{TryStreamExt, stream};

use super::rows::quoted;
use crate::model::TableDefinition;
use crate::sql::SqlError;
use crate::sql::query::QueryContext;
use crate::sql::statement::parse_query;

/// What a statement has written.
pub(super) struct Written {
    /// How many rows.
    pub(super) count: u64,
    /// What is given back of them, where it is asked for.
    pub(super) returned: Option<SendableRecordBatchStream>,
}

/// What is given back of some rows of a table, computed before they are written, so that an
/// expression that fails leaves the table as it was.
pub(super) async fn returned(
    context: &QueryContext,
    table: &TableDefinition,
    returning: Option<&str>,
    rows: &[RecordBatch],
    parameters: &[ScalarValue],
) -> Result<Option<SendableRecordBatchStream>, SqlError> {
    let Some(returning) = returning else {
        return Ok(None);
    };
    let (context, plan) = plan(context, table, returning, rows)?;
    let plan = QueryContext::bind(plan, parameters)?;
    let rows = context.execute(plan).await?;
    let schema: SchemaRef = rows.schema();
    let rows: Vec<RecordBatch> = rows.try_collect().await?;
    let rows = stream::iter(rows.into_iter().map(Ok));
    Ok(Some(Box::pin(RecordBatchStreamAdapter::new(schema, rows))))
}

/// A RETURNING as a query over the rows, which stand in the place of their table.
pub(super) fn plan(
    context: &QueryContext,
    table: &TableDefinition,
    returning: &str,
    rows: &[RecordBatch],
) -> Result<(QueryContext, LogicalPlan), SqlError> {
    let rows = match rows.is_empty() {
        true => vec![RecordBatch::new_empty(table.schema())],
        false => rows.to_vec(),
    };
    let context = context.with_rows(&table.name, rows)?;
    let text = format!("SELECT {returning} FROM {}", quoted(&table.name));
    let query = parse_query(&text)?;
    let plan = context.plan(&query)?;
    let mut is_row_by_row = true;
    plan.apply(|node| {
        let is_grouped = matches!(node, LogicalPlan::Aggregate(_) | LogicalPlan::Window(_));
        is_row_by_row &= !is_grouped;
        Ok(TreeNodeRecursion::Continue)
    })?;
    match is_row_by_row {
        true => Ok((context, plan)),
        false => Err(SqlError::new(
            "42803",
            "RETURNING takes expressions over one row, not aggregates or window functions",
        )
        .with_hint("return the columns and aggregate them where they are read")),
    }
}
