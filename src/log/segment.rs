//! Reading one segment, record by record, with everything verified that the format lets verify.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::LogError;
use super::format::{
    FORMAT_VERSION, HeaderFault, RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES,
    SegmentHeader,
};
use super::fs::{FileReader, FileSystem, ReadableFile};

const READ_BUFFER_BYTES: usize = 256 << 10;
/// How much of a payload is read before memory for more of it is reserved.
const PAYLOAD_STEP_BYTES: u64 = 16 << 20;

/// Where a segment's records are to end, its name and place.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub path: PathBuf,
    pub first_offset: u64,
    /// The length of the file, or of the part of it that counts, in bytes.
    pub bytes: u64,
}

/// What comes next in a segment.
pub(super) enum Step {
    /// A record; its payload is in the buffer given.
    Record(RecordHeader),
    /// The segment ends behind its last record.
    End,
    /// What is here is not a whole record: torn by a crash, or damaged.
    Torn(&'static str),
    /// A whole record that does not belong here, as no crash leaves it.
    Foreign(&'static str),
}

/// Reads the records of one segment in order.
pub(super) struct SegmentReader {
    path: PathBuf,
    reader: BufReader<FileReader>,
    /// Where the next record begins, in bytes.
    position: u64,
    end: u64,
    next_offset: u64,
    last_timestamp_ms: u64,
    last_checksum: u32,
}

/// Reads the header of a segment: the inner error says why it is not one.
pub(super) fn read_header(
    file: &dyn ReadableFile,
    path: &Path,
) -> Result<Result<SegmentHeader, HeaderFault>, LogError> {
    let mut bytes = [0; SEGMENT_HEADER_BYTES];
    let mut filled = 0;
    while filled < bytes.len() {
        let count = file
            .read_at(filled as u64, &mut bytes[filled..])
            .map_err(LogError::io("read", path))?;
        if count == 0 {
            let fault = HeaderFault::Invalid("the segment header is incomplete");
            return Ok(Err(fault));
        }
        filled += count;
    }
    Ok(SegmentHeader::decode(&bytes))
}

/// The error for a segment header that cannot be accepted.
pub(super) fn header_error(path: &Path, fault: HeaderFault) -> LogError {
    match fault {
        HeaderFault::Invalid(reason) => LogError::damaged(path, 0, reason),
        HeaderFault::Version(version) => LogError::UnsupportedVersion {
            path: path.to_path_buf(),
            version,
            supported: FORMAT_VERSION,
        },
    }
}

impl SegmentReader {
    /// Opens a segment and checks its header against its name.
    pub fn open(file_system: &dyn FileSystem, segment: &Segment) -> Result<Self, LogError> {
        let path = &segment.path;
        let file = file_system
            .open_read(path)
            .map_err(LogError::io("open", path))?;
        let header =
            read_header(file.as_ref(), path)?.map_err(|fault| header_error(path, fault))?;
        if header.first_offset != segment.first_offset {
            let reason = format!(
                "the header says that the first offset is {}, the name says {}",
                header.first_offset, segment.first_offset
            );
            return Err(LogError::damaged(path, 0, reason));
        }
        let start = SEGMENT_HEADER_BYTES as u64;
        let stream = FileReader::new(Arc::clone(&file), start);
        Ok(SegmentReader {
            path: path.clone(),
            reader: BufReader::with_capacity(READ_BUFFER_BYTES, stream),
            position: start,
            end: segment.bytes,
            next_offset: header.first_offset,
            last_timestamp_ms: header.previous_timestamp_ms,
            last_checksum: header.previous_checksum,
        })
    }

    /// Reads the next record, its payload into `payload`.
    pub fn read(&mut self, payload: &mut Vec<u8>) -> Result<Step, LogError> {
        let remaining = self.end.saturating_sub(self.position);
        if remaining == 0 {
            return Ok(Step::End);
        }
        if remaining < RECORD_HEADER_BYTES as u64 {
            return Ok(Step::Torn("the record's header is incomplete"));
        }
        let mut bytes = [0; RECORD_HEADER_BYTES];
        self.reader
            .read_exact(&mut bytes)
            .map_err(LogError::io("read", &self.path))?;
        let Some(header) = RecordHeader::decode(&bytes) else {
            return Ok(Step::Torn("the record's length is impossible"));
        };
        if header.record_bytes() > remaining {
            return Ok(Step::Torn("the record is incomplete"));
        }
        self.read_payload(header.payload_bytes, payload)?;
        let fixed = RecordHeader::checksum_of_fixed_part(&bytes);
        if crc32c::crc32c_append(fixed, payload) != header.checksum {
            return Ok(Step::Torn("the record's checksum is wrong"));
        }
        if header.offset != self.next_offset {
            return Ok(Step::Foreign("the record has another's offset"));
        }
        if header.timestamp_ms < self.last_timestamp_ms || header.durable_offset > header.offset {
            return Ok(Step::Foreign("the record contradicts the one before it"));
        }
        self.position += header.record_bytes();
        self.next_offset += 1;
        self.last_timestamp_ms = header.timestamp_ms;
        self.last_checksum = header.checksum;
        Ok(Step::Record(header))
    }

    fn read_payload(&mut self, bytes: u64, payload: &mut Vec<u8>) -> Result<(), LogError> {
        payload.clear();
        let mut remaining = bytes;
        while remaining > 0 {
            let step = remaining.min(PAYLOAD_STEP_BYTES);
            let count = self
                .reader
                .by_ref()
                .take(step)
                .read_to_end(payload)
                .map_err(LogError::io("read", &self.path))?;
            if count as u64 != step {
                let error = std::io::ErrorKind::UnexpectedEof.into();
                return Err(LogError::io("read", &self.path)(error));
            }
            remaining -= step;
        }
        Ok(())
    }

    /// The segment's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the next record begins, in bytes; after a bad step, where the bad
    /// record does.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The offset of the next record.
    pub fn next_offset(&self) -> u64 {
        self.next_offset
    }

    /// The timestamp of the last record read, or of the one before the segment.
    pub fn last_timestamp_ms(&self) -> u64 {
        self.last_timestamp_ms
    }

    /// The checksum of the last record read, or of the one before the segment.
    pub fn last_checksum(&self) -> u32 {
        self.last_checksum
    }
}
