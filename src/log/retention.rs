//! Letting go of the log's beginning, by whole segments.
//!
//! Segments go oldest first, and each removal is durable before the next begins: after a crash
//! the log may begin earlier than was wanted, but it never has a gap.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use super::error::LogError;
use super::fs::FileSystem;
use super::segment::{Segment, header_error, read_header};
use super::writer::Log;

/// The segments of a log as they were at one moment, for removing the oldest of them beside the
/// writer.
pub struct Segments {
    file_system: Arc<dyn FileSystem>,
    directory: PathBuf,
    /// By first offset; the last one takes records and is never removed.
    segments: Vec<Segment>,
}

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// The first offset that is left.
    pub first_offset: u64,
    /// How many segments were removed.
    pub segments: usize,
    /// Their size in bytes.
    pub bytes: u64,
}

impl Log {
    /// The segments at this moment.
    pub fn segments(&self) -> Segments {
        Segments {
            file_system: Arc::clone(&self.file_system),
            directory: self.directory.clone(),
            segments: self.segments.clone(),
        }
    }

    /// Forgets the segments that [`Segments::remove`] has removed.
    pub fn forget_removed(&mut self, removed: &Removed) {
        let last = self.segments.len().saturating_sub(1);
        let gone = self.segments[..last]
            .partition_point(|segment| segment.first_offset < removed.first_offset);
        self.segments.drain(..gone);
    }
}

impl Segments {
    /// Removes the segments that hold only records below `offset`, all of them with timestamps
    /// before `before_ms` (milliseconds since the epoch).
    ///
    /// # Errors
    /// [`LogError::Io`], and [`LogError::Damaged`] where a segment does not say when the one
    /// before it ended. What was removed until then stays removed.
    pub fn remove(&self, offset: u64, before_ms: u64) -> Result<Removed, LogError> {
        let first = self.segments.first();
        let mut removed = Removed {
            first_offset: first.map_or(0, |first| first.first_offset),
            ..Removed::default()
        };
        for pair in self.segments.windows(2) {
            let [segment, next] = pair else { break };
            if next.first_offset > offset || self.ended_at_ms(next)? >= before_ms {
                break;
            }
            match self.file_system.remove_file(&segment.path) {
                // An earlier removal that was cut short got this far.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                other => other.map_err(LogError::io("remove", &segment.path))?,
            }
            self.file_system
                .sync_directory(&self.directory)
                .map_err(LogError::io("sync", &self.directory))?;
            removed.first_offset = next.first_offset;
            removed.segments += 1;
            removed.bytes += segment.bytes;
        }
        Ok(removed)
    }

    /// The timestamp of the last record before a segment.
    fn ended_at_ms(&self, segment: &Segment) -> Result<u64, LogError> {
        let path = &segment.path;
        let file = self
            .file_system
            .open_read(path)
            .map_err(LogError::io("open", path))?;
        let header = read_header(file.as_ref(), path)?;
        let header = header.map_err(|fault| header_error(path, fault))?;
        Ok(header.previous_timestamp_ms)
    }
}
