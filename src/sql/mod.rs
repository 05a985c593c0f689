//! SQL: statements, the catalog, planning, our own plan, EXPLAIN.

pub mod aggregates;
#[cfg(test)]
mod batches;
pub mod bound_value;
pub mod catalog;
mod columns;
pub mod decimal;
mod dialect;
mod error;
mod forms;
pub mod functions;
mod lower;
pub mod mapping;
mod names;
mod node;
mod operators;
pub mod overview;
mod place;
pub mod plan;
pub mod planner;
pub mod query;
pub mod reason;
mod refusals;
mod relation;
mod rules;
pub mod session_state;
pub mod statement;
mod subqueries;
pub mod syntax;
pub mod system;
pub mod texts;
pub mod types;
mod view_options;

pub use catalog::{Catalog, ViewDefinition};
pub use error::{Place, SqlError, nearest};
pub use functions::own_functions::{FunctionError, Functions};
pub use planner::Planner;
pub use refusals::guard::PLANNING_STACK_BYTES;
pub use statement::{
    Copy, CopyColumns, CopyFormat, CopyHeader, CopyOut, CopySource, CsvFormat, DropKind, Insert,
    OnConflict, Show, Statement, Subscribe, SubscribeSource, parse, parse_declared,
};
pub use view_options::ViewOptions;
