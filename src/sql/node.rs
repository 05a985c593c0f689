//! What stands in the expressions of one node of a plan, asked before the node is written anew.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Whether an expression of a node is so.
pub fn has_expression(node: &LogicalPlan, is_so: impl Fn(&Expr) -> Result<bool>) -> Result<bool> {
    let mut is_found = false;
    node.apply_expressions(|expression| {
        is_found |= is_so(expression)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(is_found)
}

/// Whether a part of an expression of a node is so.
pub fn has_part(node: &LogicalPlan, is_so: impl Fn(&Expr) -> bool) -> Result<bool> {
    has_expression(node, |expression| expression.exists(|part| Ok(is_so(part))))
}
