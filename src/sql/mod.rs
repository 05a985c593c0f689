//! SQL: statements, the catalog, planning, our own plan, EXPLAIN.

pub mod plan;

/// A parsed statement (to be replaced by the sql module's own).
#[derive(Clone, Debug)]
pub struct Statement;

/// A refusal of a statement.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SqlError(pub String);

impl std::fmt::Display for plan::Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self:?}")
    }
}
