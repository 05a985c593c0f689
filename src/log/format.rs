//! The bytes of segment and record headers. The layout is described in the parent module.

/// The largest payload of a record that the format allows, in bytes: 1 GiB.
pub const MAX_RECORD_BYTES: u64 = 1 << 30;

pub(super) const FORMAT_VERSION: u32 = 1;
pub(super) const SEGMENT_HEADER_BYTES: usize = 40;
pub(super) const RECORD_HEADER_BYTES: usize = 32;
/// The bytes of a record header that the record's length and checksum leave out.
const FRAME_BYTES: usize = 8;
const MAGIC: [u8; 8] = *b"MNSTMLOG";
const SEGMENT_SUFFIX: &str = ".segment";
const OFFSET_DIGITS: usize = 20;

/// The name of the segment that begins with `first_offset`.
pub(super) fn segment_name(first_offset: u64) -> String {
    format!("{first_offset:020}{SEGMENT_SUFFIX}")
}

/// The first offset a file name tells: `None` if it is not a segment's name, an error with the
/// reason if it is nearly one.
pub(super) fn parse_segment_name(name: &str) -> Option<Result<u64, &'static str>> {
    let digits = name.strip_suffix(SEGMENT_SUFFIX)?;
    let is_number = digits.len() == OFFSET_DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
    let offset = is_number.then(|| digits.parse().ok()).flatten();
    Some(offset.ok_or("the name of a segment is its first offset in 20 digits"))
}

/// What a segment says of itself and of the record before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub first_offset: u64,
    pub previous_timestamp_ms: u64,
    pub previous_checksum: u32,
}

/// Why a segment header is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderFault {
    /// The bytes were never a whole header.
    Invalid(&'static str),
    /// A whole header of another version.
    Version(u32),
}

impl SegmentHeader {
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[0..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        // Bytes 12..16 are the flags, zero in this version.
        bytes[16..24].copy_from_slice(&self.first_offset.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.previous_timestamp_ms.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.previous_checksum.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..36]);
        bytes[36..40].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub fn decode(bytes: &[u8; SEGMENT_HEADER_BYTES]) -> Result<SegmentHeader, HeaderFault> {
        if bytes[0..8] != MAGIC {
            return Err(HeaderFault::Invalid("this is not a log segment"));
        }
        if crc32c::crc32c(&bytes[..36]) != u32_at(bytes, 36) {
            return Err(HeaderFault::Invalid(
                "the segment header's checksum is wrong",
            ));
        }
        let version = u32_at(bytes, 8);
        if version != FORMAT_VERSION {
            return Err(HeaderFault::Version(version));
        }
        if u32_at(bytes, 12) != 0 {
            return Err(HeaderFault::Invalid("the segment header has unknown flags"));
        }
        Ok(SegmentHeader {
            first_offset: u64_at(bytes, 16),
            previous_timestamp_ms: u64_at(bytes, 24),
            previous_checksum: u32_at(bytes, 32),
        })
    }
}

/// The fixed part of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    /// The payload's length in bytes.
    pub payload_bytes: u64,
    pub checksum: u32,
    pub offset: u64,
    pub timestamp_ms: u64,
    /// All records below this offset were durable when this one was written.
    pub durable_offset: u64,
}

impl RecordHeader {
    /// The header of a record with this payload, which must be within [`MAX_RECORD_BYTES`], as
    /// bytes, and its checksum.
    pub fn encode(
        offset: u64,
        timestamp_ms: u64,
        durable_offset: u64,
        payload: &[u8],
    ) -> ([u8; RECORD_HEADER_BYTES], u32) {
        let mut bytes = [0; RECORD_HEADER_BYTES];
        let length = (RECORD_HEADER_BYTES - FRAME_BYTES + payload.len()) as u32;
        bytes[0..4].copy_from_slice(&length.to_le_bytes());
        bytes[8..16].copy_from_slice(&offset.to_le_bytes());
        bytes[16..24].copy_from_slice(&timestamp_ms.to_le_bytes());
        bytes[24..32].copy_from_slice(&durable_offset.to_le_bytes());
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes[FRAME_BYTES..]), payload);
        bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
        (bytes, checksum)
    }

    /// Reads a header; `None` if the length is impossible. The checksum is still to be verified.
    pub fn decode(bytes: &[u8; RECORD_HEADER_BYTES]) -> Option<RecordHeader> {
        let fixed = (RECORD_HEADER_BYTES - FRAME_BYTES) as u64;
        let payload_bytes = u64::from(u32_at(bytes, 0)).checked_sub(fixed)?;
        if payload_bytes > MAX_RECORD_BYTES {
            return None;
        }
        Some(RecordHeader {
            payload_bytes,
            checksum: u32_at(bytes, 4),
            offset: u64_at(bytes, 8),
            timestamp_ms: u64_at(bytes, 16),
            durable_offset: u64_at(bytes, 24),
        })
    }

    /// The checksum of the fixed part; that of the payload is to be appended.
    pub fn checksum_of_fixed_part(bytes: &[u8; RECORD_HEADER_BYTES]) -> u32 {
        crc32c::crc32c(&bytes[FRAME_BYTES..])
    }

    /// The length of the whole record in the file, in bytes.
    pub fn record_bytes(&self) -> u64 {
        RECORD_HEADER_BYTES as u64 + self.payload_bytes
    }
}

fn u32_at(bytes: &[u8], position: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[position..position + 4]);
    u32::from_le_bytes(value)
}

fn u64_at(bytes: &[u8], position: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[position..position + 8]);
    u64::from_le_bytes(value)
}
