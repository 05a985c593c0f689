//! Checkpoints: the state of all tables at one timestamp, so that a start needs only the rest of
//! the log.
//!
//! A checkpoint is one immutable file, `checkpoints/<offset of the first record it does not
//! contain, 20 digits>.checkpoint` in the data directory. It is written beside the writer from
//! immutable segments, under a name that begins with `.temporary-`, synced, read back, and given
//! its name in one instant: a file with that name is whole, or has been damaged since. Only when it
//! is durable may older checkpoints and the log before them go.
//!
//! # Format, version 1
//! All numbers are little-endian. The file begins with 16 bytes: magic `MNSTMCKP`, format version
//! u32, CRC-32C u32 of these 12 bytes. Then blocks: length u32 of the payload, CRC-32C u32 of what
//! follows it, number u32 of the block (the first has 0), kind u32, payload. Kinds:
//! - 1, head, the first block: JSON with offset, timestamp, the changes that make the catalog, the
//!   positions of the sources, the number of tables;
//! - 2, rows of a table; 3, keys whose deletion is remembered; 4, identities of events whose rows
//!   have been removed: the table's number u32 and an Arrow IPC stream of one batch;
//! - 5, end, the last block: JSON with the number of rows of each table.
//!
//! Nothing in it depends on how keys are encoded or hashed in memory.

mod block;
mod directory;
mod error;
mod image;
mod reader;

#[cfg(test)]
mod tests;

pub use directory::{CheckpointFile, CheckpointReport, list, remove_leftovers, write};
pub use error::CheckpointError;
pub use image::{CheckpointImage, Head};
pub use reader::{CheckpointContent, TableContent, length, read, verify};

/// The directory of checkpoints in a data directory.
pub const CHECKPOINT_DIRECTORY: &str = "checkpoints";
