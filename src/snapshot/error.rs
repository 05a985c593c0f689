//! What can go wrong with snapshots.

use std::io;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;

use super::manifest::LogRange;

/// A failure to write, find or read a snapshot, with the file it concerns.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The name cannot be a directory of its own.
    #[error(
        "{view:?} cannot be the name of a snapshot: it must begin with a letter or underscore \
         and have only letters, digits and underscores, at most 128"
    )]
    InvalidViewName {
        /// The name given.
        view: String,
    },
    /// The timestamp has no four-digit year.
    #[error("the timestamp {timestamp_ms} ms is after the year 9999")]
    InvalidTimestamp {
        /// The timestamp given, in milliseconds since the epoch.
        timestamp_ms: u64,
    },
    /// A setting is out of range.
    #[error("snapshot setting {setting}: {problem}")]
    InvalidOption {
        /// The setting's name.
        setting: &'static str,
        /// What is wrong with its value.
        problem: String,
    },
    /// Another process writes snapshots of the same view.
    #[error(
        "another process is writing a snapshot in {}; wait for it or choose another directory",
        directory.display()
    )]
    InUse {
        /// The view's directory.
        directory: PathBuf,
    },
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
    /// The Parquet library refused the rows or the file.
    #[error("Parquet file {}: {source}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The library's reason.
        source: ParquetError,
    },
    /// The view's rows could not be had.
    #[error("cannot read the rows of view {view}: {source}")]
    Rows {
        /// The view.
        view: String,
        /// The reason given with them.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A snapshot of this view and timestamp exists with other columns.
    #[error(
        "{} holds a snapshot of the same timestamp with other columns, from another history; \
         move it away or choose another directory",
        path.display()
    )]
    DifferentColumns {
        /// The existing snapshot.
        path: PathBuf,
    },
    /// A snapshot of this view and timestamp exists and holds other transactions.
    #[error(
        "{} holds a snapshot of the same timestamp with the transactions {found} of a log, not \
         {wanted}: it is from another history; move it away or choose another directory",
        path.display()
    )]
    OtherTransactions {
        /// The existing snapshot.
        path: PathBuf,
        /// What it holds.
        found: LogRange,
        /// What was to be written.
        wanted: LogRange,
    },
    /// The manifest was written by another version of the format.
    #[error(
        "{} has manifest version {version}, this program reads versions up to {supported}",
        path.display()
    )]
    UnsupportedVersion {
        /// The manifest.
        path: PathBuf,
        /// The version found.
        version: u32,
        /// The newest version this program reads.
        supported: u32,
    },
    /// A file is not what was written.
    #[error("the snapshot is damaged: {}: {reason}; write it again", path.display())]
    Damaged {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl SnapshotError {
    /// Adds to an operating-system error what was done to which path.
    pub(super) fn io<'a>(
        operation: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> SnapshotError + use<'a> {
        move |source| SnapshotError::Io {
            operation,
            path: path.to_path_buf(),
            source,
        }
    }

    /// Adds to a Parquet error which file it is about.
    pub(super) fn parquet(path: &Path) -> impl FnOnce(ParquetError) -> SnapshotError + use<'_> {
        move |source| SnapshotError::Parquet {
            path: path.to_path_buf(),
            source,
        }
    }

    pub(super) fn damaged(path: &Path, reason: impl Into<String>) -> SnapshotError {
        SnapshotError::Damaged {
            path: path.to_path_buf(),
            reason: reason.into(),
        }
    }
}
