//! What FROM may hold besides tables, subqueries and the joins that DataFusion plans: the time
//! windows `tumble`, `hop` and `session`, and ASOF joins.
//!
//! Each becomes a plan of ordinary operators, so that it means the same ad hoc and in a live view.

mod as_of;
mod call;
mod latest;
mod session;
mod time_window;

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{Field, FieldRef};
use datafusion::common::internal_err;
use datafusion::error::Result;
use datafusion::logical_expr::function::WindowUDFFieldArgs;
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::sql::sqlparser::ast::{ObjectName, TableFactor};

pub use as_of::nest;
use call::{Call, Function};
pub use latest::LATEST;
pub use session::{SESSION_END, SESSION_START, gap_in_microseconds};

/// The planners of such relations.
pub fn planners() -> &'static [Arc<dyn RelationPlanner>] {
    static PLANNERS: LazyLock<[Arc<dyn RelationPlanner>; 1]> =
        LazyLock::new(|| [Arc::new(TimeRelations)]);
    &*PLANNERS
}

#[derive(Debug)]
struct TimeRelations;

impl RelationPlanner for TimeRelations {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let function = match &relation {
            TableFactor::Table { name, .. } => function(name),
            _ => None,
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
                let call = Call::new(function, arguments, context)?;
                let plan = match function {
                    Function::Tumble => time_window::tumble(call),
                    Function::Hop => time_window::hop(call),
                    Function::Session => session::session(call),
                }?;
                let planned = PlannedRelation::new(plan, alias);
                Ok(RelationPlanning::Planned(Box::new(planned)))
            }
            (_, relation) => as_of::plan(relation, context),
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
