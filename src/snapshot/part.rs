//! Writing rows as Parquet files of bounded size, hashed on the way.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use sha2::{Digest, Sha256};

use super::error::SnapshotError;
use super::layout::part_name;
use super::manifest::ManifestFile;
use super::writer::SnapshotOptions;
use crate::log::fs::{FileSystem, WritableFile};

/// A row group ends at this size in memory too, so that wide rows do not fill it.
const ROW_GROUP_BYTES: usize = 128 << 20;

/// How Parquet files are written under these options; `tags` go into each file's metadata.
///
/// # Errors
/// [`SnapshotError::InvalidOption`] if there is no such level of compression.
pub fn properties(
    options: &SnapshotOptions,
    tags: Vec<KeyValue>,
) -> Result<WriterProperties, SnapshotError> {
    let level = ZstdLevel::try_new(options.compression_level).map_err(|error| {
        SnapshotError::InvalidOption {
            setting: "compression_level",
            problem: error.to_string(),
        }
    })?;
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(Some(options.row_group_rows))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_key_value_metadata(Some(tags))
        .build())
}

/// Writes batches into as many parts as it takes. There is always at least one, so that an empty
/// view has columns too.
pub(super) struct PartsWriter<'a> {
    file_system: &'a dyn FileSystem,
    directory: &'a Path,
    schema: SchemaRef,
    properties: WriterProperties,
    max_rows: u64,
    current: Option<Part>,
    finished: Vec<ManifestFile>,
}

impl<'a> PartsWriter<'a> {
    pub fn new(
        file_system: &'a dyn FileSystem,
        directory: &'a Path,
        schema: SchemaRef,
        properties: WriterProperties,
        max_rows: u64,
    ) -> PartsWriter<'a> {
        PartsWriter {
            file_system,
            directory,
            schema,
            properties,
            max_rows,
            current: None,
            finished: Vec::new(),
        }
    }

    /// Adds rows, which must be of the schema's types.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), SnapshotError> {
        let columns = batch.columns().to_vec();
        // Checks types and NULLs, and takes on the names that were promised.
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|error| {
            let path = self.directory.join(part_name(self.finished.len()));
            SnapshotError::parquet(&path)(wrong_batch(error))
        })?;
        let mut start = 0;
        while start < batch.num_rows() {
            let max_rows = self.max_rows;
            let part = self.part()?;
            let room = usize::try_from(max_rows - part.rows).unwrap_or(usize::MAX);
            let count = room.min(batch.num_rows() - start);
            part.write(&batch.slice(start, count))?;
            start += count;
            if part.rows == max_rows {
                self.finish_part()?;
            }
        }
        Ok(())
    }

    /// Ends the last part: all parts are complete and synced.
    pub fn finish(mut self) -> Result<Vec<ManifestFile>, SnapshotError> {
        if self.finished.is_empty() {
            self.part()?;
        }
        self.finish_part()?;
        Ok(self.finished)
    }

    fn part(&mut self) -> Result<&mut Part, SnapshotError> {
        let part = match self.current.take() {
            Some(part) => part,
            None => {
                let path = self.directory.join(part_name(self.finished.len()));
                let schema = Arc::clone(&self.schema);
                Part::create(self.file_system, path, schema, self.properties.clone())?
            }
        };
        Ok(self.current.insert(part))
    }

    fn finish_part(&mut self) -> Result<(), SnapshotError> {
        if let Some(part) = self.current.take() {
            let name = part_name(self.finished.len());
            self.finished.push(part.finish(name)?);
        }
        Ok(())
    }
}

fn wrong_batch(error: ArrowError) -> ParquetError {
    ParquetError::General(format!(
        "the rows do not have the columns promised: {error}"
    ))
}

/// One Parquet file being written.
struct Part {
    path: PathBuf,
    writer: ArrowWriter<HashingFile>,
    rows: u64,
}

impl Part {
    fn create(
        file_system: &dyn FileSystem,
        path: PathBuf,
        schema: SchemaRef,
        properties: WriterProperties,
    ) -> Result<Part, SnapshotError> {
        let file = file_system
            .create_file(&path)
            .map_err(SnapshotError::io("create", &path))?;
        let sink = HashingFile {
            file,
            hash: Sha256::new(),
            bytes: 0,
        };
        let writer = ArrowWriter::try_new(sink, schema, Some(properties))
            .map_err(SnapshotError::parquet(&path))?;
        Ok(Part {
            path,
            writer,
            rows: 0,
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), SnapshotError> {
        self.writer
            .write(batch)
            .map_err(SnapshotError::parquet(&self.path))?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    fn finish(self, name: String) -> Result<ManifestFile, SnapshotError> {
        let mut sink = self
            .writer
            .into_inner()
            .map_err(SnapshotError::parquet(&self.path))?;
        sink.file
            .sync()
            .map_err(SnapshotError::io("sync", &self.path))?;
        Ok(ManifestFile {
            name,
            rows: self.rows,
            bytes: sink.bytes,
            sha256: hexadecimal(&sink.hash.finalize()),
        })
    }
}

/// A file that knows the SHA-256 and the number of the bytes written to it.
struct HashingFile {
    file: Box<dyn WritableFile>,
    hash: Sha256,
    bytes: u64,
}

impl Write for HashingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hash.update(bytes.get(..count).unwrap_or(bytes));
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
