//! How many pairs of rows joins without an equality make.

use super::{Join, JoinKind, Node, Plan, as_column};

/// How many pairs of different rows the largest join of a plan makes that has no equality, as far as
/// the rows of tables tell; `different` gives the number of different rows that some columns of a
/// table have.
pub fn without_equality(plan: &Plan, different: &mut dyn FnMut(&str, &[usize]) -> u64) -> u64 {
    let mut most = match &plan.node {
        Node::Join(join) if join.on.is_empty() => product(join, different),
        _ => 0,
    };
    for input in plan.inputs() {
        most = most.max(without_equality(input, different));
    }
    most
}

fn product(join: &Join, different: &mut dyn FnMut(&str, &[usize]) -> u64) -> u64 {
    let left = rows(&join.left, different);
    left.saturating_mul(rows(&join.right, different))
}

/// At least how many different rows there are, where nothing but tables decides it.
fn rows(plan: &Plan, different: &mut dyn FnMut(&str, &[usize]) -> u64) -> u64 {
    match &plan.node {
        Node::Table { name } => {
            let columns: Vec<usize> = (0..plan.schema.fields().len()).collect();
            different(name, &columns)
        }
        Node::Map {
            input,
            predicate: None,
            projection,
        } => match &input.node {
            Node::Table { name } => {
                let columns: Vec<usize> = projection.iter().filter_map(as_column).collect();
                different(name, &columns)
            }
            _ => 1,
        },
        Node::Join(join)
            if join.on.is_empty() && join.residual.is_none() && join.kind == JoinKind::Inner =>
        {
            product(join, different)
        }
        _ => 1,
    }
}
