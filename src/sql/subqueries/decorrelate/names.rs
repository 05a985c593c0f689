//! Names of what stands in the place of subqueries.

use std::cell::Cell;

use datafusion::common::TableReference;

/// Names that no other part of the plan has.
#[derive(Default)]
pub struct Names {
    given: Cell<usize>,
}

impl Names {
    /// A relation of the given kind.
    pub fn relation(&self, kind: &str) -> TableReference {
        TableReference::bare(format!("[{kind} {}]", self.number()))
    }

    /// A number that has not been given.
    pub fn number(&self) -> usize {
        self.given.set(self.given.get() + 1);
        self.given.get()
    }
}
