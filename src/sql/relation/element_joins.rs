//! Joins with functions in FROM that give a row for each element of a list: which of them are planned
//! together with the rows before them.

use std::mem::take;

use datafusion::common::NullHandling;
use datafusion::sql::sqlparser::ast::{
    Expr as Ast, Join, JoinConstraint, JoinOperator, TableFactor, TableWithJoins, Value,
    ValueWithSpan,
};

use super::element_functions::{function_of, has_columns};

/// Makes one list of joins of a list of tables with such functions, which are for each row of all
/// tables before them.
pub fn gather(from: &mut Vec<TableWithJoins>) {
    let is_gathered = |table: &TableWithJoins| {
        let keeps_rows = |join: &Join| {
            !matches!(
                join.join_operator,
                JoinOperator::Right(_) | JoinOperator::RightOuter(_) | JoinOperator::FullOuter(_)
            )
        };
        function_of(&table.relation).is_some() && table.joins.iter().all(keeps_rows)
    };
    let Some(last) = from.iter().rposition(is_gathered).filter(|last| *last > 0) else {
        return;
    };
    let behind = from.split_off(last + 1);
    let mut tables = take(from).into_iter();
    if let Some(mut first) = tables.next() {
        for table in tables {
            match is_gathered(&table) || table.joins.is_empty() {
                true => {
                    first.joins.push(crossed(table.relation));
                    first.joins.extend(table.joins);
                }
                false => first.joins.push(crossed(TableFactor::NestedJoin {
                    table_with_joins: Box::new(table),
                    alias: None,
                })),
            }
        }
        from.push(first);
    }
    from.extend(behind);
}

fn crossed(relation: TableFactor) -> Join {
    Join {
        relation,
        global: false,
        join_operator: JoinOperator::CrossJoin(JoinConstraint::None),
    }
}

/// Whether a join is one with such a function that is planned with the rows before it, those of a
/// first table and of joins with it.
pub fn is_joined(first: &TableFactor, before: &[Join], join: &Join) -> bool {
    if function_of(&join.relation).is_none() {
        return false;
    }
    match Joined::of(&join.join_operator) {
        None => false,
        Some(_) if has_columns(&join.relation) => true,
        // What is the same list for all rows is better joined by its elements.
        Some(Joined {
            condition: Some(_), ..
        }) => false,
        // Beside rows of other functions, too, as all of them are there at once: the lists of all
        // of them would be. The rows of a table come and go, and are not kept for the list.
        Some(Joined { nulls, .. }) => {
            !matches!(nulls, NullHandling::Drop) || !are_the_same(first, before)
        }
    }
}

/// Whether all of some joined relations are such functions that ask for no columns.
fn are_the_same(first: &TableFactor, joins: &[Join]) -> bool {
    let is_the_same = |relation: &TableFactor| match relation {
        TableFactor::NestedJoin {
            table_with_joins, ..
        } => are_the_same(&table_with_joins.relation, &table_with_joins.joins),
        other => function_of(other).is_some() && !has_columns(other),
    };
    is_the_same(first) && joins.iter().all(|join| is_the_same(&join.relation))
}

/// Whether a join leaves all rows, or those for which a condition holds.
pub fn is_filter(operator: &JoinOperator) -> bool {
    Joined::of(operator).is_some()
}

/// A join with the elements of each row.
pub struct Joined {
    /// What becomes of a row without elements.
    pub nulls: NullHandling,
    /// What the elements have to meet.
    pub condition: Option<Ast>,
}

impl Joined {
    /// What a join is; `None`: it is none of those that are planned with the rows before it.
    pub fn of(operator: &JoinOperator) -> Option<Joined> {
        let (nulls, constraint) = match operator {
            JoinOperator::Join(constraint)
            | JoinOperator::Inner(constraint)
            | JoinOperator::CrossJoin(constraint) => (NullHandling::Drop, constraint),
            JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => {
                (NullHandling::PreserveAndExpandEmpty, constraint)
            }
            _ => return None,
        };
        let condition = match constraint {
            JoinConstraint::None => None,
            JoinConstraint::On(condition) if is_true(condition) => None,
            JoinConstraint::On(condition) => Some(condition.clone()),
            JoinConstraint::Using(_) | JoinConstraint::Natural => return None,
        };
        match (nulls, condition) {
            // Rows none of whose elements meets the condition would have to stay.
            (NullHandling::PreserveAndExpandEmpty, Some(_)) => None,
            (nulls, condition) => Some(Joined { nulls, condition }),
        }
    }
}

fn is_true(condition: &Ast) -> bool {
    match condition {
        Ast::Nested(inner) => is_true(inner),
        Ast::Value(ValueWithSpan { value, .. }) => *value == Value::Boolean(true),
        _ => false,
    }
}
