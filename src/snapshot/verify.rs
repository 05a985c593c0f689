//! Reading snapshots back: every byte against the manifest, or the rows.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::errors::ParquetError;
use parquet::file::metadata::{FooterTail, ParquetMetaData, ParquetMetaDataReader};
use sha2::{Digest, Sha256};

use super::error::SnapshotError;
use super::layout::{LOG_TAG, TIMESTAMP_TAG, VIEW_TAG, is_part_name, parse_timestamp};
use super::manifest::{Manifest, ManifestFile, columns_of};
use super::part::hexadecimal;
use crate::log::fs::{FileReader, FileSystem, ReadableFile, RealFileSystem};

const READ_BYTES: usize = 1 << 20;
const FOOTER_BYTES: usize = 8;

/// Reads every byte of the snapshot in `directory` (or of the one a link there leads to) and
/// compares sizes, SHA-256, row counts, columns and the list of files with the manifest, which it
/// returns.
///
/// # Errors
/// [`SnapshotError::Damaged`] names the first file that differs and how.
pub fn verify(file_system: &dyn FileSystem, directory: &Path) -> Result<Manifest, SnapshotError> {
    let manifest = Manifest::read(file_system, directory)?;
    let name = directory.file_name().and_then(|name| name.to_str());
    let named_ms = name.and_then(parse_timestamp);
    if named_ms.is_some_and(|named_ms| named_ms != manifest.timestamp_ms) {
        let reason = format!("the manifest is that of {}", manifest.timestamp);
        return Err(SnapshotError::damaged(directory, reason));
    }
    let names = file_system
        .list(directory)
        .map_err(SnapshotError::io("list", directory))?;
    let is_listed = |name: &str| manifest.files.iter().any(|file| file.name == name);
    if let Some(name) = names
        .iter()
        .find(|name| is_part_name(name) && !is_listed(name))
    {
        let reason = "the manifest does not name this file";
        return Err(SnapshotError::damaged(&directory.join(name), reason));
    }
    for file in &manifest.files {
        verify_part(file_system, directory, file, &manifest)?;
    }
    let rows: u64 = manifest.files.iter().map(|file| file.rows).sum();
    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    if (rows, bytes) != (manifest.rows, manifest.bytes) {
        let reason = "the manifest's totals are not the sums over its files";
        return Err(SnapshotError::damaged(directory, reason));
    }
    Ok(manifest)
}

fn verify_part(
    file_system: &dyn FileSystem,
    directory: &Path,
    expected: &ManifestFile,
    manifest: &Manifest,
) -> Result<(), SnapshotError> {
    let path = directory.join(&expected.name);
    let file = file_system
        .open_read(&path)
        .map_err(|error| SnapshotError::damaged(&path, error.to_string()))?;
    let length = file.length().map_err(SnapshotError::io("read", &path))?;
    if length != expected.bytes {
        let reason = format!("it has {length} bytes, not {}", expected.bytes);
        return Err(SnapshotError::damaged(&path, reason));
    }
    let sha256 = hash(&file).map_err(SnapshotError::io("read", &path))?;
    if sha256 != expected.sha256 {
        let reason = format!("its SHA-256 is {sha256}, not {}", expected.sha256);
        return Err(SnapshotError::damaged(&path, reason));
    }
    let footer = read_footer(&file, length).map_err(SnapshotError::parquet(&path))?;
    let rows = footer.file_metadata().num_rows();
    if u64::try_from(rows) != Ok(expected.rows) {
        let reason = format!("it has {rows} rows, not {}", expected.rows);
        return Err(SnapshotError::damaged(&path, reason));
    }
    let schema = arrow_schema(&footer).map_err(SnapshotError::parquet(&path))?;
    if columns_of(&schema) != manifest.schema {
        let reason = "its columns are not those of the manifest";
        return Err(SnapshotError::damaged(&path, reason));
    }
    let expected = [
        (VIEW_TAG, Some(manifest.view.clone())),
        (TIMESTAMP_TAG, Some(manifest.timestamp.clone())),
        (LOG_TAG, manifest.log.map(|range| range.to_string())),
    ];
    for (key, value) in expected {
        let mut tags = footer.file_metadata().key_value_metadata().into_iter();
        let tag = tags.find_map(|tags| tags.iter().find(|tag| tag.key == key));
        let found = tag.and_then(|tag| tag.value.as_ref());
        if found != value.as_ref() {
            let reason = format!("its {key} is {found:?}, that of the manifest {value:?}");
            return Err(SnapshotError::damaged(&path, reason));
        }
    }
    Ok(())
}

/// The SHA-256 of a file in hexadecimal.
fn hash(file: &Arc<dyn ReadableFile>) -> std::io::Result<String> {
    let mut reader = FileReader::new(Arc::clone(file), 0);
    let mut hash = Sha256::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            return Ok(hexadecimal(&hash.finalize()));
        }
        hash.update(buffer.get(..count).unwrap_or_default());
    }
}

/// Decodes a Parquet file's metadata from its end.
fn read_footer(file: &Arc<dyn ReadableFile>, length: u64) -> Result<ParquetMetaData, ParquetError> {
    let too_short = || ParquetError::EOF("the file is too short for its footer".to_string());
    let read = |position: u64, buffer: &mut [u8]| {
        FileReader::new(Arc::clone(file), position)
            .read_exact(buffer)
            .map_err(|error| ParquetError::External(Box::new(error)))
    };
    let tail_begins = length
        .checked_sub(FOOTER_BYTES as u64)
        .ok_or_else(too_short)?;
    let mut tail = [0; FOOTER_BYTES];
    read(tail_begins, &mut tail)?;
    let metadata_bytes = FooterTail::try_new(&tail)?.metadata_length();
    let begins = tail_begins
        .checked_sub(metadata_bytes as u64)
        .ok_or_else(too_short)?;
    let mut metadata = vec![0; metadata_bytes];
    read(begins, &mut metadata)?;
    ParquetMetaDataReader::decode_metadata(&metadata)
}

fn arrow_schema(footer: &ParquetMetaData) -> Result<Schema, ParquetError> {
    let metadata = footer.file_metadata();
    parquet_to_arrow_schema(metadata.schema_descr(), metadata.key_value_metadata())
}

/// All rows of the snapshot in `directory`, in the order they were written.
///
/// # Errors
/// [`SnapshotError::Parquet`], and those of reading the manifest. Checksums are not compared: see
/// [`verify`].
pub fn read(directory: &Path) -> Result<Vec<RecordBatch>, SnapshotError> {
    let manifest = Manifest::read(&RealFileSystem, directory)?;
    let mut batches = Vec::new();
    for part in &manifest.files {
        let path = directory.join(&part.name);
        let file = File::open(&path).map_err(SnapshotError::io("open", &path))?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)
            .and_then(ParquetRecordBatchReaderBuilder::build)
            .map_err(SnapshotError::parquet(&path))?;
        for batch in reader {
            let batch = batch.map_err(|error| SnapshotError::parquet(&path)(error.into()))?;
            batches.push(batch);
        }
    }
    Ok(batches)
}
