//! Opening a log: finds its end, cuts what a crash tore off, refuses what a crash cannot explain.
//!
//! Only the newest segment can be torn, because each is synced whole before the next is created,
//! and within it only records that were not synced. A bad record is therefore cut only if no
//! later record proves, by its durable offset, that the bad one had once been synced. Damage to
//! the very last group of records that was synced together leaves no such proof: it is cut, and
//! reported, like a torn end.

use std::path::{Path, PathBuf};

use super::error::LogError;
use super::format::{
    HeaderFault, RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES, parse_segment_name,
};
use super::fs::{FileSystem, ReadableFile};
use super::segment::{Segment, SegmentReader, Step, header_error, read_header};

const SEARCH_BYTES: usize = 1 << 20;

/// What opening a log found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The offset of the first record held.
    pub first_offset: u64,
    /// The offset the next record will get.
    pub next_offset: u64,
    /// The last record's timestamp in milliseconds since the epoch; `None` for a new log.
    pub last_timestamp_ms: Option<u64>,
    /// The number of segments.
    pub segments: usize,
    /// The size of all segments in bytes.
    pub bytes: u64,
    /// What was cut from the end because a crash had torn it. To be shown to the operator.
    pub cut: Option<Cut>,
}

/// The end of a log that was cut on opening: records that were being written during a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The segment that was cut, or removed where nothing of it was whole.
    pub path: PathBuf,
    /// The offset of the first record that was cut.
    pub offset: u64,
    /// Where it began in the segment, in bytes.
    pub position: u64,
    /// How many bytes were cut.
    pub bytes: u64,
    /// Why the first cut record was not accepted.
    pub reason: String,
}

/// The state of a log on disk once recovered: everything in `segments` is whole, and durable once
/// the last of them and the directory have been synced.
pub(super) struct Recovered {
    /// By first offset; the last one is to be appended to. Empty for a new log.
    pub segments: Vec<Segment>,
    pub next_offset: u64,
    pub last_timestamp_ms: u64,
    pub last_checksum: u32,
    pub cut: Option<Cut>,
}

/// Finds the log's segments and its end; cuts a torn end, which no record below `durable_below`
/// can belong to.
pub(super) fn recover(
    file_system: &dyn FileSystem,
    directory: &Path,
    durable_below: u64,
) -> Result<Recovered, LogError> {
    let mut segments = list_segments(file_system, directory)?;
    let end_missing = |found: u64| LogError::EndMissing {
        directory: directory.to_path_buf(),
        expected: durable_below,
        found,
    };
    if let Some(last) = segments.last()
        && last.first_offset < durable_below
        && last.bytes <= SEGMENT_HEADER_BYTES as u64
    {
        return Err(end_missing(last.first_offset));
    }
    let mut cut = remove_torn_segment(file_system, &mut segments)?;
    let Some(last) = segments.last_mut() else {
        return match cut {
            Some(cut) if cut.offset > 0 => Err(LogError::Gap {
                path: cut.path,
                expected: 0,
                found: cut.offset,
            }),
            _ if durable_below > 0 => Err(end_missing(0)),
            cut => Ok(Recovered {
                segments,
                next_offset: 0,
                last_timestamp_ms: 0,
                last_checksum: 0,
                cut,
            }),
        };
    };
    let mut reader = SegmentReader::open(file_system, last)?;
    let mut payload = Vec::new();
    let bad = loop {
        match reader.read(&mut payload)? {
            Step::Record(_) => {}
            Step::End => break None,
            Step::Torn(reason) if cut.is_none() => break Some(reason),
            Step::Torn(reason) | Step::Foreign(reason) => {
                return Err(LogError::damaged(&last.path, reader.position(), reason));
            }
        }
    };
    if reader.next_offset() < durable_below {
        return Err(match bad {
            Some(reason) => {
                let reason = format!("{reason}, and a checkpoint shows it had been synced");
                LogError::damaged(&last.path, reader.position(), reason)
            }
            None => end_missing(reader.next_offset()),
        });
    }
    if let Some(reason) = bad {
        cut = Some(cut_torn_end(file_system, last, &reader, reason)?);
        last.bytes = reader.position();
    } else if let Some(cut) = &cut
        && cut.offset != reader.next_offset()
    {
        return Err(LogError::Gap {
            path: cut.path.clone(),
            expected: reader.next_offset(),
            found: cut.offset,
        });
    }
    Ok(Recovered {
        next_offset: reader.next_offset(),
        last_timestamp_ms: reader.last_timestamp_ms(),
        last_checksum: reader.last_checksum(),
        segments,
        cut,
    })
}

pub(super) fn list_segments(
    file_system: &dyn FileSystem,
    directory: &Path,
) -> Result<Vec<Segment>, LogError> {
    let names = file_system
        .list(directory)
        .map_err(LogError::io("list", directory))?;
    let mut segments = Vec::new();
    for name in names {
        let path = directory.join(&name);
        let first_offset = match parse_segment_name(&name) {
            None => continue,
            Some(Ok(offset)) => offset,
            Some(Err(reason)) => return Err(LogError::damaged(&path, 0, reason)),
        };
        let bytes = file_system
            .open_read(&path)
            .and_then(|file| file.length())
            .map_err(LogError::io("open", &path))?;
        segments.push(Segment {
            path,
            first_offset,
            bytes,
        });
    }
    segments.sort_unstable_by_key(|segment| segment.first_offset);
    Ok(segments)
}

