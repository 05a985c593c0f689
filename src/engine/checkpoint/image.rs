//! What goes into a checkpoint, and how it becomes blocks.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};

use super::block::{BlockKind, BlockWriter};
use super::error::CheckpointError;
use crate::engine::transaction::{CatalogChange, encode_rows};
use crate::log::fs::FileSystem;
use crate::view::TableImage;

/// Rows are cut into blocks of about this size in memory.
const BLOCK_BYTES: usize = 64 << 20;

/// All of a checkpoint but the tables' content.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// The offset of the first transaction that is not contained.
    pub offset: u64,
    /// The newest contained timestamp in milliseconds since the epoch.
    pub timestamp_ms: u64,
    /// What makes the catalog from nothing, in order.
    pub definitions: Vec<CatalogChange>,
    /// The position of each source.
    pub positions: BTreeMap<String, String>,
    /// The tables in the order of their numbers in the blocks.
    pub tables: Vec<String>,
}

/// The last block: what a reader must have seen.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// The rows of each table, in the order of their numbers.
    pub rows: Vec<u64>,
}

/// The state of the engine after one transaction, ready to be written while it goes on.
pub struct CheckpointImage {
    /// Everything but the tables' content.
    pub head: Head,
    /// The tables, in the order of the head's names.
    pub tables: Vec<TableImage>,
}

impl CheckpointImage {
    /// Writes the image to a new file and syncs it; its length in bytes. Stops early once
    /// `gives_up` is set.
    pub(super) fn write(
        &self,
        file_system: &dyn FileSystem,
        path: &Path,
        gives_up: &AtomicBool,
    ) -> Result<u64, CheckpointError> {
        let mut writer = BlockWriter::create(file_system, path)?;
        write_json(&mut writer, BlockKind::Head, &self.head, path)?;
        let mut rows = Vec::new();
        for (number, image) in (0..).zip(&self.tables) {
            let mut table = TableWriter {
                writer: &mut writer,
                number,
                name: &image.definition().name,
                gives_up,
            };
            rows.push(table.write(image)?);
        }
        write_json(&mut writer, BlockKind::End, &End { rows }, path)?;
        writer.finish()
    }
}

fn write_json(
    writer: &mut BlockWriter,
    kind: BlockKind,
    content: &impl Serialize,
    path: &Path,
) -> Result<(), CheckpointError> {
    let json = serde_json::to_vec(content).map_err(std::io::Error::from);
    writer.write(kind, &json.map_err(CheckpointError::io("write to", path))?)
}

/// Writes the blocks of one table.
struct TableWriter<'a> {
    writer: &'a mut BlockWriter,
    number: u32,
    name: &'a str,
    gives_up: &'a AtomicBool,
}

impl TableWriter<'_> {
    /// How many rows the table has.
    fn write(&mut self, image: &TableImage) -> Result<u64, CheckpointError> {
        let mut count = 0;
        for rows in image.rows() {
            let rows = rows.map_err(|error| self.failed(&error))?;
            count += rows.num_rows() as u64;
            self.write_rows(BlockKind::Rows, &rows)?;
        }
        let deletions = image.deletions().map_err(|error| self.failed(&error))?;
        for rows in &deletions {
            self.write_rows(BlockKind::Deletions, rows)?;
        }
        for rows in image.removed_events() {
            self.write_rows(BlockKind::RemovedEvents, rows)?;
        }
        for events in image.listed_events() {
            let events = events.map_err(|error| self.failed(&error))?;
            self.write_rows(BlockKind::ListedEvents, &events)?;
        }
        Ok(count)
    }

    /// Writes rows in blocks of bounded size.
    fn write_rows(&mut self, kind: BlockKind, rows: &RecordBatch) -> Result<(), CheckpointError> {
        let pieces = rows.get_array_memory_size().div_ceil(BLOCK_BYTES).max(1);
        let step = rows.num_rows().div_ceil(pieces).max(1);
        for start in (0..rows.num_rows()).step_by(step) {
            if self.gives_up.load(Ordering::Relaxed) {
                return Err(CheckpointError::GivenUp);
            }
            let piece = rows.slice(start, step.min(rows.num_rows() - start));
            let mut payload = self.number.to_le_bytes().to_vec();
            encode_rows(&piece, &mut payload).map_err(|error| self.failed(&error))?;
            self.writer.write(kind, &payload)?;
        }
        Ok(())
    }

    fn failed(&self, error: &ArrowError) -> CheckpointError {
        CheckpointError::Table {
            table: self.name.to_owned(),
            reason: error.to_string(),
        }
    }
}
