//! Views that nobody wants any more before they are complete.

use std::cell::Cell;
use std::rc::Rc;

/// Tells the joins of a dataflow whether their rows are still wanted. They are what makes many rows
/// of few: once they end, so does the rest, with what it has.
#[derive(Clone, Debug, Default)]
pub struct GivenUp {
    is_set: Rc<Cell<bool>>,
}

impl GivenUp {
    /// Ends the joins.
    pub fn set(&self) {
        self.is_set.set(true);
    }

    /// Whether they end.
    pub fn is_set(&self) -> bool {
        self.is_set.get()
    }
}
