//! Recursion in plans.

use std::sync::Arc;

use super::{Node, Plan};

/// Levels of a recursion of which nothing else is said. Rows beyond them are errors.
pub const LEVELS: usize = 100;

/// Most levels that a view can ask for: each is a dataflow of its own, with operators that every
/// transaction passes.
pub const LEVELS_MAX: usize = 250;

/// The rows of a base and, level by level, what a step makes of the rows of the level before,
/// until a level is empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Recursive {
    /// The name under which the step reads the level before, see [`Node::Level`].
    pub name: Arc<str>,
    /// The first level.
    pub base: Arc<Plan>,
    /// What makes the next level.
    pub step: Arc<Plan>,
    /// Whether a level holds only rows that no level before it has, each once.
    pub distinct: bool,
    /// How many levels there may be, the first among them; rows beyond them are errors.
    pub levels: usize,
}

/// Whether a plan depends on the level of a recursion outside of it.
pub fn reads_level(plan: &Plan, name: &str) -> bool {
    match &plan.node {
        Node::Level { name: other } => **other == *name,
        Node::Recursive(inner) if *inner.name == *name => reads_level(&inner.base, name),
        _ => plan
            .inputs()
            .into_iter()
            .any(|input| reads_level(input, name)),
    }
}
