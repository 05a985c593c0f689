//! The frame of a checkpoint file: numbered blocks, each with a checksum.

use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::CheckpointError;
use crate::log::fs::{FileReader, FileSystem, ReadableFile, WritableFile};

pub const FORMAT_VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"MNSTMCKP";
const FILE_HEADER_BYTES: usize = 16;
const BLOCK_HEADER_BYTES: usize = 16;
/// The longest payload of a block in bytes.
const MAX_PAYLOAD_BYTES: usize = 1 << 30;
/// After so many bytes the file is synced, so that the log's syncs never wait behind a mountain of
/// unwritten bytes.
const SYNC_BYTES: u64 = 32 << 20;
const READ_BUFFER_BYTES: usize = 256 << 10;

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    Head,
    Rows,
    Deletions,
    RemovedEvents,
    ListedEvents,
    End,
}

impl BlockKind {
    fn number(self) -> u32 {
        match self {
            BlockKind::Head => 1,
            BlockKind::Rows => 2,
            BlockKind::Deletions => 3,
            BlockKind::RemovedEvents => 4,
            BlockKind::End => 5,
            BlockKind::ListedEvents => 6,
        }
    }

    fn of(number: u32) -> Option<BlockKind> {
        use BlockKind::{Deletions, End, Head, ListedEvents, RemovedEvents, Rows};
        let kinds = [Head, Rows, Deletions, RemovedEvents, ListedEvents, End];
        kinds.into_iter().find(|kind| kind.number() == number)
    }
}

/// Writes blocks to a file.
pub struct BlockWriter {
    file: Box<dyn WritableFile>,
    path: PathBuf,
    blocks: u32,
    bytes: u64,
    synced_bytes: u64,
}

impl BlockWriter {
    /// Creates the file, whose name must be free.
    pub fn create(
        file_system: &dyn FileSystem,
        path: &Path,
    ) -> Result<BlockWriter, CheckpointError> {
        let file = file_system.create_file(path);
        let mut writer = BlockWriter {
            file: file.map_err(CheckpointError::io("create", path))?,
            path: path.to_path_buf(),
            blocks: 0,
            bytes: 0,
            synced_bytes: 0,
        };
        let mut header = [0; FILE_HEADER_BYTES];
        header[..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        let checksum = crc32c::crc32c(&header[..12]);
        header[12..].copy_from_slice(&checksum.to_le_bytes());
        writer.put(&header)?;
        Ok(writer)
    }

    /// Adds a block; `payload` must be under 1 GiB.
    pub fn write(&mut self, kind: BlockKind, payload: &[u8]) -> Result<(), CheckpointError> {
        if payload.len() > MAX_PAYLOAD_BYTES {
            let error = std::io::Error::other("a block of over 1 GiB");
            return Err(CheckpointError::io("write to", &self.path)(error));
        }
        let mut header = [0; BLOCK_HEADER_BYTES];
        header[..4].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        header[8..12].copy_from_slice(&self.blocks.to_le_bytes());
        header[12..].copy_from_slice(&kind.number().to_le_bytes());
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&header[8..]), payload);
        header[4..8].copy_from_slice(&checksum.to_le_bytes());
        self.put(&header)?;
        self.put(payload)?;
        self.blocks += 1;
        if self.bytes - self.synced_bytes >= SYNC_BYTES {
            self.sync()?;
        }
        Ok(())
    }

    /// Makes all blocks durable; the length of the file in bytes.
    pub fn finish(mut self) -> Result<u64, CheckpointError> {
        self.sync()?;
        Ok(self.bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), CheckpointError> {
        let written = self.file.write_all(bytes);
        written.map_err(CheckpointError::io("write to", &self.path))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), CheckpointError> {
        let synced = self.file.sync();
        synced.map_err(CheckpointError::io("sync", &self.path))?;
        self.synced_bytes = self.bytes;
        Ok(())
    }
}

/// Reads the blocks of a file in order, checking each.
pub struct BlockReader {
    reader: BufReader<FileReader>,
    path: PathBuf,
    length: u64,
    /// Where the block read last begins, in bytes.
    block_at: u64,
    position: u64,
    blocks: u32,
    payload: Vec<u8>,
}

impl BlockReader {
    /// Opens the file and checks its header.
    pub fn open(file_system: &dyn FileSystem, path: &Path) -> Result<BlockReader, CheckpointError> {
        let file = file_system.open_read(path);
        let file: Arc<dyn ReadableFile> = file.map_err(CheckpointError::io("open", path))?;
        let length = file.length().map_err(CheckpointError::io("read", path))?;
        let stream = FileReader::new(file, 0);
        let mut reader = BlockReader {
            reader: BufReader::with_capacity(READ_BUFFER_BYTES, stream),
            path: path.to_path_buf(),
            length,
            block_at: 0,
            position: 0,
            blocks: 0,
            payload: Vec::new(),
        };
        let mut header = [0; FILE_HEADER_BYTES];
        reader.fill(&mut header)?;
        if header[..8] != MAGIC {
            return Err(reader.damaged("this is not a checkpoint"));
        }
        if crc32c::crc32c(&header[..12]) != u32_at(&header, 12) {
            return Err(reader.damaged("the header's checksum is wrong"));
        }
        match u32_at(&header, 8) {
            FORMAT_VERSION => Ok(reader),
            version => Err(CheckpointError::UnsupportedVersion {
                path: reader.path,
                version,
                supported: FORMAT_VERSION,
            }),
        }
    }

    /// The next block. Asking behind the last one is an error.
    pub fn read(&mut self) -> Result<(BlockKind, &[u8]), CheckpointError> {
        self.block_at = self.position;
        let mut header = [0; BLOCK_HEADER_BYTES];
        self.fill(&mut header)?;
        let length = u32_at(&header, 0) as usize;
        if length > MAX_PAYLOAD_BYTES || length as u64 > self.length - self.position {
            return Err(self.damaged("the block is longer than the file"));
        }
        let mut payload = std::mem::take(&mut self.payload);
        payload.resize(length, 0);
        self.fill(&mut payload)?;
        self.payload = payload;
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&header[8..]), &self.payload);
        if checksum != u32_at(&header, 4) {
            return Err(self.damaged("the block's checksum is wrong"));
        }
        if u32_at(&header, 8) != self.blocks {
            return Err(self.damaged("the block has another's number"));
        }
        let Some(kind) = BlockKind::of(u32_at(&header, 12)) else {
            return Err(self.damaged("the block is of an unknown kind"));
        };
        self.blocks += 1;
        Ok((kind, &self.payload))
    }

    /// Checks that nothing follows the last block.
    pub fn expect_end(&mut self) -> Result<(), CheckpointError> {
        self.block_at = self.position;
        match self.position == self.length {
            true => Ok(()),
            false => Err(self.damaged("bytes follow the last block")),
        }
    }

    /// How many bytes have been read.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The length of the file in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The error for damage in the block read last.
    pub fn damaged(&self, reason: impl Into<String>) -> CheckpointError {
        CheckpointError::Damaged {
            path: self.path.clone(),
            position: self.block_at,
            reason: reason.into(),
        }
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), CheckpointError> {
        match self.reader.read_exact(buffer) {
            Ok(()) => {
                self.position += buffer.len() as u64;
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(self.damaged("the file ends early"))
            }
            Err(error) => Err(CheckpointError::io("read", &self.path)(error)),
        }
    }
}

fn u32_at(bytes: &[u8], position: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[position..position + 4]);
    u32::from_le_bytes(value)
}
