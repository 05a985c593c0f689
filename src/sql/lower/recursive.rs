//! `WITH RECURSIVE`: a first level of rows, and a step from each level to the next.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::datasource::DefaultTableSource;
use datafusion::datasource::cte_worktable::CteWorkTable;
use datafusion::logical_expr::{RecursiveQuery, TableScan};

use super::super::error::SqlError;
use super::super::plan::{Node, Plan};
use super::super::recursive::Recursive;
use super::{arrow_schema, plan_of};

/// Lowers a recursive query.
pub fn lower(node: &RecursiveQuery) -> Result<Arc<Plan>, SqlError> {
    let base = super::lower(&node.static_term)?;
    let step = super::lower(&node.recursive_term)?;
    let declared = arrow_schema(&node.schema);
    let fields = declared.fields().iter().enumerate().map(|(column, field)| {
        let is_nullable = [&base, &step]
            .iter()
            .any(|term| term.schema.field(column).is_nullable());
        Field::new(
            field.name(),
            field.data_type().clone(),
            field.is_nullable() || is_nullable,
        )
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let recursive = Recursive {
        name: Arc::from(node.name.as_str()),
        base,
        step,
        distinct: node.is_distinct,
    };
    Ok(plan_of(Node::Recursive(recursive), schema))
}

/// The name of the recursion whose level before is scanned, if that is what is scanned.
pub fn level(node: &TableScan) -> Option<Arc<str>> {
    let source = node.source.downcast_ref::<DefaultTableSource>()?;
    let table = source.table_provider.downcast_ref::<CteWorkTable>()?;
    Some(Arc::from(table.name()))
}
