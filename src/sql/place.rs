//! Where in a query something is named.

use std::ops::ControlFlow;

use datafusion::common::Span;
use datafusion::sql::sqlparser::ast::{
    DataType, Expr, Ident, ObjectName, Query, Spanned, Visit, Visitor,
};

use super::error::{Place, SqlError};

/// Adds to a refusal the place of what it is about, the first one of that name.
pub fn located(error: SqlError, query: &Query) -> SqlError {
    let (None, Some(name)) = (error.place, &error.about) else {
        return error;
    };
    let mut search = Search { name, found: None };
    // It breaks off where it has found the name.
    let _ = query.visit(&mut search);
    match search.found {
        Some(place) => error.at(place),
        None => error,
    }
}

/// The place that DataFusion has found; `None` if the text is not one of the user's.
pub fn of_span(span: Span) -> Place {
    Place {
        line: span.start.line,
        column: span.start.column,
    }
}

/// Where a part of a query begins; `None` if it is not one of the user's text.
pub fn of_part(part: &impl Spanned) -> Option<Place> {
    Span::try_from_sqlparser_span(part.span()).map(of_span)
}

struct Search<'n> {
    name: &'n str,
    found: Option<Place>,
}

impl Search<'_> {
    fn look_at(&mut self, name: &ObjectName) -> ControlFlow<()> {
        let last = name.0.last().and_then(|part| part.as_ident());
        self.look_at_ident(last)
    }

    fn look_at_ident(&mut self, ident: Option<&Ident>) -> ControlFlow<()> {
        match ident {
            Some(ident) if ident.value.eq_ignore_ascii_case(self.name) => {
                self.found = Span::try_from_sqlparser_span(ident.span).map(of_span);
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

impl Visitor for Search<'_> {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        self.look_at(relation)
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        match expression {
            Expr::Function(call) => self.look_at(&call.name),
            // Functions that are called without parentheses.
            Expr::Identifier(ident) => self.look_at_ident(Some(ident)),
            Expr::Cast {
                data_type: DataType::Custom(name, _),
                ..
            } => self.look_at(name),
            _ => ControlFlow::Continue(()),
        }
    }
}
