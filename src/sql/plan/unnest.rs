//! Lists taken apart, in plans.

use std::sync::Arc;

use datafusion::common::UnnestOptions;

use super::Plan;

/// One row for each element of a row's lists; structs become columns. Lists of one row are taken
/// apart side by side, the shorter ones filled up with NULL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UnnestNode {
    /// The rows.
    pub input: Arc<Plan>,
    /// Positions of the lists, and how many levels of each are taken apart.
    pub lists: Vec<(usize, usize)>,
    /// Positions of the structs.
    pub structs: Vec<usize>,
    /// What becomes of NULL lists.
    pub options: UnnestOptions,
}
