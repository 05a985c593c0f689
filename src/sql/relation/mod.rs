//! What FROM may hold besides tables, subqueries and the joins that DataFusion plans: the time
//! windows `tumble`, `hop` and `session`, the elements of lists, and ASOF joins.
//!
//! Each becomes a plan of ordinary operators, so that it means the same ad hoc and in a live view.

mod as_of;
mod call;
mod element_functions;
mod element_joins;
mod elements;
mod lateral;
mod latest;
mod session;
mod time_window;
mod values;

use std::mem::take;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{Field, FieldRef};
use datafusion::common::internal_err;
use datafusion::error::Result;
use datafusion::logical_expr::function::WindowUDFFieldArgs;
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::sql::sqlparser::ast::{
    JoinOperator, ObjectName, Query, TableFactor, TableWithJoins,
};

use super::error::SqlError;
use super::place::of_part;
use super::syntax::{edit_joins, edit_selects};
use call::{Call, Function};
pub use element_functions::refusal;
pub use elements::is_list_in_from;
pub use latest::LATEST;
pub use session::{SESSION_END, SESSION_START, gap_in_microseconds};

/// The planners of such relations.
pub fn planners() -> &'static [Arc<dyn RelationPlanner>] {
    static PLANNERS: LazyLock<[Arc<dyn RelationPlanner>; 1]> =
        LazyLock::new(|| [Arc::new(TimeRelations)]);
    &*PLANNERS
}

/// Puts each join that is planned here, with all that stands before it, in parentheses of its own,
/// where the planners find it.
pub fn arrange(query: &mut Query) -> Result<(), SqlError> {
    let mut refusal = Ok(());
    edit_selects(query, &mut |select| {
        if let Err(error) = values::as_lists(select) {
            refusal = Err(error);
        }
        element_joins::gather(&mut select.from);
    });
    edit_joins(query, &mut |tables| {
        if let Err(error) = nest(tables) {
            refusal = Err(error);
        }
    });
    refusal
}

fn nest(tables: &mut TableWithJoins) -> Result<(), SqlError> {
    lateral::as_table(&mut tables.relation);
    for mut join in take(&mut tables.joins) {
        lateral::as_table(&mut join.relation);
        lateral::keep_rows(&mut join)?;
        let is_as_of = matches!(join.join_operator, JoinOperator::AsOf { .. });
        let is_nested =
            is_as_of || element_joins::is_joined(&tables.relation, &tables.joins, &join);
        tables.joins.push(join);
        if is_nested {
            let inner = TableWithJoins {
                relation: tables.relation.clone(),
                joins: take(&mut tables.joins),
            };
            tables.relation = TableFactor::NestedJoin {
                table_with_joins: Box::new(inner),
                alias: None,
            };
        }
    }
    Ok(())
}

#[derive(Debug)]
struct TimeRelations;

impl RelationPlanner for TimeRelations {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let (function, place) = match &relation {
            TableFactor::Table { name, .. } => (function(name), of_part(name)),
            _ => (None, None),
        };
        match (function, relation) {
            (
                Some(function),
                TableFactor::Table {
                    alias,
                    args: Some(arguments),
                    ..
                },
            ) => {
                let call = Call::new(function, place, arguments, context)?;
                let plan = match function {
                    Function::Tumble => time_window::tumble(call),
                    Function::Hop => time_window::hop(call),
                    Function::Session => session::session(call),
                }?;
                let planned = PlannedRelation::new(plan, alias);
                Ok(RelationPlanning::Planned(Box::new(planned)))
            }
            (_, relation) => match elements::plan(relation, context)? {
                RelationPlanning::Original(relation) => as_of::plan(*relation, context),
                planned => Ok(planned),
            },
        }
    }
}

/// What a window function gives that is of the type of its first argument, or NULL.
fn type_of_first(arguments: &WindowUDFFieldArgs) -> Result<FieldRef> {
    match arguments.get_input_field(0) {
        Some(first) => {
            let data_type = first.data_type().clone();
            Ok(Arc::new(Field::new(arguments.name(), data_type, true)))
        }
        None => internal_err!("{} needs an argument", arguments.name()),
    }
}

fn function(name: &ObjectName) -> Option<Function> {
    let [name] = &name.0[..] else {
        return None;
    };
    Function::named(&name.as_ident()?.value.to_lowercase())
}