/// Removes the newest segment if a crash came before its header was durable. No record can have
/// been in it: the first is written after the header has been synced.
fn remove_torn_segment(
    file_system: &dyn FileSystem,
    segments: &mut Vec<Segment>,
) -> Result<Option<Cut>, LogError> {
    let Some(last) = segments.last() else {
        return Ok(None);
    };
    let path = &last.path;
    let file = file_system
        .open_read(path)
        .map_err(LogError::io("open", path))?;
    let reason = match read_header(file.as_ref(), path)? {
        Ok(_) => return Ok(None),
        Err(HeaderFault::Invalid(reason)) if last.bytes <= SEGMENT_HEADER_BYTES as u64 => reason,
        Err(fault) => return Err(header_error(path, fault)),
    };
    file_system
        .remove_file(path)
        .map_err(LogError::io("remove", path))?;
    let cut = Cut {
        path: path.clone(),
        offset: last.first_offset,
        position: 0,
        bytes: last.bytes,
        reason: reason.to_string(),
    };
    segments.pop();
    Ok(Some(cut))
}

/// Shortens the newest segment to its whole records, unless the bad one had been synced.
fn cut_torn_end(
    file_system: &dyn FileSystem,
    segment: &Segment,
    reader: &SegmentReader,
    reason: &str,
) -> Result<Cut, LogError> {
    check_was_not_synced(file_system, segment, reader, reason)?;
    let path = &segment.path;
    let position = reader.position();
    file_system
        .truncate(path, position)
        .map_err(LogError::io("shorten", path))?;
    Ok(Cut {
        path: path.clone(),
        offset: reader.next_offset(),
        position,
        bytes: segment.bytes - position,
        reason: reason.to_string(),
    })
}

/// Fails if a record behind the bad one that `reader` stands at proves that it had been synced.
pub(super) fn check_was_not_synced(
    file_system: &dyn FileSystem,
    segment: &Segment,
    reader: &SegmentReader,
    reason: &str,
) -> Result<(), LogError> {
    let path = &segment.path;
    let position = reader.position();
    let file = file_system
        .open_read(path)
        .map_err(LogError::io("open", path))?;
    let search = Search {
        file: file.as_ref(),
        path,
        end: segment.bytes,
        bad_offset: reader.next_offset(),
    };
    match search.find_later_group(position + 1)? {
        None => Ok(()),
        Some(proof) => {
            let reason =
                format!("{reason}, and the record at byte {proof} shows it had been synced");
            Err(LogError::damaged(path, position, reason))
        }
    }
}

/// The search for a whole record that was written after a bad one had been synced.
struct Search<'a> {
    file: &'a dyn ReadableFile,
    path: &'a Path,
    end: u64,
    bad_offset: u64,
}

impl Search<'_> {
    /// Looks at every byte position from `start` on; where such a record begins, if there is one.
    fn find_later_group(&self, start: u64) -> Result<Option<u64>, LogError> {
        let mut window = Vec::new();
        let mut position = start;
        while position + RECORD_HEADER_BYTES as u64 <= self.end {
            self.fill(position, &mut window)?;
            for (index, bytes) in window.array_windows::<RECORD_HEADER_BYTES>().enumerate() {
                let candidate = position + index as u64;
                if let Some(header) = self.plausible(bytes, candidate)
                    && self.is_whole(bytes, &header, candidate)?
                {
                    return Ok(Some(candidate));
                }
            }
            position += (window.len() - (RECORD_HEADER_BYTES - 1)) as u64;
        }
        Ok(None)
    }

    /// Reads the bytes from `position` on, as many as a step of the search takes.
    fn fill(&self, position: u64, window: &mut Vec<u8>) -> Result<(), LogError> {
        let wanted = (self.end - position).min(SEARCH_BYTES as u64) as usize;
        window.resize(wanted, 0);
        self.read_exact(position, window)
    }

    fn read_exact(&self, mut position: u64, mut buffer: &mut [u8]) -> Result<(), LogError> {
        while !buffer.is_empty() {
            let count = match self.file.read_at(position, buffer) {
                Ok(0) => Err(std::io::ErrorKind::UnexpectedEof.into()),
                other => other,
            };
            let count = count.map_err(LogError::io("read", self.path))?;
            position += count as u64;
            buffer = &mut buffer[count..];
        }
        Ok(())
    }

    fn plausible(&self, bytes: &[u8; RECORD_HEADER_BYTES], position: u64) -> Option<RecordHeader> {
        let header = RecordHeader::decode(bytes)?;
        let is_plausible = header.durable_offset > self.bad_offset
            && header.durable_offset <= header.offset
            && header.offset - self.bad_offset <= self.end / RECORD_HEADER_BYTES as u64
            && header.record_bytes() <= self.end - position;
        is_plausible.then_some(header)
    }

    fn is_whole(
        &self,
        bytes: &[u8; RECORD_HEADER_BYTES],
        header: &RecordHeader,
        position: u64,
    ) -> Result<bool, LogError> {
        let mut checksum = RecordHeader::checksum_of_fixed_part(bytes);
        let mut current = position + RECORD_HEADER_BYTES as u64;
        let payload_end = position + header.record_bytes();
        let mut piece = Vec::new();
        while current < payload_end {
            let wanted = (payload_end - current).min(SEARCH_BYTES as u64) as usize;
            piece.resize(wanted, 0);
            self.read_exact(current, &mut piece)?;
            checksum = crc32c::crc32c_append(checksum, &piece);
            current += wanted as u64;
        }
        Ok(checksum == header.checksum)
    }
}
