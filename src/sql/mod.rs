//! SQL: statements, the catalog, planning, our own plan, EXPLAIN.

pub mod catalog;
mod clock;
mod error;
mod explain;
mod explain_function;
mod first_rows;
pub mod function;
mod guard;
mod interval_text;
mod join_order;
mod lower;
pub mod mapping;
pub mod overview;
pub mod plan;
pub mod planner;
pub mod query;
pub mod reach;
pub mod recursive;
mod relation;
pub mod statement;
mod subquery;
pub mod syntax;
pub mod system;
pub mod temporal;
pub mod types;
pub mod unnest;

pub use catalog::{Catalog, ViewDefinition};
pub use error::SqlError;
pub use planner::Planner;
pub use statement::{
    Copy, CopyFormat, CopyOut, CopySource, DropKind, Insert, OnConflict, Show, Statement,
    Subscribe, SubscribeSource, parse,
};
