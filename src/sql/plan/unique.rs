//! Which columns of a plan's rows are unique, as far as the plan shows it.

use super::temporal::TemporalNode;
use super::{JoinKind, Node, Plan, as_column};
use crate::sql::catalog::Catalog;

/// Positions of columns whose values are unique among the rows; none where none are known to be.
pub fn unique_columns(plan: &Plan, catalog: &Catalog) -> Vec<usize> {
    match &plan.node {
        Node::Table { name } | Node::View { name } => catalog.key(name),
        Node::Map {
            input, projection, ..
        }
        | Node::Temporal(TemporalNode {
            input, projection, ..
        }) => {
            let columns = unique_columns(input, catalog);
            let mapped = columns.iter().map(|column| {
                projection
                    .iter()
                    .position(|expression| as_column(expression) == Some(*column))
            });
            mapped.collect::<Option<Vec<_>>>().unwrap_or_default()
        }
        Node::Aggregate(node) => (0..node.keys.len()).collect(),
        Node::TopK(node) => match unique_columns(&node.input, catalog) {
            columns if columns.is_empty() && node.limit == Some(1) => node.partition.clone(),
            columns => columns,
        },
        Node::Window(node) => unique_columns(&node.input, catalog),
        Node::Join(node) => {
            let left = unique_columns(&node.left, catalog);
            let keeps_left = match node.kind {
                JoinKind::LeftSemi | JoinKind::LeftAnti => true,
                JoinKind::Inner | JoinKind::Left => {
                    let right = unique_columns(&node.right, catalog);
                    let is_joined = |column: &usize| node.on.iter().any(|(_, key)| key == column);
                    !right.is_empty() && right.iter().all(is_joined)
                }
                JoinKind::Full => false,
            };
            if keeps_left { left } else { Vec::new() }
        }
        Node::DeltaJoin(_)
        | Node::Constant { .. }
        | Node::Union { .. }
        | Node::Distinct { .. }
        | Node::Level { .. }
        | Node::Recursive(_)
        | Node::Unnest(_) => Vec::new(),
    }
}
