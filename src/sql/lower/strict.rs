//! Whether a step of a recursion gives no rows of an empty level.
//!
//! A recursion ends at its first empty level. Maintained, all levels are there from the beginning,
//! so that this holds only where nothing comes of nothing.

use super::super::plan::{JoinKind, Node, Plan};

/// Whether a plan surely gives no rows while the level before of a recursion has none.
pub fn is_strict(plan: &Plan, name: &str) -> bool {
    let strict = |input: &Plan| is_strict(input, name);
    match &plan.node {
        Node::Level { name: read } => **read == *name,
        Node::Table { .. } | Node::View { .. } => false,
        Node::Constant { rows } => rows.is_empty(),
        Node::Map { input, .. } | Node::Distinct { input } => strict(input),
        Node::Union { inputs } => inputs.iter().all(|input| strict(input)),
        Node::Join(join) => match join.kind {
            JoinKind::Inner | JoinKind::LeftSemi => strict(&join.left) || strict(&join.right),
            JoinKind::Left | JoinKind::LeftAnti => strict(&join.left),
            JoinKind::Full => strict(&join.left) && strict(&join.right),
        },
        Node::DeltaJoin(join) => join.inputs.iter().any(|input| strict(input)),
        // A group of all rows is there even if there are none.
        Node::Aggregate(aggregate) => !aggregate.keys.is_empty() && strict(&aggregate.input),
        Node::TopK(top) => strict(&top.input),
        Node::Window(window) => strict(&window.input),
        Node::Temporal(temporal) => strict(&temporal.input),
        Node::Unnest(unnest) => strict(&unnest.input),
        // Its own step is strict, too, or it would have been refused.
        Node::Recursive(recursive) => strict(&recursive.base),
    }
}
