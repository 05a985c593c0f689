//! Sources: where events come from, and how they become changes of tables.
//!
//! A source hands out one [`Submission`] after the other, each with the position behind it, so
//! that a restart goes on exactly behind what is durable. Sources block: each runs on a thread of
//! its own.

mod cast;
mod error;
pub mod files;
pub mod generator;
pub mod mapping;

pub use crate::sql::mapping::Mapping;
pub use error::SourceError;
pub use files::{
    Clock, Delimiter, FileFormat, FileOptions, FileSource, Identity, ROWS_PER_TRANSACTION,
};
pub use generator::{Generator, GeneratorOptions};

use crate::model::Submission;

/// Something that is read into the engine, submission by submission.
pub trait Source: Send {
    /// The source's name.
    fn name(&self) -> &str;

    /// The next changes, or `None` at the end of the input.
    ///
    /// # Errors
    /// If the input cannot be read on. Everything handed out before stays valid; the source is at
    /// its end afterwards.
    fn next(&mut self) -> Result<Option<Submission>, SourceError>;

    /// How far the source has come.
    fn progress(&self) -> Progress;
}

/// How far a source has come, counted since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Files read to their end or skipped.
    pub files_done: u64,
    /// Files in all.
    pub files_total: u64,
    /// Files left out because they had been read before, by this or an earlier run.
    pub files_skipped: u64,
    /// How much is done of [`work_total`](Self::work_total).
    pub work_done: u64,
    /// The whole in a unit of the source's own: bytes on disk of its files, hours generated.
    pub work_total: u64,
    /// Rows made for tables or rejected.
    pub rows_done: u64,
    /// Rows that were rejected.
    pub rows_rejected: u64,
}
