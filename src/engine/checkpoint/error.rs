//! What can go wrong with checkpoints.

use std::io;
use std::path::{Path, PathBuf};

/// A failure to write or read a checkpoint, with the file it concerns.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The operating system refused an operation.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was being done, as a verb.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file is not what was written.
    #[error("the checkpoint {} is damaged at byte {position}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the bad block begins, in bytes.
        position: u64,
        /// What is wrong there.
        reason: String,
    },
    /// The file was written by another version of the format.
    #[error(
        "{} has checkpoint format version {version}, this program reads version {supported}; \
         use the program version that wrote it",
        path.display()
    )]
    UnsupportedVersion {
        /// The file.
        path: PathBuf,
        /// The version found.
        version: u32,
        /// The version this program reads.
        supported: u32,
    },
    /// The state cannot be written.
    #[error("table {table} cannot be written to a checkpoint: {reason}")]
    Table {
        /// The table.
        table: String,
        /// Why not.
        reason: String,
    },
    /// The engine ends, so the checkpoint was given up. The next one will be written whole.
    #[error("the checkpoint was given up because the engine ends")]
    GivenUp,
}

impl CheckpointError {
    /// Adds to an operating-system error what was done to which path.
    pub(in crate::engine) fn io<'a>(
        operation: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> CheckpointError + use<'a> {
        move |source| CheckpointError::Io {
            operation,
            path: path.to_path_buf(),
            source,
        }
    }
}
