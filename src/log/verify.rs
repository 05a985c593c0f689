//! Reading a whole log without changing anything: for checking and copying it.

use std::path::{Path, PathBuf};

use super::error::LogError;
use super::format::{HeaderFault, SEGMENT_HEADER_BYTES};
use super::fs::FileSystem;
use super::reader::check_continuation;
use super::recovery::{check_was_not_synced, list_segments};
use super::segment::{Segment, SegmentReader, Step, read_header};

/// One segment of a log as it lies on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentFile {
    /// The file.
    pub path: PathBuf,
    /// The offset of its first record.
    pub first_offset: u64,
    /// Its length in bytes.
    pub bytes: u64,
}

/// What a log that is whole holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogReport {
    /// The segments, by first offset.
    pub segments: Vec<SegmentFile>,
    /// The offset of the first record held.
    pub first_offset: u64,
    /// The offset that comes after the last whole record.
    pub next_offset: u64,
    /// The last whole record's timestamp in milliseconds since the epoch; 0 if there is none.
    pub last_timestamp_ms: u64,
    /// The unfinished end of the last segment, in bytes: being written, or torn by a crash. The
    /// next start cuts it.
    pub unfinished_bytes: u64,
}

/// The segments in a directory, by first offset; none if it does not exist.
///
/// # Errors
/// [`LogError::Io`], and [`LogError::Damaged`] for a file that is nearly a segment by its name.
pub fn segment_files(
    file_system: &dyn FileSystem,
    directory: &Path,
) -> Result<Vec<SegmentFile>, LogError> {
    let exists = file_system.exists(directory);
    if !exists.map_err(LogError::io("open", directory))? {
        return Ok(Vec::new());
    }
    let segments = list_segments(file_system, directory)?.into_iter();
    Ok(segments.map(SegmentFile::from).collect())
}

impl From<Segment> for SegmentFile {
    fn from(segment: Segment) -> SegmentFile {
        SegmentFile {
            path: segment.path,
            first_offset: segment.first_offset,
            bytes: segment.bytes,
        }
    }
}

/// Reads every record of the log in `directory` and checks it, and that the segments follow each
/// other. Nothing is changed, and the log may be in use. All records below `durable_below` are
/// known to have been durable.
///
/// # Errors
/// The first damage, as [`Log::open`](super::Log::open) and reading would find it.
pub fn verify(
    file_system: &dyn FileSystem,
    directory: &Path,
    durable_below: u64,
) -> Result<LogReport, LogError> {
    verify_each(file_system, directory, durable_below, &mut |_, _| {})
}

/// As [`verify`], and tells the offset and timestamp (ms) of every record.
///
/// # Errors
/// Those of [`verify`].
pub fn verify_each(
    file_system: &dyn FileSystem,
    directory: &Path,
    durable_below: u64,
    observer: &mut dyn FnMut(u64, u64),
) -> Result<LogReport, LogError> {
    let files = segment_files(file_system, directory)?;
    let mut report = LogReport {
        first_offset: files.first().map_or(0, |first| first.first_offset),
        ..LogReport::default()
    };
    report.next_offset = report.first_offset;
    let mut previous: Option<SegmentReader> = None;
    for (index, file) in files.iter().enumerate() {
        let is_last = index + 1 == files.len();
        if is_last && has_no_header(file_system, file)? {
            report.unfinished_bytes = file.bytes;
            break;
        }
        let segment = Segment {
            path: file.path.clone(),
            first_offset: file.first_offset,
            bytes: file.bytes,
        };
        let mut reader = SegmentReader::open(file_system, &segment)?;
        if let Some(previous) = &previous {
            check_continuation(previous, &reader)?;
        }
        report.unfinished_bytes = match read_to_bad(&mut reader, observer)? {
            None => 0,
            Some(reason) if is_last && reader.next_offset() >= durable_below => {
                check_was_not_synced(file_system, &segment, &reader, reason)?;
                file.bytes - reader.position()
            }
            Some(reason) => {
                return Err(LogError::damaged(&file.path, reader.position(), reason));
            }
        };
        report.next_offset = reader.next_offset();
        report.last_timestamp_ms = reader.last_timestamp_ms();
        previous = Some(reader);
    }
    report.segments = files;
    Ok(report)
}

/// Whether a crash came before the header of the newest segment was durable.
fn has_no_header(file_system: &dyn FileSystem, file: &SegmentFile) -> Result<bool, LogError> {
    let reader = file_system
        .open_read(&file.path)
        .map_err(LogError::io("open", &file.path))?;
    let header = read_header(reader.as_ref(), &file.path)?;
    let is_short = file.bytes <= SEGMENT_HEADER_BYTES as u64;
    Ok(is_short && matches!(header, Err(HeaderFault::Invalid(_))))
}

/// Reads a segment to its end; why its first bad record is one, if there is any.
fn read_to_bad(
    reader: &mut SegmentReader,
    observer: &mut dyn FnMut(u64, u64),
) -> Result<Option<&'static str>, LogError> {
    let mut payload = Vec::new();
    loop {
        match reader.read(&mut payload)? {
            Step::Record(header) => observer(header.offset, header.timestamp_ms),
            Step::End => return Ok(None),
            Step::Torn(reason) => return Ok(Some(reason)),
            Step::Foreign(reason) => {
                let position = reader.position();
                return Err(LogError::damaged(reader.path(), position, reason));
            }
        }
    }
}
