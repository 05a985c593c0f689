//! The in-memory store of one base table: one writer, any number of readers, no waiting.
//!
//! The content is a list of immutable Arrow batches (*segments*). A row carries the timestamp of
//! the transaction that inserted it and, once dead, of the one that deleted it; a reader at
//! timestamp T sees exactly the rows with `inserted_at <= T < deleted_at`. The writer therefore
//! never changes what a reader of an earlier timestamp sees, and the changes of one transaction
//! become visible together when readers are given its timestamp.
//!
//! Invariants:
//! - Timestamps given to [`TableStore::apply`] never decrease.
//! - A row has an id; ids ascend through the segment list, so an id is found by binary search.
//! - Of a keyed table the index holds every row that some allowed reader may see.

mod bag;
mod compaction;
mod effect;
mod encode;
mod error;
mod events;
mod image;
mod index;
mod keyed;
mod limits;
mod past;
mod retired;
mod segment;
mod size;
mod snapshot;
mod store;
#[cfg(test)]
mod tests;
mod tombstones;
mod unchanged;

pub use effect::Delta;
pub use error::TableError;
pub use image::TableImage;
pub use past::PastChange;
pub use retired::Retired;
pub use size::TableSize;
pub use snapshot::{TableReader, TableSnapshot};
pub use store::TableStore;
