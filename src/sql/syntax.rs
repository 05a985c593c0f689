//! One walk over SQL's syntax tree for all who look for something in it.
//!
//! The parser's own walk is generic: every closure given to it compiles into a thousand functions,
//! one for each part of the language. This one goes by a pointer, and compiles once.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, VisitMut, VisitorMut};

/// Shows every expression of a tree to `edit`, the parts of an expression before itself, until it
/// breaks.
pub fn edit_expressions(
    tree: &mut impl VisitMut,
    edit: &mut dyn FnMut(&mut Expr) -> ControlFlow<()>,
) -> ControlFlow<()> {
    tree.visit(&mut Walk { edit })
}

struct Walk<'w> {
    edit: &'w mut dyn FnMut(&mut Expr) -> ControlFlow<()>,
}

impl VisitorMut for Walk<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        (self.edit)(expression)
    }
}
