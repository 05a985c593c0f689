//! The standard commerce model: what a table is, and the tables every shop has.
//!
//! The tables are declared in [`entities`], one file an entity, with a builder that makes each
//! declaration read as its documentation; `mainstem tables` and `docs/model.md` show the same
//! words. What holds for all tables (envelope, money, quantities, time) is written in
//! [`document`], which renders them.

mod builder;
pub mod change;
mod document;
mod entities;
pub mod table;

pub use change::{Change, ChangeKind, Submission};
pub use document::render_markdown;
pub use entities::{REJECTED_EVENTS, standard_tables};
pub use table::{ColumnDefinition, TableDefinition, VALUE_BYTES_MAX};

#[cfg(test)]
mod shipped_sql;
