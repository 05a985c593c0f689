//! The standard commerce model: what a table is, and the tables every shop has.

pub mod change;
pub mod table;

pub use change::{Change, ChangeKind, Submission};
pub use table::{ColumnDefinition, TableDefinition};
