//! The log open for appending.

use std::collections::VecDeque;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::LogError;
use super::format::{
    MAX_RECORD_BYTES, RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES, SegmentHeader,
    segment_name,
};
use super::fs::{FileSystem, WritableFile, create_directories};
use super::reader::LogReader;
use super::recovery::{Opened, Recovered, recover};
use super::segment::Segment;

/// How many appended bytes are gathered before they are handed to the file.
const WRITE_BUFFER_BYTES: usize = 1 << 20;

/// The limits of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// The largest payload taken, in bytes; at most [`MAX_RECORD_BYTES`], which is the default.
    pub max_record_bytes: u64,
    /// A segment that has reached this size in bytes is followed by a new one. Default 256 MiB.
    /// A single record may be larger; it then has a segment to itself.
    pub segment_bytes: u64,
    /// All records below this offset are known to have been durable, as a checkpoint shows: if
    /// they are not whole, the log is damaged, not torn. Default 0.
    pub durable_below: u64,
}

impl Default for LogOptions {
    fn default() -> Self {
        LogOptions {
            max_record_bytes: MAX_RECORD_BYTES,
            segment_bytes: 256 << 20,
            durable_below: 0,
        }
    }
}

/// A log open for appending. There must be one at a time in a directory: see
/// [`DirectoryLock`](super::DirectoryLock).
pub struct Log {
    pub(super) file_system: Arc<dyn FileSystem>,
    pub(super) directory: PathBuf,
    options: LogOptions,
    /// By first offset; the last one is open in `file`.
    pub(super) segments: Vec<Segment>,
    file: Box<dyn WritableFile>,
    /// Records of the last segment not yet handed to the file.
    buffer: Vec<u8>,
    next_offset: u64,
    /// All records below this are durable.
    durable_offset: u64,
    /// The durable part of the last segment, in bytes.
    durable_bytes: u64,
    last_timestamp_ms: u64,
    last_checksum: u32,
    /// The first failed write or sync; the log does nothing more.
    failure: Option<String>,
}

impl Log {
    /// Opens the log in `directory`, which is created if missing. A torn end is cut; everything
    /// left is durable when this returns.
    ///
    /// # Errors
    /// [`LogError::Damaged`], [`LogError::Gap`], [`LogError::EndMissing`] and
    /// [`LogError::UnsupportedVersion`] if the files are not what a crash may leave;
    /// [`LogError::Io`].
    pub fn open(
        file_system: Arc<dyn FileSystem>,
        directory: &Path,
        options: LogOptions,
    ) -> Result<(Log, Opened), LogError> {
        create_directories(file_system.as_ref(), directory)
            .map_err(|(path, error)| LogError::io("create the directory", &path)(error))?;
        let Recovered {
            mut segments,
            next_offset,
            last_timestamp_ms,
            last_checksum,
            cut,
        } = recover(file_system.as_ref(), directory, options.durable_below)?;
        let (file, durable_bytes) = match segments.last() {
            Some(last) => (reopen(file_system.as_ref(), directory, last)?, last.bytes),
            None => {
                let header = SegmentHeader {
                    first_offset: 0,
                    previous_timestamp_ms: 0,
                    previous_checksum: 0,
                };
                let (segment, file) = create_segment(file_system.as_ref(), directory, &header)?;
                let bytes = segment.bytes;
                segments.push(segment);
                (file, bytes)
            }
        };
        let log = Log {
            file_system,
            directory: directory.to_path_buf(),
            options,
            segments,
            file,
            buffer: Vec::new(),
            next_offset,
            durable_offset: next_offset,
            durable_bytes,
            last_timestamp_ms,
            last_checksum,
            failure: None,
        };
        let opened = Opened {
            first_offset: log.first_offset(),
            next_offset,
            last_timestamp_ms: log.last_timestamp_ms(),
            segments: log.segments.len(),
            bytes: log.size_bytes(),
            cut,
        };
        Ok((log, opened))
    }

