//! Reading the log from an offset on, across segments.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use super::error::LogError;
use super::fs::FileSystem;
use super::segment::{Segment, SegmentReader, Step};

/// One record of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The record's number; the first of a log has 0, each next one more.
    pub offset: u64,
    /// The timestamp given with it, in milliseconds since the epoch; never before the last one's.
    pub timestamp_ms: u64,
    /// The bytes given.
    pub payload: Vec<u8>,
}

/// The durable records of a log from an offset on, in order. Holds one record in memory at a
/// time, and sees what was durable when it was made. Ends after the first error.
pub struct LogReader {
    file_system: Arc<dyn FileSystem>,
    segments: VecDeque<Segment>,
    current: Option<SegmentReader>,
    /// The offset of the next record to return.
    next_offset: u64,
    /// One past the last offset to return.
    end_offset: u64,
}

impl LogReader {
    /// Reads `next_offset..end_offset` from `segments`, the first of which must hold the first.
    pub(super) fn new(
        file_system: Arc<dyn FileSystem>,
        segments: VecDeque<Segment>,
        next_offset: u64,
        end_offset: u64,
    ) -> LogReader {
        LogReader {
            file_system,
            segments,
            current: None,
            next_offset,
            end_offset,
        }
    }

    fn read(&mut self) -> Result<Record, LogError> {
        let mut payload = Vec::new();
        let wanted = self.next_offset;
        loop {
            let reader = match &mut self.current {
                Some(reader) => reader,
                None => self.open_next()?,
            };
            match reader.read(&mut payload)? {
                // The segment's records before the wanted one.
                Step::Record(header) if header.offset < wanted => {}
                Step::Record(header) => {
                    self.next_offset = header.offset + 1;
                    return Ok(Record {
                        offset: header.offset,
                        timestamp_ms: header.timestamp_ms,
                        payload,
                    });
                }
                Step::End => {
                    self.open_next()?;
                }
                Step::Torn(reason) | Step::Foreign(reason) => {
                    let position = reader.position();
                    return Err(LogError::damaged(reader.path(), position, reason));
                }
            }
        }
    }

    /// Goes on to the next segment, which must continue the present one.
    fn open_next(&mut self) -> Result<&mut SegmentReader, LogError> {
        let previous = self.current.take();
        let Some(segment) = self.segments.pop_front() else {
            // The end offset was not reached: the last segment has lost records since it was opened.
            let path = previous.as_ref().map(SegmentReader::path);
            let position = previous.as_ref().map_or(0, SegmentReader::position);
            let path = path.unwrap_or_else(|| std::path::Path::new(""));
            return Err(LogError::damaged(path, position, "records are missing"));
        };
        let reader = SegmentReader::open(self.file_system.as_ref(), &segment)?;
        if let Some(previous) = previous {
            check_continuation(&previous, &reader)?;
        }
        Ok(self.current.insert(reader))
    }
}

/// Checks that a newly opened segment goes on where the one read to its end stopped.
pub(super) fn check_continuation(
    previous: &SegmentReader,
    next: &SegmentReader,
) -> Result<(), LogError> {
    if next.next_offset() != previous.next_offset() {
        return Err(LogError::Gap {
            path: next.path().to_path_buf(),
            expected: previous.next_offset(),
            found: next.next_offset(),
        });
    }
    let follows = next.last_checksum() == previous.last_checksum()
        && next.last_timestamp_ms() == previous.last_timestamp_ms();
    if !follows {
        let reason = "the segment does not follow the one before it";
        return Err(LogError::damaged(next.path(), 0, reason));
    }
    Ok(())
}

impl Iterator for LogReader {
    type Item = Result<Record, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next_offset >= self.end_offset {
            return None;
        }
        let result = self.read();
        if result.is_err() {
            self.end_offset = self.next_offset;
        }
        Some(result)
    }
}

impl fmt::Debug for LogReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogReader")
            .field("next_offset", &self.next_offset)
            .field("end_offset", &self.end_offset)
            .finish_non_exhaustive()
    }
}
