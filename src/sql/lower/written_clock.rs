//! Where a query asks for the time, as its user has written it.
//!
//! What cannot follow the clock is found in the plan of a view, in which expressions have neither
//! places nor the words of the user.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Ident, Query, Visit, Visitor};

/// Names by which the time is asked for.
const CALLS: [&str; 5] = [
    "now",
    "current_timestamp",
    "current_date",
    "today",
    "current_time",
];

/// All that reads the clock in a query.
#[derive(Default)]
pub struct WrittenClock {
    /// Comparisons, each with the names of the columns in it.
    conditions: Vec<(Expr, BTreeSet<String>)>,
    /// Calls that are in no comparison.
    values: Vec<Expr>,
}

impl WrittenClock {
    /// What a query says, its subqueries too.
    pub fn of(query: &Query) -> WrittenClock {
        let mut search = Search::default();
        // It goes through all of it.
        let _ = query.visit(&mut search);
        search.found
    }

    /// The comparison that one over these columns stands for, if it is clear which it is.
    pub fn condition(&self, columns: &BTreeSet<String>) -> Option<&Expr> {
        let conditions = self.conditions.iter();
        let mut same = conditions.filter_map(|(condition, read)| {
            // It becomes two comparisons, each with one of its bounds.
            let is_part = matches!(condition, Expr::Between { .. })
                && !columns.is_empty()
                && columns.is_subset(read);
            (read == columns || is_part).then_some(condition)
        });
        let first = same.next()?;
        same.all(|other| other.to_string() == first.to_string())
            .then_some(first)
    }

    /// The first call whose value is taken.
    pub fn value(&self) -> Option<&Expr> {
        self.values.first()
    }
}

/// A comparison that is being looked through.
#[derive(Default)]
struct Comparison {
    is_of_clock: bool,
    columns: BTreeSet<String>,
}

#[derive(Default)]
struct Search {
    found: WrittenClock,
    /// From the outermost to the innermost.
    comparisons: Vec<Comparison>,
}

impl Visitor for Search {
    type Break = ();

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        if is_comparison(expression) {
            self.comparisons.push(Comparison::default());
        } else if is_call(expression) {
            match self.comparisons.last_mut() {
                Some(comparison) => comparison.is_of_clock = true,
                None => self.found.values.push(expression.clone()),
            }
        } else if let Some(column) = column(expression) {
            for comparison in &mut self.comparisons {
                comparison.columns.insert(column.clone());
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expression: &Expr) -> ControlFlow<()> {
        if is_comparison(expression)
            && let Some(comparison) = self.comparisons.pop()
            && comparison.is_of_clock
        {
            let condition = (expression.clone(), comparison.columns);
            self.found.conditions.push(condition);
        }
        ControlFlow::Continue(())
    }
}

fn is_comparison(expression: &Expr) -> bool {
    match expression {
        Expr::Between { .. } => true,
        Expr::BinaryOp { op, .. } => matches!(
            op,
            BinaryOperator::Lt
                | BinaryOperator::LtEq
                | BinaryOperator::Gt
                | BinaryOperator::GtEq
                | BinaryOperator::Eq
                | BinaryOperator::NotEq
        ),
        _ => false,
    }
}

fn is_call(expression: &Expr) -> bool {
    let name = match expression {
        Expr::Function(call) => call.name.0.last().and_then(|part| part.as_ident()),
        // What is called without parentheses; `now` is then a column.
        Expr::Identifier(name) if name.quote_style.is_none() => Some(name),
        _ => None,
    };
    let is_bare = matches!(expression, Expr::Identifier(_));
    name.is_some_and(|name| {
        let name = name.value.to_lowercase();
        CALLS.contains(&name.as_str()) && (!is_bare || name.starts_with("current_"))
    })
}

/// The name of a column, without that of its table.
fn column(expression: &Expr) -> Option<String> {
    let name = match expression {
        Expr::Identifier(name) => name,
        Expr::CompoundIdentifier(names) => names.last()?,
        _ => return None,
    };
    Some(folded(name))
}

fn folded(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::statement::parse_query;

    fn written(sql: &str) -> WrittenClock {
        WrittenClock::of(&parse_query(sql).expect(sql))
    }

    fn condition(sql: &str, columns: &[&str]) -> Option<String> {
        let columns = columns.iter().map(|name| (*name).to_owned()).collect();
        written(sql).condition(&columns).map(ToString::to_string)
    }

    #[test]
    fn conditions_are_found_by_their_columns() {
        let sql =
            "SELECT a FROM t WHERE t.b > now() AND c = 3 AND \"D\" BETWEEN a AND current_date";
        assert_eq!(condition(sql, &["b"]).as_deref(), Some("t.b > now()"));
        let between = "\"D\" BETWEEN a AND current_date";
        let found = condition(sql, &["D", "a"]).map(|text| text.to_lowercase());
        assert_eq!(found, Some(between.to_lowercase()));
        let part = condition(sql, &["D"]).map(|text| text.to_lowercase());
        assert_eq!(part, Some(between.to_lowercase()));
        assert_eq!(condition(sql, &["c"]), None);
    }

    #[test]
    fn of_several_none_is_taken_for_another() {
        let sql = "SELECT a FROM t WHERE b > now() AND b < now() - INTERVAL '1 month'";
        assert_eq!(condition(sql, &["b"]), None);
        let sql = "SELECT b > now() AS later FROM t WHERE b > now()";
        assert_eq!(condition(sql, &["b"]).as_deref(), Some("b > now()"));
    }

    #[test]
    fn values_are_calls_outside_of_comparisons() {
        let value = |sql: &str| written(sql).value().map(ToString::to_string);
        assert_eq!(value("SELECT a FROM t WHERE b > now()"), None);
        let taken = value("SELECT b > now(), now() - b FROM t");
        assert_eq!(taken.as_deref(), Some("now()"));
        assert_eq!(value("SELECT now FROM t"), None);
    }
}
