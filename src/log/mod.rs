//! The durable log: every transaction, in order; the only truth, from which all else is rebuilt.
//!
//! The log knows bytes, offsets and timestamps, not rows. Its promises:
//! - a record is durable once [`Log::sync`] has returned after its [`Log::append`];
//! - records come back as they were written, in order, without gaps, or reading stops with an
//!   error that names the file and the byte; damage is never skipped;
//! - what a crash tore off the end is cut by [`Log::open`] and reported;
//! - after a failed write or sync the log refuses all further work: the kernel may have dropped
//!   the bytes and would not say so twice. Opening it again finds out what is really there.
//!
//! # Format, version 1
//! Segments are files called `<offset of the first record, 20 digits>.segment`. All numbers are
//! little-endian. A segment begins with 40 bytes: magic `MNSTMLOG`, format version u32, flags u32
//! (zero), first offset u64, timestamp u64 and checksum u32 of the record before it (zero if there
//! is none), CRC-32C u32 of these 36 bytes. Then records: length u32 of what follows the checksum,
//! CRC-32C u32 of the same, offset u64, timestamp u64 (milliseconds since the epoch), durable
//! offset u64, payload. The *durable offset* says that all records below it had been synced when
//! this one was written. It tells damage to a synced record, which must stop the start, from the
//! holes a power cut leaves among records that nobody was promised.

mod error;
mod format;
pub mod fs;
mod lock;
mod reader;
mod recovery;
mod retention;
mod segment;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

pub use error::LogError;
pub use format::MAX_RECORD_BYTES;
pub use lock::DirectoryLock;
pub use reader::{LogReader, Record};
pub use recovery::{Cut, Opened};
pub use retention::{Removed, Segments};
pub use verify::{LogReport, SegmentFile, segment_files, verify, verify_each};
pub use writer::{Log, LogOptions};
