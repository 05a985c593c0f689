//! UNNEST of lists and structs.

use std::sync::Arc;

use datafusion::logical_expr::Unnest;

use super::super::error::SqlError;
use super::super::plan::unnest::UnnestNode;
use super::super::plan::{Node, Plan};
use super::{arrow_schema, plan_of};

/// Lowers an UNNEST.
pub fn lower(node: &Unnest) -> Result<Arc<Plan>, SqlError> {
    let lists = node.list_type_columns.iter();
    let unnest = UnnestNode {
        input: super::lower(&node.input)?,
        lists: lists.map(|(column, list)| (*column, list.depth)).collect(),
        structs: node.struct_type_columns.clone(),
        options: node.options.clone(),
    };
    Ok(plan_of(Node::Unnest(unnest), arrow_schema(&node.schema)))
}