    /// Adds a record and returns its offset. It is durable, and seen by readers, only after
    /// [`sync`](Self::sync).
    ///
    /// # Errors
    /// [`LogError::RecordTooLarge`] and [`LogError::TimestampBackwards`] leave the log as it was.
    /// [`LogError::Io`] is followed by [`LogError::Poisoned`] for ever.
    pub fn append(&mut self, timestamp_ms: u64, payload: &[u8]) -> Result<u64, LogError> {
        self.check_alive()?;
        self.check_size(payload)?;
        if timestamp_ms < self.last_timestamp_ms {
            return Err(LogError::TimestampBackwards {
                timestamp_ms,
                last_timestamp_ms: self.last_timestamp_ms,
            });
        }
        let result = self.append_record(timestamp_ms, payload);
        self.remember_failure(result)
    }

    /// The largest payload taken, in bytes.
    pub fn max_record_bytes(&self) -> u64 {
        self.options.max_record_bytes.min(MAX_RECORD_BYTES)
    }

    /// Fails with [`LogError::RecordTooLarge`] if a payload is more than the log takes.
    pub fn check_size(&self, payload: &[u8]) -> Result<(), LogError> {
        let (bytes, limit) = (payload.len() as u64, self.max_record_bytes());
        match bytes > limit {
            true => Err(LogError::RecordTooLarge { bytes, limit }),
            false => Ok(()),
        }
    }

    /// Refuses all further work, as after a failed write: what was to be appended cannot be, and
    /// others have gone on as if it had been.
    pub fn give_up(&mut self, cause: &str) {
        self.failure.get_or_insert_with(|| cause.to_owned());
    }

    /// Makes everything appended durable, with one sync of the segment. Does nothing if nothing
    /// was appended since the last one.
    ///
    /// # Errors
    /// [`LogError::Io`]: nothing appended since the last sync may be acknowledged, and every
    /// later call fails with [`LogError::Poisoned`].
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.check_alive()?;
        if self.durable_offset == self.next_offset {
            return Ok(());
        }
        let result = self.sync_segment();
        self.remember_failure(result)
    }

    /// Reads the durable records from `offset` on.
    ///
    /// # Errors
    /// [`LogError::OffsetNotHeld`] if the log begins after `offset` or ends before it.
    pub fn read_from(&self, offset: u64) -> Result<LogReader, LogError> {
        let first = self.first_offset();
        let next = self.durable_offset;
        if offset < first || offset > next {
            return Err(LogError::OffsetNotHeld {
                offset,
                first,
                next,
            });
        }
        let begin = self
            .segments
            .partition_point(|segment| segment.first_offset <= offset)
            .saturating_sub(1);
        let mut segments: VecDeque<Segment> = self.segments[begin..].iter().cloned().collect();
        if let Some(last) = segments.back_mut() {
            last.bytes = self.durable_bytes;
        }
        let file_system = Arc::clone(&self.file_system);
        Ok(LogReader::new(file_system, segments, offset, next))
    }

    /// The first failure, after which nothing more is accepted.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// The offset of the first record held.
    pub fn first_offset(&self) -> u64 {
        self.segments.first().map_or(0, |first| first.first_offset)
    }

    /// The offset the next record will get.
    pub fn next_offset(&self) -> u64 {
        self.next_offset
    }

    /// One past the last durable offset.
    pub fn durable_offset(&self) -> u64 {
        self.durable_offset
    }

    /// The last appended record's timestamp in milliseconds since the epoch, if there is one.
    pub fn last_timestamp_ms(&self) -> Option<u64> {
        (self.next_offset > 0).then_some(self.last_timestamp_ms)
    }

    /// The size of all segments in bytes, what is still buffered included.
    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    #[cfg(test)]
    pub(super) fn segments_for_test(&self) -> Vec<PathBuf> {
        self.segments
            .iter()
            .map(|segment| segment.path.clone())
            .collect()
    }

    fn append_record(&mut self, timestamp_ms: u64, payload: &[u8]) -> Result<u64, LogError> {
        let record_bytes = (RECORD_HEADER_BYTES + payload.len()) as u64;
        let used = self.segments.last().map_or(0, |last| last.bytes);
        let has_records = used > SEGMENT_HEADER_BYTES as u64;
        if has_records && used + record_bytes > self.options.segment_bytes {
            self.roll_over()?;
        }
        let offset = self.next_offset;
        let (header, checksum) =
            RecordHeader::encode(offset, timestamp_ms, self.durable_offset, payload);
        if self.buffer.len() + header.len() + payload.len() > WRITE_BUFFER_BYTES {
            self.flush()?;
        }
        self.buffer.extend_from_slice(&header);
        if payload.len() < WRITE_BUFFER_BYTES {
            self.buffer.extend_from_slice(payload);
        } else {
            self.flush()?;
            self.write(payload)?;
        }
        if let Some(last) = self.segments.last_mut() {
            last.bytes += record_bytes;
        }
        self.next_offset += 1;
        self.last_timestamp_ms = timestamp_ms;
        self.last_checksum = checksum;
        Ok(offset)
    }

    fn sync_segment(&mut self) -> Result<(), LogError> {
        self.flush()?;
        let result = self.file.sync();
        result.map_err(LogError::io("sync", self.active_path()))?;
        self.durable_offset = self.next_offset;
        self.durable_bytes = self.segments.last().map_or(0, |last| last.bytes);
        Ok(())
    }

    /// Begins a new segment. The old one is synced first: only the newest may ever be torn.
    fn roll_over(&mut self) -> Result<(), LogError> {
        self.sync_segment()?;
        let header = SegmentHeader {
            first_offset: self.next_offset,
            previous_timestamp_ms: self.last_timestamp_ms,
            previous_checksum: self.last_checksum,
        };
        let (segment, file) = create_segment(self.file_system.as_ref(), &self.directory, &header)?;
        self.durable_bytes = segment.bytes;
        self.segments.push(segment);
        self.file = file;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), LogError> {
        let buffer = std::mem::take(&mut self.buffer);
        self.write(&buffer)?;
        self.buffer = buffer;
        self.buffer.clear();
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LogError> {
        let result = self.file.write_all(bytes);
        result.map_err(LogError::io("write to", self.active_path()))
    }

    fn active_path(&self) -> &Path {
        let last = self.segments.last();
        last.map_or(self.directory.as_path(), |last| last.path.as_path())
    }

    fn check_alive(&self) -> Result<(), LogError> {
        match &self.failure {
            Some(cause) => Err(LogError::Poisoned {
                cause: cause.clone(),
            }),
            None => Ok(()),
        }
    }

    fn remember_failure<T>(&mut self, result: Result<T, LogError>) -> Result<T, LogError> {
        if let Err(error) = &result {
            self.failure = Some(error.to_string());
        }
        result
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log")
            .field("directory", &self.directory)
            .field("next_offset", &self.next_offset)
            .field("durable_offset", &self.durable_offset)
            .finish_non_exhaustive()
    }
}

