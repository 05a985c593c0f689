//! SQL: statements, the catalog, planning, our own plan, EXPLAIN.

mod bounded;
pub mod catalog;
mod clock;
mod counted_lists;
pub mod decimal;
mod decorrelate;
pub mod delta_join;
mod dialect;
mod error;
mod explain;
mod explain_function;
mod explain_join;
pub mod extremes;
mod first_rows;
mod forms;
pub mod function;
mod guard;
mod interrupt;
mod interval_product;
mod interval_text;
mod join_order;
mod joined_text;
pub mod json;
mod like;
mod lower;
pub mod mapping;
pub mod mode;
mod names;
pub mod overview;
mod own_functions;
mod percentile_disc;
mod place;
pub mod plan;
pub mod planner;
pub mod quantile;
pub mod query;
pub mod reach;
pub mod recursive;
mod relation;
pub mod running;
mod scalar;
mod self_reference;
mod shape;
mod similar;
pub mod statement;
mod subquery;
pub mod syntax;
pub mod system;
pub mod temporal;
mod threads;
pub mod types;
pub mod unnest;
mod unsorted;
mod version;
mod view_options;
mod yielding;

pub use catalog::{Catalog, ViewDefinition};
pub use error::{Place, SqlError};
pub use guard::PLANNING_STACK_BYTES;
pub use own_functions::{FunctionError, Functions};
pub use planner::Planner;
pub use statement::{
    Copy, CopyFormat, CopyOut, CopySource, DropKind, Insert, OnConflict, Show, Statement,
    Subscribe, SubscribeSource, parse,
};
pub use view_options::ViewOptions;
