//! Reading a checkpoint back: every byte is checked before any of it counts.

use std::path::Path;

use arrow::record_batch::RecordBatch;

use super::block::{BlockKind, BlockReader};
use super::error::CheckpointError;
use super::image::{End, Head};
use crate::engine::transaction::decode_rows;
use crate::log::fs::FileSystem;

/// A piece of a checkpoint, in the order of the file.
pub enum CheckpointContent {
    /// Everything but the tables' content; comes first.
    Head(Head),
    /// Something of the table with this number in the head.
    Table(usize, TableContent),
}

/// A piece of a table.
pub enum TableContent {
    /// Rows.
    Rows(RecordBatch),
    /// Keys whose deletion is remembered.
    Deletions(RecordBatch),
    /// Identities of events whose rows have been removed.
    RemovedEvents(RecordBatch),
    /// Events that are remembered, where there is a window for them.
    ListedEvents(RecordBatch),
}

/// Reads the checkpoint at `path` and hands its pieces to `take`, with how many bytes have been
/// read. All of it is there, and whole, only if this returns without an error; then the head is
/// returned.
///
/// # Errors
/// [`CheckpointError::Damaged`], [`CheckpointError::UnsupportedVersion`], [`CheckpointError::Io`],
/// and the first error of `take`.
pub fn read<E: From<CheckpointError>>(
    file_system: &dyn FileSystem,
    path: &Path,
    mut take: impl FnMut(CheckpointContent, u64) -> Result<(), E>,
) -> Result<Head, E> {
    let mut reader = BlockReader::open(file_system, path)?;
    let head = read_head(&mut reader)?;
    take(CheckpointContent::Head(head.clone()), reader.position())?;
    let mut rows = vec![0; head.tables.len()];
    loop {
        let Some((kind, table, batch)) = read_rows(&mut reader, &rows)? else {
            return Ok(head);
        };
        let content = match kind {
            BlockKind::Deletions => TableContent::Deletions(batch),
            BlockKind::RemovedEvents => TableContent::RemovedEvents(batch),
            BlockKind::ListedEvents => TableContent::ListedEvents(batch),
            _ => {
                rows[table] += batch.num_rows() as u64;
                TableContent::Rows(batch)
            }
        };
        take(CheckpointContent::Table(table, content), reader.position())?;
    }
}

fn read_head(reader: &mut BlockReader) -> Result<Head, CheckpointError> {
    let decoded = match reader.read()? {
        (BlockKind::Head, payload) => {
            serde_json::from_slice(payload).map_err(|error| error.to_string())
        }
        _ => Err("the first block is not the head".to_owned()),
    };
    decoded.map_err(|reason| reader.damaged(reason))
}

/// The next rows of a table; `None` at the end, where `rows` must be what was written.
fn read_rows(
    reader: &mut BlockReader,
    rows: &[u64],
) -> Result<Option<(BlockKind, usize, RecordBatch)>, CheckpointError> {
    let (kind, payload) = reader.read()?;
    let decoded = match kind {
        BlockKind::Head => Err("a second head".to_owned()),
        BlockKind::End => match serde_json::from_slice::<End>(payload) {
            Ok(end) if end.rows == rows => Ok(None),
            Ok(_) => Err("rows are missing or too many".to_owned()),
            Err(error) => Err(error.to_string()),
        },
        _ => decode_block(payload, rows.len()).map(Some),
    };
    match decoded.map_err(|reason| reader.damaged(reason))? {
        Some((table, batch)) => Ok(Some((kind, table, batch))),
        None => reader.expect_end().map(|()| None),
    }
}

fn decode_block(payload: &[u8], tables: usize) -> Result<(usize, RecordBatch), String> {
    let Some((number, stream)) = payload.split_first_chunk::<4>() else {
        return Err("the block is shorter than its table's number".to_owned());
    };
    let table = u32::from_le_bytes(*number) as usize;
    if table >= tables {
        return Err(format!("there is no table number {table}"));
    }
    let rows = decode_rows(stream).map_err(|error| error.to_string())?;
    Ok((table, rows))
}

/// Reads the whole checkpoint and checks it; its head.
///
/// # Errors
/// As [`read`].
pub fn verify(file_system: &dyn FileSystem, path: &Path) -> Result<Head, CheckpointError> {
    read(file_system, path, |_, _| Ok(()))
}

/// The length of a checkpoint in bytes, after its header was checked.
///
/// # Errors
/// As [`read`].
pub fn length(file_system: &dyn FileSystem, path: &Path) -> Result<u64, CheckpointError> {
    Ok(BlockReader::open(file_system, path)?.length())
}
