//! One walk over SQL's syntax tree for all who look for something in it; what values are that are
//! written there, and how others are.
//!
//! The parser's own walk is generic: every closure given to it compiles into a thousand functions,
//! one for each part of the language. This one goes by a pointer, and compiles once.

use std::mem::replace;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, Query, Select, TableFactor, TableWithJoins, Value,
    Values, Visit, VisitMut, Visitor, VisitorMut,
};

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

/// Whether there are queries in an expression.
pub fn has_queries(expression: &Expr) -> bool {
    let found = edit_expressions(&mut expression.clone(), &mut |part| match part {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// A value without parentheses.
pub fn bare(value: &Expr) -> &Expr {
    match value {
        Expr::Nested(inner) => bare(inner),
        value => value,
    }
}

/// The text that a value is, as it is written; `None`: it is no literal, or that of something else.
pub fn text_of(value: &Expr) -> Option<&str> {
    match value {
        Expr::Value(literal) => match &literal.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// The same, to be written anew.
pub fn text_of_mut(value: &mut Expr) -> Option<&mut String> {
    match value {
        Expr::Value(literal) => match &mut literal.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a value is a text, as it is written.
pub fn is_text(value: &Expr) -> bool {
    text_of(value).is_some()
}

/// Whether a value is the word NULL.
pub fn is_null(value: &Expr) -> bool {
    matches!(value, Expr::Value(literal) if matches!(literal.value, Value::Null))
}

/// Whether a value is a parameter, `$1`.
pub fn is_parameter(value: &Expr) -> bool {
    matches!(value, Expr::Value(literal) if matches!(literal.value, Value::Placeholder(_)))
}

/// A value that is taken out of the tree: NULL stands there until another does.
pub fn take_value(value: &mut Expr) -> Expr {
    replace(value, Expr::value(Value::Null))
}

/// A call of a function.
pub fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let arguments = arguments.into_iter();
    let arguments = arguments.map(|value| FunctionArg::Unnamed(FunctionArgExpr::Expr(value)));
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.collect(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// A cast of a value.
pub fn cast(value: Expr, data_type: DataType) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(value),
        data_type,
        array: false,
        format: None,
    }
}

/// The values of a column of `VALUES`, of the rows that have so many.
pub fn cells(values: &mut Values, column: usize) -> impl Iterator<Item = &mut Expr> {
    let rows = values.rows.iter_mut();
    rows.filter_map(move |row| row.content.get_mut(column))
}

/// Shows every expression of a tree outside of the queries within it to `edit`, the parts of an
/// expression before itself.
pub fn edit_own_expressions(tree: &mut impl VisitMut, edit: &mut dyn FnMut(&mut Expr)) {
    // It never breaks off.
    let _ = tree.visit(&mut Own { edit, depth: 0 });
}

struct Own<'o> {
    edit: &'o mut dyn FnMut(&mut Expr),
    /// In how many queries within the tree the walk is.
    depth: usize,
}

impl VisitorMut for Own<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0 {
            (self.edit)(expression);
        }
        ControlFlow::Continue(())
    }
}

/// Shows every name that stands for a table or view in a tree to `see`.
pub fn see_relations(tree: &impl Visit, see: &mut dyn FnMut(&ObjectName)) {
    // It never breaks off.
    let _ = tree.visit(&mut Names { see });
}

struct Names<'n> {
    see: &'n mut dyn FnMut(&ObjectName),
}

impl Visitor for Names<'_> {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        (self.see)(relation);
        ControlFlow::Continue(())
    }
}

/// Shows every query of a tree to `edit`, those within a query before itself.
pub fn edit_queries(tree: &mut impl VisitMut, edit: &mut dyn FnMut(&mut Query)) {
    // It never breaks off.
    let _ = tree.visit(&mut Queries {
        query: edit,
        select: &mut |_| {},
    });
}

/// Shows every SELECT of a tree to `edit`, those within one before itself.
pub fn edit_selects(tree: &mut impl VisitMut, edit: &mut dyn FnMut(&mut Select)) {
    // It never breaks off.
    let _ = tree.visit(&mut Queries {
        query: &mut |_| {},
        select: edit,
    });
}

struct Queries<'q> {
    query: &'q mut dyn FnMut(&mut Query),
    select: &'q mut dyn FnMut(&mut Select),
}

impl VisitorMut for Queries<'_> {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        (self.query)(query);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        (self.select)(select);
        ControlFlow::Continue(())
    }
}

/// Shows every table with its joins in a tree to `edit`, those in parentheses before those around
/// them.
pub fn edit_joins(tree: &mut impl VisitMut, edit: &mut dyn FnMut(&mut TableWithJoins)) {
    // It never breaks off.
    let _ = tree.visit(&mut Joins { edit });
}

struct Joins<'j> {
    edit: &'j mut dyn FnMut(&mut TableWithJoins),
}

impl VisitorMut for Joins<'_> {
    type Break = ();

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        select.from.iter_mut().for_each(&mut self.edit);
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::NestedJoin {
            table_with_joins, ..
        } = factor
        {
            (self.edit)(table_with_joins);
        }
        ControlFlow::Continue(())
    }
}