/// Creates a segment; its header and its name are durable when this returns.
fn create_segment(
    file_system: &dyn FileSystem,
    directory: &Path,
    header: &SegmentHeader,
) -> Result<(Segment, Box<dyn WritableFile>), LogError> {
    let path = directory.join(segment_name(header.first_offset));
    let mut file = file_system
        .create_file(&path)
        .map_err(LogError::io("create", &path))?;
    let bytes = header.encode();
    file.write_all(&bytes)
        .map_err(LogError::io("write to", &path))?;
    file.sync().map_err(LogError::io("sync", &path))?;
    file_system
        .sync_directory(directory)
        .map_err(LogError::io("sync", directory))?;
    let segment = Segment {
        path,
        first_offset: header.first_offset,
        bytes: bytes.len() as u64,
    };
    Ok((segment, file))
}

/// Opens the last segment of a recovered log. Syncs it and the directory: the cut of a torn end
/// is not durable yet, and if a process died but the machine did not, records read back and the
/// segment's name may so far be in the page cache alone.
fn reopen(
    file_system: &dyn FileSystem,
    directory: &Path,
    segment: &Segment,
) -> Result<Box<dyn WritableFile>, LogError> {
    let path = &segment.path;
    let mut file = file_system
        .open_append(path)
        .map_err(LogError::io("open", path))?;
    file.sync().map_err(LogError::io("sync", path))?;
    file_system
        .sync_directory(directory)
        .map_err(LogError::io("sync", directory))?;
    Ok(file)
}
