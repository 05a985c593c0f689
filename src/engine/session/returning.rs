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

/// What is to be given back of the rows of a table.
#[derive(Clone, Copy)]
pub(super) struct Returning<'a> {
    table: &'a TableDefinition,
    /// As text; `None`: nothing.
    items: Option<&'a str>,
    /// What the table is called in them.
    called: &'a str,
}

impl<'a> Returning<'a> {
    /// What a statement asks for, in which the table may have another name.
    pub(super) fn of(
        table: &'a TableDefinition,
        items: Option<&'a str>,
        alias: Option<&'a str>,
    ) -> Returning<'a> {
        Returning {
            table,
            items,
            called: alias.unwrap_or(&table.name),
        }
    }
}

/// What is given back of some rows of a table, computed before they are written, so that an
/// expression that fails leaves the table as it was.
pub(super) async fn returned(
    context: &QueryContext,
    returning: Returning<'_>,
    rows: &[RecordBatch],
    parameters: &[ScalarValue],
) -> Result<Option<SendableRecordBatchStream>, SqlError> {
    let Some((context, plan)) = plan(context, returning, rows)? else {
        return Ok(None);
    };
    let plan = QueryContext::bind(plan, parameters)?;
    let rows = context.execute(plan).await?;
    let schema: SchemaRef = rows.schema();
    let rows: Vec<RecordBatch> = rows.try_collect().await?;
    let rows = stream::iter(rows.into_iter().map(Ok));
    Ok(Some(Box::pin(RecordBatchStreamAdapter::new(schema, rows))))
}

/// A RETURNING as a query over the rows, which stand in the place of their table; `None`: nothing
/// is given back.
pub(super) fn plan(
    context: &QueryContext,
    returning: Returning<'_>,
    rows: &[RecordBatch],
) -> Result<Option<(QueryContext, LogicalPlan)>, SqlError> {
    let Returning { table, called, .. } = returning;
    let Some(items) = returning.items else {
        return Ok(None);
    };
    let rows = match rows.is_empty() {
        true => vec![RecordBatch::new_empty(table.schema())],
        false => rows.to_vec(),
    };
    let context = context.with_rows(&table.name, rows)?;
    let name = quoted(&table.name);
    let text = format!("SELECT {items} FROM {name} AS {}", quoted(called));
    let query = parse_query(&text)?;
    let plan = context.plan(&query)?;
    let mut is_row_by_row = true;
    plan.apply(|node| {
        let is_grouped = matches!(node, LogicalPlan::Aggregate(_) | LogicalPlan::Window(_));
        is_row_by_row &= !is_grouped;
        Ok(TreeNodeRecursion::Continue)
    })?;
    match is_row_by_row {
        true => Ok(Some((context, plan))),
        false => Err(SqlError::new(
            "42803",
            "RETURNING takes expressions over one row, not aggregates or window functions",
        )
        .with_hint("return the columns and aggregate them where they are read")),
    }
}
