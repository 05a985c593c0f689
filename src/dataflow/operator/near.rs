//! Reading only those rows of a group that a change concerns.

use super::super::lane::Pick;
use super::as_of::AsOf;
use super::group::Walk;
use super::neighbours::neighbours;
use super::recompute::Segment;
pub use super::session::Sessions;
use crate::sql::plan::reach::Nearby;

/// Which rows a change concerns.
pub enum Near {
    /// Some before and behind it.
    Rows(Nearby),
    /// Those of the sessions that it touches.
    Sessions(Sessions),
    /// The left rows whose newest right row it may be.
    AsOf(AsOf),
}

impl Near {
    /// Reads the rows of a group as of a time that matter to the rows that change, which are given
    /// in order, and appends them to `rows`.
    pub fn read(
        &self,
        walk: &Walk,
        changed: &[Pick],
        as_of: Option<u64>,
        rows: &mut Vec<Pick>,
    ) -> Vec<Segment> {
        match self {
            Near::Rows(reach) => neighbours(walk, changed, as_of, *reach, rows),
            Near::Sessions(sessions) => sessions.read(walk, changed, as_of, rows),
            Near::AsOf(join) => join.read(walk, changed, as_of, rows),
        }
    }
}
