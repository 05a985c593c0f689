//! What can go wrong with the log.

use std::io;
use std::path::{Path, PathBuf};

/// A failure of the log, with the file it concerns.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
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
    /// Bytes that were durable are no longer what was written.
    #[error(
        "the log is damaged: {} at byte {position}: {reason}; restore the file from a backup",
        path.display()
    )]
    Damaged {
        /// The segment.
        path: PathBuf,
        /// Where the bad record or header begins, in bytes.
        position: u64,
        /// What is wrong there.
        reason: String,
    },
    /// The segment was written by another version of the format.
    #[error(
        "{} has log format version {version}, this program reads version {supported}; \
         use the program version that wrote it",
        path.display()
    )]
    UnsupportedVersion {
        /// The segment.
        path: PathBuf,
        /// The version found.
        version: u32,
        /// The version this program reads.
        supported: u32,
    },
    /// Records between two segments are missing.
    #[error(
        "the log has a gap: {} begins with offset {found}, but offset {expected} comes next; \
         restore the missing segment from a backup",
        path.display()
    )]
    Gap {
        /// The segment after the gap.
        path: PathBuf,
        /// The first missing offset.
        expected: u64,
        /// The offset found.
        found: u64,
    },
    /// Records that a checkpoint shows to have been durable are missing at the end.
    #[error(
        "the log in {} ends at offset {found}, but a checkpoint shows that it went on to offset \
         {expected}; restore the missing segments from a backup",
        directory.display()
    )]
    EndMissing {
        /// The log's directory.
        directory: PathBuf,
        /// One past the last offset known to have been durable.
        expected: u64,
        /// The offset that comes after the last one found.
        found: u64,
    },
    /// The log does not hold the wanted offset.
    #[error("the log holds the offsets {first} to {next} (exclusive), not {offset}")]
    OffsetNotHeld {
        /// The wanted offset.
        offset: u64,
        /// The first offset held.
        first: u64,
        /// One past the last durable offset.
        next: u64,
    },
    /// The payload is larger than a record may be. Nothing was written; the log goes on.
    #[error("a record of {bytes} bytes is over the limit of {limit}; split the transaction")]
    RecordTooLarge {
        /// The payload's size.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The timestamp is before the last one. Nothing was written; the log goes on.
    #[error("timestamp {timestamp_ms} ms is before the log's last, {last_timestamp_ms} ms")]
    TimestampBackwards {
        /// The timestamp given.
        timestamp_ms: u64,
        /// The last record's.
        last_timestamp_ms: u64,
    },
    /// An earlier write or sync failed, so that the file's state is unknown.
    #[error(
        "the log takes nothing more because an earlier write failed ({cause}); \
         make sure the disk works and has space, then start again"
    )]
    Poisoned {
        /// The first failure.
        cause: String,
    },
    /// Another process works in the directory.
    #[error(
        "{} is in use by another process; stop it or choose another directory",
        directory.display()
    )]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
}

impl LogError {
    /// Whether the disk was full.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, LogError::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull)
    }

    /// Adds to an operating-system error what was done to which path.
    pub(super) fn io<'a>(
        operation: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> LogError + use<'a> {
        move |source| LogError::Io {
            operation,
            path: path.to_path_buf(),
            source,
        }
    }

    pub(super) fn damaged(path: &Path, position: u64, reason: impl Into<String>) -> LogError {
        LogError::Damaged {
            path: path.to_path_buf(),
            position,
            reason: reason.into(),
        }
    }
}
