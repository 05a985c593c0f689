//! The live tables: what the engine commits into and what queries and new views read.
//!
//! [`table`] keeps the rows of the base tables as Arrow batches that are read at a timestamp
//! without waiting for the writer. [`relation`] is the little that a thing must offer to be read
//! by SQL, [`provider`] offers it to DataFusion.

pub mod live;
pub mod provider;
pub mod relation;
mod scan;
pub mod table;

pub use live::LiveView;
pub use provider::RelationProvider;
pub use relation::{BatchIterator, Relation};
pub use table::{
    Delta, Retired, TableError, TableImage, TableReader, TableSize, TableSnapshot, TableStore,
};
