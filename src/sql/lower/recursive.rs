//! `WITH RECURSIVE`: a first level of rows, and a step from each level to the next.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::DefaultTableSource;
use datafusion::datasource::cte_worktable::CteWorkTable;
use datafusion::logical_expr::{LogicalPlan, RecursiveQuery, TableScan};

use super::super::error::SqlError;
use super::super::plan::{Node, Plan};
use super::super::recursive::{LEVELS, Recursive};
use super::zero::one_zero;
use super::{arrow_schema, identity, map, plan_of};

/// Lowers a recursive query.
pub fn lower(node: &RecursiveQuery) -> Result<Arc<Plan>, SqlError> {
    if mentions(&node.recursive_term, &node.name)? > 1 {
        let message = format!(
            "the recursion \"{}\" mentions itself more than once behind UNION, which cannot be \
             maintained",
            node.name
        );
        return Err(SqlError::unsupported(message)
            .about(&node.name)
            .with_hint("join the level before with the tables that it grows by"));
    }
    let mut base = super::lower(&node.static_term)?;
    let mut step = super::lower(&node.recursive_term)?;
    if node.is_distinct {
        base = with_one_zero(base)?;
        step = with_one_zero(step)?;
    }
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
        levels: LEVELS,
    };
    Ok(plan_of(Node::Recursive(recursive), schema))
}

/// How often a query reads the level before of a recursion.
fn mentions(query: &LogicalPlan, name: &str) -> Result<usize, SqlError> {
    let mut mentions = 0;
    query.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && level(scan).is_some_and(|level| *level == *name)
        {
            mentions += 1;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(mentions)
}

/// Rows of which equal ones are to count once.
fn with_one_zero(rows: Arc<Plan>) -> Result<Arc<Plan>, SqlError> {
    let schema = Arc::clone(&rows.schema);
    let columns = identity(&schema).into_iter();
    let columns = columns.map(|column| one_zero(column, &schema));
    let columns = columns.collect::<Result<_, _>>()?;
    Ok(map(rows, None, columns, schema))
}

/// The name of the recursion whose level before is scanned, if that is what is scanned.
pub fn level(node: &TableScan) -> Option<Arc<str>> {
    let source = node.source.downcast_ref::<DefaultTableSource>()?;
    let table = source.table_provider.downcast_ref::<CteWorkTable>()?;
    Some(Arc::from(table.name()))
}
